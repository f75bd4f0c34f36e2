/* ban_keeper: a thread that keeps a ban_list as the store says: when it is woken (the hub's announcement "ban", which is a hint), and
 * every some seconds besides, for the bans of other nodes and for announcements that were missed.
 */
#pragma once

#include "base/log.h"
#include "guard/ban_list.h"

struct ban_keeper;

/* Reads all bans that hold, in `arena`. False: not now. */
typedef bool (*ban_fetch)(void *context, struct arena *arena, struct ban **bans, size_t *count);

/* All of them outlive the keeper. NULL: no thread could be had. */
struct ban_keeper *ban_keeper_new(struct ban_list *list, ban_fetch fetch, void *context, const struct log *log);
/* Any thread. NULL does nothing. */
void ban_keeper_wake(struct ban_keeper *keeper);
/* No more fetching from now on; waking it does nothing. */
void ban_keeper_stop(struct ban_keeper *keeper);
void ban_keeper_free(struct ban_keeper *keeper);
