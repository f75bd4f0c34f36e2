/* What was done to messages and mailboxes, as lines of the log: for whoever is asked where a message went. */
#include "imap/session.h"

#include "imap/write.h"

#define SET_MAX 400

static struct slice set_text(struct imap_session *s, const uint32_t *uids, size_t count)
{
	struct buf out;

	buf_init(&out, imap_arena(s), 0);
	imap_put_numbers_as_set(&out, uids, count);
	return slice_sub(buf_slice(&out), 0, SET_MAX);
}

void imap_log_messages(struct imap_session *s, const char *event, const struct imap_logged *done)
{
	LOG_INFO(s->context->log, event, LOG_INT("session", s->env->id), LOG_STR("user", s->address), LOG_STR("mailbox", done->mailbox),
		 LOG_INT("count", done->count), LOG_STR("uids", set_text(s, done->uids, done->count)), LOG_STR("to", done->to),
		 LOG_STR("to_uids", done->to_uids ? set_text(s, done->to_uids, done->count) : SLICE_EMPTY));
}

void imap_log_mailbox(struct imap_session *s, const char *event, struct slice name, struct slice new_name)
{
	LOG_INFO(s->context->log, event, LOG_INT("session", s->env->id), LOG_STR("user", s->address), LOG_STR("mailbox", name),
		 LOG_STR("to", new_name));
}

struct slice imap_selected_name(const struct imap_session *s)
{
	return buf_slice(&s->selected_name);
}
