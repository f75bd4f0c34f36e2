/* client: the conversation with a milter, over the length of one SMTP connection: negotiation, then one question for each step, in the
 * order of SMTP. Blocking, with time limits.
 *
 * A milter_service is one program, shared by all sessions; a milter is one session's conversation with it and belongs to the thread that
 * runs the session, with a connection of its own, as milters know it from Sendmail and Postfix (the protocol's way to use one again,
 * SMFIC_QUIT_NC, is hardly known to them). What goes wrong with a milter (it can't be reached, it hangs, it dies, it talks nonsense) ends its conversation; what
 * is answered then is its `otherwise`, until the next message: then it is tried anew.
 */
#pragma once

#include "base/log.h"
#include "milter/macros.h"
#include "milter/pool.h"

struct milter_service;

/* If it can't be had. */
enum milter_otherwise { MILTER_ELSE_TEMPFAIL, MILTER_ELSE_ACCEPT, MILTER_ELSE_REJECT, MILTER_ELSE_QUARANTINE };

/* Slices outlive the service. */
struct milter_options {
	struct slice address; /* "unix:/run/opendkim.sock", "inet:127.0.0.1:8891" */
	enum milter_otherwise otherwise;
	int connect_timeout_ms; /* and the negotiation */
	int command_timeout_ms; /* for each answer, but that to the end of a message: */
	int content_timeout_ms;
	uint64_t max_body_size; /* of what it may put in place of a body */
};
struct milter_service *milter_service_new(const struct milter_options *options, pool_dial dial, void *context,
					  const struct log *log);
void milter_service_free(struct milter_service *service);

enum milter_state {
	MILTER_CLOSED, /* not begun, or over */
	MILTER_READY,
	MILTER_PASSED,  /* has accepted this message: asked again at the next */
	MILTER_DONE,    /* has accepted this connection */
	MILTER_REFUSES, /* has refused this connection: always the same answer */
	MILTER_FAILED,
};

enum milter_verdict { MILTER_GO_ON, MILTER_REFUSED, MILTER_DISCARDED, MILTER_HELD /* as MILTER_ELSE_QUARANTINE says */ };

struct milter_answer {
	enum milter_verdict verdict;
	unsigned code;               /* MILTER_REFUSED: 4xx or 5xx */
	struct slice enhanced, text; /* lines separated by LF */
	bool ends;                   /* and the SMTP connection is closed */
};

struct milter {
	struct milter_service *service;
	struct session_env *env;
	struct conn *conn;
	enum milter_state state;
	uint32_t version, rights, steps;
	enum milter_command skips; /* what it wants no more of, until something else is asked; 0: nothing */
	bool in_message;           /* has heard of it: hears of its end too */
	struct milter_macro_sets sets;
	struct milter_answer refusal; /* MILTER_REFUSES */
};

/* The SMTP client. */
struct milter_peer {
	struct slice name;    /* confirmed reverse name; empty: none */
	struct slice address; /* empty: unknown */
	char family;          /* '4', '6', 'L' (Unix socket), 'U' (unknown) */
	uint16_t port;
};

/* `env` may be NULL (no engine). */
void milter_init(struct milter *milter, struct milter_service *service, struct session_env *env);
/* Each of these may be called in any state, and answers MILTER_GO_ON where nothing is to be asked. Texts in the arena. */
struct milter_answer milter_connect(struct milter *milter, struct arena *arena, const struct milter_peer *peer,
				    const struct milter_macros *macros);
struct milter_answer milter_helo(struct milter *milter, struct arena *arena, struct slice name,
				 const struct milter_macros *macros);
/* `path` with its angle brackets; arguments as they were sent, separated by a space. Begins a message. */
struct milter_answer milter_mail(struct milter *milter, struct arena *arena, struct slice path, struct slice arguments,
				 const struct milter_macros *macros);
struct milter_answer milter_rcpt(struct milter *milter, struct arena *arena, struct slice path, struct slice arguments,
				 const struct milter_macros *macros);
struct milter_answer milter_data(struct milter *milter, struct arena *arena, const struct milter_macros *macros);
struct milter_answer milter_unknown(struct milter *milter, struct arena *arena, struct slice line);
/* Does it want to hear of recipients that were refused? Its answer to those means nothing. */
bool milter_wants_refused(const struct milter *milter);
/* The message is over, however that came. */
void milter_end_message(struct milter *milter);
/* The SMTP connection is over. */
void milter_close(struct milter *milter);

/* ---- for message.c ---- */

/* Has it to be asked about this step? */
bool milter_hears(const struct milter *milter, enum milter_command command, uint32_t left_out);
/* Macros, then the packet's beginning, in the output. */
size_t milter_begin(struct milter *milter, enum milter_command command, const struct milter_macros *macros);
/* Reads one reply, past those that say "wait on". `packet` is the heap's, the caller's to free. False: the conversation is over. */
MUST_CHECK bool milter_read(struct milter *milter, struct arena *arena, int timeout_ms, struct buf *packet,
			    struct milter_reply *reply);
/* Ends the packet, sends it unless `quiet`, and reads the answer. */
struct milter_answer milter_ask(struct milter *milter, struct arena *arena, enum milter_command command, size_t begun,
				uint32_t quiet, int timeout_ms);
struct milter_answer milter_judge(struct milter *milter, struct arena *arena, enum milter_command command,
				  const struct milter_reply *reply);
/* Ends the conversation; what is to be answered instead. */
struct milter_answer milter_fail(struct milter *milter, const char *why);
const struct milter_options *milter_options_of(const struct milter *milter);
