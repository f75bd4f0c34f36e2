/* Invariants:
 * - A view's entries and tombstones are ascending by uid; each tombstone has its entry, which goes when all viewers are told.
 * - A viewer sees the entries up to its known_uid, without those whose tombstone has a number of at most told_expunge.
 * - A view's mutex may be held while the cache's is taken, never the other way round. Neither is held on return.
 */
#include "store/mailbox_view_internal.h"
#include "store/seen.h"

/* Changed flags that are remembered for viewers who don't ask; those who come later have all messages looked through. */
#define JOURNAL_MAX 16384
/* Entries of expunged messages that all viewers were told of are taken out together, when they are worth moving the rest. */
#define COMPACT_SHARE 256
#define FLAG_BITS     ((UINT64_C(1) << FLAG_KEYWORD_FIRST) - 1)

void *view_grown(void *array, size_t *capacity, size_t need, size_t element)
{
	size_t cap = *capacity + *capacity / 2;

	if (need <= *capacity)
		return array;
	if (cap < need)
		cap = need + 16;
	*capacity = cap;
	return view_must_alloc(reallocarray(array, cap, element));
}

static size_t view_bytes(const struct mailbox_view *view)
{
	return sizeof(*view) + view->capacity * sizeof(*view->entries) + view->tombstone_capacity * sizeof(*view->tombstones) +
	       view->journal_capacity * sizeof(*view->journal);
}

/* ---- positions; all under the view's mutex ---- */

size_t view_entry_at(const struct mailbox_view *view, uint32_t uid)
{
	size_t low = 0, high = view->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (view->entries[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static size_t tombstone_at(const struct mailbox_view *view, uint32_t uid)
{
	size_t low = 0, high = view->tombstone_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (view->tombstones[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_tombstone(const struct mailbox_view *view, uint32_t uid)
{
	size_t at = tombstone_at(view, uid);

	return at < view->tombstone_count && view->tombstones[at].uid == uid;
}

static size_t uid_at(const uint32_t *uids, size_t count, uint32_t uid)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (uids[middle] < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void forget_pending(struct mailbox_view *view, struct mailbox_viewer *viewer)
{
	struct view_pending *pending = viewer->pending;

	viewer->pending = NULL;
	if (!pending || --pending->references > 0)
		return;
	HASH_DEL(view->pendings, pending);
	free(pending->uids);
	free(pending);
}

static struct view_pending *new_pending(struct mailbox_view *view, const struct pending_key *key, size_t count)
{
	struct view_pending *pending = view_must_alloc(calloc(1, sizeof(*pending)));

	pending->key = *key;
	pending->uids = view_must_alloc(reallocarray(NULL, count, sizeof(*pending->uids)));
	for (size_t i = 0; i < view->tombstone_count; i++) {
		if (view->tombstones[i].number > key->told)
			pending->uids[pending->count++] = view->tombstones[i].uid;
	}
	HASH_ADD(hh, view->pendings, key, sizeof(pending->key), pending);
	return pending;
}

/* The expunges that the viewer wasn't told of, as a sorted list of their own: so the told ones before a uid are counted by two
 * binary searches. */
static void make_pending(struct mailbox_view *view, struct mailbox_viewer *viewer)
{
	struct pending_key key = {viewer->told_expunge, view->expunge_number};
	struct view_pending *pending;
	size_t count = 0;

	if (viewer->pending_expunge == view->expunge_number)
		return;
	viewer->pending_expunge = view->expunge_number;
	forget_pending(view, viewer);
	HASH_FIND(hh, view->pendings, &key, sizeof(key), pending);
	for (size_t i = 0; i < view->tombstone_count && !pending; i++)
		count += view->tombstones[i].number > key.told;
	if (count > 0)
		pending = new_pending(view, &key, count);
	if (pending)
		pending->references++;
	viewer->pending = pending;
}

static size_t pending_count(const struct mailbox_viewer *viewer)
{
	return viewer->pending ? viewer->pending->count : 0;
}

static size_t pending_below(const struct mailbox_viewer *viewer, uint32_t uid)
{
	return viewer->pending ? uid_at(viewer->pending->uids, viewer->pending->count, uid) : 0;
}

size_t view_told_below(struct mailbox_view *view, struct mailbox_viewer *viewer, uint32_t uid)
{
	if (view->tombstone_count == 0)
		return 0;
	make_pending(view, viewer);
	return tombstone_at(view, uid) - pending_below(viewer, uid);
}

static uint32_t sequence_of(struct mailbox_view *view, struct mailbox_viewer *viewer, size_t index)
{
	return (uint32_t)(index + 1 - view_told_below(view, viewer, view->entries[index].uid));
}

static uint32_t last_uid(const struct mailbox_view *view)
{
	return view->count ? view->entries[view->count - 1].uid : 0;
}

/* ---- bringing the view up to date ---- */

static void journal_add(struct mailbox_view *view, const struct mailbox_entry *entry)
{
	if (view->journal_count >= JOURNAL_MAX) {
		size_t half = view->journal_count / 2;

		view->journal_count -= half;
		view->journal_first += half;
		memmove(view->journal, view->journal + half, view->journal_count * sizeof(*view->journal));
	}
	view->journal = view_grown(view->journal, &view->journal_capacity, view->journal_count + 1, sizeof(*view->journal));
	view->journal[view->journal_count++] = (struct change){entry->uid, entry->modseq};
	view->journal_behind = view->viewer_count;
}

/* UIDs only grow, so what is new comes behind; an unknown uid in the middle can't be, and would move the numbers of others. */
static void apply_changed(struct mailbox_view *view, const struct mailbox_entry *changed, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (changed[i].uid > last_uid(view)) {
			view->entries = view_grown(view->entries, &view->capacity, view->count + 1, sizeof(*view->entries));
			view->entries[view->count++] = changed[i];
			continue;
		}
		size_t at = view_entry_at(view, changed[i].uid);

		if (view->entries[at].uid != changed[i].uid || view->entries[at].modseq == changed[i].modseq)
			continue;
		view->entries[at] = changed[i];
		if (view->viewers)
			journal_add(view, &changed[i]);
	}
}

/* Merges from the back, in place. */
static void apply_expunged(struct mailbox_view *view, struct arena *arena, const uint32_t *uids, size_t count)
{
	uint32_t *fresh = ARENA_ARRAY(arena, uint32_t, count + 1);
	size_t fresh_count = 0;

	for (size_t i = 0; i < count; i++) {
		size_t at = view_entry_at(view, uids[i]);

		if (at < view->count && view->entries[at].uid == uids[i] && !is_tombstone(view, uids[i]))
			fresh[fresh_count++] = uids[i];
	}
	if (fresh_count == 0)
		return;
	size_t old = view->tombstone_count, to = old + fresh_count;

	view->tombstones = view_grown(view->tombstones, &view->tombstone_capacity, to, sizeof(*view->tombstones));
	view->tombstone_count = to;
	view->expunge_number++;
	view->expunge_behind = view->viewer_count;
	while (fresh_count > 0) {
		if (old > 0 && view->tombstones[old - 1].uid > fresh[fresh_count - 1])
			view->tombstones[--to] = view->tombstones[--old];
		else
			view->tombstones[--to] = (struct tombstone){fresh[--fresh_count], view->expunge_number};
	}
}

static void apply_state(struct mailbox_view *view, const struct mailbox *mailbox)
{
	view->uid_validity = mailbox->uid_validity;
	view->uid_next = mailbox->uid_next;
	view->modseq = mailbox->highest_modseq;
	view_recent_heard(view, mailbox);
}

static void expunge_all(struct mailbox_view *view, struct arena *arena)
{
	uint32_t *uids = ARENA_ARRAY(arena, uint32_t, view->count + 1);

	for (size_t i = 0; i < view->count; i++)
		uids[i] = view->entries[i].uid;
	apply_expunged(view, arena, uids, view->count);
}

/* What an entry's uid isn't found among `entries` is expunged. */
static void expunge_missing(struct mailbox_view *view, struct arena *arena, const struct mailbox_entry *entries, size_t count)
{
	uint32_t *uids = ARENA_ARRAY(arena, uint32_t, view->count + 1);
	size_t missing = 0, at = 0;

	for (size_t i = 0; i < view->count; i++) {
		while (at < count && entries[at].uid < view->entries[i].uid)
			at++;
		if (at == count || entries[at].uid != view->entries[i].uid)
			uids[missing++] = view->entries[i].uid;
	}
	apply_expunged(view, arena, uids, missing);
}

static enum status load(struct mailbox_view *view, struct arena *arena)
{
	struct mailbox mailbox;
	struct mailbox_entry *entries = NULL;
	size_t count = 0;
	enum status status =
		mailbox_load(view->cache->store, arena, view->key.account, view->key.mailbox, &mailbox, &entries, &count);

	if (status != STATUS_OK)
		return status;
	view_cache_count_load(view->cache);
	apply_state(view, &mailbox);
	if (!view->loaded) {
		view->entries = entries;
		view->count = view->capacity = count;
		view->loaded = true;
		return STATUS_OK;
	}
	expunge_missing(view, arena, entries, count);
	apply_changed(view, entries, count);
	free(entries);
	return STATUS_OK;
}

static enum status apply_changes_since(struct mailbox_view *view, struct arena *arena)
{
	struct mailbox_changes changes = {0};
	enum status status =
		mailbox_changes_since(view->cache->store, arena, view->key.account, view->key.mailbox, view->modseq, &changes);

	if (status != STATUS_OK)
		return status;
	if (changes.too_old)
		return load(view, arena);
	apply_expunged(view, arena, changes.expunged, changes.expunged_count);
	apply_changed(view, changes.changed, changes.changed_count);
	apply_state(view, &changes.mailbox);
	return STATUS_OK;
}

static enum status bring_up_to_date(struct mailbox_view *view, struct arena *arena)
{
	uint64_t modseq = 0;
	enum status status;

	if (view->gone)
		return STATUS_OK;
	status = mailbox_highest_modseq(view->cache->store, view->key.account, view->key.mailbox, &modseq);
	if (status == STATUS_OK && modseq != view->modseq)
		status = apply_changes_since(view, arena);
	if (status == STATUS_NOT_FOUND) {
		view->gone = true;
		view->unseen_modseq = 0;
		expunge_all(view, arena);
		return STATUS_OK;
	}
	return status;
}

/* What all viewers were told of needn't be kept. */
static void trim_journal(struct mailbox_view *view)
{
	if (view->journal_behind > 0)
		return;
	view->journal_first += view->journal_count;
	view->journal_count = 0;
}

/* Takes out the entries whose expunge all viewers were told of. Tried when they may all have been told, and else for each so many that
 * were: looking at all viewers each time would be quadratic. */
static void compact(struct mailbox_view *view)
{
	const struct mailbox_viewer *viewer;
	uint64_t told = UINT64_MAX;
	size_t dead = 0, kept = 0, at = 0, to = 0;

	if (view->tombstone_count == 0 || (view->expunge_behind > 0 && ++view->takes < view->viewer_count))
		return;
	view->takes = 0;
	DL_FOREACH(view->viewers, viewer)
	told = viewer->told_expunge < told ? viewer->told_expunge : told;
	for (size_t i = 0; i < view->tombstone_count; i++)
		dead += view->tombstones[i].number <= told;
	if (dead == 0 || (view->viewers && dead < view->count / COMPACT_SHARE))
		return;
	for (size_t i = 0; i < view->count; i++) {
		bool is_dead = false;

		if (at < view->tombstone_count && view->tombstones[at].uid == view->entries[i].uid) {
			is_dead = view->tombstones[at].number <= told;
			if (!is_dead)
				view->tombstones[kept++] = view->tombstones[at];
			at++;
		}
		if (!is_dead)
			view->entries[to++] = view->entries[i];
	}
	view->count = to;
	view->tombstone_count = kept;
}

/* ---- viewers ---- */

static inline uint64_t flags_of(const struct mailbox_viewer *viewer, const struct mailbox_entry *entry)
{
	if (viewer->seen_by == 0)
		return entry->flags;
	return seen_flags(&(struct seen_set){viewer->seen, viewer->seen_count}, entry->uid, entry->flags);
}

/* A change of what the viewer has seen raises the view's modseq. */
static enum status read_seen(struct mailbox_view *view, struct mailbox_viewer *viewer, struct arena *arena)
{
	struct seen_set set;
	enum status status;

	if (viewer->seen_by == 0 || viewer->seen_modseq == view->modseq + 1)
		return STATUS_OK;
	status = seen_load(view->cache->store, arena, view->key.account, view->key.mailbox, viewer->seen_by, &set);
	if (status != STATUS_OK)
		return status;
	viewer->seen = view_must_alloc(reallocarray(viewer->seen, set.count + 1, sizeof(*viewer->seen)));
	if (set.count > 0)
		memcpy(viewer->seen, set.ranges, set.count * sizeof(*viewer->seen));
	viewer->seen_count = set.count;
	viewer->seen_modseq = view->modseq + 1;
	return STATUS_OK;
}

/* Everything counts as told. */
static void tell_all(struct mailbox_view *view, struct mailbox_viewer *viewer)
{
	viewer->known_uid = last_uid(view);
	viewer->told_expunge = view->expunge_number;
	viewer->messages = (uint32_t)(view->count - view->tombstone_count);
	viewer->told_change = view->journal_first + view->journal_count;
	viewer->told_modseq = viewer->synced_modseq = view->modseq;
	viewer->told_uid_next = view->uid_next;
	viewer->pending_expunge = view->expunge_number;
	forget_pending(view, viewer);
}

enum status mailbox_viewer_open_as(struct mailbox_view_cache *cache, int64_t account, const struct mailbox *mailbox,
				   int64_t seen_by, struct mailbox_viewer *viewer)
{
	struct arena arena SCOPED_ARENA;
	struct mailbox_view *view = view_cache_acquire(cache, account, mailbox->id);
	enum status status = STATUS_OK;
	size_t bytes;
	bool keep;

	*viewer = (struct mailbox_viewer){.seen_by = seen_by};
	pthread_mutex_lock(&view->mutex);
	if (!view->loaded)
		status = load(view, &arena);
	else if (view->modseq != mailbox->highest_modseq)
		status = bring_up_to_date(view, &arena);
	if (status == STATUS_OK && view->gone)
		status = STATUS_NOT_FOUND;
	if (status == STATUS_OK)
		status = read_seen(view, viewer, &arena);
	if (status == STATUS_OK) {
		viewer->view = view;
		tell_all(view, viewer);
		view_recent_heard(view, mailbox);
		DL_APPEND(view->viewers, viewer);
		view->viewer_count++;
	}
	bytes = view_bytes(view);
	keep = view->loaded && !view->gone;
	pthread_mutex_unlock(&view->mutex);
	if (status != STATUS_OK)
		view_cache_release(view, bytes, keep);
	return status;
}

enum status mailbox_viewer_open(struct mailbox_view_cache *cache, int64_t account, const struct mailbox *mailbox,
				struct mailbox_viewer *viewer)
{
	return mailbox_viewer_open_as(cache, account, mailbox, 0, viewer);
}

void mailbox_viewer_close(struct mailbox_viewer *viewer)
{
	struct mailbox_view *view = viewer->view;
	size_t bytes;
	bool keep;

	if (!view)
		return;
	pthread_mutex_lock(&view->mutex);
	DL_DELETE(view->viewers, viewer);
	view->viewer_count--;
	view->journal_behind -= viewer->told_change != view->journal_first + view->journal_count;
	view->expunge_behind -= viewer->told_expunge != view->expunge_number;
	forget_pending(view, viewer);
	view_recent_forget(viewer);
	free(viewer->seen);
	viewer->seen = NULL;
	compact(view);
	trim_journal(view);
	if (!view->viewers) {
		view->journal_capacity = 0;
		free(view->journal);
		view->journal = NULL;
	}
	bytes = view_bytes(view);
	keep = !view->gone;
	pthread_mutex_unlock(&view->mutex);
	viewer->view = NULL;
	view_cache_release(view, bytes, keep);
}

enum status mailbox_viewer_refresh(struct mailbox_viewer *viewer, struct arena *arena)
{
	struct mailbox_view *view = viewer->view;
	enum status status;

	pthread_mutex_lock(&view->mutex);
	status = bring_up_to_date(view, arena);
	if (status == STATUS_OK)
		status = read_seen(view, viewer, arena);
	pthread_mutex_unlock(&view->mutex);
	return status;
}

struct mailbox_view_state mailbox_viewer_state(struct mailbox_viewer *viewer)
{
	struct mailbox_view *view = viewer->view;
	struct mailbox_view_state state;

	pthread_mutex_lock(&view->mutex);
	state = (struct mailbox_view_state){
		.account = view->key.account,
		.mailbox = view->key.mailbox,
		.uid_validity = view->uid_validity,
		.uid_next = view->uid_next,
		.highest_modseq = view->modseq,
		.told_modseq = viewer->synced_modseq,
		.told_uid_next = viewer->told_uid_next,
		.messages = viewer->messages,
		.gone = view->gone,
	};
	pthread_mutex_unlock(&view->mutex);
	return state;
}

static void find_unseen(struct mailbox_view *view)
{
	view->unseen_modseq = view->modseq;
	view->unseen_uid = 0;
	for (size_t i = 0; i < view->count; i++) {
		if (view->entries[i].flags & FLAG_SEEN || is_tombstone(view, view->entries[i].uid))
			continue;
		view->unseen_uid = view->entries[i].uid;
		return;
	}
}

/* Somebody's own first unseen isn't remembered. */
static uint32_t first_unseen_by(struct mailbox_view *view, struct mailbox_viewer *viewer)
{
	for (size_t i = 0; i < view->count && view->entries[i].uid <= viewer->known_uid; i++) {
		if (!(flags_of(viewer, &view->entries[i]) & FLAG_SEEN) && !is_tombstone(view, view->entries[i].uid))
			return sequence_of(view, viewer, i);
	}
	return 0;
}

uint32_t mailbox_viewer_first_unseen(struct mailbox_viewer *viewer)
{
	struct mailbox_view *view = viewer->view;
	uint32_t sequence = 0;

	pthread_mutex_lock(&view->mutex);
	if (viewer->seen_by) {
		sequence = first_unseen_by(view, viewer);
		pthread_mutex_unlock(&view->mutex);
		return sequence;
	}
	if (view->unseen_modseq != view->modseq || view->unseen_modseq == 0)
		find_unseen(view);
	if (view->unseen_uid != 0 && view->unseen_uid <= viewer->known_uid)
		sequence = sequence_of(view, viewer, view_entry_at(view, view->unseen_uid));
	pthread_mutex_unlock(&view->mutex);
	return sequence;
}

/* Without tombstones the sequence number is the index plus one; with them, the first index at which enough messages are left. */
static uint32_t uid_of(struct mailbox_view *view, struct mailbox_viewer *viewer, uint32_t sequence)
{
	size_t low = 0, high = view->count;

	if (sequence == 0 || sequence > viewer->messages)
		return 0;
	if (view->tombstone_count == 0)
		return view->entries[sequence - 1].uid;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (middle + 1 - view_told_below(view, viewer, view->entries[middle].uid + 1) < sequence)
			low = middle + 1;
		else
			high = middle;
	}
	return view->entries[low].uid;
}

uint32_t mailbox_viewer_uid(struct mailbox_viewer *viewer, uint32_t sequence)
{
	struct mailbox_view *view = viewer->view;
	uint32_t uid;

	pthread_mutex_lock(&view->mutex);
	uid = uid_of(view, viewer, sequence);
	pthread_mutex_unlock(&view->mutex);
	return uid;
}

uint32_t mailbox_viewer_last_uid(struct mailbox_viewer *viewer)
{
	return mailbox_viewer_uid(viewer, viewer->messages);
}

size_t mailbox_viewer_read(struct mailbox_viewer *viewer, uint32_t from, uint32_t to, struct view_message *out, size_t max)
{
	struct mailbox_view *view = viewer->view;
	size_t count = 0;

	pthread_mutex_lock(&view->mutex);
	size_t at = view_entry_at(view, from), grave = tombstone_at(view, from);
	uint32_t sequence = (uint32_t)(at - view_told_below(view, viewer, from));

	if (to > viewer->known_uid)
		to = viewer->known_uid;
	for (; count < max && at < view->count && view->entries[at].uid <= to; at++) {
		const struct mailbox_entry *entry = &view->entries[at];
		bool expunged = grave < view->tombstone_count && view->tombstones[grave].uid == entry->uid;

		if (expunged && view->tombstones[grave++].number <= viewer->told_expunge)
			continue;
		out[count++] = (struct view_message){
			.sequence = ++sequence,
			.uid = entry->uid,
			.size = entry->size,
			.expunged = expunged,
			.changed = entry->modseq > viewer->told_modseq,
			.flags = flags_of(viewer, entry) | view_recent_flag(viewer, entry->uid),
			.modseq = entry->modseq,
			.email = entry->email,
			.received_ms = entry->received_ms,
		};
	}
	pthread_mutex_unlock(&view->mutex);
	return count;
}

/* ---- news ---- */

static void take_expunged(struct mailbox_view *view, struct mailbox_viewer *viewer, struct arena *arena, struct view_news *news)
{
	size_t count;

	make_pending(view, viewer);
	count = pending_count(viewer);
	news->expunged = ARENA_ARRAY(arena, uint32_t, count + 1);
	news->vanished = ARENA_ARRAY(arena, uint32_t, count + 1);
	for (size_t i = count; i-- > 0;) {
		uint32_t uid = viewer->pending->uids[i];

		if (uid <= viewer->known_uid)
			news->expunged[news->expunged_count++] = sequence_of(view, viewer, view_entry_at(view, uid));
	}
	for (size_t i = 0; i < news->expunged_count; i++)
		news->vanished[i] = viewer->pending->uids[i];
	viewer->told_expunge = view->expunge_number;
	view->expunge_behind--;
	forget_pending(view, viewer);
}

static bool is_own(const struct mailbox_viewer *viewer, const struct view_own_change *own, const struct mailbox_entry *entry)
{
	size_t at;

	if (!own || entry->modseq < own->first_modseq || entry->modseq > own->last_modseq)
		return false;
	at = uid_at(own->uids, own->count, entry->uid);
	return at < own->count && own->uids[at] == entry->uid && (!own->flags || own->flags[at] == flags_of(viewer, entry));
}

static int compare_uids(const void *a, const void *b)
{
	const uint32_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* The uids of the journal that the viewer wasn't told of, ascending, each once. */
static uint32_t *journal_uids(const struct mailbox_view *view, const struct mailbox_viewer *viewer, struct arena *arena,
			      size_t *count)
{
	size_t from = (size_t)(viewer->told_change - view->journal_first), unique = 0;
	uint32_t *uids = ARENA_ARRAY(arena, uint32_t, view->journal_count - from + 1);

	for (size_t i = from; i < view->journal_count; i++)
		uids[i - from] = view->journal[i].uid;
	qsort(uids, view->journal_count - from, sizeof(*uids), compare_uids);
	for (size_t i = 0; i < view->journal_count - from; i++) {
		if (unique == 0 || uids[unique - 1] != uids[i])
			uids[unique++] = uids[i];
	}
	*count = unique;
	return uids;
}

/* The viewer was away for longer than the journal reaches back. */
static uint32_t *scanned_uids(const struct mailbox_view *view, const struct mailbox_viewer *viewer, struct arena *arena,
			      size_t *count)
{
	uint32_t *uids = ARENA_ARRAY(arena, uint32_t, view->count + 1);

	*count = 0;
	for (size_t i = 0; i < view->count; i++) {
		if (view->entries[i].modseq > viewer->told_modseq)
			uids[(*count)++] = view->entries[i].uid;
	}
	return uids;
}

/* Leaves those that are news. */
static size_t keep_news(const struct mailbox_view *view, const struct mailbox_viewer *viewer, uint32_t known_uid,
			const struct view_own_change *own, uint32_t *uids, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count && uids[i] <= known_uid; i++) {
		size_t at = view_entry_at(view, uids[i]);
		const struct mailbox_entry *entry = &view->entries[at];

		if (at < view->count && entry->uid == uids[i] && !is_tombstone(view, uids[i]) && !is_own(viewer, own, entry))
			uids[kept++] = uids[i];
	}
	return kept;
}

static void take_changed(struct mailbox_view *view, struct mailbox_viewer *viewer, struct arena *arena, uint32_t known_uid,
			 const struct view_own_change *own, struct view_news *news)
{
	uint64_t journal_end = view->journal_first + view->journal_count;
	size_t count;
	uint32_t *uids;

	if (viewer->told_change == journal_end)
		return;
	if (viewer->told_change < view->journal_first)
		uids = scanned_uids(view, viewer, arena, &count);
	else
		uids = journal_uids(view, viewer, arena, &count);
	news->changed_count = keep_news(view, viewer, known_uid, own, uids, count);
	news->changed = ARENA_ARRAY(arena, struct view_message, news->changed_count);
	for (size_t i = 0; i < news->changed_count; i++) {
		size_t at = view_entry_at(view, uids[i]);
		const struct mailbox_entry *entry = &view->entries[at];

		news->changed[i] = (struct view_message){
			.sequence = sequence_of(view, viewer, at),
			.uid = entry->uid,
			.size = entry->size,
			.flags = flags_of(viewer, entry) | view_recent_flag(viewer, entry->uid),
			.modseq = entry->modseq,
			.email = entry->email,
			.received_ms = entry->received_ms,
		};
	}
	viewer->told_change = journal_end;
	view->journal_behind--;
}

void mailbox_viewer_take(struct mailbox_viewer *viewer, struct arena *arena, bool expunges, const struct view_own_change *own,
			 struct view_news *news)
{
	struct mailbox_view *view = viewer->view;
	uint32_t known_uid, before;

	*news = (struct view_news){0};
	pthread_mutex_lock(&view->mutex);
	known_uid = viewer->known_uid;
	before = viewer->messages;
	if (expunges && viewer->told_expunge != view->expunge_number)
		take_expunged(view, viewer, arena, news);
	make_pending(view, viewer);
	viewer->known_uid = last_uid(view) > known_uid ? last_uid(view) : known_uid;
	viewer->messages = (uint32_t)(view->count - (view->tombstone_count - pending_count(viewer)));
	news->messages = viewer->messages;
	news->grown = viewer->messages != before - news->expunged_count;
	take_changed(view, viewer, arena, known_uid, own, news);
	view_recent_told(view, viewer, known_uid);
	viewer->told_modseq = view->modseq;
	viewer->told_uid_next = view->uid_next;
	if (viewer->told_expunge == view->expunge_number)
		viewer->synced_modseq = view->modseq;
	trim_journal(view);
	if (news->expunged_count > 0)
		compact(view);
	pthread_mutex_unlock(&view->mutex);
}

static void name_keywords(struct mailbox_view *view, const struct keyword_table *table)
{
	for (unsigned bit = FLAG_KEYWORD_FIRST; bit <= FLAG_KEYWORD_LAST; bit++) {
		if (table->names[bit].len == 0 || view->keyword_bits & UINT64_C(1) << bit)
			continue;
		view->keywords.names[bit] = slice_dup(&view->keyword_arena, table->names[bit]);
		view->keyword_bits |= UINT64_C(1) << bit;
	}
}

enum status mailbox_viewer_keywords(struct mailbox_viewer *viewer, uint64_t needed, struct keyword_table *table)
{
	struct mailbox_view *view = viewer->view;
	struct arena arena SCOPED_ARENA;
	struct keyword_table fresh = {0};
	enum status status = STATUS_OK;

	arena_init(&arena, 0);
	pthread_mutex_lock(&view->mutex);
	if (view->keyword_modseq == 0 ||
	    (needed & ~FLAG_BITS & ~view->keyword_bits && view->keyword_modseq != view->modseq + 1)) {
		status = keyword_list(view->cache->store, &arena, view->key.account, &fresh);
		if (status == STATUS_OK) {
			name_keywords(view, &fresh);
			view->keyword_modseq = view->modseq + 1;
		}
	}
	*table = view->keywords;
	pthread_mutex_unlock(&view->mutex);
	return status;
}
