#include "imap/thread.h"

#include <stdlib.h>

#include "base/random.h"
#include "imap/thread_links.h"
#include "imap/thread_tree.h"

/* ---- ids ---- */

/* RFC 5256 section 3: an id has a left and a right side, and quotes around the left that aren't needed don't count. */
static struct slice normal_id(struct arena *arena, struct slice id)
{
	size_t at = slice_find_last_byte(id, '@');
	struct buf out;

	if (at == SLICE_NOT_FOUND || at == 0 || at + 1 == id.len)
		return SLICE_EMPTY;
	if (id.data[0] != '"' || at < 2 || id.data[at - 1] != '"')
		return id;
	buf_init(&out, arena, 0);
	for (size_t i = 1; i + 1 < at; i++) {
		if (id.data[i] == '\\' && i + 2 < at)
			i++;
		buf_add_byte(&out, id.data[i]);
	}
	buf_add(&out, slice_skip(id, at));
	return buf_slice(&out);
}

static struct slice next_in_brackets(struct slice *rest)
{
	size_t start = slice_find_byte(*rest, '<');

	if (start == SLICE_NOT_FOUND)
		return slice_of(NULL, 0);
	*rest = slice_skip(*rest, start + 1);
	return slice_trim(slice_cut(rest, '>'));
}

/* The last id of In-Reply-To; empty: there is none. */
static struct slice last_of(struct slice in_reply_to)
{
	struct slice last = SLICE_EMPTY, id;

	while ((id = next_in_brackets(&in_reply_to)).data) {
		if (id.len)
			last = id;
	}
	return last;
}

/* The store appends the ids of In-Reply-To to those of References; only where there were no References the first of them counts. */
struct slice thread_references(struct slice references, struct slice in_reply_to)
{
	struct slice rest = in_reply_to, first = SLICE_EMPTY, last = last_of(in_reply_to), id;
	size_t length = 0;

	while ((id = next_in_brackets(&rest)).data) {
		if (id.len && first.len == 0)
			first = id;
		length += id.len ? id.len + 1 : 0;
	}
	if (length == 0 || references.len + 1 < length || !slice_ends_with(references, last))
		return references;
	if (references.len + 1 == length)
		return first;
	return slice_sub(references, 0, references.len - length);
}

/* ---- REFERENCES, step 1 ---- */

struct thread_builder {
	struct thread_tree tree;
	struct arena *arena;
	enum thread_algorithm algorithm;
	struct thread_link *links;
	size_t links_capacity;
	uint32_t *table; /* nodes by their ids */
	size_t table_size;
	uint8_t key[16];
};

/* Nobody but us knows the key: that two of a mailbox's ids have the same 64 bits doesn't happen. */
static uint64_t hash_of(const struct thread_builder *b, struct slice text)
{
	uint64_t hash = text.len ? siphash(b->key, text) : 0;

	return text.len && hash == 0 ? 1 : hash;
}

static bool grow_links(struct thread_builder *b)
{
	void *more;

	if (b->tree.capacity <= b->links_capacity)
		return true;
	more = arena_try_grow(b->arena, b->links, b->links_capacity * sizeof(*b->links), b->tree.capacity * sizeof(*b->links));
	if (!more) {
		b->tree.failed = true;
		return false;
	}
	b->links = more;
	memset(b->links + b->links_capacity, 0, (b->tree.capacity - b->links_capacity) * sizeof(*b->links));
	b->links_capacity = b->tree.capacity;
	return true;
}

static uint32_t add_node(struct thread_builder *b, uint32_t message)
{
	uint32_t node = thread_tree_add(&b->tree, message);

	return node && grow_links(b) ? node : 0;
}

static uint32_t *find_slot(struct thread_builder *b, uint64_t id)
{
	size_t at = id & (b->table_size - 1);

	while (b->table[at] && b->tree.nodes[b->table[at]].id != id)
		at = (at + 1) & (b->table_size - 1);
	return &b->table[at];
}

/* At most half full. */
static bool grow_table(struct thread_builder *b)
{
	size_t size = b->table_size ? b->table_size * 2 : 256;
	void *more;

	if (b->table_size > 2 * (b->tree.count + 1))
		return true;
	more = arena_try_grow(b->arena, b->table, b->table_size * sizeof(*b->table), size * sizeof(*b->table));
	if (!more) {
		b->tree.failed = true;
		return false;
	}
	b->table = more;
	memset(b->table, 0, size * sizeof(*b->table));
	b->table_size = size;
	for (uint32_t n = 1; n < b->tree.count; n++) {
		if (b->tree.nodes[n].id)
			*find_slot(b, b->tree.nodes[n].id) = n;
	}
	return true;
}

/* The node of that id, made if it is new. 0: no memory. */
static uint32_t node_of(struct thread_builder *b, struct slice text)
{
	uint64_t id = hash_of(b, text);
	uint32_t *slot, node;

	if (!grow_table(b))
		return 0;
	slot = find_slot(b, id);
	if (*slot)
		return *slot;
	node = add_node(b, 0);
	if (!node)
		return 0;
	b->tree.nodes[node].id = id;
	*slot = node;
	return node;
}

/* `child` is a root. */
static void join(struct thread_builder *b, uint32_t child, uint32_t parent)
{
	if (child == parent || thread_links_root(b->links, parent) == child)
		return;
	thread_links_join(b->links, child, parent);
	b->tree.nodes[child].parent = parent;
}

/* Step 1.A. The last of the references; 0: there are none. */
static uint32_t link_references(struct thread_builder *b, struct slice references)
{
	uint32_t last = 0;

	while (references.len && !b->tree.failed) {
		struct slice id = normal_id(b->arena, slice_cut(&references, ' '));
		uint32_t node = id.len ? node_of(b, id) : 0;

		if (!node)
			continue;
		if (last && !b->tree.nodes[node].parent)
			join(b, node, last);
		last = node;
	}
	return last;
}

/* A message without an id, or with one that another has, is one of its own. */
static uint32_t node_for(struct thread_builder *b, struct slice message_id)
{
	struct slice id = normal_id(b->arena, message_id);
	uint32_t node = id.len ? node_of(b, id) : 0, message = (uint32_t)b->tree.message_count;

	if (!node || b->tree.nodes[node].message)
		return add_node(b, message);
	b->tree.nodes[node].message = message;
	return node;
}

/* Step 1.B: the message's own references decide, whatever others said of it. */
static void add_message(struct thread_builder *b, const struct thread_message *message)
{
	uint32_t node = node_for(b, message->id), last;

	if (!node)
		return;
	last = link_references(b, message->references);
	if (b->tree.failed)
		return;
	if (b->tree.nodes[node].parent) {
		thread_links_cut(b->links, node);
		b->tree.nodes[node].parent = 0;
	}
	if (last)
		join(b, node, last);
}

/* ---- step 3: those that aren't there ---- */

/* The nearest above that is there, or the root. */
static uint32_t find_anchor(struct thread_tree *tree, uint32_t *anchors, uint32_t node)
{
	uint32_t at = node, anchor, up;

	while (!anchors[at] && !tree->nodes[at].message && tree->nodes[at].parent)
		at = tree->nodes[at].parent;
	anchor = anchors[at] ? anchors[at] : at;
	for (at = node; at != anchor && !anchors[at]; at = up) {
		up = tree->nodes[at].parent;
		anchors[at] = anchor;
	}
	return anchor;
}

/* Roots that aren't there stay where they hold several together. */
static void drop_lonely(struct thread_tree *tree, uint32_t *children)
{
	for (uint32_t n = 1; n < tree->count; n++) {
		uint32_t parent = tree->nodes[n].parent;

		if (tree->nodes[n].message && parent && !tree->nodes[parent].message && children[parent] == 1)
			tree->nodes[n].parent = 0;
	}
	for (uint32_t n = 1; n < tree->count; n++)
		tree->nodes[n].is_gone = !tree->nodes[n].message && children[n] < 2;
}

static void prune(struct thread_tree *tree)
{
	uint32_t *anchors = arena_try_alloc(tree->arena, tree->count * sizeof(*anchors));
	uint32_t *children = arena_try_alloc(tree->arena, tree->count * sizeof(*children));

	if (!anchors || !children) {
		tree->failed = true;
		return;
	}
	memset(anchors, 0, tree->count * sizeof(*anchors));
	memset(children, 0, tree->count * sizeof(*children));
	for (uint32_t n = 1; n < tree->count; n++) {
		if (tree->nodes[n].parent)
			anchors[n] = tree->nodes[n].message ? n : find_anchor(tree, anchors, n);
	}
	for (uint32_t n = 1; n < tree->count; n++) {
		struct thread_node *node = &tree->nodes[n];

		if (!node->message || !node->parent)
			continue;
		if (anchors[node->parent])
			node->parent = anchors[node->parent];
		children[node->parent]++;
	}
	for (uint32_t n = 1; n < tree->count; n++) {
		if (!tree->nodes[n].message)
			tree->nodes[n].parent = 0;
	}
	drop_lonely(tree, children);
}

/* ---- step 5: the same subject ---- */

struct root {
	uint32_t node;
	uint32_t order;                       /* among the roots */
	const struct thread_entry *message;   /* whose subject is the thread's */
};

static int compare_roots(const void *a, const void *b)
{
	const struct root *left = a, *right = b;

	if (left->message->subject != right->message->subject)
		return left->message->subject < right->message->subject ? -1 : 1;
	return (left->order > right->order) - (left->order < right->order);
}

static bool is_there(const struct thread_tree *tree, uint32_t node)
{
	return tree->nodes[node].message != 0;
}

static bool is_reply(const struct thread_tree *tree, uint32_t node)
{
	return is_there(tree, node) && tree->messages[tree->nodes[node].message - 1].is_reply;
}

/* Step 5.B: who of them the others go to. */
static uint32_t choose(const struct thread_tree *tree, const struct root *roots, size_t count)
{
	uint32_t chosen = roots[0].node;

	for (size_t i = 1; i < count; i++) {
		uint32_t node = roots[i].node;

		if (is_there(tree, chosen) && (!is_there(tree, node) || (is_reply(tree, chosen) && !is_reply(tree, node))))
			chosen = node;
	}
	return chosen;
}

/* Step 5.C. *moved: nodes whose children have gone to another. */
static void merge_group(struct thread_tree *tree, uint32_t *moved, const struct root *roots, size_t count)
{
	uint32_t chosen = choose(tree, roots, count);

	for (size_t i = 0; i < count && !tree->failed; i++) {
		uint32_t node = roots[i].node, both;

		if (node == chosen || tree->nodes[node].parent)
			continue;
		if (!is_there(tree, chosen) && !is_there(tree, node)) {
			moved[node] = chosen;
			tree->nodes[node].is_gone = true;
		} else if (!is_there(tree, chosen) || (is_reply(tree, node) && !is_reply(tree, chosen))) {
			tree->nodes[node].parent = chosen;
		} else if ((both = thread_tree_add(tree, 0)) != 0) {
			tree->nodes[node].parent = tree->nodes[chosen].parent = both;
			chosen = both;
		}
	}
}

static struct root *list_roots(struct thread_tree *tree, size_t *count)
{
	size_t place_count;
	struct thread_place *places = thread_tree_places(tree, false, &place_count);
	struct root *roots = arena_try_alloc(tree->arena, (tree->count + 1) * sizeof(*roots));
	uint32_t *firsts = arena_try_alloc(tree->arena, tree->count * sizeof(*firsts));

	*count = 0;
	if (!places || !roots || !firsts)
		return NULL;
	memset(firsts, 0, tree->count * sizeof(*firsts));
	/* The first child of each: places are in order. */
	for (size_t i = place_count; i > 0; i--)
		firsts[places[i - 1].parent] = places[i - 1].node;
	for (size_t i = 0; i < place_count && places[i].parent == 0; i++) {
		uint32_t node = places[i].node, speaker = is_there(tree, node) ? node : firsts[node];
		const struct thread_entry *message = &tree->messages[tree->nodes[speaker].message - 1];

		if (message->subject)
			roots[(*count)++] = (struct root){node, (uint32_t)i, message};
	}
	return roots;
}

static void merge_subjects(struct thread_tree *tree)
{
	size_t count, end, before = tree->count;
	struct root *roots = list_roots(tree, &count);
	uint32_t *moved = arena_try_alloc(tree->arena, before * sizeof(*moved));

	if (!roots || !moved) {
		tree->failed = true;
		return;
	}
	memset(moved, 0, before * sizeof(*moved));
	if (count > 1)
		qsort(roots, count, sizeof(*roots), compare_roots);
	for (size_t i = 0; i < count; i = end) {
		for (end = i + 1; end < count && roots[end].message->subject == roots[i].message->subject; end++)
			;
		merge_group(tree, moved, roots + i, end - i);
	}
	for (uint32_t n = 1; n < before; n++) {
		uint32_t parent = tree->nodes[n].parent;

		if (parent < before && moved[parent])
			tree->nodes[n].parent = moved[parent];
	}
}

/* ---- the algorithms ---- */

static enum status put_by_references(struct buf *out, struct thread_builder *b, bool subjects)
{
	bool any = b->tree.message_count > 0;

	if (!b->tree.failed && any)
		prune(&b->tree);
	if (!b->tree.failed && any && subjects)
		merge_subjects(&b->tree);
	return thread_tree_put(out, &b->tree, !subjects);
}

static int compare_subjects(const void *a, const void *b)
{
	const struct thread_entry *left = *(const struct thread_entry *const *)a;
	const struct thread_entry *right = *(const struct thread_entry *const *)b;

	if (left->subject != right->subject)
		return left->subject < right->subject ? -1 : 1;
	if (left->sent_ms != right->sent_ms)
		return left->sent_ms < right->sent_ms ? -1 : 1;
	return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

/* The first message of a subject, and the others below it. In which order the subjects are looked at is no matter. */
static enum status put_by_subject(struct buf *out, struct thread_tree *tree)
{
	size_t count = tree->message_count;
	const struct thread_entry **sorted = arena_try_alloc(tree->arena, (count + 1) * sizeof(struct thread_entry *));
	uint32_t first = 0;

	if (!sorted)
		return STATUS_LIMIT;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &tree->messages[i];
	if (count > 1)
		qsort(sorted, count, sizeof(struct thread_entry *), compare_subjects);
	for (size_t i = 0; i < count && !tree->failed; i++) {
		uint32_t node = thread_tree_add(tree, (uint32_t)(sorted[i] - tree->messages) + 1);

		if (i == 0 || sorted[i]->subject != sorted[i - 1]->subject)
			first = node;
		else if (node)
			tree->nodes[node].parent = first;
	}
	return thread_tree_put(out, tree, false);
}

struct thread_builder *thread_begin(struct arena *arena, enum thread_algorithm algorithm)
{
	struct thread_builder *b = ARENA_NEW(arena, struct thread_builder);

	b->tree.arena = b->arena = arena;
	b->algorithm = algorithm;
	random_bytes(b->key, sizeof(b->key));
	return b;
}

bool thread_add(struct thread_builder *b, const struct thread_message *message)
{
	struct thread_tree *tree = &b->tree;

	if (tree->failed || !thread_tree_room(tree, (void **)&tree->messages, tree->message_count, &tree->message_capacity,
					      sizeof(*tree->messages)))
		return false;
	tree->messages[tree->message_count++] = (struct thread_entry){
		.number = message->number,
		.sequence = message->sequence,
		.sent_ms = message->sent_ms,
		.received_ms = message->received_ms,
		.subject = hash_of(b, message->subject),
		.is_reply = message->is_reply,
	};
	if (b->algorithm != THREAD_ORDEREDSUBJECT)
		add_message(b, message);
	return !tree->failed;
}

enum status thread_end(struct buf *out, struct thread_builder *b)
{
	if (b->algorithm == THREAD_ORDEREDSUBJECT)
		return put_by_subject(out, &b->tree);
	return put_by_references(out, b, b->algorithm == THREAD_REFERENCES);
}
