/* session: what a POP3 session is, how its commands are given and answered. Private to pop3/. */
#pragma once

#include "auth/auth.h"
#include "pop3/ahead.h"
#include "pop3/parse.h"
#include "pop3/pop3.h"
#include "store/mailbox_view.h"

#define POP3_USER_MAX 320   /* RFC 5321 section 4.5.3.1: local part, "@", domain */
#define POP3_LINE_MAX 1024  /* RFC 2449 section 4 has 255; long passwords and UTF-8 may need more */
#define POP3_SASL_MAX 12288 /* RFC 5034 section 4 leaves room for the mechanisms' messages */
#define POP3_PIECE    1024  /* messages of the view taken at once */

enum pop3_state {
	POP3_AUTHORIZATION = 1 << 0,
	POP3_TRANSACTION = 1 << 1, /* UPDATE is inside QUIT */
};
#define POP3_ANY (POP3_AUTHORIZATION | POP3_TRANSACTION)

struct pop3_session {
	struct session_env *env;
	const struct pop3_context *context;
	enum pop3_state state;
	int64_t account;
	struct slice address;
	char user[POP3_USER_MAX]; /* what USER said; user_len 0: nothing yet */
	size_t user_len;
	bool utf8; /* UTF8 was given: messages are sent as they are (RFC 6856) */
	unsigned bad_commands, login_failures;
	int64_t opened_ms, heard_ms; /* the connection's beginning, the client's last sign of life */
	/* the maildrop, as it was at log-in */
	struct mailbox_viewer viewer;
	bool stale; /* something may have gone since */
	uint32_t messages, uid_validity;
	uint64_t octets;
	struct buf marks; /* a bit for each message, from the first DELE on */
	uint32_t marked;
	uint64_t marked_octets;
	struct buf surrogates; /* see surrogate.h; without utf8 */
	struct pop3_ahead ahead;
	unsigned retrieved; /* for the log */
};

typedef enum next (*pop3_handler)(struct pop3_session *s, const struct pop3_arguments *arguments);

struct pop3_command {
	struct slice name;
	pop3_handler handler;
	unsigned states; /* in which it may be given */
	enum pop3_form form;
	struct slice usage; /* what it needs, for people */
};
/* NULL: there is no such command. */
const struct pop3_command *pop3_command_find(struct slice name);

static inline struct conn *pop3_conn(struct pop3_session *s)
{
	return s->env->conn;
}
static inline struct buf *pop3_output(struct pop3_session *s)
{
	return conn_output(s->env->conn);
}
static inline struct arena *pop3_arena(struct pop3_session *s)
{
	return s->env->command_arena;
}
/* May a password be sent as it is? */
bool pop3_plaintext_allowed(struct pop3_session *s);
struct auth_offer pop3_auth_offer(struct pop3_session *s);
bool pop3_may_start_tls(struct pop3_session *s);

/* ---- answers ---- */

enum next pop3_ok(struct pop3_session *s, struct slice text);
__attribute__((format(printf, 2, 3))) enum next pop3_okf(struct pop3_session *s, const char *format, ...);
/* code: a response code without brackets (RFC 2449 section 8); empty: none. */
enum next pop3_err(struct pop3_session *s, struct slice code, struct slice text);
/* The client's mistake: counted, and the end when there are too many. */
enum next pop3_bad(struct pop3_session *s, struct slice text);
/* The one place where a class of failure becomes an answer. */
enum next pop3_fail(struct pop3_session *s, enum status status);
/* The line of one dot behind a listing; NEXT_PARK. */
enum next pop3_end_list(struct pop3_session *s);

/* One line within a command (SASL responses), in the command arena. False: the connection is over or the line too long. */
MUST_CHECK bool pop3_read_line(struct pop3_session *s, struct slice *line);

/* ---- the maildrop ---- */

MUST_CHECK enum status pop3_open_maildrop(struct pop3_session *s);
void pop3_close_maildrop(struct pop3_session *s);
/* In octets, as the session gets it. */
uint64_t pop3_size(const struct pop3_session *s, const struct view_message *message);
/* The message of that number, or NULL with *next answered: there is none, or it is marked. */
const struct view_message *pop3_message(struct pop3_session *s, uint32_t number, enum next *next);
/* Likewise; it must not have been expunged by others. */
const struct view_message *pop3_present_message(struct pop3_session *s, uint32_t number, enum next *next);

/* ---- commands ---- */

enum next pop3_user(struct pop3_session *s, const struct pop3_arguments *arguments);
enum next pop3_pass(struct pop3_session *s, const struct pop3_arguments *arguments);
enum next pop3_auth(struct pop3_session *s, const struct pop3_arguments *arguments);
enum next pop3_stls(struct pop3_session *s, const struct pop3_arguments *arguments);
enum next pop3_stat(struct pop3_session *s, const struct pop3_arguments *arguments);
enum next pop3_list(struct pop3_session *s, const struct pop3_arguments *arguments);
enum next pop3_uidl(struct pop3_session *s, const struct pop3_arguments *arguments);
enum next pop3_dele(struct pop3_session *s, const struct pop3_arguments *arguments);
enum next pop3_rset(struct pop3_session *s, const struct pop3_arguments *arguments);
enum next pop3_quit(struct pop3_session *s, const struct pop3_arguments *arguments);
enum next pop3_retr(struct pop3_session *s, const struct pop3_arguments *arguments);
enum next pop3_top(struct pop3_session *s, const struct pop3_arguments *arguments);
