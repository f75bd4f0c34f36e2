/* SELECT and EXAMINE: RFC 9051 section 6.3.2, 6.3.3; RFC 3501 section 6.3.1 for clients that haven't enabled IMAP4rev2. */
#include "imap/session.h"

#include "base/clock.h"
#include "imap/name.h"
#include "imap/write.h"

static void put_permanent_flags(struct buf *out, const struct keyword_table *keywords, uint64_t bits, bool read_only)
{
	buf_add_literal(out, "* OK [PERMANENTFLAGS (");
	if (!read_only) {
		imap_put_flags(out, bits | (FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT | FLAG_DELETED), keywords);
		buf_add_literal(out, " \\*");
	}
	buf_add_literal(out, ")] Flags that are kept\r\n");
}

static void put_number(struct buf *out, struct slice before, uint64_t number, struct slice after)
{
	buf_add(out, before);
	buf_add_u64(out, number);
	buf_add(out, after);
}

static void put_state(struct imap_session *s, const struct mailbox *mailbox)
{
	struct mailbox_view_state state = mailbox_viewer_state(&s->viewer);
	struct imap_flag_texts *texts = imap_flag_texts_new(s);
	struct buf *out = imap_output(s);
	uint32_t unseen = s->rev2 ? 0 : mailbox_viewer_first_unseen(&s->viewer);

	imap_put_flags_response(s, &texts->keywords);
	put_permanent_flags(out, &texts->keywords, s->told_keywords, s->read_only);
	put_number(out, SLICE("* "), state.messages, SLICE(" EXISTS\r\n"));
	if (!s->rev2)
		buf_add_literal(out, "* 0 RECENT\r\n");
	if (unseen > 0)
		put_number(out, SLICE("* OK [UNSEEN "), unseen, SLICE("] First unseen\r\n"));
	put_number(out, SLICE("* OK [UIDVALIDITY "), state.uid_validity, SLICE("] UIDs are valid\r\n"));
	put_number(out, SLICE("* OK [UIDNEXT "), state.uid_next, SLICE("] Next UID\r\n"));
	if (s->rev2) {
		buf_add_literal(out, "* LIST () \"/\" ");
		imap_put_mailbox(out, mailbox->name, true);
		buf_add_literal(out, "\r\n");
	}
}

static enum status open_mailbox(struct imap_session *s, struct slice name, struct mailbox *mailbox)
{
	enum status status = mailbox_find(imap_store(s), imap_arena(s), s->account, name, mailbox);

	if (status == STATUS_OK && !mailbox->selectable)
		status = STATUS_NOT_FOUND;
	if (status == STATUS_OK)
		status = mailbox_viewer_open(s->context->views, imap_arena(s), s->account, mailbox, &s->viewer);
	return status;
}

static enum next select_mailbox(struct imap_session *s, struct imap_command *command, bool read_only)
{
	struct mailbox mailbox;
	struct slice name;
	enum status status;

	if (!imap_parse_space(&command->args) || !imap_parse_mailbox(&command->args, &name) || !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	/* RFC 9051 section 7.1: CLOSED tells where the old mailbox's responses end. */
	if (mailbox_viewer_is_open(&s->viewer))
		buf_add_literal(imap_output(s), "* OK [CLOSED] Previous mailbox closed\r\n");
	imap_leave_mailbox(s);
	status = open_mailbox(s, name, &mailbox);
	if (status != STATUS_OK)
		return imap_answer(s, command, status, SLICE_EMPTY);
	s->state = IMAP_SELECTED;
	s->read_only = read_only;
	s->stale = false;
	s->refreshed_ms = clock_monotonic_ms();
	engine_subscribe(s->env, (uint64_t)s->account);
	put_state(s, &mailbox);
	return imap_ok_code(s, command, read_only ? SLICE("READ-ONLY") : SLICE("READ-WRITE"), SLICE("Selected"));
}

enum next imap_select(struct imap_session *s, struct imap_command *command)
{
	return select_mailbox(s, command, false);
}

enum next imap_examine(struct imap_session *s, struct imap_command *command)
{
	return select_mailbox(s, command, true);
}
