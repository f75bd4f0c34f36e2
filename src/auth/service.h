/* service: the auth role's work: answers the requests of auth.h. Password checks run on a few threads of their own, bounded in
 * number (and so in memory: Argon2 takes 19 MB each); a waiting list that is full answers AUTH_UNAVAILABLE. A verified
 * credential is remembered for some minutes as a keyed hash (the key lives and dies with the process), bound to the
 * credential's version, so that a changed password is forgotten at once; a remembered one is answered on the channel's own
 * thread. Guessing is slowed down and stopped by lockout.h, before any password is looked at.
 * An unknown user, a disabled one and a wrong password get the same answer after the same work.
 */
#pragma once

#include "auth/credential.h"
#include "auth/token.h"
#include "ipc/ipc.h"
#include "net/conn.h"

struct auth_service;

struct auth_service_options {
	unsigned check_threads;                                  /* password checks at the same time; 0: 2 */
	unsigned waiting;                                        /* checks that may wait; 0: 64 */
	int remember_s;                                          /* 0: 300; negative: not at all */
	unsigned failures_before_delay, failures_before_lockout; /* per account and address; 0: 3, 10 */
	int lockout_s;                                           /* 0: 600 */
	int delay_ms;              /* of the first delayed answer; each further failure doubles it. 0: 1000 */
	/* A peer's network is locked out; NULL: nobody wants to know. */
	void (*offence)(void *context, const struct net_address *peer);
	void *offence_context;
	struct token_issuers *tokens; /* NULL: no tokens are taken */
	bool keep_imported_hashes; /* else a successful plain-text login turns them into our own and makes SCRAM's keys */
};
/* Takes over `credentials` and the issuers of tokens. */
struct auth_service *auth_service_new(const struct auth_service_options *options, struct credentials *credentials,
				      const struct log *log);
void auth_service_free(struct auth_service *service);
/* An ipc_handler; context is the service. */
enum status auth_service_handle(void *service, struct ipc_request *request, struct arena *arena, struct buf *reply);
/* "Forget what you remember of this address" (announce "credential"); empty: of all. */
void auth_service_forget(struct auth_service *service, struct slice address);
/* Other keys for tokens from now on; takes them over. */
void auth_service_set_tokens(struct auth_service *service, struct token_issuers *tokens);
