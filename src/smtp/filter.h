/* filter: what policy services and milters say at each step of a session, in the session's terms: every question to them stands here and in the files
 *
 *     filter.c           the steps
 *     filter_policy.c    policy services
 *     filter_macros.c    what they are told beside the commands
 *     filter_message.c   the message: what they change is brought into it
 *     filter_envelope.c  recipients and senders that they add, take away and change
 *
 * Private to smtp/. Without any of them for its listener a session has no filter, and each of these returns at once.
 */
#pragma once

#include "milter/message.h"
#include "smtp/session.h"

struct filter_line {
	struct slice text;
	struct filter_line *former;
};

struct filter {
	struct milter *milters;
	size_t count;
	struct milter_macros macros;
	struct milter_peer peer;
	struct smtp_client_names client;
	bool owes_hello; /* nobody has been asked yet what it calls itself, or it was refused for that: it may say MAIL nevertheless */
	/* of the message */
	bool is_discarded; /* taken, and thrown away */
	bool has_asked_data;
	bool is_held; /* taken, and kept in the queue until somebody lets it go */
	struct slice held_why;
	/* of the message, by policy services: */
	struct filter_line *prepended; /* the last first */
	struct slice redirect;         /* to whom it goes in place of its recipients; empty: to them */
	struct envelope_change *changes, **last_change;
};

/* Each: true: go on. False: it has answered, and *next says what to do. */

/* Before the greeting. False: the connection is to be closed. */
bool smtp_filter_connect(struct smtp_session *session);
/* EHLO or HELO; after the session knows the name. */
bool smtp_filter_hello(struct smtp_session *session, enum next *next);
/* The argument as it was sent: "FROM:<a@example.org> SIZE=100". */
bool smtp_filter_sender(struct smtp_session *session, struct slice argument, enum next *next);
bool smtp_filter_recipient(struct smtp_session *session, struct slice argument, struct slice recipient, enum next *next);
/* Some milters want to hear of those that were refused. */
void smtp_filter_refused(struct smtp_session *session, struct slice argument, const struct deliver_verdict *verdict);
bool smtp_filter_data(struct smtp_session *session, enum next *next);
/* A command that we don't know. */
bool smtp_filter_unknown(struct smtp_session *session, struct slice line, enum next *next);
/* The message is complete: incoming_end was called. False: *verdict is to be answered; it may say 250, for what is thrown away. */
bool smtp_filter_message(struct smtp_session *session, struct incoming *incoming, struct deliver_verdict *verdict);
/* The transaction is over. */
void smtp_filter_end(struct smtp_session *session);
/* The session is over. */
void smtp_filter_leave(struct smtp_session *session);

/* ---- between these files ---- */

/* This message. */
void filter_hold(struct smtp_session *session, struct slice why);

/* As above. */
bool filter_policy_connect(struct smtp_session *session, enum next *next);
bool filter_policy_hello(struct smtp_session *session, enum next *next);
bool filter_policy_sender(struct smtp_session *session, enum next *next);
bool filter_policy_recipient(struct smtp_session *session, struct slice recipient, enum next *next);
bool filter_policy_data(struct smtp_session *session, enum next *next);
bool filter_policy_message(struct smtp_session *session, uint64_t size, bool has_asked_data, struct deliver_verdict *verdict);
void filter_policy_end(struct smtp_session *session);

void filter_macros_connect(struct smtp_session *session);
void filter_macros_hello(struct smtp_session *session);
void filter_macros_sender(struct smtp_session *session);
void filter_macros_recipient(struct smtp_session *session, struct slice recipient);
void filter_macros_refused(struct smtp_session *session, const struct deliver_verdict *verdict);
void filter_macros_message(struct smtp_session *session, const struct incoming *incoming);
/* What belongs to a message is forgotten. */
void filter_macros_end(struct smtp_session *session);

/* False: *verdict says why the message can't be had. */
MUST_CHECK bool filter_apply_envelope(struct smtp_session *session, const struct envelope_change *changes,
				      struct deliver_verdict *verdict);
/* To the one address in place of all, if a policy service wants it so. */
MUST_CHECK bool filter_redirect(struct smtp_session *session, struct deliver_verdict *verdict);
