/* scram: the client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding. Pure but for the nonce.
 * Names and passwords are taken as they are: SASLprep is the identity on ASCII. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define SCRAM_ITERATIONS_MAX 1000000 /* a server may not keep us busy with more */

struct scram {
	struct arena *arena;
	struct slice first_bare;
	struct slice nonce;
	struct slice server_signature; /* what the server must show, in base64 */
};

/* client-first-message. `nonce`: empty for a random one. */
struct slice scram_first(struct scram *scram, struct arena *arena, struct slice user, struct slice nonce);
/* From server-first-message to client-final-message. False: it is malformed or not for our nonce. */
MUST_CHECK bool scram_final(struct scram *scram, struct slice server_first, struct slice password, struct slice *client_final);
/* Does server-final-message prove that the server knows the password too? */
MUST_CHECK bool scram_verify(const struct scram *scram, struct slice server_final);
