/* ahead: messages that are read before they are asked for. A client that sends many RETRs at once (RFC 2449 section 6.6) asks for them in
 * order, mostly; one question to the store then brings several. Nothing is kept while the session waits for its client.
 */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

struct pop3_session;
struct view_message;

#define POP3_AHEAD 32 /* messages at once */

struct pop3_ahead {
	struct arena arena;
	uint32_t uids[POP3_AHEAD];
	struct slice bytes[POP3_AHEAD];
	size_t count, next;
};

/* The message's bytes, valid until the next call; false: it is to be read by itself. */
bool pop3_ahead_take(struct pop3_session *s, const struct view_message *message, struct slice *bytes);
void pop3_ahead_drop(struct pop3_session *s);
