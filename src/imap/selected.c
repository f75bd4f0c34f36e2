#include "imap/session.h"

#include "base/clock.h"
#include "imap/context.h"
#include "imap/fetch.h"
#include "imap/notify.h"
#include "imap/write.h"
#include "ipc/ipc.h"
#include "ipc/pack.h"

/* Rights on others' mailboxes are looked up anew by a command after so long, announced or not. */
#define RIGHTS_MS 500
#define KEYWORD_BITS (~((UINT64_C(1) << FLAG_KEYWORD_FIRST) - 1) & ~FLAG_RECENT)

/* What changes bring may be more than a command's memory; it is gone at once. */
void imap_refresh(struct imap_session *s)
{
	struct arena arena SCOPED_ARENA;
	enum status status = mailbox_viewer_refresh(&s->viewer, &arena);

	s->stale = false;
	s->refreshed_ms = clock_monotonic_ms();
	if (status != STATUS_OK)
		LOG_WARNING(s->context->log, "imap.refresh_failed", LOG_INT("session", s->env->id), LOG_STR("user", s->address),
			    LOG_STR("status", status_name(status)));
}

unsigned imap_uid_item(const struct imap_session *s)
{
	return s->uid_only ? FETCH_UID_ONLY : FETCH_UID;
}

void imap_announce_account(struct imap_session *s, int64_t account)
{
	struct buf payload;

	engine_announce(s->env->engine, (uint64_t)account);
	if (!s->context->ipc && s->context->announce)
		s->context->announce(s->context->announce_context, account);
	if (!s->context->ipc)
		return;
	buf_init(&payload, imap_arena(s), 0);
	pack_u32(&payload, 1);
	pack_u64(&payload, (uint64_t)account);
	ipc_announce(s->context->ipc, SLICE("mailbox"), buf_slice(&payload));
}

void imap_announce(struct imap_session *s)
{
	imap_announce_account(s, s->account);
}

void imap_leave_mailbox(struct imap_session *s)
{
	if (!mailbox_viewer_is_open(&s->viewer))
		return;
	imap_contexts_end(s);
	mailbox_viewer_close(&s->viewer);
	if (!s->notify)
		engine_subscribe(s->env, 0);
	buf_free(&s->saved);
	s->told_keywords = 0;
	s->selected_account = 0;
	buf_free(&s->selected_name);
	s->rights = RIGHTS_NONE;
	s->state = IMAP_AUTHENTICATED;
}

bool imap_check_rights(struct imap_session *s)
{
	struct mailbox_view_state state;
	struct keyword_table keywords;
	unsigned rights;

	if (s->selected_account == s->account || !mailbox_viewer_is_open(&s->viewer))
		return true;
	if (!s->stale && clock_monotonic_ms() - s->refreshed_ms <= RIGHTS_MS)
		return true;
	state = mailbox_viewer_state(&s->viewer);
	/* A store that can't answer doesn't take a right away that was there. */
	if (rights_of(imap_store(s), s->account, s->selected_account, state.mailbox, &rights) != STATUS_OK ||
	    rights == s->rights)
		return true;
	s->rights = rights;
	if (!(rights & RIGHT_READ)) {
		imap_bye(s, SLICE("NOPERM"), SLICE("You may not read this mailbox any more"));
		return false;
	}
	/* RFC 4314 section 5.1.1. */
	if (mailbox_viewer_keywords(&s->viewer, 0, &keywords) == STATUS_OK) {
		imap_put_flags_response(s, &keywords);
		imap_put_permanent_flags(s, &keywords);
	}
	return true;
}

/* ---- flags ---- */

static uint64_t named_bits(const struct keyword_table *keywords)
{
	uint64_t bits = 0;

	for (unsigned bit = FLAG_KEYWORD_FIRST; bit <= FLAG_KEYWORD_LAST; bit++) {
		if (keywords->names[bit].len)
			bits |= UINT64_C(1) << bit;
	}
	return bits;
}

void imap_put_flags_response(struct imap_session *s, const struct keyword_table *keywords)
{
	struct buf *out = imap_output(s);
	uint64_t bits = named_bits(keywords);

	buf_add_literal(out, "* FLAGS (");
	imap_put_flags(out, bits | (FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT | FLAG_DELETED), keywords);
	buf_add_literal(out, ")\r\n");
	s->told_keywords = bits;
}

void imap_put_permanent_flags(struct imap_session *s, const struct keyword_table *keywords)
{
	uint64_t system = FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT | FLAG_DELETED;
	uint64_t allowed = s->read_only ? 0 : rights_flags(s->rights);
	struct buf *out = imap_output(s);

	buf_add_literal(out, "* OK [PERMANENTFLAGS (");
	imap_put_flags(out, (s->told_keywords | system) & allowed, keywords);
	if (allowed & KEYWORD_BITS)
		buf_add_literal(out, " \\*");
	buf_add_literal(out, ")] Flags that are kept\r\n");
}

/* RFC 9051 section 7.3.5: the client should know of a keyword before it sees it. */
static void get_keywords(struct imap_session *s, uint64_t needed, struct keyword_table *keywords)
{
	enum status status = mailbox_viewer_keywords(&s->viewer, needed, keywords);

	if (status != STATUS_OK)
		LOG_WARNING(s->context->log, "imap.keywords_failed", LOG_INT("session", s->env->id),
			    LOG_STR("status", status_name(status)));
	else if (needed & named_bits(keywords) & ~s->told_keywords)
		imap_put_flags_response(s, keywords);
}

struct imap_flag_texts *imap_flag_texts_new(struct imap_session *s)
{
	struct imap_flag_texts *texts = ARENA_NEW(imap_arena(s), struct imap_flag_texts);

	for (size_t i = 0; i < IMAP_FLAG_TEXTS; i++)
		buf_init(&texts->made[i].text, imap_arena(s), 0);
	get_keywords(s, 0, &texts->keywords);
	return texts;
}

void imap_flag_texts_need(struct imap_session *s, struct imap_flag_texts *texts, uint64_t flags)
{
	if (!(flags & KEYWORD_BITS & ~s->told_keywords))
		return;
	get_keywords(s, flags & KEYWORD_BITS, &texts->keywords);
	for (size_t i = 0; i < IMAP_FLAG_TEXTS; i++)
		texts->made[i].flags = 0;
}

/* The word 0 has the empty text, which is what a fresh slot holds. */
struct slice imap_flag_text(struct imap_flag_texts *texts, uint64_t flags)
{
	size_t slot = (size_t)((flags * UINT64_C(0x9e3779b97f4a7c15)) >> 59) % IMAP_FLAG_TEXTS;

	if (flags == 0)
		return SLICE_EMPTY;
	if (texts->made[slot].flags != flags) {
		texts->made[slot].flags = flags;
		buf_clear(&texts->made[slot].text);
		imap_put_flags(&texts->made[slot].text, flags, &texts->keywords);
	}
	return buf_slice(&texts->made[slot].text);
}

enum status imap_flags_to_bits(struct imap_session *s, int64_t account, const struct imap_flags *flags, bool create,
			       uint64_t *bits)
{
	*bits = flags->system;
	for (size_t i = 0; i < flags->keyword_count; i++) {
		unsigned bit;
		enum status status = keyword_find(imap_store(s), account, flags->keywords[i], create, &bit);

		if (status == STATUS_NOT_FOUND && !create)
			continue;
		if (status != STATUS_OK)
			return status;
		*bits |= UINT64_C(1) << bit;
	}
	return STATUS_OK;
}

static void note_modified(uint32_t *modified, size_t *count, const uint32_t *part, size_t part_count)
{
	if (part_count > 0)
		memcpy(modified + *count, part, part_count * sizeof(*part));
	*count += part_count;
}

enum status imap_change_flags(struct imap_session *s, const struct flag_request *request, struct view_own_change *own,
			      uint32_t **modified, size_t *modified_count)
{
	int64_t mailbox = mailbox_viewer_state(&s->viewer).mailbox;
	enum status status = STATUS_OK;

	*own = (struct view_own_change){.uids = request->uids, .count = request->uid_count};
	if (modified) {
		*modified_count = 0;
		*modified = arena_try_alloc(imap_arena(s), (request->uid_count + 1) * sizeof(**modified));
		if (!*modified)
			return STATUS_LIMIT;
	}
	for (size_t at = 0; at < request->uid_count && status == STATUS_OK; at += IMAP_PART) {
		struct flag_request part = *request;
		struct arena arena SCOPED_ARENA;
		uint32_t *left_alone;
		size_t left_count;
		uint64_t modseq;

		imap_progress(s, at, request->uid_count);
		part.uids += at;
		part.uid_count = part.uid_count - at < IMAP_PART ? part.uid_count - at : IMAP_PART;
		status = mailbox_change_flags(imap_store(s), &arena, s->selected_account, mailbox, &part, &left_alone, &left_count,
					      &modseq);
		if (modified)
			note_modified(*modified, modified_count, left_alone, left_count);
		imap_refresh(s);
		if (modseq == 0)
			continue;
		own->first_modseq = own->first_modseq ? own->first_modseq : modseq;
		own->last_modseq = modseq;
	}
	if (own->last_modseq > 0)
		imap_announce_account(s, s->selected_account);
	return status;
}

/* ---- news: RFC 9051 section 7.5 ---- */

static void tell_changed(struct imap_session *s, const struct view_news *news)
{
	unsigned items = imap_uid_item(s) | FETCH_FLAGS | (s->condstore ? FETCH_MODSEQ : 0);
	struct imap_flag_texts *texts = imap_flag_texts_new(s);
	struct buf *out = imap_output(s);

	for (size_t i = 0; i < news->changed_count; i++) {
		const struct view_message *message = &news->changed[i];

		imap_flag_texts_need(s, texts, message->flags);
		fetch_begin(out, message, items, imap_flag_text(texts, message->flags));
		fetch_end(out);
		conn_flush_if_high(imap_conn(s));
	}
}

/* RFC 7162 section 3.2.10, RFC 9586 section 3.2: VANISHED stands for all EXPUNGE responses. */
static void tell_expunged(struct imap_session *s, const struct view_news *news)
{
	struct buf *out = imap_output(s);

	if ((s->qresync || s->uid_only) && news->expunged_count > 0) {
		buf_add_literal(out, "* VANISHED ");
		imap_put_numbers_as_set(out, news->vanished, news->expunged_count);
		buf_add_literal(out, "\r\n");
		return;
	}
	for (size_t i = 0; i < news->expunged_count; i++) {
		buf_add_literal(out, "* ");
		buf_add_u64(out, news->expunged[i]);
		buf_add_literal(out, " EXPUNGE\r\n");
		conn_flush_if_high(imap_conn(s));
	}
}

/* RFC 3501 section 7.3.2. */
static void put_recent(struct imap_session *s, uint32_t before)
{
	uint32_t recent = mailbox_viewer_recent(&s->viewer);

	if (recent == before)
		return;
	buf_add_literal(imap_output(s), "* ");
	buf_add_u64(imap_output(s), recent);
	buf_add_literal(imap_output(s), " RECENT\r\n");
}

void imap_tell_news(struct imap_session *s, bool expunges, const struct view_own_change *own)
{
	uint32_t recent = s->rev2 ? 0 : mailbox_viewer_recent(&s->viewer);
	uint32_t uid_next = mailbox_viewer_state(&s->viewer).told_uid_next;
	struct buf *out = imap_output(s);
	struct arena arena SCOPED_ARENA;
	struct view_news news;

	mailbox_viewer_take(&s->viewer, &arena, expunges, own, &news);
	imap_contexts_expunged(s, &news);
	tell_expunged(s, &news);
	if (news.grown) {
		buf_add_literal(out, "* ");
		buf_add_u64(out, news.messages);
		buf_add_literal(out, " EXISTS\r\n");
		if (!s->rev2)
			put_recent(s, recent);
	}
	if (news.changed_count > 0 && imap_notify_allows_flags(s))
		tell_changed(s, &news);
	imap_contexts_changed(s, uid_next);
	/* RFC 5465 section 5.2. */
	if (news.grown && imap_notify_has_items(s))
		imap_notify_put_items(s, uid_next);
}

/* ---- sets ---- */

static bool all_have_star(const struct imap_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->ranges[i].first != 0 && set->ranges[i].last != 0)
			return false;
	}
	return true;
}

static void take_saved(struct imap_session *s, struct imap_set *set)
{
	set->count = s->saved.len / sizeof(*set->ranges);
	set->ranges = ARENA_ARRAY(imap_arena(s), struct imap_range, set->count + 1);
	if (set->count)
		memcpy(set->ranges, s->saved.data, s->saved.len);
}

/* The n-th message's uid grows with n, so a range of sequence numbers is a range of uids. */
static void sequences_to_uids(struct imap_session *s, struct imap_set *set, uint32_t messages)
{
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct imap_range r = set->ranges[i];

		if (r.first > messages)
			break;
		set->ranges[count++] = (struct imap_range){
			mailbox_viewer_uid(imap_viewer(s), r.first),
			mailbox_viewer_uid(imap_viewer(s), r.last < messages ? r.last : messages),
		};
	}
	set->count = count;
}

/* Lenient: "1:*" of an empty mailbox is nothing instead of BAD; many clients don't look at EXISTS before they ask. */
bool imap_resolve(struct imap_session *s, bool is_uid, bool clamp, struct imap_set *set)
{
	uint32_t messages = mailbox_viewer_state(imap_viewer(s)).messages;

	/* RFC 5182: what was saved is of the selected mailbox. */
	if (set->saved && s->searched) {
		set->count = 0;
		return true;
	}
	if (set->saved) {
		take_saved(s, set);
		return true;
	}
	if (messages == 0) {
		bool fits = is_uid || clamp || all_have_star(set);

		set->count = 0;
		return fits;
	}
	if (is_uid) {
		imap_set_resolve(set, mailbox_viewer_last_uid(imap_viewer(s)));
		return true;
	}
	imap_set_resolve(set, messages);
	if (!clamp && imap_set_greatest(set) > messages)
		return false;
	sequences_to_uids(s, set, messages);
	return true;
}

void imap_walk_begin(struct imap_walk *walk, struct imap_session *s, const struct imap_set *set)
{
	size_t most = mailbox_viewer_state(imap_viewer(s)).messages;
	uint64_t asked = 0;

	for (size_t i = 0; i < set->count && asked < IMAP_PIECE; i++)
		asked += (uint64_t)set->ranges[i].last - set->ranges[i].first + 1;
	*walk = (struct imap_walk){.s = s, .set = set, .room = IMAP_PIECE};
	walk->room = most < walk->room ? most : walk->room;
	walk->room = asked < walk->room ? (size_t)asked : walk->room;
	walk->messages = ARENA_ARRAY(imap_arena(s), struct view_message, walk->room);
}

bool imap_walk_next(struct imap_walk *walk)
{
	walk->count = 0;
	while (walk->range < walk->set->count && walk->count < walk->room) {
		const struct imap_range *range = &walk->set->ranges[walk->range];
		uint64_t from = walk->next_uid > range->first ? walk->next_uid : range->first;
		size_t room = walk->room - walk->count, got = 0;

		if (from <= range->last)
			got = mailbox_viewer_read(imap_viewer(walk->s), (uint32_t)from, range->last, walk->messages + walk->count,
						  room);
		walk->count += got;
		if (got < room)
			walk->range++;
		else
			walk->next_uid = (uint64_t)walk->messages[walk->count - 1].uid + 1;
	}
	return walk->count > 0;
}

uint32_t *imap_uids(struct imap_session *s, const struct imap_set *set, size_t *count)
{
	size_t most = mailbox_viewer_state(imap_viewer(s)).messages;
	uint32_t *uids = arena_try_alloc(imap_arena(s), (most + 1) * sizeof(*uids));
	struct imap_walk walk;

	*count = 0;
	if (!uids)
		return NULL;
	imap_walk_begin(&walk, s, set);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count; i++)
			uids[(*count)++] = walk.messages[i].uid;
	}
	return uids;
}
