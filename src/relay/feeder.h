/* feeder: the relay's thread that reads the queue, takes what may be in hand, and puts off what would wait for a dead host.
 *
 * It looks at the queue in three ways, by pages: at what arrives, by row id; at what becomes due, from the time it looked last; and in
 * circles at all that is due, when somebody who was passed over has room again (relay/scheduler.h), and twice a minute in any case.
 * So however much there is of one sender, a letter of another one is seen at once. */
#pragma once

/* `context`: struct relay. */
void *feeder_run(void *context);
