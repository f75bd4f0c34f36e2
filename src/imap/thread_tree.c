#include "imap/thread_tree.h"

#include <stdlib.h>

bool thread_tree_room(struct thread_tree *tree, void **array, size_t count, size_t *capacity, size_t item_size)
{
	size_t more = *capacity + *capacity / 2 + 64;
	void *grown;

	if (count < *capacity)
		return true;
	grown = more < UINT32_MAX / 2 ? arena_try_grow(tree->arena, *array, *capacity * item_size, more * item_size) : NULL;
	if (!grown) {
		tree->failed = true;
		return false;
	}
	*array = grown;
	*capacity = more;
	return true;
}

uint32_t thread_tree_add(struct thread_tree *tree, uint32_t message)
{
	if (!thread_tree_room(tree, (void **)&tree->nodes, tree->count + 1, &tree->capacity, sizeof(*tree->nodes)))
		return 0;
	if (tree->count == 0)
		tree->nodes[tree->count++] = (struct thread_node){.is_gone = true};
	tree->nodes[tree->count] = (struct thread_node){.message = message};
	return (uint32_t)tree->count++;
}

/* ---- order ---- */

static int compare(const void *a, const void *b)
{
	const struct thread_place *left = a, *right = b;

	if (left->parent != right->parent)
		return left->parent < right->parent ? -1 : 1;
	if (left->when_ms != right->when_ms)
		return left->when_ms < right->when_ms ? -1 : 1;
	return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

void thread_places_sort(struct thread_place *places, size_t count)
{
	if (count > 1)
		qsort(places, count, sizeof(*places), compare);
}

/* The earlier of two, as siblings. */
static bool is_before(const struct thread_place *a, const struct thread_place *b)
{
	return a->when_ms != b->when_ms ? a->when_ms < b->when_ms : a->sequence < b->sequence;
}

/* One that isn't there is told by the first of its children; all its children are there. */
static void take_first_children(const struct thread_tree *tree, struct thread_place *places)
{
	for (uint32_t n = 1; n < tree->count; n++) {
		struct thread_place *parent = &places[tree->nodes[n].parent];

		if (tree->nodes[n].is_gone || !tree->nodes[n].message || parent->node == 0 || tree->nodes[parent->node].message)
			continue;
		if (parent->sequence == 0 || is_before(&places[n], parent)) {
			parent->when_ms = places[n].when_ms;
			parent->sequence = places[n].sequence;
		}
	}
}

/* The roots of all nodes; each is walked to once. */
static uint32_t *find_roots(const struct thread_tree *tree)
{
	uint32_t *roots = arena_try_alloc(tree->arena, tree->count * sizeof(*roots));

	if (!roots)
		return NULL;
	memset(roots, 0, tree->count * sizeof(*roots));
	for (uint32_t n = 1; n < tree->count; n++) {
		uint32_t root = n, at = n, up;

		while (!roots[root] && tree->nodes[root].parent)
			root = tree->nodes[root].parent;
		root = roots[root] ? roots[root] : root;
		for (; at != root && !roots[at]; at = up) {
			up = tree->nodes[at].parent;
			roots[at] = root;
		}
		roots[root] = root;
	}
	return roots;
}

/* Roots by the last arrival. */
static bool take_last_arrivals(const struct thread_tree *tree, struct thread_place *places)
{
	uint32_t *roots = find_roots(tree);

	if (!roots)
		return false;
	for (uint32_t n = 1; n < tree->count; n++) {
		if (!tree->nodes[n].parent)
			places[n].when_ms = INT64_MIN;
	}
	for (uint32_t n = 1; n < tree->count; n++) {
		struct thread_place *root = &places[roots[n]];
		const struct thread_entry *message;

		if (!tree->nodes[n].message)
			continue;
		message = &tree->messages[tree->nodes[n].message - 1];
		if (message->received_ms > root->when_ms)
			root->when_ms = message->received_ms;
	}
	return true;
}

struct thread_place *thread_tree_places(struct thread_tree *tree, bool by_arrival, size_t *count)
{
	struct thread_place *places = arena_try_alloc(tree->arena, (tree->count + 1) * sizeof(*places));

	*count = 0;
	if (!places)
		return NULL;
	memset(places, 0, (tree->count + 1) * sizeof(*places));
	for (uint32_t n = 1; n < tree->count; n++) {
		const struct thread_node *node = &tree->nodes[n];
		const struct thread_entry *message = node->message ? &tree->messages[node->message - 1] : NULL;

		places[n] =
			(struct thread_place){node->parent, n, message ? message->sequence : 0, message ? message->sent_ms : 0};
	}
	take_first_children(tree, places);
	if (by_arrival && !take_last_arrivals(tree, places))
		return NULL;
	for (uint32_t n = 1; n < tree->count; n++) {
		if (!tree->nodes[n].is_gone)
			places[(*count)++] = places[n];
	}
	thread_places_sort(places, *count);
	return places;
}

/* ---- telling ---- */

struct writer {
	struct buf *out;
	const struct thread_tree *tree;
	const struct thread_place *places;
	uint32_t *starts; /* where each node's children begin in `places`; one more at the end */
	uint32_t *stack;  /* nodes whose threads are still to be told; 0: a ")" */
	size_t depth;
};

static void push_children(struct writer *w, uint32_t node)
{
	for (uint32_t at = w->starts[node + 1]; at > w->starts[node]; at--)
		w->stack[w->depth++] = w->places[at - 1].node;
}

static void put_number(struct writer *w, uint32_t node)
{
	buf_add_u64(w->out, w->tree->messages[w->tree->nodes[node].message - 1].number);
}

/* RFC 5256 section 5: thread-list: an only child stands beside its parent, several are lists of their own. */
static void put_thread(struct writer *w, uint32_t node)
{
	bool has_number = w->tree->nodes[node].message != 0;

	buf_add_byte(w->out, '(');
	if (has_number)
		put_number(w, node);
	while (w->starts[node + 1] - w->starts[node] == 1) {
		node = w->places[w->starts[node]].node;
		if (has_number)
			buf_add_byte(w->out, ' ');
		put_number(w, node);
		has_number = true;
	}
	if (w->starts[node + 1] == w->starts[node]) {
		buf_add_byte(w->out, ')');
		return;
	}
	if (has_number)
		buf_add_byte(w->out, ' ');
	w->stack[w->depth++] = 0;
	push_children(w, node);
}

static void find_starts(struct writer *w, size_t count)
{
	size_t at = 0;

	for (uint32_t n = 0; n <= w->tree->count; n++) {
		while (at < count && w->places[at].parent < n)
			at++;
		w->starts[n] = (uint32_t)at;
	}
}

enum status thread_tree_put(struct buf *out, struct thread_tree *tree, bool by_arrival)
{
	struct writer w = {.out = out, .tree = tree};
	size_t count;

	if (tree->failed)
		return STATUS_LIMIT;
	if (tree->count == 0)
		return STATUS_OK;
	w.places = thread_tree_places(tree, by_arrival, &count);
	w.starts = arena_try_alloc(tree->arena, (tree->count + 2) * sizeof(*w.starts));
	w.stack = arena_try_alloc(tree->arena, (2 * tree->count + 2) * sizeof(*w.stack));
	if (!w.places || !w.starts || !w.stack)
		return STATUS_LIMIT;
	find_starts(&w, count);
	push_children(&w, 0);
	while (w.depth > 0) {
		uint32_t node = w.stack[--w.depth];

		if (node)
			put_thread(&w, node);
		else
			buf_add_byte(out, ')');
	}
	return buf_ok(out) ? STATUS_OK : STATUS_LIMIT;
}
