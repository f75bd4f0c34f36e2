#include "pop3/ahead.h"

#include "pop3/session.h"
#include "store/email.h"

#define BYTES_MAX ((uint64_t)256 * 1024)

/* How many more commands are here already. */
static size_t commands_waiting(struct pop3_session *s)
{
	struct slice input, line;
	size_t count = 0;

	if (!conn_has_input(pop3_conn(s)) || !conn_read_some(pop3_conn(s), &input))
		return 0;
	while (input.len > 0 && count < POP3_AHEAD) {
		line = slice_cut(&input, '\n');
		count += line.len > 0;
	}
	return count;
}

static bool keep_email(void *context, const struct email *email)
{
	struct pop3_ahead *ahead = context;

	if (!email->bytes.data)
		return false;
	ahead->uids[ahead->count] = email->uid;
	ahead->bytes[ahead->count++] = slice_dup(&ahead->arena, email->bytes);
	return ahead->count < POP3_AHEAD && !arena_is_full(&ahead->arena);
}

/* As many messages from this one on as commands wait, and as fit. */
static void fill(struct pop3_session *s, const struct view_message *message)
{
	struct view_message messages[POP3_AHEAD];
	struct mailbox_view_state state = mailbox_viewer_state(&s->viewer);
	size_t count = commands_waiting(s) + 1, wanted = 0;
	uint64_t size = 0;
	uint32_t uids[POP3_AHEAD];

	count = mailbox_viewer_read(&s->viewer, message->uid, UINT32_MAX, messages, count < POP3_AHEAD ? count : POP3_AHEAD);
	while (wanted < count && size + messages[wanted].size <= BYTES_MAX) {
		size += messages[wanted].size;
		uids[wanted] = messages[wanted].uid;
		wanted++;
	}
	/* What fails is read by itself, which says how. */
	if (wanted > 1 && email_scan(s->context->store, s->account, state.mailbox, uids, wanted, EMAIL_BYTES, keep_email, &s->ahead) != STATUS_OK)
		pop3_ahead_drop(s);
}

bool pop3_ahead_take(struct pop3_session *s, const struct view_message *message, struct slice *bytes)
{
	struct pop3_ahead *ahead = &s->ahead;

	while (ahead->next < ahead->count && ahead->uids[ahead->next] < message->uid)
		ahead->next++;
	if (ahead->next == ahead->count || ahead->uids[ahead->next] != message->uid) {
		pop3_ahead_drop(s);
		fill(s, message);
	}
	if (ahead->next == ahead->count || ahead->uids[ahead->next] != message->uid)
		return false;
	*bytes = ahead->bytes[ahead->next++];
	return bytes->len == message->size;
}

void pop3_ahead_drop(struct pop3_session *s)
{
	arena_free(&s->ahead.arena);
	s->ahead.count = s->ahead.next = 0;
}
