/* scheduler_internal: what scheduler.c (hops, turns, back-off) and scheduler_share.c (senders, streams, shares) share. */
#pragma once

#include "relay/scheduler.h"

/* The hop of that name, made if need be; for this item. */
struct hop *scheduler_hop(struct scheduler *scheduler, const struct queue_item *item, struct slice name);

/* One recipient more for the stream of that sender to that hop, which is made if need be; and some less: with the last the stream goes. */
struct stream *scheduler_take_share(struct scheduler *scheduler, struct hop *hop, struct slice sender);
void scheduler_give_share(struct scheduler *scheduler, struct stream *stream, unsigned count);
/* May the sender have one more connection? */
bool scheduler_may_work(const struct scheduler *scheduler, const struct sender *sender);
/* Was somebody who has this mark passed over in this lap or the last one? */
bool scheduler_was_passed(const struct scheduler *scheduler, unsigned passed_lap);
/* The hop's share may have grown. */
void scheduler_note_hunger(struct scheduler *scheduler, const struct hop *hop);
