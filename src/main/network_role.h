/* network_role: what the roles that take connections have in common: an engine with its listeners and limits from the configuration,
 * certificates that are replaced while it runs, and the way from start to end. */
#pragma once

#include "base/budget.h"
#include "guard/ban_keeper.h"
#include "main/role.h"
#include "net/engine.h"

struct network_protocol {
	const char *listeners;    /* that speak it, separated by a space */
	const char *implicit_tls; /* those that begin with TLS, likewise */
	const char *asks_clients; /* those whose clients may show a certificate (tls.client_authorities) */
	const struct protocol *protocol;
	void *context; /* of each listener */
	struct slice refusal;
};

/* What differs. */
struct network_service {
	const struct network_protocol *protocols;
	size_t protocol_count;
	void *context; /* of the functions below */
	/* After the sandbox has been entered, before the first connection; false: the role ends. */
	bool (*start)(void *context, struct ipc *ipc);
	ban_fetch fetch_bans; /* called after `start`, with `context` */
	/* After the last connection, while other roles can still be asked; may be NULL. */
	void (*quiet)(void *context);
	/* After that; may be NULL. */
	void (*stop)(void *context);
	bool holds_users; /* sessions last: limits.sessions_per_account */
	/* What struct listener's policy is; may be NULL. Before `start`. */
	const void *(*policy_of)(void *context, const struct config_listener *listener);
	/* What other roles ask; may be NULL. On the channel's thread. */
	enum status (*asked)(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply);
	/* What the hub tells; may be NULL. Any thread. */
	void (*announced)(void *context, struct engine *engine, struct slice kind, struct slice payload);
};

/* Runs until the supervisor says stop; returns the exit status. */
int network_role_run(struct role_setup *setup, const struct network_service *service);

/* What messages on their way in may take: limits.message_memory. Before the sandbox. */
void network_role_budget(const struct role_setup *setup, struct budget *memory);
/* "192.0.2.0/24" and the like, checked by the configuration; in the arena of setup. */
struct net_prefix *network_role_prefixes(struct role_setup *setup, char *const *texts, unsigned count, size_t *found);
/* Likewise, and the networks that are trusted. */
struct net_prefix *network_role_exempt(struct role_setup *setup, char *const *texts, unsigned count, size_t *found);
