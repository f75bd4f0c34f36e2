/* dialogue: a SASL exchange from end to end, between a client on a connection and the auth role, as IMAP (RFC 9051 section 6.2.2) and
 * POP3 (RFC 5034 section 4) lead it: challenges and responses in base64, a line each, "*" to cancel, the server's last word as a challenge. The
 * protocol brings the one function that sends a challenge and reads a line. */
#pragma once

#include "auth/auth.h"

struct auth_dialogue {
	struct ipc *ipc;
	struct arena *arena; /* the command's */
	/* Sends the challenge (base64) and reads the client's line. False: the connection is over. */
	bool (*ask)(void *context, struct slice challenge, struct slice *line);
	void *context;
};

enum auth_dialogue_end {
	AUTH_DIALOGUE_ANSWERED, /* see the reply's outcome, which is not AUTH_CONTINUE */
	AUTH_DIALOGUE_CANCELLED,
	AUTH_DIALOGUE_NOT_BASE64,
	AUTH_DIALOGUE_TOO_LONG, /* too many steps */
	AUTH_DIALOGUE_CLOSED,   /* the connection is over */
};

/* What is offered on that connection. */
struct auth_offer auth_offer_of(const struct conn *conn, bool plaintext_allowed, bool takes_tokens);

/* What the auth role is told of the client; channel bindings with `with_bindings` only. */
struct auth_peer auth_peer_of(struct conn *conn, struct slice protocol, bool with_bindings, struct arena *arena);

/* An initial response as it stands in the command: "=" is an empty one (RFC 4959 section 3, RFC 5034 section 4). False: not base64. */
MUST_CHECK bool auth_decode_initial(struct arena *arena, struct slice text, struct slice *initial);

/* `initial` NULL: the client sent none. */
MUST_CHECK enum auth_dialogue_end auth_dialogue_run(const struct auth_dialogue *dialogue, const struct auth_peer *peer,
						    struct slice mechanism, const struct slice *initial,
						    struct auth_reply *reply);
