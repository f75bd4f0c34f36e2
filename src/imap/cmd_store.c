/* STORE: RFC 9051 section 6.4.6; UNCHANGEDSINCE: RFC 7162 section 3.1.3. */
#include "imap/fetch.h"
#include "imap/limit.h"
#include "imap/session.h"
#include "imap/write.h"

struct store_request {
	struct imap_set set;
	enum flag_change change;
	bool silent, conditional;
	uint64_t unchanged_since;
	struct imap_flags flags;
};

static bool parse_modifiers(struct imap_parser *p, struct store_request *request)
{
	if (!imap_accept(p, '('))
		return true;
	do {
		if (request->conditional || !imap_accept_word(p, SLICE("UNCHANGEDSINCE")))
			return imap_fault(p, SLICE("there is no such modifier, or it is there twice"));
		request->conditional = true;
		if (!imap_parse_space(p) || !imap_parse_u64(p, &request->unchanged_since))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')') && imap_parse_space(p);
}

static bool parse_store(struct imap_parser *p, struct store_request *request)
{
	struct slice word;

	if (!imap_parse_space(p) || !imap_parse_set(p, &request->set) || !imap_parse_space(p) || !parse_modifiers(p, request))
		return false;
	request->change = imap_accept(p, '+') ? FLAGS_ADD : imap_accept(p, '-') ? FLAGS_REMOVE : FLAGS_REPLACE;
	if (!imap_parse_word(p, &word))
		return false;
	request->silent = slice_eq_nocase(word, SLICE("FLAGS.SILENT"));
	if (!request->silent && !slice_eq_nocase(word, SLICE("FLAGS")))
		return imap_fault(p, SLICE("FLAGS is what can be stored"));
	return imap_parse_space(p) && imap_parse_flags(p, true, &request->flags) && imap_parse_end(p);
}

/* What the session may not change stays (RFC 4314 section 4). */
static uint64_t changed_flags(enum flag_change change, uint64_t old, uint64_t flags, uint64_t allowed)
{
	switch (change) {
	case FLAGS_ADD:
		return old | (flags & allowed);
	case FLAGS_REMOVE:
		return old & ~(flags & allowed);
	case FLAGS_REPLACE:
		break;
	}
	return (old & ~allowed) | (flags & allowed);
}

/* The messages of the set, and the flags that they will have if nobody else has changed them: unknown if others have, and the client
 * wasn't told. */
struct targets {
	uint32_t *uids;
	uint64_t *flags;
	size_t count;
	bool missing;       /* some have been expunged */
	uint32_t *modified; /* left alone: they have changed since */
	size_t modified_count;
};

static bool find_targets(struct imap_session *s, const struct store_request *request, uint64_t bits, struct targets *targets)
{
	size_t most = mailbox_viewer_state(&s->viewer).messages + (size_t)1;
	uint64_t allowed = rights_flags(s->rights);
	struct imap_walk walk;

	*targets = (struct targets){
		.uids = arena_try_alloc(imap_arena(s), most * sizeof(*targets->uids)),
		.flags = arena_try_alloc(imap_arena(s), most * sizeof(*targets->flags)),
	};
	if (!targets->uids || !targets->flags)
		return false;
	imap_walk_begin(&walk, s, &request->set);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count; i++) {
			const struct view_message *message = &walk.messages[i];

			targets->missing |= message->expunged;
			targets->uids[targets->count] = message->uid;
			targets->flags[targets->count++] =
				message->changed ? VIEW_FLAGS_UNKNOWN
						 : changed_flags(request->change, message->flags & ~FLAG_RECENT, bits, allowed);
		}
	}
	return true;
}

/* RFC 9051 section 7.5.2: without .SILENT the flags of all messages of the set are told; RFC 7162 section 3.1.3: their MODSEQ with it
 * too. */
static void tell_flags(struct imap_session *s, const struct imap_command *command, const struct store_request *request,
		       const struct imap_set *set)
{
	unsigned items = (request->silent ? 0 : FETCH_FLAGS) | (command->uid || s->qresync ? imap_uid_item(s) : 0) |
			 (s->condstore ? FETCH_MODSEQ : 0);
	struct imap_flag_texts *texts = imap_flag_texts_new(s);
	struct imap_walk walk;

	imap_walk_begin(&walk, s, set);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count; i++) {
			if (walk.messages[i].expunged)
				continue;
			imap_flag_texts_need(s, texts, walk.messages[i].flags);
			fetch_begin(imap_output(s), &walk.messages[i], items, imap_flag_text(texts, walk.messages[i].flags));
			fetch_end(imap_output(s));
		}
		conn_flush_if_high(imap_conn(s));
	}
}

/* Those that were left alone are no targets any more. */
static void leave_modified(struct targets *targets)
{
	size_t count = 0, at = 0;

	for (size_t i = 0; i < targets->count; i++) {
		while (at < targets->modified_count && targets->modified[at] < targets->uids[i])
			at++;
		if (at < targets->modified_count && targets->modified[at] == targets->uids[i])
			continue;
		targets->uids[count] = targets->uids[i];
		targets->flags[count++] = targets->flags[i];
	}
	targets->count = count;
}

static enum status change_flags(struct imap_session *s, struct imap_command *command, const struct store_request *request,
				uint64_t bits, struct targets *targets)
{
	struct flag_request change = {
		.uids = targets->uids,
		.uid_count = targets->count,
		.change = request->change,
		.flags = bits,
		.unchanged_since = request->conditional ? request->unchanged_since : UINT64_MAX,
		.kept = ~rights_flags(s->rights),
		.seen_by = imap_seen_by(s, s->selected_account),
	};
	struct view_own_change own;
	enum status status = imap_change_flags(s, &change, &own, &targets->modified, &targets->modified_count);
	struct imap_set stored = request->set;

	if (status != STATUS_OK)
		return status;
	if (targets->modified_count > 0) {
		leave_modified(targets);
		stored = imap_set_of(imap_arena(s), targets->uids, targets->count);
	}
	if (!request->silent || s->condstore)
		tell_flags(s, command, request, &stored);
	command->own = own;
	command->own.uids = targets->uids;
	command->own.flags = request->silent ? targets->flags : NULL;
	command->own.count = targets->count;
	return STATUS_OK;
}

/* RFC 7162 section 3.1.3: which were left alone, in the client's numbers. */
static struct slice modified_code(struct imap_session *s, const struct imap_command *command, const struct targets *targets)
{
	struct imap_set set = imap_set_of(imap_arena(s), targets->modified, targets->modified_count);
	uint32_t *numbers = ARENA_ARRAY(imap_arena(s), uint32_t, targets->modified_count + 1);
	struct imap_walk walk;
	struct buf code;
	size_t count = 0;

	imap_walk_begin(&walk, s, &set);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count && count < targets->modified_count; i++)
			numbers[count++] = command->uid ? walk.messages[i].uid : walk.messages[i].sequence;
	}
	buf_init(&code, imap_arena(s), 0);
	buf_add_literal(&code, "MODIFIED ");
	imap_put_numbers_as_set(&code, numbers, count);
	return count > 0 ? buf_slice(&code) : SLICE_EMPTY;
}

/* RFC 7162 section 3.1.3: NO if some aren't there any more, with MODIFIED all the same. */
static enum next answer_modified(struct imap_session *s, struct imap_command *command, const struct targets *targets)
{
	struct slice code = modified_code(s, command, targets), text = SLICE("Some messages have changed meanwhile");

	return targets->missing && !command->uid ? imap_no(s, command, code, text) : imap_ok_code(s, command, code, text);
}

/* RFC 4314 section 4: NO only if none of the flags may be changed; those that may be are. */
static bool may_store(const struct imap_session *s, const struct store_request *request)
{
	uint64_t keywords = request->flags.keyword_count > 0 ? UINT64_C(1) << FLAG_KEYWORD_FIRST : 0;
	uint64_t allowed = rights_flags(s->rights), wanted = request->flags.system | keywords;

	return request->change == FLAGS_REPLACE || wanted == 0 ? allowed != 0 : (wanted & allowed) != 0;
}

enum next imap_store_flags(struct imap_session *s, struct imap_command *command)
{
	struct store_request request = {0};
	struct targets targets = {0};
	struct message_limit limit;
	enum status status;
	uint64_t bits;

	if (!parse_store(&command->args, &request))
		return imap_bad_arguments(s, command);
	if (s->read_only)
		return imap_no(s, command, SLICE("CANNOT"), SLICE("The mailbox was opened read-only"));
	if (!may_store(s, &request))
		return imap_no(s, command, SLICE("NOPERM"), SLICE("You may not change these flags"));
	if (!imap_resolve(s, command->uid, false, &request.set))
		return imap_bad(s, command, SLICE("STORE: there are not so many messages"));
	limit_cut(s, &request.set, &limit);
	if (request.conditional)
		imap_use_condstore(s);
	status = imap_flags_to_bits(s, s->selected_account, &request.flags,
				    request.change != FLAGS_REMOVE && s->rights & RIGHT_WRITE, &bits);
	if (status == STATUS_OK && !find_targets(s, &request, bits, &targets))
		status = STATUS_LIMIT;
	if (status == STATUS_OK && targets.count > 0)
		status = change_flags(s, command, &request, bits, &targets);
	if (status != STATUS_OK)
		return imap_answer(s, command, status, SLICE_EMPTY);
	if (targets.modified_count > 0) {
		limit_tell(s, &limit);
		return answer_modified(s, command, &targets);
	}
	/* RFC 2180 section 4.2.3 would have NO; clients take that for a failure of all, so others answer OK too, and RFC 5530 has the code. */
	if (targets.missing)
		return limit_ok(s, command, &limit, SLICE("EXPUNGEISSUED"), SLICE("Some of the messages no longer exist"));
	return limit_ok(s, command, &limit, SLICE_EMPTY, SLICE("STORE completed"));
}
