/* reporter: sends the day's reports on TLS to the domains that ask for them (RFC 8460): each day once to each place that the domain names,
 * by mail (through deliver, under a queue id that the report always gives: never twice) or by HTTPS. What fails is tried again for a
 * day, ever more slowly. One thread. */
#pragma once

struct relay;
struct reporter;

struct reporter *reporter_start(struct relay *relay);
/* A request that runs is broken off; its report is sent later. */
void reporter_stop(struct reporter *reporter);
