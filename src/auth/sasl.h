/* sasl: the server's side of the SASL mechanisms as pure state machines: PLAIN (RFC 4616), LOGIN (which never became an RFC),
 * SCRAM-SHA-256 and SCRAM-SHA-1 with and without -PLUS (RFC 5802, RFC 7677, channel bindings of RFC 5929 and RFC 9266), OAUTHBEARER
 * (RFC 7628), its older brother XOAUTH2, and EXTERNAL (RFC 4422 appendix A).
 *
 *     result = sasl_begin(&sasl, ...);
 *     SASL_CHALLENGE      send sasl.challenge, then sasl_step with the response
 *     SASL_NEED_PASSWORD  is sasl.password that of sasl.user? The exchange is over: the caller decides
 *     SASL_NEED_KEYS      look up sasl.user's keys, then sasl_supply_keys
 *     SASL_NEED_TOKEN     is sasl.password a token for sasl.user (empty: for whom?)? If not: sasl_refuse_token
 *     SASL_NEED_IDENTITY  may who showed the connection's certificate act as sasl.user (empty: as whom?)? The exchange is over
 *     SASL_ACCEPT         sasl.user has proved to know the password; sasl.challenge is to be sent
 *     SASL_REFUSE         it hasn't, or what it asks for isn't granted
 *     SASL_MALFORMED      the message isn't of the mechanism's form
 *
 * No socket, no store, no clock, no randomness: the nonce comes from the caller. What is kept between steps lives in the arena.
 */
#pragma once

#include "auth/scram.h"

#define SASL_MESSAGE_MAX 8192 /* tokens are long */

/* In order of preference; plain-text ones last. */
enum sasl_mechanism {
	SASL_EXTERNAL,
	SASL_SCRAM_SHA_256_PLUS,
	SASL_SCRAM_SHA_1_PLUS,
	SASL_SCRAM_SHA_256,
	SASL_SCRAM_SHA_1,
	SASL_PLAIN,
	SASL_LOGIN,
	SASL_OAUTHBEARER,
	SASL_XOAUTH2,
	SASL_MECHANISM_COUNT,
};
struct slice sasl_mechanism_name(enum sasl_mechanism mechanism);
MUST_CHECK bool sasl_mechanism_parse(struct slice name, enum sasl_mechanism *mechanism);

/* Raw channel binding data of this connection; empty: it has none of that type. */
struct sasl_bindings {
	struct slice exporter, unique, end_point;
};

enum sasl_result {
	SASL_CHALLENGE,
	SASL_NEED_PASSWORD,
	SASL_NEED_KEYS,
	SASL_NEED_TOKEN,
	SASL_NEED_IDENTITY,
	SASL_ACCEPT,
	SASL_REFUSE,
	SASL_MALFORMED,
};

enum sasl_state {
	SASL_WAIT_INITIAL, /* for the first message, whatever the mechanism */
	SASL_WAIT_PASSWORD,
	SASL_WAIT_KEYS,
	SASL_WAIT_PROOF,
	SASL_WAIT_TOKEN,
	SASL_WAIT_ACKNOWLEDGEMENT, /* of the refusal of a token */
	SASL_DONE,
};

struct sasl {
	enum sasl_mechanism mechanism;
	enum sasl_state state;
	struct arena *arena;
	struct sasl_bindings bindings;
	struct slice nonce;     /* server's part, printable without comma */
	struct slice challenge; /* to be sent, raw */
	struct slice user;      /* as typed */
	struct slice password; /* or token */
	struct scram_client_first first;
	struct scram_keys keys;
	struct slice server_first;
};

/* `initial` NULL: the client sent no initial response. `nonce` and the bindings are copied. */
MUST_CHECK enum sasl_result sasl_begin(struct sasl *sasl, struct arena *arena, enum sasl_mechanism mechanism,
				       const struct sasl_bindings *bindings, struct slice nonce, const struct slice *initial);
MUST_CHECK enum sasl_result sasl_step(struct sasl *sasl, struct slice response);
/* Which keys SASL_NEED_KEYS asks for. */
enum scram_hash sasl_hash(const struct sasl *sasl);
MUST_CHECK enum sasl_result sasl_supply_keys(struct sasl *sasl, const struct scram_keys *keys);
/* The token won't do: says why in the mechanism's words, as a challenge that the client has to acknowledge; then SASL_REFUSE. */
MUST_CHECK enum sasl_result sasl_refuse_token(struct sasl *sasl);
