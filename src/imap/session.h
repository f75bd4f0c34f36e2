/* session: what an IMAP session is, how its commands are given and answered. Private to imap/. */
#pragma once

#include "auth/auth.h"
#include "imap/imap.h"
#include "imap/parse.h"
#include "imap/set.h"
#include "store/mailbox_view.h"
#include "store/rights.h"

struct imap_session;
struct imap_command;

enum imap_state {
	IMAP_NOT_AUTHENTICATED = 1 << 0,
	IMAP_AUTHENTICATED = 1 << 1,
	IMAP_SELECTED = 1 << 2,
};
#define IMAP_ANY    (IMAP_NOT_AUTHENTICATED | IMAP_AUTHENTICATED | IMAP_SELECTED)
#define IMAP_LOGGED (IMAP_AUTHENTICATED | IMAP_SELECTED)

/* What the client may be told of its mailbox before the answer (RFC 9051 section 7.5.1), and whether the store is asked for it. */
enum imap_news {
	IMAP_NEWS_NONE,
	IMAP_NEWS_FLAGS, /* no EXPUNGE: the client counts by sequence numbers at this moment */
	IMAP_NEWS_ALL,
	IMAP_NEWS_FRESH, /* all, as of now */
};

typedef enum next (*imap_handler)(struct imap_session *s, struct imap_command *command);

struct imap_command_spec {
	struct slice name;
	imap_handler handler;
	unsigned states; /* in which it may be given */
	enum imap_news news;
	bool has_uid; /* there is a UID form */
	bool has_arguments;
};
/* NULL: there is no such command. */
const struct imap_command_spec *imap_command_find(struct slice name);

struct imap_command {
	struct slice tag;
	const struct imap_command_spec *spec;
	bool uid;                    /* "UID FETCH" and the like */
	enum imap_news news;         /* spec's; UID forms may tell more */
	struct imap_parser args;     /* what stands behind the name */
	struct imap_literal literal; /* APPEND, REPLACE: the message's, not read yet */
	bool has_literal;
	struct view_own_change own; /* what it has answered for itself */
};

struct imap_session {
	struct session_env *env;
	const struct imap_context *context;
	enum imap_state state;
	int64_t account;
	struct slice address;
	unsigned bad_commands, login_failures; /* bad ones since the last good one, once logged in */
	bool rev2;                             /* ENABLE IMAP4rev2: UTF-8 names, ESEARCH for SEARCH, ... */
	bool condstore;                        /* changed messages are told with their MODSEQ (RFC 7162) */
	bool qresync;                          /* VANISHED instead of EXPUNGE */
	bool utf8;                             /* ENABLE UTF8=ACCEPT (RFC 6855) */
	bool acts_for_user;                    /* no session but the submission server here, for the account (url_service.h) */
	bool uid_only;                         /* ENABLE UIDONLY (RFC 9586): no sequence numbers, in either direction */
	bool read_only;
	bool stale; /* an announcement came that hasn't been looked at */
	bool idling;
	int64_t refreshed_ms;        /* when the view was last brought up to date */
	int64_t opened_ms, heard_ms; /* the connection's beginning, the client's last sign of life */
	uint64_t told_keywords;
	struct mailbox_viewer viewer;
	bool metadata;             /* ENABLE METADATA: changed annotations are told (RFC 5464 section 4.4.2) */
	bool metadata_watched;     /* for that, or for NOTIFY */
	int64_t metadata_number;   /* of the last change that was looked at */
	int64_t metadata_ms;       /* when */
	int64_t selected_account;  /* whose mailbox the viewer shows */
	struct buf selected_name;  /* as the session calls it */
	unsigned rights;           /* on it */
	struct buf saved;          /* struct imap_range: the search result "$", uids */
	struct slice progress_tag; /* of the command at work, and when its client was last told something */
	int64_t progress_ms;
	struct search_context *contexts; /* searches that are kept up to date (context.h) */
	unsigned context_count;
	uint64_t url_resets; /* how many the session knows of, and since when (url_auth.h) */
	int64_t url_told_ms;
	bool url_stale; /* an announcement came: another process may have set a key */
	struct notify *notify;           /* NULL: NOTIFY has never been used (notify.h) */
	struct mailbox_viewer *searched; /* another mailbox that is searched; NULL: the selected one */
	char idle_tag[IMAP_TAG_MAX];
	size_t idle_tag_len;
};

static inline struct conn *imap_conn(struct imap_session *s)
{
	return s->env->conn;
}
static inline struct buf *imap_output(struct imap_session *s)
{
	return conn_output(s->env->conn);
}
static inline struct arena *imap_arena(struct imap_session *s)
{
	return s->env->command_arena;
}
/* What sets, walks and searches are about. */
static inline struct mailbox_viewer *imap_viewer(struct imap_session *s)
{
	return s->searched ? s->searched : &s->viewer;
}
/* Whose mailbox that is. */
static inline int64_t imap_viewer_account(struct imap_session *s)
{
	return mailbox_viewer_state(imap_viewer(s)).account;
}
/* FETCH_* that name a message in responses about it: UID FETCH's, and unsolicited ones (RFC 9586 section 3.3). */
unsigned imap_uid_item(const struct imap_session *s);
/* Mailbox names as UTF-8, else as modified UTF-7. */
static inline bool imap_utf8_names(const struct imap_session *s)
{
	return s->rev2 || s->utf8;
}
static inline struct store *imap_store(struct imap_session *s)
{
	return s->context->store;
}
uint64_t imap_append_limit(const struct imap_session *s);
/* May a password be sent as it is? */
bool imap_plaintext_allowed(struct imap_session *s);
struct auth_offer imap_auth_offer(struct imap_session *s);
bool imap_may_start_tls(struct imap_session *s);
/* The list behind CAPABILITY, for this session as it is now. */
void imap_put_capabilities(struct imap_session *s, struct buf *out);

/* ---- answers: each tells the news that the command allows, then ends it ---- */

enum next imap_ok(struct imap_session *s, struct imap_command *command, struct slice text);
/* code: "APPENDUID 1 2" without brackets; empty: none. */
enum next imap_ok_code(struct imap_session *s, struct imap_command *command, struct slice code, struct slice text);
enum next imap_no(struct imap_session *s, struct imap_command *command, struct slice code, struct slice text);
/* The client's mistake: counted, and BYE when there are too many. */
enum next imap_bad(struct imap_session *s, struct imap_command *command, struct slice text);
enum next imap_bad_code(struct imap_session *s, struct imap_command *command, struct slice code, struct slice text);
/* What the parser found wrong: BAD, or NO if only a mailbox's name is. */
enum next imap_bad_arguments(struct imap_session *s, struct imap_command *command);
/* The store's answer as NO with the right code; `text` for STATUS_OK. */
enum next imap_answer(struct imap_session *s, struct imap_command *command, enum status status, struct slice text);
/* Likewise where the mailbox is the target of APPEND, COPY or MOVE: TRYCREATE and OVERQUOTA. */
enum next imap_answer_target(struct imap_session *s, struct imap_command *command, enum status status, struct slice text);
/* Some messages have been expunged meanwhile. */
enum next imap_answer_missing(struct imap_session *s, struct imap_command *command);
/* "* BYE [code] text", and the end. */
enum next imap_bye(struct imap_session *s, struct slice code, struct slice text);
/* Tells a client that waits for long how far its command is: `done` things of `goal` (RFC 9585). Cheap to call often. */
void imap_progress(struct imap_session *s, uint64_t done, uint64_t goal);
/* "+ text", sent at once. */
void imap_continue(struct imap_session *s, struct slice text);

/* ---- reading ---- */

enum imap_read {
	IMAP_READ_OK,
	IMAP_READ_ANSWERED, /* it was wrong, and the client has been told */
	IMAP_READ_CLOSE,    /* the connection is over, or has to be */
};
/* One command with all its literals, but for the message of an APPEND. */
enum imap_read imap_read_command(struct imap_session *s, struct imap_command *command);
/* One line within a command (SASL responses, DONE), in the command arena. False: the connection is over or the line too long. */
MUST_CHECK bool imap_read_line(struct imap_session *s, struct slice *line);
/* A literal's bytes, appended to *out. False: the connection is over. */
MUST_CHECK bool imap_read_literal(struct imap_session *s, uint64_t size, struct buf *out);
/* Small enough to be sent unasked, if only small ones may. */
bool imap_literal_is_small(const struct imap_session *s, const struct imap_literal *literal);
/* Reads on to the end of a command that won't be carried out, literals included. False: the connection has to be closed. */
MUST_CHECK bool imap_skip_literal(struct imap_session *s, const struct imap_literal *literal);
MUST_CHECK bool imap_skip_command(struct imap_session *s);

/* ---- mailboxes by name ---- */

/* Namespaces (RFC 2342): behind these stand an account's address and the name of one of its mailboxes. */
#define IMAP_OTHER_USERS    SLICE("Other Users/")
#define IMAP_SHARED_FOLDERS SLICE("Shared Folders/")

struct imap_place {
	int64_t account;        /* whose mailbox it is */
	struct mailbox mailbox; /* as the account calls and counts it */
	struct slice name;      /* as the session calls it */
	unsigned rights;        /* that the session has on it */
	bool is_denied;         /* with STATUS_REFUSED: a right is missing */
};
/* The mailbox, if the session has the right `needed` on it; of several in `needed` one is enough. Without, it doesn't exist (NOT_FOUND),
 * but for those who see it: REFUSED (RFC 4314 section 6). */
MUST_CHECK enum status imap_find_place(struct imap_session *s, struct slice name, unsigned needed, struct imap_place *place);
/* The same with another account's eyes; 0: nobody's. */
MUST_CHECK enum status imap_find_place_as(struct imap_session *s, int64_t viewer, struct slice name, unsigned needed,
					  struct imap_place *place);
/* One of the session's own. */
static inline struct imap_place imap_own_place(const struct imap_session *s, const struct mailbox *mailbox)
{
	return (struct imap_place){.account = s->account, .mailbox = *mailbox, .name = mailbox->name, .rights = RIGHTS_ALL};
}
/* What somebody else's mailbox is called. */
struct slice imap_foreign_name(struct imap_session *s, struct slice address, bool is_shared, struct slice name);
/* The same answers as imap_answer and imap_answer_target, and NOPERM. */
enum next imap_answer_place(struct imap_session *s, struct imap_command *command, const struct imap_place *place,
			    enum status status, struct slice text);
/* Where a mailbox of that name would be made: place->account and place->mailbox.name, with the rights on what is above. NOT_FOUND: in
 * nobody's account. */
MUST_CHECK enum status imap_find_new_place(struct imap_session *s, struct slice name, struct imap_place *place);
/* Is it a name of somebody else's mailbox? */
bool imap_name_is_foreign(struct slice name);
/* For the store: whose \Seen the session's is; 0: the owner's. */
static inline int64_t imap_seen_by(const struct imap_session *s, int64_t account)
{
	return account == s->account ? 0 : s->account;
}

/* ---- the selected mailbox ---- */

/* Asks the store for changes; a failure is for the log only. */
void imap_refresh(struct imap_session *s);
/* Untagged EXPUNGE, EXISTS, FETCH. */
void imap_tell_news(struct imap_session *s, bool expunges, const struct view_own_change *own);
/* What a tagged answer would tell before it; then there is no more to tell. */
void imap_tell_before_answer(struct imap_session *s, struct imap_command *command);
/* What was done to messages: a line of the log, such as "imap.expunged". */
struct imap_logged {
	struct slice mailbox;
	const uint32_t *uids;
	size_t count;
	struct slice to; /* where they are now; empty: nowhere else */
	const uint32_t *to_uids;
};
void imap_log_messages(struct imap_session *s, const char *event, const struct imap_logged *done);
void imap_log_mailbox(struct imap_session *s, const char *event, struct slice name, struct slice new_name);
/* Valid while it is selected. */
struct slice imap_selected_name(const struct imap_session *s);
/* Tells other sessions and roles that the account has changed; the session's own, or another. */
void imap_announce(struct imap_session *s);
void imap_announce_account(struct imap_session *s, int64_t account);
void imap_leave_mailbox(struct imap_session *s);
/* What the selected mailbox's \Recent are to the session. */
enum view_recent imap_recency(const struct imap_session *s);
/* Annotations that others have changed, if the client wants to know; `own`: the number of the session's own change; 0: none. */
void imap_tell_metadata(struct imap_session *s, bool fresh, int64_t own);
void imap_watch_metadata(struct imap_session *s);
/* An entry's name, in lower case. */
MUST_CHECK bool imap_parse_entry(struct imap_parser *p, struct slice *entry);
/* RFC 7162 section 3.1: a command that shows that the client knows mod-sequences. */
void imap_use_condstore(struct imap_session *s);
/* "HIGHESTMODSEQ n", as far as the session has been told of everything. */
struct slice imap_highest_modseq(struct imap_session *s);
/* Those messages of `known` (uids; NULL: all) that are gone since a mod-sequence and have uids greater than `above`, as VANISHED
 * (EARLIER) (RFC 7162 section 3.2.10); exact also where the change log doesn't reach back. */
MUST_CHECK enum status imap_put_vanished(struct imap_session *s, const struct imap_set *known, uint64_t since, uint32_t above);
/* "* FLAGS (...)" */
void imap_put_flags_response(struct imap_session *s, const struct keyword_table *keywords);

/* The texts of flags words, made once each. Names of keywords are looked up as they occur, and the client is told of new ones. */
#define IMAP_FLAG_TEXTS 32
struct imap_flag_texts {
	struct keyword_table keywords;
	struct {
		uint64_t flags;
		struct buf text;
	} made[IMAP_FLAG_TEXTS];
};
struct imap_flag_texts *imap_flag_texts_new(struct imap_session *s);
/* Before texts of these flags are taken; may send an untagged FLAGS. */
void imap_flag_texts_need(struct imap_session *s, struct imap_flag_texts *texts, uint64_t flags);
/* Without parentheses; valid until the next call. */
struct slice imap_flag_text(struct imap_flag_texts *texts, uint64_t flags);
/* Keyword names as bits of the account; with `create` new ones are made, else unknown ones are left out. */
MUST_CHECK enum status imap_flags_to_bits(struct imap_session *s, int64_t account, const struct imap_flags *flags, bool create,
					  uint64_t *bits);
/* "* OK [PERMANENTFLAGS (...)]", as rights and the way it was opened allow. */
void imap_put_permanent_flags(struct imap_session *s, const struct keyword_table *keywords);
/* Of somebody else's mailbox, whose rights may have been taken: looks again if it may be time to, and tells what is different. False:
 * it may not be read any more, and the client has been told. */
MUST_CHECK bool imap_check_rights(struct imap_session *s);

/* A parsed set as ranges of uids, ascending. False: it names messages that aren't there (RFC 9051 section 9: seq-number). `clamp`
 * lets them be. */
MUST_CHECK bool imap_resolve(struct imap_session *s, bool is_uid, bool clamp, struct imap_set *set);

/* Walks over the messages of a resolved set, IMAP_PIECE at a time. */
#define IMAP_PIECE 1024
struct imap_walk {
	struct imap_session *s;
	const struct imap_set *set;
	size_t range;
	uint64_t next_uid;
	struct view_message *messages; /* the piece */
	size_t count, room;
};
void imap_walk_begin(struct imap_walk *walk, struct imap_session *s, const struct imap_set *set);
/* False at the end. */
bool imap_walk_next(struct imap_walk *walk);
/* The uids of a set, those unknown to the session left out. NULL: too many for the arena. */
uint32_t *imap_uids(struct imap_session *s, const struct imap_set *set, size_t *count);

/* What may be done in parts (STORE, EXPUNGE, MOVE: not COPY, RFC 9051 section 6.4.7) is a transaction for each so many messages: so the others
 * who write wait for a part only, and memory is bounded by it. */
#define IMAP_PART 5000
/* mailbox_change_flags for the selected mailbox, in parts; the view is brought up to date, and the change announced. When it fails the first
 * parts may have been done. *own: what the session answers for, but for its flags; modified: left alone because of unchanged_since. */
MUST_CHECK enum status imap_change_flags(struct imap_session *s, const struct flag_request *request, struct view_own_change *own,
					 uint32_t **modified, size_t *modified_count);

struct fetch_request;
/* FETCH responses that nobody has asked for at this moment; they set no \Seen. */
MUST_CHECK enum status imap_put_messages(struct imap_session *s, const struct fetch_request *request,
					 const struct imap_set *set);

/* The role of a mailbox of that special use (RFC 6154 section 2), without its backslash; empty: there is none. */
struct slice imap_role_of_use(struct slice use);

/* ---- STATUS and MYRIGHTS, alone and in LIST ---- */

void imap_put_my_rights(struct imap_session *s, const struct imap_place *place);

MUST_CHECK bool imap_parse_status_items(struct imap_parser *p, unsigned *items);
void imap_put_status(struct imap_session *s, const struct imap_place *place, unsigned items);

/* ---- commands ---- */

enum next imap_capability(struct imap_session *s, struct imap_command *command);
enum next imap_noop(struct imap_session *s, struct imap_command *command);
enum next imap_logout(struct imap_session *s, struct imap_command *command);
enum next imap_starttls(struct imap_session *s, struct imap_command *command);
enum next imap_authenticate(struct imap_session *s, struct imap_command *command);
enum next imap_login(struct imap_session *s, struct imap_command *command);
enum next imap_enable(struct imap_session *s, struct imap_command *command);
enum next imap_id(struct imap_session *s, struct imap_command *command);
enum next imap_select(struct imap_session *s, struct imap_command *command);
enum next imap_examine(struct imap_session *s, struct imap_command *command);
enum next imap_close(struct imap_session *s, struct imap_command *command);
enum next imap_unselect(struct imap_session *s, struct imap_command *command);
enum next imap_create(struct imap_session *s, struct imap_command *command);
enum next imap_delete(struct imap_session *s, struct imap_command *command);
enum next imap_rename(struct imap_session *s, struct imap_command *command);
enum next imap_subscribe(struct imap_session *s, struct imap_command *command);
enum next imap_unsubscribe(struct imap_session *s, struct imap_command *command);
enum next imap_list(struct imap_session *s, struct imap_command *command);
enum next imap_lsub(struct imap_session *s, struct imap_command *command);
enum next imap_namespace(struct imap_session *s, struct imap_command *command);
enum next imap_status(struct imap_session *s, struct imap_command *command);
enum next imap_append(struct imap_session *s, struct imap_command *command);
enum next imap_replace(struct imap_session *s, struct imap_command *command);
enum next imap_unauthenticate(struct imap_session *s, struct imap_command *command);
enum next imap_compress(struct imap_session *s, struct imap_command *command);
enum next imap_get_quota(struct imap_session *s, struct imap_command *command);
enum next imap_get_quota_root(struct imap_session *s, struct imap_command *command);
enum next imap_set_quota(struct imap_session *s, struct imap_command *command);
enum next imap_set_acl(struct imap_session *s, struct imap_command *command);
enum next imap_delete_acl(struct imap_session *s, struct imap_command *command);
enum next imap_get_acl(struct imap_session *s, struct imap_command *command);
enum next imap_list_rights(struct imap_session *s, struct imap_command *command);
enum next imap_get_metadata(struct imap_session *s, struct imap_command *command);
enum next imap_set_metadata(struct imap_session *s, struct imap_command *command);
enum next imap_my_rights(struct imap_session *s, struct imap_command *command);
enum next imap_gen_url_auth(struct imap_session *s, struct imap_command *command);
enum next imap_url_fetch(struct imap_session *s, struct imap_command *command);
enum next imap_reset_key(struct imap_session *s, struct imap_command *command);
enum next imap_idle(struct imap_session *s, struct imap_command *command);
enum next imap_idle_input(struct imap_session *s);
enum next imap_expunge(struct imap_session *s, struct imap_command *command);
enum next imap_search(struct imap_session *s, struct imap_command *command);
enum next imap_esearch(struct imap_session *s, struct imap_command *command);
enum next imap_notify(struct imap_session *s, struct imap_command *command);
enum next imap_cancel_update(struct imap_session *s, struct imap_command *command);
enum next imap_sort(struct imap_session *s, struct imap_command *command);
enum next imap_thread(struct imap_session *s, struct imap_command *command);
enum next imap_fetch(struct imap_session *s, struct imap_command *command);
enum next imap_store_flags(struct imap_session *s, struct imap_command *command);
enum next imap_copy(struct imap_session *s, struct imap_command *command);
enum next imap_move(struct imap_session *s, struct imap_command *command);
