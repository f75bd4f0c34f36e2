/* author: in whose name a submission may be written (RFC 6409 section 6.1, 8.1; RFC 5322 section 3.6.2): the From field holds addresses of the
 * account's own, or such as `account may-send` gave it; those that it writes for only on behalf want an own address as Sender, which is added
 * where it lacks.
 */
#pragma once

#include "deliver/policy.h"
#include "deliver/verdict.h"

enum authorship {
	AUTHOR_OWN,       /* the account's, or it may send as that one */
	AUTHOR_ON_BEHALF, /* it may write for that one, as itself */
	AUTHOR_FOREIGN,
	AUTHOR_UNKNOWN, /* temporary trouble */
};

struct author_check {
	struct arena *arena;
	enum authorship (*whose)(void *context, struct slice address); /* any text */
	void *context;
	struct slice login;
	bool refuses_foreign; /* From; else only what is written on behalf is looked at */
	bool needs_utf8;      /* the message may hold UTF-8 */
};
/* VERDICT_MESSAGE_OK, or why not. *bytes gets a Sender field where that is needed. */
enum verdict_id author_judge(const struct author_check *check, struct slice *bytes);
