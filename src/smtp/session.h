/* session: one SMTP connection: its state, and what the commands share. Private to smtp/.
 *
 * Invariants: a session belongs to one thread at a time. The envelope lives in the transaction arena and goes with it; a message that
 * comes by DATA lives in the command arena. Every reply goes through smtp_answer or smtp_answer_verdict, which count errors.
 */
#pragma once

#include "auth/auth.h"
#include "deliver/deliver.h"
#include "guard/door.h"
#include "smtp/client_info.h"
#include "smtp/dots.h"
#include "smtp/incoming.h"
#include "smtp/parse.h"
#include "smtp/reply.h"
#include "smtp/smtp.h"

#define LINE_MAX_COMMAND 2048  /* RFC 5321 section 4.5.3.1.4: 512 and what extensions add */
#define LINE_MAX_AUTH    12288 /* RFC 4954 section 4 */
#define HELO_MAX         256
#define LINE_TIMEOUT_MS  60000 /* for a line that has begun, or an answer to a challenge: a thread waits for it */

enum smtp_state {
	STATE_START = 1 << 0, /* no EHLO yet */
	STATE_READY = 1 << 1,
	STATE_MAIL = 1 << 2, /* a sender is given */
	STATE_RCPT = 1 << 3, /* and a recipient at least */
	STATE_BDAT = 1 << 4, /* chunks have come */
	STATE_WAIT = 1 << 5, /* not greeted yet */
};

struct smtp_transaction {
	struct deliver_envelope envelope;
	uint64_t declared_size;
	bool has_priority; /* MAIL told one */
	struct deliver_recipient *recipients;
	size_t room;   /* for recipients */
	size_t weight; /* of the recipients, see DELIVER_ENVELOPE_MAX */
	/* LMTP: whom the client named, whatever filters have made of them since; each is answered for */
	struct slice *named;
	size_t named_count;
	/* BDAT */
	struct incoming incoming;
	struct dots lines;
	bool chunk_failed;
	bool is_binary; /* BODY=BINARYMIME: what has come so far is raw */
};

struct filter;

struct smtp_session {
	struct session_env *env;
	struct conn *conn;
	struct smtp_options options; /* with the defaults filled in */
	struct ipc *ipc;
	const struct log *log;
	struct door *door;
	struct visitor visitor;
	struct filter *filter; /* NULL: nobody filters here */
	struct slice peer;     /* in text */
	struct smtp_policy policy;
	bool is_submission, is_trusted;
	bool is_lmtp, is_local; /* by the listener */
	bool is_unix;           /* nobody listens on that wire, and who may open it was decided by its mode */
	bool may_xclient, may_xforward;
	struct told_client *told; /* NULL: no XCLIENT has come */
	struct slice client_name; /* the reverse name that XCLIENT told */
	enum screen_reverse reverse;
	struct client_info forwarded; /* by XFORWARD, for the transaction that follows */
	uid_t uid;              /* of a local program; (uid_t)-1: unknown */
	int64_t ends_ms;        /* monotonic */
	enum smtp_state state;
	unsigned errors;
	bool is_resting;  /* its last answer is held back */
	bool is_extended; /* EHLO, not HELO */
	char helo_bytes[HELO_MAX];
	struct slice helo;
	int64_t account; /* authenticated as; 0: not */
	struct slice login;
	struct slice mechanism; /* by which */
	struct arena arena;     /* the transaction's */
	struct smtp_transaction transaction;
};

typedef enum next (*smtp_command)(struct smtp_session *session, struct slice argument);

/* ---- session.c ---- */

enum next smtp_answer(struct smtp_session *session, enum reply_id id);
enum next smtp_answer_reply(struct smtp_session *session, const struct reply *reply);
enum next smtp_answer_verdict(struct smtp_session *session, const struct deliver_verdict *verdict);
/* Says 421 and ends. */
enum next smtp_say_last(struct smtp_session *session, enum reply_id id);
/* An info line: what was refused, and why. */
void smtp_log_refused(const struct smtp_session *session, unsigned code, struct slice reason, struct slice recipient);
/* Nothing may take longer than that from now on, nor than the session may last. */
void smtp_set_time_limit(struct smtp_session *session, int64_t ms);
/* Before mail is taken. */
bool smtp_needs_tls(const struct smtp_session *session);
bool smtp_needs_auth(const struct smtp_session *session);
bool smtp_may_send_password(const struct smtp_session *session);
struct auth_offer smtp_auth_offer(const struct smtp_session *session);
struct slice smtp_peer_text(const struct smtp_session *session, struct arena *arena);
/* The client, as it is known now, is let in. False: it has been told why not. */
bool smtp_admit(struct smtp_session *session);
void smtp_greet(struct smtp_session *session);
/* As by EHLO; host is fit for it. */
void smtp_take_hello(struct smtp_session *session, struct slice host);

/* ---- transaction.c: what MAIL begins ---- */

void smtp_transaction_begin(struct smtp_session *session, const struct smtp_mail *mail, const struct envelope_timing *timing);
void smtp_transaction_end(struct smtp_session *session);
/* False: there are too many. */
MUST_CHECK bool smtp_transaction_add(struct smtp_session *session, const struct deliver_recipient *recipient);
/* A plan for incoming_begin, and the trace header, in `arena`. What is binary is taken raw. */
void smtp_message_begin(struct smtp_session *session, struct arena *arena, struct incoming *incoming);
/* All of the message is here: judges it, has it delivered, answers, and ends the transaction. */
enum next smtp_message_finish(struct smtp_session *session, struct incoming *incoming, bool has_bare);

/* ---- binary.c ---- */

/* All of a binary message is here: makes it one of lines, in `incoming`'s place. True: it has bare CR or LF that no binary part excuses. */
bool smtp_binary_finish(struct smtp_session *session, struct incoming *incoming);

/* ---- door.c: what the guard says at each step. False: it has answered, or *next says what to do, or *verdict what to answer. ---- */

bool smtp_door_connect(struct smtp_session *session);
/* Milliseconds before the greeting. */
int smtp_door_wait(const struct smtp_session *session);
void smtp_door_hello(struct smtp_session *session);
void smtp_door_leave(struct smtp_session *session);
bool smtp_door_sender(struct smtp_session *session, struct slice sender, enum next *next);
bool smtp_door_recipient(struct smtp_session *session, struct slice recipient, enum next *next);
bool smtp_door_judged(struct smtp_session *session, struct slice recipient, const struct deliver_verdict *verdict,
		      enum next *next);
bool smtp_door_message(struct smtp_session *session, struct deliver_verdict *verdict);
bool smtp_door_failures(struct smtp_session *session, unsigned count, enum next *next);

/* ---- timing.c ---- */

/* What MAIL says of time and order, as the envelope has it; REPLY_NONE if it may say so here. */
enum reply_id smtp_timing_judge(const struct smtp_session *session, struct arena *arena, const struct smtp_mail *mail,
				struct envelope_timing *timing);

bool smtp_may_verp(const struct smtp_session *session);

/* ---- lmtp.c ---- */

/* The message is here: its recipients are those that the client named. */
void lmtp_note_recipients(struct smtp_session *session);
/* RFC 2033 section 4.2: the same reply for each recipient. */
enum next lmtp_answer_all(struct smtp_session *session, enum reply_id id);
enum next lmtp_answer_all_with(struct smtp_session *session, const struct deliver_verdict *verdict);
/* Has the message delivered, and answers for each recipient. */
enum next lmtp_deliver(struct smtp_session *session, struct incoming *incoming);

/* ---- local.c ---- */

/* Who is at the other end. */
void local_identify(struct smtp_session *session);
bool local_may_send_as(const struct smtp_session *session, struct slice sender);

/* ---- xclient.c ---- */

/* Who may say such things is decided by the connection's own address. */
void xclient_begin(struct smtp_session *session);
/* False: a proxy couldn't tell. */
bool xclient_peer_is_known(const struct smtp_session *session);
/* "mail.example.org[192.0.2.1] helo=a.example id=4F2A": whom XFORWARD told of; empty: nobody. */
struct slice xforward_text(const struct smtp_session *session, struct arena *arena);

/* ---- the commands ---- */

/* NULL: there is none of that name. */
struct smtp_command_entry {
	const char *name;
	smtp_command run;
	unsigned states; /* in which it may come; 0: in all */
	bool needs_auth; /* where authentication is required */
	bool before_tls; /* may come without TLS where that is required (RFC 3207 section 4) */
	bool takes_no_argument;
};
const struct smtp_command_entry *smtp_command_find(struct slice verb);

enum next cmd_ehlo(struct smtp_session *session, struct slice argument);
enum next cmd_lhlo(struct smtp_session *session, struct slice argument);
enum next cmd_helo(struct smtp_session *session, struct slice argument);
enum next cmd_starttls(struct smtp_session *session, struct slice argument);
enum next cmd_auth(struct smtp_session *session, struct slice argument);
enum next cmd_vrfy(struct smtp_session *session, struct slice argument);
enum next cmd_expn(struct smtp_session *session, struct slice argument);
/* etrn.c: may the client use it? Then it is offered. */
bool smtp_may_etrn(const struct smtp_session *session);
enum next cmd_etrn(struct smtp_session *session, struct slice argument);
enum next cmd_xclient(struct smtp_session *session, struct slice argument);
enum next cmd_xforward(struct smtp_session *session, struct slice argument);
enum next cmd_mail(struct smtp_session *session, struct slice argument);
enum next cmd_rcpt(struct smtp_session *session, struct slice argument);
enum next cmd_data(struct smtp_session *session, struct slice argument);
enum next cmd_bdat(struct smtp_session *session, struct slice argument);
/* burl.c: may the client use it? Then it is offered. */
bool smtp_may_burl(const struct smtp_session *session);
enum next cmd_burl(struct smtp_session *session, struct slice argument);
/* data.c, for both: why there can be no chunk now (REPLY_NONE: there can); the first one begins the message; what is in one; its answer. */
enum reply_id smtp_chunk_fault(const struct smtp_session *session);
void smtp_chunk_begin(struct smtp_session *session);
void smtp_chunk_add(struct smtp_session *session, struct slice bytes);
enum next smtp_chunk_end(struct smtp_session *session, bool last);
