#include "imap/thread_links.h"

#include <stdbool.h>

/* Is it the top of its splay tree? */
static bool is_top(const struct thread_link *links, uint32_t node)
{
	uint32_t up = links[node].up;

	return up == 0 || (links[up].left != node && links[up].right != node);
}

static void rotate(struct thread_link *links, uint32_t node)
{
	uint32_t up = links[node].up, over = links[up].up;
	bool is_left = links[up].left == node;
	uint32_t inner = is_left ? links[node].right : links[node].left;

	if (!is_top(links, up)) {
		if (links[over].left == up)
			links[over].left = node;
		else
			links[over].right = node;
	}
	links[node].up = over;
	links[up].up = node;
	if (is_left) {
		links[node].right = up;
		links[up].left = inner;
	} else {
		links[node].left = up;
		links[up].right = inner;
	}
	if (inner)
		links[inner].up = up;
}

static void splay(struct thread_link *links, uint32_t node)
{
	while (!is_top(links, node)) {
		uint32_t up = links[node].up, over = links[up].up;

		if (!is_top(links, up))
			rotate(links, (links[up].left == node) == (links[over].left == up) ? up : node);
		rotate(links, node);
	}
}

/* The path from the root to the node becomes one splay tree, the node its top. */
static void expose(struct thread_link *links, uint32_t node)
{
	uint32_t below = 0;

	for (uint32_t at = node; at; at = links[at].up) {
		splay(links, at);
		links[at].right = below;
		below = at;
	}
	splay(links, node);
}

uint32_t thread_links_root(struct thread_link *links, uint32_t node)
{
	expose(links, node);
	while (links[node].left)
		node = links[node].left;
	splay(links, node);
	return node;
}

void thread_links_join(struct thread_link *links, uint32_t child, uint32_t parent)
{
	expose(links, child);
	links[child].up = parent;
}

void thread_links_cut(struct thread_link *links, uint32_t node)
{
	expose(links, node);
	if (links[node].left) {
		links[links[node].left].up = 0;
		links[node].left = 0;
	}
}
