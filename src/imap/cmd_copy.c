/* COPY and MOVE: RFC 9051 section 6.4.7, 6.4.8; COPYUID: RFC 4315 section 3. */
#include "imap/session.h"

#include "imap/write.h"

struct copied {
	uint32_t *source, *target;
	size_t count;
	uint32_t uid_validity;
};

static enum status find_target(struct imap_session *s, struct slice name, struct mailbox *mailbox)
{
	enum status status = mailbox_find(imap_store(s), imap_arena(s), s->account, name, mailbox);

	return status == STATUS_OK && !mailbox->selectable ? STATUS_NOT_FOUND : status;
}

/* Both lists ascend, so ranges keep who became whom. */
static struct slice copy_uid(struct imap_session *s, const struct copied *copied)
{
	struct buf code;

	if (copied->count == 0)
		return SLICE_EMPTY;
	buf_init(&code, imap_arena(s), 0);
	buf_add_literal(&code, "COPYUID ");
	buf_add_u64(&code, copied->uid_validity);
	buf_add_byte(&code, ' ');
	imap_put_numbers_as_set(&code, copied->source, copied->count);
	buf_add_byte(&code, ' ');
	imap_put_numbers_as_set(&code, copied->target, copied->count);
	return buf_slice(&code);
}

/* RFC 9051 section 6.4.8: for MOVE the code comes before the EXPUNGE responses. */
static enum next answer_move(struct imap_session *s, struct imap_command *command, const struct copied *copied)
{
	struct slice code = copy_uid(s, copied);
	struct buf *out = imap_output(s);

	if (code.len) {
		buf_add_literal(out, "* OK [");
		buf_add(out, code);
		buf_add_literal(out, "] Moved\r\n");
	}
	return imap_ok(s, command, SLICE("MOVE completed"));
}

static enum next copy(struct imap_session *s, struct imap_command *command, bool move)
{
	struct imap_parser *p = &command->args;
	struct mailbox target = {0};
	struct copied copied = {0};
	struct imap_set set;
	struct slice name;
	uint32_t *uids;
	size_t count;
	enum status status;

	if (!imap_parse_space(p) || !imap_parse_set(p, &set) || !imap_parse_space(p) || !imap_parse_mailbox(p, &name) ||
	    !imap_parse_end(p))
		return imap_bad_arguments(s, command);
	if (move && s->read_only)
		return imap_no(s, command, SLICE("CANNOT"), SLICE("The mailbox was opened read-only"));
	if (!imap_resolve(s, command->uid, false, &set))
		return imap_bad(s, command, SLICE("There are not so many messages"));
	status = find_target(s, name, &target);
	if (status != STATUS_OK)
		return imap_answer_target(s, command, status, SLICE_EMPTY);
	uids = imap_uids(s, &set, &count);
	if (!uids)
		return imap_answer(s, command, STATUS_LIMIT, SLICE_EMPTY);
	if (count > 0)
		status = mailbox_copy(imap_store(s), imap_arena(s), s->account, mailbox_viewer_state(&s->viewer).mailbox,
				      target.id, uids, count, move, &copied.source, &copied.target, &copied.count,
				      &copied.uid_validity);
	if (status != STATUS_OK)
		return imap_answer_target(s, command, status, SLICE_EMPTY);
	if (copied.count == 0 && count > 0)
		return imap_answer_missing(s, command);
	if (copied.count > 0) {
		command->news = IMAP_NEWS_FRESH;
		imap_announce(s);
	}
	return move ? answer_move(s, command, &copied)
		    : imap_ok_code(s, command, copy_uid(s, &copied), SLICE("COPY completed"));
}

enum next imap_copy(struct imap_session *s, struct imap_command *command)
{
	return copy(s, command, false);
}

enum next imap_move(struct imap_session *s, struct imap_command *command)
{
	return copy(s, command, true);
}
