/* STORE: RFC 9051 section 6.4.6. */
#include "imap/fetch.h"
#include "imap/session.h"

struct store_request {
	struct imap_set set;
	enum flag_change change;
	bool silent;
	struct imap_flags flags;
};

static bool parse_store(struct imap_parser *p, struct store_request *request)
{
	struct slice word;

	if (!imap_parse_space(p) || !imap_parse_set(p, &request->set) || !imap_parse_space(p))
		return false;
	request->change = imap_accept(p, '+') ? FLAGS_ADD : imap_accept(p, '-') ? FLAGS_REMOVE : FLAGS_REPLACE;
	if (!imap_parse_word(p, &word))
		return false;
	request->silent = slice_eq_nocase(word, SLICE("FLAGS.SILENT"));
	if (!request->silent && !slice_eq_nocase(word, SLICE("FLAGS")))
		return imap_fault(p, SLICE("FLAGS is what can be stored"));
	return imap_parse_space(p) && imap_parse_flags(p, true, &request->flags) && imap_parse_end(p);
}

static uint64_t changed_flags(enum flag_change change, uint64_t old, uint64_t flags)
{
	switch (change) {
	case FLAGS_ADD:
		return old | flags;
	case FLAGS_REMOVE:
		return old & ~flags;
	case FLAGS_REPLACE:
		break;
	}
	return flags;
}

/* The messages of the set, and the flags that they will have if nobody else has changed them. */
struct targets {
	uint32_t *uids;
	uint64_t *flags;
	size_t count;
	bool missing; /* some have been expunged */
};

static bool find_targets(struct imap_session *s, const struct store_request *request, uint64_t bits, struct targets *targets)
{
	size_t most = mailbox_viewer_state(&s->viewer).messages + (size_t)1;
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
			targets->missing |= walk.messages[i].expunged;
			targets->uids[targets->count] = walk.messages[i].uid;
			targets->flags[targets->count++] = changed_flags(request->change, walk.messages[i].flags, bits);
		}
	}
	return true;
}

/* RFC 9051 section 7.5.2: without .SILENT the flags of all messages of the set are told. */
static void tell_flags(struct imap_session *s, const struct imap_command *command, const struct imap_set *set)
{
	unsigned items = FETCH_FLAGS | (command->uid ? FETCH_UID : 0);
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

static enum status change_flags(struct imap_session *s, struct imap_command *command, const struct store_request *request,
				uint64_t bits, const struct targets *targets)
{
	struct flag_request change = {
		.uids = targets->uids,
		.uid_count = targets->count,
		.change = request->change,
		.flags = bits,
		.unchanged_since = UINT64_MAX,
	};
	uint64_t modseq = 0;
	enum status status = mailbox_change_flags(imap_store(s), imap_arena(s), s->account,
						  mailbox_viewer_state(&s->viewer).mailbox, &change, NULL, NULL, &modseq);

	if (status != STATUS_OK)
		return status;
	imap_refresh(s);
	if (modseq > 0)
		imap_announce(s);
	if (!request->silent)
		tell_flags(s, command, &request->set);
	command->own = (struct view_own_change){
		.uids = targets->uids,
		.flags = request->silent ? targets->flags : NULL,
		.count = targets->count,
		.modseq = modseq,
	};
	return STATUS_OK;
}

enum next imap_store_flags(struct imap_session *s, struct imap_command *command)
{
	struct store_request request = {0};
	struct targets targets;
	enum status status;
	uint64_t bits;

	if (!parse_store(&command->args, &request))
		return imap_bad_arguments(s, command);
	if (s->read_only)
		return imap_no(s, command, SLICE("CANNOT"), SLICE("The mailbox was opened read-only"));
	if (!imap_resolve(s, command->uid, false, &request.set))
		return imap_bad(s, command, SLICE("STORE: there are not so many messages"));
	status = imap_flags_to_bits(s, &request.flags, request.change != FLAGS_REMOVE, &bits);
	if (status == STATUS_OK && !find_targets(s, &request, bits, &targets))
		status = STATUS_LIMIT;
	if (status == STATUS_OK && targets.count > 0)
		status = change_flags(s, command, &request, bits, &targets);
	if (status == STATUS_OK && targets.missing)
		return imap_answer_missing(s, command);
	return imap_answer(s, command, status, SLICE("STORE completed"));
}
