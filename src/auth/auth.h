/* auth: what the auth role is asked, by whom and how: the client's side, used by smtp, imap and cli; the numbers and fields of
 * the requests are here so that both sides read the same page. Credentials never leave the role.
 *
 * A SASL exchange (RFC 4422) lives in the auth role's memory between steps, at most 2 minutes and bounded in number.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "net/conn.h"

struct ipc;

enum auth_request_type {
	AUTH_REQUEST_BEGIN = 1, /* mechanism, initial response, peer, protocol, channel binding -> struct auth_reply */
	AUTH_REQUEST_STEP,      /* exchange id, response -> struct auth_reply */
	AUTH_REQUEST_CANCEL,    /* exchange id */
	AUTH_REQUEST_PASSWORD,  /* user, password (IMAP LOGIN, POP3 PASS) -> struct auth_reply */
};

enum auth_outcome {
	AUTH_CONTINUE, /* send `challenge`, bring the response with `exchange` */
	AUTH_ACCEPTED,
	AUTH_REFUSED,     /* wrong user or password, disabled account: one answer for all */
	AUTH_MALFORMED,   /* the client's message is not of the mechanism's form */
	AUTH_LOCKED_OUT,  /* too many failures: try later */
	AUTH_UNAVAILABLE, /* temporary: role down, store away, too busy */
};

struct auth_reply {
	enum auth_outcome outcome;
	uint64_t exchange;
	struct slice challenge; /* raw, not base64. May come with AUTH_ACCEPTED: SCRAM's server-final, to be sent as a last
	                             * challenge (IMAP, SMTP: the client answers with an empty response) */
	int64_t account;
	struct slice address; /* "alice@example.test": the account's own, whatever the user typed */
};

struct auth_peer {
	struct slice protocol; /* "imap", "smtp": for logs and lock-out */
	struct net_address address;
	bool is_tls;
	struct slice binding_exporter, binding_unique, binding_end_point; /* raw channel bindings that this connection has */
	struct slice certified; /* addresses that the client's certificate names, each ended by a line feed */
};

/* What there is on a connection. */
struct auth_offer {
	bool is_tls;
	bool plaintext_allowed; /* without TLS too */
	bool takes_tokens;
	bool is_certified; /* the client has shown a certificate that is trusted */
};
/* The mechanisms in order of preference: "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN", in the arena. Passwords and tokens in plain
 * text need `is_tls` or `plaintext_allowed`, -PLUS needs TLS. */
struct slice auth_mechanisms(struct arena *arena, const struct auth_offer *offer);
bool auth_mechanism_is_offered(struct slice name, const struct auth_offer *offer);

/* Each blocks for the answer (the delay against guessing included). Never fails but by its outcome. */
struct auth_reply auth_begin(struct ipc *ipc, struct arena *arena, const struct auth_peer *peer, struct slice mechanism,
			     const struct slice *initial_response /* NULL: none; may be empty */);
struct auth_reply auth_step(struct ipc *ipc, struct arena *arena, uint64_t exchange, struct slice response);
void auth_cancel(struct ipc *ipc, uint64_t exchange);
struct auth_reply auth_password(struct ipc *ipc, struct arena *arena, const struct auth_peer *peer, struct slice user,
				struct slice password);
