/* thread_links: a forest that can be asked for the root of any node, in the logarithm of its size (link-cut trees by Sleator and Tarjan,
 * over splay trees). Node 0 is nobody. */
#pragma once

#include <stdint.h>

struct thread_link {
	uint32_t up; /* in the splay tree, or from its top to the path above */
	uint32_t left, right;
};

uint32_t thread_links_root(struct thread_link *links, uint32_t node);
/* `child` is a root, and not that of `parent`. */
void thread_links_join(struct thread_link *links, uint32_t child, uint32_t parent);
/* Takes the node, with what is below it, off its parent. */
void thread_links_cut(struct thread_link *links, uint32_t node);
