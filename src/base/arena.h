/* arena: memory by lifetime. Allocation is a bump of a pointer; everything is given back at once.
 *
 * Four lifetimes exist: process, session, transaction and command. A pointer says by the arena it was made from which
 * one it lives in. An arena belongs to one thread at a time.
 *
 * Allocation never returns NULL: if the system has no memory the process ends (its supervisor starts it anew, and what
 * was not committed was not answered). An arena over its limit goes on to serve small requests but remembers it:
 * `arena_is_full` is then true and the loop that owns the session ends it. Requests of ARENA_LARGE bytes and more are
 * made with `arena_try_alloc`, which returns NULL when the limit would be passed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ARENA_LARGE (64 * 1024)

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
	char *next;                 /* free space of the newest chunk */
	char *end;
	size_t used;                /* bytes taken from malloc, all chunks */
	size_t limit;               /* 0: none */
	bool full;
};

/* An empty arena: no memory is taken before the first allocation. limit in bytes, 0 for none. */
void arena_init(struct arena *arena, size_t limit);
/* Gives back everything. The arena may be used again. */
void arena_free(struct arena *arena);
/* Forgets everything but keeps one chunk of up to ARENA_LARGE bytes for what comes next. Clears `full`. */
void arena_reset(struct arena *arena);

/* Zeroed, aligned for any type. */
__attribute__((malloc, alloc_size(2), returns_nonnull)) void *arena_alloc(struct arena *arena, size_t size);
/* Likewise for `count` elements; the product is checked. */
__attribute__((malloc, returns_nonnull)) void *arena_alloc_array(struct arena *arena, size_t count, size_t size);
/* Not zeroed; NULL if the limit would be passed (the arena is then full). */
__attribute__((malloc, warn_unused_result)) void *arena_try_alloc(struct arena *arena, size_t size);
/* Grows the block `old` (which may be NULL) from old_size to new_size bytes, in place where it was the last. Not zeroed;
 * NULL if the limit would be passed. */
__attribute__((warn_unused_result)) void *arena_try_grow(struct arena *arena, void *old, size_t old_size, size_t new_size);

static inline bool arena_is_full(const struct arena *arena)
{
	return arena->full;
}

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc_array((arena), (count), sizeof(type)))

static inline void arena_cleanup(struct arena *arena)
{
	arena_free(arena);
}
/* struct arena a SCOPED_ARENA; arena_init(&a, 0): given back when the scope is left. */
#define SCOPED_ARENA __attribute__((cleanup(arena_cleanup))) = {0}
