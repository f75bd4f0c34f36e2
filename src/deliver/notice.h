/* notice: what the sender of a message that arrives here wants to hear at once: that it was delivered, or that its recipient stands for several
 * others, to whom it was passed on (NOTIFY=SUCCESS; RFC 3461 section 5.2). Notifications are committed with the message.
 */
#pragma once

#include "deliver/expand.h"
#include "deliver/policy.h"

struct notice_report;
struct notices {
	struct arena *arena;
	struct policy *policy;
	expand_look_up look_up; /* of the directory */
	void *context;
	struct slice hostname;
	const struct deliver_envelope *envelope;
	struct slice bytes;
	bool waits; /* the message waits in the queue for its time: nothing is delivered yet */
	struct notice_report *reports;
	size_t count;
};

/* The recipient came to so many mailboxes here and addresses elsewhere. What each of several would have to tell is no longer asked of them:
 * recipient->notify changes. */
void notices_add(struct notices *notices, struct deliver_recipient *recipient, size_t locals, size_t remotes);
/* Hangs the notifications on the delivery. OK also if there is nobody to tell. */
MUST_CHECK enum status notices_make(const struct notices *notices, struct delivery *delivery);
