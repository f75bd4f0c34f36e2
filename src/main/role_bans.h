/* role_bans: the bans in a role that takes connections: who is banned is turned away by the engine, in the words of the listener's
 * protocol. */
#pragma once

#include "guard/ban_keeper.h"
#include "main/role.h"
#include "net/engine.h"

struct role_bans;

struct role_bans *role_bans_new(struct role_setup *setup);
/* After the sandbox has been entered, before announcements come. */
void role_bans_start(struct role_bans *bans, ban_fetch fetch, void *context);
void role_bans_stop(struct role_bans *bans);
void role_bans_free(struct role_bans *bans);
/* The announcement "ban". */
void role_bans_changed(struct role_bans *bans);
/* For struct engine_limits; context is the role_bans. */
struct slice role_bans_turn_away(void *context, const struct listener *listener, const struct net_address *peer);
