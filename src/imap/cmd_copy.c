/* COPY and MOVE: RFC 9051 section 6.4.7, 6.4.8; COPYUID: RFC 4315 section 3. */
#include "imap/limit.h"

#include "imap/write.h"

static enum status find_target(struct imap_session *s, struct slice name, struct imap_place *place)
{
	enum status status = imap_find_place(s, name, RIGHT_INSERT, place);

	return status == STATUS_OK && !place->mailbox.selectable ? STATUS_NOT_FOUND : status;
}

/* Both lists ascend, so ranges keep who became whom. */
static struct slice copy_uid(struct imap_session *s, const struct copy_result *copied)
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

/* RFC 9051 section 6.4.8: for MOVE the code comes before the EXPUNGE responses; also when only some could be moved. */
static void tell_moved(struct imap_session *s, const struct copy_result *copied)
{
	struct slice code = copy_uid(s, copied);
	struct buf *out = imap_output(s);

	if (code.len) {
		buf_add_literal(out, "* OK [");
		buf_add(out, code);
		buf_add_literal(out, "] Moved\r\n");
	}
}

/* The bits that the keywords of these messages have in the target's account, where they are made if they may be set. */
static enum status find_bits(struct imap_session *s, const struct imap_set *set, const struct imap_place *target,
			     unsigned *bits)
{
	struct keyword_table keywords;
	struct imap_walk walk;
	uint64_t flags = 0;

	imap_walk_begin(&walk, s, set);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count; i++)
			flags |= walk.messages[i].flags;
	}
	enum status status = mailbox_viewer_keywords(&s->viewer, flags, &keywords);

	for (unsigned bit = FLAG_KEYWORD_FIRST; bit <= FLAG_KEYWORD_LAST && status == STATUS_OK; bit++) {
		if (!(flags & UINT64_C(1) << bit) || keywords.names[bit].len == 0 || !(target->rights & RIGHT_WRITE))
			continue;
		status = keyword_find(imap_store(s), target->account, keywords.names[bit], true, &bits[bit]);
		/* An account that has no room for more keywords gets the messages without. */
		if (status == STATUS_LIMIT) {
			bits[bit] = 0;
			status = STATUS_OK;
		}
	}
	return status;
}

/* Where others' mailboxes are concerned. */
static enum status copy_between(struct imap_session *s, const struct imap_set *set, const struct imap_place *target,
				struct copy_request *request, struct copy_result *copied)
{
	unsigned bits[FLAG_KEYWORD_LAST + 1] = {0};
	enum status status = STATUS_OK;

	if (request->from_account != request->to_account) {
		status = find_bits(s, set, target, bits);
		request->bits = bits;
	}
	request->allowed = rights_flags(target->rights);
	request->from_seen_by = imap_seen_by(s, request->from_account);
	request->to_seen_by = imap_seen_by(s, request->to_account);
	return status == STATUS_OK ? mailbox_copy_between(imap_store(s), imap_arena(s), request, copied) : status;
}

static enum status copy_messages(struct imap_session *s, const struct imap_set *set, const struct imap_place *target,
				 struct copy_request *request, struct copy_result *copied)
{
	request->from_account = s->selected_account;
	request->from = mailbox_viewer_state(&s->viewer).mailbox;
	request->to_account = target->account;
	request->to = target->mailbox.id;
	if (s->selected_account != s->account || target->account != s->account)
		return copy_between(s, set, target, request, copied);
	return mailbox_copy(imap_store(s), imap_arena(s), s->account, request->from, request->to, request->uids,
			    request->uid_count, request->move, &copied->source, &copied->target, &copied->count,
			    &copied->uid_validity);
}

/* Part by part; when one fails, *moved is what was done before. */
static enum status move_messages(struct imap_session *s, const struct imap_set *set, const struct imap_place *target,
				 struct copy_request *request, struct copy_result *moved)
{
	size_t all = request->uid_count;
	const uint32_t *uids = request->uids;
	enum status status = STATUS_OK;

	if (all <= IMAP_PART)
		return copy_messages(s, set, target, request, moved);
	moved->source = arena_try_alloc(imap_arena(s), all * sizeof(*moved->source));
	moved->target = arena_try_alloc(imap_arena(s), all * sizeof(*moved->target));
	if (!moved->source || !moved->target)
		return STATUS_LIMIT;
	for (size_t at = 0; at < all && status == STATUS_OK; at += IMAP_PART) {
		struct copy_result part = {0};

		imap_progress(s, at, all);
		request->uids = uids + at;
		request->uid_count = all - at < IMAP_PART ? all - at : IMAP_PART;
		status = copy_messages(s, set, target, request, &part);
		if (status != STATUS_OK || part.count == 0)
			continue;
		memcpy(moved->source + moved->count, part.source, part.count * sizeof(*part.source));
		memcpy(moved->target + moved->count, part.target, part.count * sizeof(*part.target));
		moved->count += part.count;
		moved->uid_validity = part.uid_validity;
	}
	request->uid_count = all;
	return status;
}

static void announce(struct imap_session *s, struct imap_command *command, const struct imap_place *target,
		     const struct copy_result *copied, bool move)
{
	const struct imap_logged done = {imap_selected_name(s), copied->source, copied->count, target->name, copied->target};

	command->news = IMAP_NEWS_FRESH;
	imap_log_messages(s, move ? "imap.moved" : "imap.copied", &done);
	imap_announce_account(s, target->account);
	if (s->selected_account != target->account)
		imap_announce_account(s, s->selected_account);
}

/* RFC 6851 section 4.2: to move is to copy, to mark and to expunge. */
static bool may_move(const struct imap_session *s)
{
	return s->rights & RIGHT_DELETE && s->rights & RIGHT_EXPUNGE;
}

static enum next copy(struct imap_session *s, struct imap_command *command, bool move)
{
	struct imap_parser *p = &command->args;
	struct copy_request request = {.move = move};
	struct copy_result copied = {0};
	struct message_limit limit;
	struct imap_place target;
	struct imap_set set;
	struct slice name;
	enum status status;

	if (!imap_parse_space(p) || !imap_parse_set(p, &set) || !imap_parse_space(p) || !imap_parse_mailbox(p, &name) ||
	    !imap_parse_end(p))
		return imap_bad_arguments(s, command);
	if (move && s->read_only)
		return imap_no(s, command, SLICE("CANNOT"), SLICE("The mailbox was opened read-only"));
	if (move && !may_move(s))
		return imap_no(s, command, SLICE("NOPERM"), SLICE("You may not move messages away from here"));
	if (!imap_resolve(s, command->uid, false, &set))
		return imap_bad(s, command, SLICE("There are not so many messages"));
	status = find_target(s, name, &target);
	if (status == STATUS_REFUSED)
		return imap_answer_place(s, command, &target, status, SLICE_EMPTY);
	if (status != STATUS_OK)
		return imap_answer_target(s, command, status, SLICE_EMPTY);
	/* RFC 9738 section 3.1: COPY is done whole or not at all. */
	if (move)
		limit_cut(s, &set, &limit);
	else
		limit_find(s, &set, limit_of_saving(s), &limit);
	if (!move && limit.is_passed)
		return limit_no(s, command, limit_of_saving(s), &limit);
	request.uids = imap_uids(s, &set, &request.uid_count);
	if (!request.uids)
		return imap_answer(s, command, STATUS_LIMIT, SLICE_EMPTY);
	if (request.uid_count > 0)
		status = move ? move_messages(s, &set, &target, &request, &copied)
			      : copy_messages(s, &set, &target, &request, &copied);
	if (copied.count > 0)
		announce(s, command, &target, &copied, move);
	if (move)
		tell_moved(s, &copied);
	if (status != STATUS_OK)
		return imap_answer_target(s, command, status, SLICE_EMPTY);
	if (copied.count == 0 && request.uid_count > 0) {
		limit_tell(s, &limit);
		return imap_answer_missing(s, command);
	}
	return move ? limit_ok(s, command, &limit, SLICE_EMPTY, SLICE("MOVE completed"))
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
