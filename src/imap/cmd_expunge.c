/* EXPUNGE and CLOSE: RFC 9051 section 6.4.3, 6.4.1; UID EXPUNGE: RFC 9051 section 6.4.9. */
#include "imap/limit.h"

/* `uids` NULL: all that have \Deleted. When it fails, the first parts may have been done. */
static enum status expunge(struct imap_session *s, uint32_t *uids, size_t count, size_t *expunged_count)
{
	int64_t mailbox = mailbox_viewer_state(&s->viewer).mailbox;
	enum status status = STATUS_OK;

	*expunged_count = 0;
	if (!uids)
		status = mailbox_deleted_uids(imap_store(s), imap_arena(s), s->selected_account, mailbox, &uids, &count);
	for (size_t at = 0; at < count && status == STATUS_OK; at += IMAP_PART) {
		size_t part = count - at < IMAP_PART ? count - at : IMAP_PART, expunged_part;
		struct arena arena SCOPED_ARENA;
		uint32_t *expunged;

		imap_progress(s, at, count);
		status = mailbox_expunge(imap_store(s), &arena, s->selected_account, mailbox, uids + at, part, &expunged,
					 &expunged_part);
		*expunged_count += expunged_part;
		if (expunged_part > 0)
			imap_log_messages(s, "imap.expunged",
					  &(struct imap_logged){imap_selected_name(s), expunged, expunged_part, SLICE_EMPTY, NULL});
	}
	if (*expunged_count > 0)
		imap_announce_account(s, s->selected_account);
	return status;
}

/* RFC 7162 section 3.2.7: with the mod-sequence that the client has now. */
static enum next answer(struct imap_session *s, struct imap_command *command, size_t expunged, const struct message_limit *limit)
{
	imap_tell_before_answer(s, command);
	return limit_ok(s, command, limit, s->qresync && expunged > 0 ? imap_highest_modseq(s) : SLICE_EMPTY,
			SLICE("EXPUNGE completed"));
}

/* RFC 9738 section 3.1: the messages with \Deleted count. */
static void cut_deleted(struct imap_session *s, struct imap_set *set, struct message_limit *limit)
{
	uint32_t *uids;
	struct imap_walk walk;
	size_t count = 0, most = mailbox_viewer_state(&s->viewer).messages;

	*limit = (struct message_limit){0};
	if (!limit_of_messages(s))
		return;
	imap_refresh(s);
	uids = ARENA_ARRAY(imap_arena(s), uint32_t, most + 1);
	imap_walk_begin(&walk, s, set);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count; i++) {
			if (walk.messages[i].flags & FLAG_DELETED)
				uids[count++] = walk.messages[i].uid;
		}
	}
	*set = imap_set_of(imap_arena(s), uids, count);
	limit_cut(s, set, limit);
}

enum next imap_expunge(struct imap_session *s, struct imap_command *command)
{
	struct imap_set set;
	uint32_t *uids = NULL;
	size_t count = 0, expunged = 0;
	struct message_limit limit = {0};
	enum status status;

	if (command->uid && (!imap_parse_space(&command->args) || !imap_parse_set(&command->args, &set)))
		return imap_bad_arguments(s, command);
	if (!imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	if (s->read_only)
		return imap_no(s, command, SLICE("CANNOT"), SLICE("The mailbox was opened read-only"));
	if (!(s->rights & RIGHT_EXPUNGE))
		return imap_no(s, command, SLICE("NOPERM"), SLICE("You may not expunge here"));
	if (command->uid) {
		if (!imap_resolve(s, true, true, &set))
			return imap_answer(s, command, STATUS_LIMIT, SLICE_EMPTY);
		cut_deleted(s, &set, &limit);
		uids = imap_uids(s, &set, &count);
		if (!uids)
			return imap_answer(s, command, STATUS_LIMIT, SLICE_EMPTY);
		if (count == 0)
			return imap_ok(s, command, SLICE("Nothing to expunge"));
	}
	status = expunge(s, uids, count, &expunged);
	return status == STATUS_OK ? answer(s, command, expunged, &limit) : imap_answer(s, command, status, SLICE_EMPTY);
}

/* RFC 7162 section 3.2.8: the mod-sequence that the client has when it thinks its \Deleted messages away. Deviation: not if others have
 * changed something that it wasn't told of, which it would then never ask for. */
static struct slice closing_modseq(struct imap_session *s, size_t expunged)
{
	struct arena arena SCOPED_ARENA;
	struct view_news news;

	if (!s->qresync || expunged == 0)
		return SLICE_EMPTY;
	imap_refresh(s);
	mailbox_viewer_take(&s->viewer, &arena, true, NULL, &news);
	return news.expunged_count == expunged && !news.grown && news.changed_count == 0 ? imap_highest_modseq(s) : SLICE_EMPTY;
}

/* Expunges without telling, if one may (RFC 4314 section 4). If that fails the mailbox stays selected: nothing has happened. */
enum next imap_close(struct imap_session *s, struct imap_command *command)
{
	size_t expunged = 0;
	bool keeps = s->read_only || !(s->rights & RIGHT_EXPUNGE);
	enum status status = keeps ? STATUS_OK : expunge(s, NULL, 0, &expunged);
	struct slice code;

	if (status != STATUS_OK && status != STATUS_NOT_FOUND)
		return imap_answer(s, command, status, SLICE_EMPTY);
	code = closing_modseq(s, expunged);
	imap_leave_mailbox(s);
	return imap_ok_code(s, command, code, SLICE("CLOSE completed"));
}
