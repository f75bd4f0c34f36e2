/* The maildrop: INBOX as it was at log-in, through a viewer that is never told of news; marks; the UPDATE state (RFC 1939 section 6). */
#include "pop3/session.h"

#include "ipc/ipc.h"
#include "ipc/pack.h"
#include "pop3/surrogate.h"
#include "store/mailbox_remove.h"

#define UNIQUE_ID_LEN 16

/* ---- walking: all messages that the session counts, marked or not, by number ---- */

struct walk {
	struct pop3_session *s;
	struct view_message *messages;
	size_t room, count, at;
	uint64_t next_uid;
};

static struct walk walk_begin(struct pop3_session *s)
{
	size_t room = s->messages < POP3_PIECE ? s->messages : POP3_PIECE;

	return (struct walk){
		.s = s, .messages = ARENA_ARRAY(pop3_arena(s), struct view_message, room), .room = room, .next_uid = 1};
}

/* NULL at the end. */
static const struct view_message *walk_next(struct walk *walk)
{
	if (walk->at == walk->count) {
		walk->at = walk->count = 0;
		if (walk->next_uid <= UINT32_MAX)
			walk->count = mailbox_viewer_read(&walk->s->viewer, (uint32_t)walk->next_uid, UINT32_MAX,
							  walk->messages, walk->room);
		if (walk->count == 0)
			return NULL;
		walk->next_uid = (uint64_t)walk->messages[walk->count - 1].uid + 1;
	}
	return &walk->messages[walk->at++];
}

/* ---- open and close ---- */

uint64_t pop3_size(const struct pop3_session *s, const struct view_message *message)
{
	uint64_t size;

	return pop3_has_surrogate(s, message->uid, &size) ? size : message->size;
}

static void count_octets(struct pop3_session *s)
{
	struct walk walk = walk_begin(s);
	const struct view_message *message;

	s->octets = 0;
	while ((message = walk_next(&walk)))
		s->octets += pop3_size(s, message);
}

enum status pop3_open_maildrop(struct pop3_session *s)
{
	struct mailbox mailbox;
	enum status status = mailbox_find(s->context->store, pop3_arena(s), s->account, SLICE("INBOX"), &mailbox);

	if (status == STATUS_OK)
		status = mailbox_viewer_open(s->context->views, s->account, &mailbox, &s->viewer);
	if (status != STATUS_OK)
		return status;
	struct mailbox_view_state state = mailbox_viewer_state(&s->viewer);

	s->messages = state.messages;
	s->uid_validity = state.uid_validity;
	if (!s->utf8)
		status = pop3_find_surrogates(s);
	if (status != STATUS_OK) {
		mailbox_viewer_close(&s->viewer);
		return status;
	}
	count_octets(s);
	engine_subscribe(s->env, (uint64_t)s->account);
	return STATUS_OK;
}

void pop3_close_maildrop(struct pop3_session *s)
{
	if (!mailbox_viewer_is_open(&s->viewer))
		return;
	mailbox_viewer_close(&s->viewer);
	engine_subscribe(s->env, 0);
}

/* ---- marks ---- */

static bool is_marked(const struct pop3_session *s, uint32_t number)
{
	return s->marks.len > 0 && (s->marks.data[number / 8] >> number % 8 & 1);
}

static void mark(struct pop3_session *s, const struct view_message *message)
{
	if (s->marks.len == 0) {
		size_t size = (size_t)s->messages / 8 + 1;
		char *bits = buf_reserve(&s->marks, size);

		memset(bits, 0, size);
		buf_advance(&s->marks, size);
	}
	s->marks.data[message->sequence / 8] = (char)(s->marks.data[message->sequence / 8] | 1 << message->sequence % 8);
	s->marked++;
	s->marked_octets += pop3_size(s, message);
}

enum next pop3_rset(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	(void)arguments;
	buf_free(&s->marks);
	buf_init(&s->marks, NULL, 0);
	s->marked = 0;
	s->marked_octets = 0;
	return pop3_okf(s, "%u messages, %llu octets", s->messages, (unsigned long long)s->octets);
}

/* ---- one message ---- */

/* Numbers keep what has gone; only what is new of that is asked for. A failure is for the log: the store tells again. */
static void refresh(struct pop3_session *s)
{
	struct arena arena SCOPED_ARENA;

	if (!s->stale)
		return;
	s->stale = false;
	enum status status = mailbox_viewer_refresh(&s->viewer, &arena);

	if (status != STATUS_OK)
		LOG_WARNING(s->context->log, "pop3.refresh_failed", LOG_INT("session", s->env->id), LOG_STR("user", s->address),
			    LOG_STR("status", status_name(status)));
}

const struct view_message *pop3_message(struct pop3_session *s, uint32_t number, enum next *next)
{
	struct view_message *message = ARENA_NEW(pop3_arena(s), struct view_message);
	uint32_t uid = mailbox_viewer_uid(&s->viewer, number);

	if (uid == 0 || mailbox_viewer_read(&s->viewer, uid, uid, message, 1) != 1) {
		*next = pop3_err(s, SLICE_EMPTY, SLICE("There is no message of that number"));
		return NULL;
	}
	if (is_marked(s, number)) {
		*next = pop3_err(s, SLICE_EMPTY, SLICE("That message is marked as deleted"));
		return NULL;
	}
	return message;
}

const struct view_message *pop3_present_message(struct pop3_session *s, uint32_t number, enum next *next)
{
	refresh(s);
	const struct view_message *message = pop3_message(s, number, next);

	if (!message || !message->expunged)
		return message;
	*next = pop3_fail(s, STATUS_NOT_FOUND);
	return NULL;
}

/* What has gone already can be marked: the client gets what it wants. */
enum next pop3_dele(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	enum next next;
	const struct view_message *message = pop3_message(s, arguments->message, &next);

	if (!message)
		return next;
	mark(s, message);
	return pop3_ok(s, SLICE("Marked"));
}

/* ---- listings ---- */

static void put_number(struct buf *out, uint32_t number)
{
	buf_add_u64(out, number);
	buf_add_byte(out, ' ');
}

static void put_size(struct pop3_session *s, const struct view_message *message, struct buf *out)
{
	put_number(out, message->sequence);
	buf_add_u64(out, pop3_size(s, message));
}

static void put_hex(char *to, uint32_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 4)
		to[i] = "0123456789abcdef"[value & 15];
}

/* RFC 1939 section 7, UIDL: 1 to 70 printable characters, never given to another message. */
static void put_unique_id(struct pop3_session *s, const struct view_message *message, struct buf *out)
{
	char text[UNIQUE_ID_LEN];

	put_hex(text, message->uid);
	put_hex(text + 8, s->uid_validity);
	put_number(out, message->sequence);
	buf_add(out, slice_of(text, sizeof(text)));
}

typedef void (*put_entry)(struct pop3_session *s, const struct view_message *message, struct buf *out);

static enum next list_one(struct pop3_session *s, uint32_t number, put_entry put)
{
	enum next next;
	const struct view_message *message = pop3_message(s, number, &next);
	struct buf line;

	if (!message)
		return next;
	buf_init(&line, pop3_arena(s), 0);
	put(s, message, &line);
	return pop3_ok(s, buf_slice(&line));
}

static enum next list_all(struct pop3_session *s, put_entry put)
{
	struct walk walk = walk_begin(s);
	const struct view_message *message;
	struct buf *out = pop3_output(s);

	(void)pop3_okf(s, "%u messages", s->messages - s->marked);
	while ((message = walk_next(&walk)) && !conn_failed(pop3_conn(s))) {
		if (is_marked(s, message->sequence))
			continue;
		put(s, message, out);
		buf_add_literal(out, "\r\n");
		conn_flush_if_high(pop3_conn(s));
	}
	return pop3_end_list(s);
}

static enum next list(struct pop3_session *s, uint32_t number, put_entry put)
{
	return number > 0 ? list_one(s, number, put) : list_all(s, put);
}

enum next pop3_list(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	return list(s, arguments->message, put_size);
}

enum next pop3_uidl(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	return list(s, arguments->message, put_unique_id);
}

/* RFC 1939 section 5: marked ones aren't counted; and nothing stands behind the numbers. */
enum next pop3_stat(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	(void)arguments;
	return pop3_okf(s, "%u %llu", s->messages - s->marked, (unsigned long long)(s->octets - s->marked_octets));
}

/* ---- QUIT ---- */

static void announce(struct pop3_session *s)
{
	struct buf payload;

	engine_announce(s->env->engine, (uint64_t)s->account);
	if (!s->context->ipc)
		return;
	buf_init(&payload, pop3_arena(s), 0);
	pack_u32(&payload, 1);
	pack_u64(&payload, (uint64_t)s->account);
	ipc_announce(s->context->ipc, SLICE("mailbox"), buf_slice(&payload));
}

/* The uids of the marked ones; NULL: too many for the arena. */
static uint32_t *marked_uids(struct pop3_session *s)
{
	uint32_t *uids = arena_try_alloc(pop3_arena(s), ((size_t)s->marked + 1) * sizeof(*uids));
	struct walk walk = walk_begin(s);
	const struct view_message *message;
	size_t count = 0;

	while (uids && count < s->marked && (message = walk_next(&walk))) {
		if (is_marked(s, message->sequence))
			uids[count++] = message->uid;
	}
	return uids;
}

/* All or nothing, before the answer. */
static enum status update(struct pop3_session *s)
{
	int64_t mailbox = mailbox_viewer_state(&s->viewer).mailbox;
	const uint32_t *uids = marked_uids(s);
	size_t removed = 0;
	enum status status = STATUS_LIMIT;

	if (uids)
		status = mailbox_remove(s->context->store, s->account, mailbox, uids, s->marked, &removed);
	if (removed > 0)
		announce(s);
	return status;
}

static void log_logout(struct pop3_session *s, enum status status)
{
	LOG_INFO(s->context->log, "pop3.logout", LOG_INT("session", s->env->id), LOG_STR("user", s->address),
		 LOG_INT("messages", s->messages), LOG_INT("retrieved", s->retrieved), LOG_INT("deleted", s->marked),
		 LOG_STR("status", status_name(status)));
}

enum next pop3_quit(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	enum status status = STATUS_OK;

	(void)arguments;
	if (s->state == POP3_TRANSACTION) {
		if (s->marked > 0)
			status = update(s);
		log_logout(s, status);
		pop3_close_maildrop(s);
	}
	if (status == STATUS_OK)
		(void)pop3_ok(s, SLICE("Good-bye"));
	else
		(void)pop3_fail(s, status);
	return NEXT_CLOSE;
}
