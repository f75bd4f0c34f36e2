/* Messages are looked at in the order of their uids, a piece at a time: first what the view knows; for those that this doesn't settle,
 * their texts by a scan, which is left now and then so that no read snapshot lasts long. Some are judged apart from it: large ones, and those
 * of which only their attachments can tell.
 */
#include "imap/search_run.h"

#include "base/clock.h"
#include "extract/extractor.h"
#include "imap/fuzzy.h"
#include "imap/session.h"
#include "imap/write.h"
#include "store/email_texts.h"
#include "store/threads.h"

#define SNAPSHOT_MS     200
#define QUESTIONS_MAX   32 /* to the full-text index, of one search */
#define INDEX_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define TEXTS_MAX       ((uint64_t)512 * 1024 * 1024) /* of one message */
#define WAIT_MS         30000 /* for attachments that nobody has read yet */
#define WAIT_AMONG_MS   5000  /* where nobody has asked right now */

struct search {
	struct imap_session *s;
	const struct search_key *key;
	const struct imap_set *among; /* NULL: all messages */
	struct arena *keep;           /* of a context's keys; NULL: this search's are its own */
	unsigned needs;
	struct arena scratch; /* for one message */
	struct arena index;   /* what the full-text index answered */
	unsigned questions;
	struct search_hits *hits;
	/* the piece at work */
	const struct view_message *messages;
	size_t piece_count;
	bool matched[IMAP_PIECE], wants_scores;
	uint8_t scores[IMAP_PIECE];
	uint64_t looked_at, all; /* messages */
	uint32_t open_uids[IMAP_PIECE]; /* those whose texts have to be seen, and where they stand in the piece */
	uint16_t open_at[IMAP_PIECE];
	size_t open_count, next, judged;
	int64_t until_ms;
	bool is_apart; /* the next one */
	struct email apart;
	int64_t wait_until_ms; /* for attachments; 0: none had to be read so far */
};

/* ---- before: names and numbers that only the session knows ---- */

static int64_t edition_of(const struct imap_session *s)
{
	return s->context->extractor ? s->context->extractor->edition.number : 0;
}

/* Without an answer all messages are looked into. */
static enum status ask_index(struct search *search, struct search_key *key)
{
	struct imap_session *s = search->s;
	struct text_hits *hits;
	enum status status;

	if (search->questions == QUESTIONS_MAX || search->among)
		return STATUS_OK;
	search->questions++;
	hits = ARENA_NEW(imap_arena(s), struct text_hits);
	status = text_index_find(imap_store(s), &search->index, imap_viewer_account(s), key->text, edition_of(s),
				 key->fuzzy ? FUZZY_LEAST : 100, hits);
	if (status == STATUS_OK && hits->covered)
		key->index = hits;
	return status == STATUS_LIMIT ? STATUS_OK : status;
}

/* A context's keys (context.h) are searched with again and again. What is counted in messages is found out the first time, in `keep`;
 * uids and keywords, of which there may be more by then, each time. */
static enum status prepare_set(struct search *search, struct search_key *key)
{
	struct imap_session *s = search->s;
	bool is_uid = key->type == SEARCH_UIDS;
	struct imap_range *ranges;

	if (key->prepared)
		return STATUS_OK;
	if (is_uid && !key->given.saved) {
		ranges = ARENA_ARRAY(imap_arena(s), struct imap_range, key->given.count + 1);
		memcpy(ranges, key->given.ranges, key->given.count * sizeof(*ranges));
		key->set = (struct imap_set){.ranges = ranges, .count = key->given.count};
	}
	/* Numbers beyond the last message match nothing. */
	if (!imap_resolve(s, is_uid, true, &key->set))
		return STATUS_BUG;
	key->prepared = !is_uid || key->given.saved;
	if (key->prepared && search->keep && key->set.count > 0) {
		ranges = ARENA_ARRAY(search->keep, struct imap_range, key->set.count);
		memcpy(ranges, key->set.ranges, key->set.count * sizeof(*ranges));
		key->set.ranges = ranges;
	}
	return STATUS_OK;
}

/* RFC 8474 section 6. */
static enum status find_thread(struct search *search, struct search_key *key)
{
	struct imap_session *s = search->s;
	int64_t thread, *emails = NULL;
	enum status status;

	key->email_count = 0;
	if (!imap_thread_id_parse(key->text, &thread))
		return STATUS_OK;
	status = threads_catch_up(imap_store(s), imap_viewer_account(s));
	if (status == STATUS_OK)
		status = thread_members(imap_store(s), imap_arena(s), imap_viewer_account(s), thread, &emails, &key->email_count);
	key->emails = emails;
	return status;
}

static enum status prepare(struct search *search, struct search_key *key)
{
	struct imap_session *s = search->s;
	enum status status = STATUS_OK;
	unsigned bit;

	if (key->type == SEARCH_KEYWORD) {
		status = keyword_find(imap_store(s), imap_viewer_account(s), key->text, false, &bit);
		if (status == STATUS_NOT_FOUND)
			return STATUS_OK;
		if (status != STATUS_OK)
			return status;
		key->type = SEARCH_FLAGS;
		key->mask = UINT64_C(1) << bit;
		key->value = key->value ? key->mask : 0;
	}
	if (key->type == SEARCH_THREAD_ID)
		return find_thread(search, key);
	/* RFC 5032 section 3: seconds back from now. */
	if ((key->type == SEARCH_OLDER || key->type == SEARCH_YOUNGER) && !key->prepared) {
		key->prepared = true;
		key->number = clock_wall_ms() - key->number * 1000;
	}
	if (key->type == SEARCH_EMAIL_ID && !imap_email_id_parse(key->text, &key->number))
		key->type = SEARCH_NONE;
	if (key->type == SEARCH_UIDS || key->type == SEARCH_SEQUENCES)
		return prepare_set(search, key);
	key->index = NULL;
	if (key->type == SEARCH_BODY || key->type == SEARCH_TEXT)
		return ask_index(search, key);
	for (struct search_key *child = key->children; child && status == STATUS_OK; child = child->next)
		status = prepare(search, child);
	return status;
}

/* ---- messages whose texts decide ---- */

/* The next one. False: that takes what its attachments hold. */
static bool judge(struct search *search, const struct search_text *text)
{
	size_t at = search->open_at[search->next];
	enum search_answer answer = search_judge(search->key, &search->messages[at], text, &search->scratch);

	if (answer == SEARCH_UNKNOWN)
		return false;
	search->matched[at] = answer == SEARCH_YES;
	if (search->matched[at] && search->wants_scores)
		search->scores[at] = (uint8_t)search_score(search->key, &search->messages[at], text, &search->scratch);
	search->next++;
	search->judged++;
	arena_reset(&search->scratch);
	return true;
}

static bool has_attachments(struct search *search, const struct email *email)
{
	const struct extractor *extractor = search->s->context->extractor;

	return extractor && search->needs & EMAIL_BYTES && extractor_wants(extractor, &search->scratch, email->structure);
}

/* What the scan shows doesn't outlast it. */
static void set_apart(struct search *search, const struct email *email)
{
	arena_reset(&search->scratch);
	search->is_apart = true;
	search->apart = *email;
	search->apart.structure = slice_dup(&search->scratch, email->structure);
	search->apart.envelope = slice_dup(&search->scratch, email->envelope);
	search->apart.bytes = SLICE_EMPTY;
}

static bool each_email(void *context, const struct email *email)
{
	struct search *search = context;
	struct search_text text = {.email = email};

	while (search->next < search->open_count && search->open_uids[search->next] < email->uid)
		search->next++;
	if (search->next == search->open_count || search->open_uids[search->next] != email->uid)
		return search->next < search->open_count;
	text.attachments_unread = has_attachments(search, email);
	if ((search->needs & EMAIL_BYTES && email->bytes.len < email->size) || !judge(search, &text)) {
		set_apart(search, email);
		return false;
	}
	return clock_monotonic_ms() < search->until_ms;
}

/* An answer without them would be wrong: rather none. */
static enum status read_attachments(struct search *search, struct slice *packed)
{
	struct imap_session *s = search->s;
	int wait_ms = s->context->options.attachments_wait_ms ? s->context->options.attachments_wait_ms : WAIT_MS;
	const struct attachment_source source = {search->apart.id, search->apart.structure};
	enum status status;

	if (search->among && wait_ms > WAIT_AMONG_MS)
		wait_ms = WAIT_AMONG_MS;
	if (search->wait_until_ms == 0)
		search->wait_until_ms = clock_monotonic_ms() + wait_ms;
	engine_wait(s->env, true);
	status = extractor_read(s->context->extractor, &search->scratch, imap_viewer_account(s), &source, search->wait_until_ms, packed);
	engine_wait(s->env, false);
	return status == STATUS_LIMIT ? STATUS_TEMPORARY : status;
}

/* Its texts are read, and what attachments hold only where all else doesn't tell. What is read outlasts what judging resets. */
static enum status judge_apart(struct search *search)
{
	struct search_text text = {.email = &search->apart};
	struct arena arena SCOPED_ARENA;
	struct email_texts texts;
	enum status status;

	search->is_apart = false;
	status = email_texts_open(imap_store(search->s), &arena, imap_viewer_account(search->s), search->apart.id, search->apart.size,
				  search->apart.structure, TEXTS_MAX, &texts);
	if (status == STATUS_OK) {
		search->apart.bytes = texts.bytes;
		text.attachments_unread = has_attachments(search, &search->apart);
		if (!judge(search, &text)) {
			status = read_attachments(search, &text.attachments);
			text.attachments_unread = false;
			if (status == STATUS_OK)
				(void)judge(search, &text);
		}
		email_texts_close(&texts);
	}
	if (status == STATUS_NOT_FOUND) {
		search->next++;
		return STATUS_OK;
	}
	return status;
}

static enum status judge_open(struct search *search)
{
	int64_t mailbox = mailbox_viewer_state(imap_viewer(search->s)).mailbox;
	enum status status = STATUS_OK;

	search->next = search->judged = 0;
	while (search->next < search->open_count && status == STATUS_OK) {
		size_t before = search->next;

		imap_progress(search->s, search->looked_at + search->next, search->all);
		search->until_ms = clock_monotonic_ms() + SNAPSHOT_MS;
		status = email_scan(imap_store(search->s), imap_viewer_account(search->s), mailbox, search->open_uids + search->next,
				    search->open_count - search->next, search->needs, each_email, search);
		if (status == STATUS_OK && search->is_apart)
			status = judge_apart(search);
		else if (search->next == before)
			break; /* the rest have been expunged */
	}
	if (status == STATUS_OK && search->judged < search->open_count)
		search->hits->missing = true;
	return status;
}

static enum status search_piece(struct search *search, const struct imap_walk *walk)
{
	enum status status;

	search->messages = walk->messages;
	search->open_count = 0;
	for (size_t i = 0; i < walk->count; i++) {
		enum search_answer answer = search_facts(search->key, &walk->messages[i]);

		search->matched[i] = answer == SEARCH_YES && !walk->messages[i].expunged;
		search->hits->missing |= walk->messages[i].expunged;
		if (search->matched[i] && search->wants_scores)
			search->scores[i] = (uint8_t)search_score(search->key, &walk->messages[i], NULL, &search->scratch);
		if (answer != SEARCH_UNKNOWN || walk->messages[i].expunged)
			continue;
		search->open_at[search->open_count] = (uint16_t)i;
		search->open_uids[search->open_count++] = walk->messages[i].uid;
	}
	status = search->open_count ? judge_open(search) : STATUS_OK;
	for (size_t i = 0; i < walk->count; i++) {
		if (!search->matched[i])
			continue;
		if (search->hits->modseqs)
			search->hits->modseqs[search->hits->count] = walk->messages[i].modseq;
		if (search->hits->scores)
			search->hits->scores[search->hits->count] = search->scores[i];
		search->hits->uids[search->hits->count] = walk->messages[i].uid;
		search->hits->sequences[search->hits->count++] = walk->messages[i].sequence;
	}
	search->looked_at += walk->count;
	return status;
}

/* RFC 9738 section 3.1: the messages that are searched count, which keys of numbers that must match make fewer. */
static bool is_searched(const struct search_key *key, uint32_t uid)
{
	bool is = true;

	if (key->type == SEARCH_UIDS || key->type == SEARCH_SEQUENCES)
		return imap_set_has(&key->set, uid);
	if (key->type != SEARCH_AND)
		return key->type != SEARCH_NONE;
	for (const struct search_key *child = key->children; child && is; child = child->next)
		is = is_searched(child, uid);
	return is;
}

static enum status cut(struct search *search, struct imap_set *set)
{
	struct imap_session *s = search->s;
	size_t most = mailbox_viewer_state(imap_viewer(s)).messages + (size_t)1, count = 0;
	uint32_t *uids;
	struct imap_walk walk;

	if (search->among || !limit_of_messages(s))
		return STATUS_OK;
	uids = arena_try_alloc(imap_arena(s), most * sizeof(*uids));
	if (!uids)
		return STATUS_LIMIT;
	imap_walk_begin(&walk, s, set);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count; i++) {
			if (is_searched(search->key, walk.messages[i].uid))
				uids[count++] = walk.messages[i].uid;
		}
	}
	*set = imap_set_of(imap_arena(s), uids, count);
	limit_cut(s, set, &search->hits->limit);
	return STATUS_OK;
}

static enum status run(struct search *search)
{
	struct imap_range all = {1, UINT32_MAX};
	struct imap_set set = {.ranges = &all, .count = 1};
	size_t most = mailbox_viewer_state(imap_viewer(search->s)).messages + (size_t)1;
	struct imap_walk walk;
	enum status status = STATUS_OK;

	search->hits->uids = arena_try_alloc(imap_arena(search->s), most * sizeof(*search->hits->uids));
	search->hits->sequences = arena_try_alloc(imap_arena(search->s), most * sizeof(*search->hits->sequences));
	if (search->wants_scores)
		search->hits->scores = arena_try_alloc(imap_arena(search->s), most);
	search->all = most;
	if (!search->hits->uids || !search->hits->sequences || (search->wants_scores && !search->hits->scores))
		return STATUS_LIMIT;
	if (search_uses_modseq(search->key)) {
		imap_use_condstore(search->s);
		search->hits->modseqs = arena_try_alloc(imap_arena(search->s), most * sizeof(*search->hits->modseqs));
		if (!search->hits->modseqs)
			return STATUS_LIMIT;
	}
	status = cut(search, &set);
	imap_walk_begin(&walk, search->s, search->among ? search->among : &set);
	while (status == STATUS_OK && imap_walk_next(&walk))
		status = search_piece(search, &walk);
	return status;
}

enum status imap_search_run(struct imap_session *s, const struct search_request *request, struct search_hits *hits)
{
	return imap_search_among(s, request, NULL, NULL, hits);
}

enum next imap_answer_hits(struct imap_session *s, struct imap_command *command, enum status status, const struct search_hits *hits,
			   struct slice text)
{
	if (status == STATUS_OK)
		return limit_ok(s, command, &hits->limit, hits->missing ? SLICE("EXPUNGEISSUED") : SLICE_EMPTY, text);
	return imap_answer(s, command, status, text);
}

enum status imap_search_among(struct imap_session *s, const struct search_request *request, const struct imap_set *among,
			      struct arena *keep, struct search_hits *hits)
{
	struct search *search = ARENA_NEW(imap_arena(s), struct search);
	enum status status;

	*hits = (struct search_hits){0};
	search->s = s;
	search->key = request->key;
	search->among = among;
	search->keep = keep;
	search->wants_scores = request->wants_scores;
	search->needs = search_needs(request->key);
	search->hits = hits;
	arena_init(&search->index, INDEX_BYTES_MAX);
	status = prepare(search, request->key);
	if (status == STATUS_OK)
		status = run(search);
	arena_free(&search->index);
	arena_free(&search->scratch);
	return status;
}
