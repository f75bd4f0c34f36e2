/* thread_tree: threads as parents of nodes, and how they are told. Private to thread.c. */
#pragma once

#include "imap/thread.h"

/* A node is a message, or stands for one that isn't there. Node 0 is nobody: the parent of roots. */
struct thread_node {
	uint32_t parent;
	uint32_t message; /* its index and 1; 0: it isn't there */
	bool is_gone;     /* nothing to tell of it, no children */
	uint64_t id;      /* hashed; 0: none */
};

/* What is remembered of a message. */
struct thread_entry {
	uint32_t number, sequence;
	int64_t sent_ms, received_ms;
	uint64_t subject; /* hashed; 0: none */
	bool is_reply;
};

struct thread_tree {
	struct arena *arena;
	struct thread_entry *messages;
	size_t message_count, message_capacity;
	struct thread_node *nodes;
	size_t count, capacity;
	bool failed; /* no more memory */
};
/* An array's room for one more, grown by half. False when there is no more memory. */
MUST_CHECK bool thread_tree_room(struct thread_tree *tree, void **array, size_t count, size_t *capacity, size_t item_size);
/* 0 when there is no more memory. */
uint32_t thread_tree_add(struct thread_tree *tree, uint32_t message);

/* The place of a node among its siblings. */
struct thread_place {
	uint32_t parent, node, sequence;
	int64_t when_ms;
};
/* Orders by parent, time, sequence number. */
void thread_places_sort(struct thread_place *places, size_t count);
/* When: the sent date; of one that isn't there, its first child's. With `by_arrival` roots by what came last in their thread. The array
 * is in order. NULL: no memory. */
struct thread_place *thread_tree_places(struct thread_tree *tree, bool by_arrival, size_t *count);
MUST_CHECK enum status thread_tree_put(struct buf *out, struct thread_tree *tree, bool by_arrival);
