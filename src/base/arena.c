/* Chunks hang in a list, newest first. Small requests are cut from the newest one; a request that would waste much of a
 * chunk gets a chunk of its own, put behind the newest so that its free space stays in use. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_ADDRESS_SANITIZER
#endif
#ifdef WITH_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#define REDZONE 16
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define REDZONE                                    0
#endif

#define ALIGNMENT   16
#define CHUNK_FIRST 4096

struct arena_chunk {
	struct arena_chunk *older;
	size_t size; /* of data */
	bool single; /* holds one large block only */
	_Alignas(ALIGNMENT) char data[];
};

void arena_init(struct arena *arena, size_t limit)
{
	*arena = (struct arena){.limit = limit};
}

static size_t round_up(size_t size)
{
	return (size + ALIGNMENT - 1 + REDZONE) & ~(size_t)(ALIGNMENT - 1);
}

static void chunk_free(struct arena *arena, struct arena_chunk *chunk)
{
	ASAN_UNPOISON_MEMORY_REGION(chunk->data, chunk->size);
	arena->used -= sizeof(*chunk) + chunk->size;
	free(chunk);
}

void arena_free(struct arena *arena)
{
	struct arena_chunk *chunk = arena->chunks;

	while (chunk) {
		struct arena_chunk *older = chunk->older;

		chunk_free(arena, chunk);
		chunk = older;
	}
	arena_init(arena, arena->limit);
}

void arena_reset(struct arena *arena)
{
	struct arena_chunk *chunk = arena->chunks, *kept = NULL;

	while (chunk) {
		struct arena_chunk *older = chunk->older;

		if (!kept && !chunk->single && chunk->size <= ARENA_LARGE)
			kept = chunk;
		else
			chunk_free(arena, chunk);
		chunk = older;
	}
	arena->chunks = kept;
	arena->next = kept ? kept->data : NULL;
	arena->end = kept ? kept->data + kept->size : NULL;
	arena->full = false;
	if (kept) {
		kept->older = NULL;
		ASAN_POISON_MEMORY_REGION(kept->data, kept->size);
	}
}

static struct arena_chunk *chunk_new(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = size < SIZE_MAX / 2 ? malloc(sizeof(*chunk) + size) : NULL;

	if (!chunk)
		abort(); /* the interface's promise: no memory ends the process */
	chunk->size = size;
	chunk->single = false;
	arena->used += sizeof(*chunk) + size;
	if (arena->limit && arena->used > arena->limit)
		arena->full = true;
	ASAN_POISON_MEMORY_REGION(chunk->data, size);
	return chunk;
}

static void *alloc_single(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = chunk_new(arena, size);

	chunk->single = true;
	if (arena->chunks) {
		chunk->older = arena->chunks->older;
		arena->chunks->older = chunk;
	} else {
		chunk->older = NULL;
		arena->chunks = chunk;
	}
	return chunk->data;
}

/* Each chunk is twice the last, to ARENA_LARGE, so that few are needed and little is left over. */
static size_t next_chunk_size(const struct arena *arena)
{
	size_t overhead = sizeof(struct arena_chunk), size = CHUNK_FIRST;

	if (arena->chunks && !arena->chunks->single)
		size = 2 * (arena->chunks->size + overhead);
	return (size < ARENA_LARGE ? size : ARENA_LARGE) - overhead;
}

static void add_chunk(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = chunk_new(arena, size);

	chunk->older = arena->chunks;
	arena->chunks = chunk;
	arena->next = chunk->data;
	arena->end = chunk->data + size;
}

static void *alloc_raw(struct arena *arena, size_t size)
{
	size_t rounded = round_up(size);
	char *block;

	if (rounded < size)
		abort();
	if (rounded <= (size_t)(arena->end - arena->next)) {
		block = arena->next;
	} else if (rounded > next_chunk_size(arena) / 2) {
		block = alloc_single(arena, rounded);
		ASAN_UNPOISON_MEMORY_REGION(block, size);
		return block;
	} else {
		add_chunk(arena, next_chunk_size(arena));
		block = arena->next;
	}
	arena->next = block + rounded;
	ASAN_UNPOISON_MEMORY_REGION(block, size);
	return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	void *block = alloc_raw(arena, size);

	return memset(block, 0, size);
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
	size_t product;

	if (__builtin_mul_overflow(count, size, &product))
		abort();
	return arena_alloc(arena, product);
}

void *arena_try_alloc(struct arena *arena, size_t size)
{
	if (arena->limit && (size > arena->limit || arena->used > arena->limit - size) &&
	    size > (size_t)(arena->end - arena->next)) {
		arena->full = true;
		return NULL;
	}
	return alloc_raw(arena, size);
}

/* A block with a chunk of its own grows with the chunk, which costs large ones no copy. */
static void *grow_single(struct arena *arena, struct arena_chunk **link, size_t new_size)
{
	struct arena_chunk *chunk = *link;
	size_t size = round_up(new_size), more = size - chunk->size;

	if (arena->limit && (more > arena->limit || arena->used > arena->limit - more)) {
		arena->full = true;
		return NULL;
	}
	ASAN_UNPOISON_MEMORY_REGION(chunk->data, chunk->size);
	chunk = size < SIZE_MAX / 2 ? realloc(chunk, sizeof(*chunk) + size) : NULL;
	if (!chunk)
		abort();
	chunk->size = size;
	*link = chunk;
	arena->used += more;
	return chunk->data;
}

static struct arena_chunk **find_single(struct arena *arena, const char *block)
{
	for (struct arena_chunk **link = &arena->chunks; *link; link = &(*link)->older) {
		if ((*link)->single && (*link)->data == block)
			return link;
	}
	return NULL;
}

void *arena_try_grow(struct arena *arena, void *old, size_t old_size, size_t new_size)
{
	struct arena_chunk **link;
	char *block = old;

	if (!old)
		return arena_try_alloc(arena, new_size);
	if (new_size <= old_size)
		return old;
	if (block + round_up(old_size) == arena->next && new_size <= (size_t)(arena->end - block) &&
	    round_up(new_size) <= (size_t)(arena->end - block)) {
		arena->next = block + round_up(new_size);
		ASAN_UNPOISON_MEMORY_REGION(block, new_size);
		return block;
	}
	link = old_size >= CHUNK_FIRST / 4 ? find_single(arena, block) : NULL;
	if (link && new_size > (*link)->size)
		return grow_single(arena, link, new_size);
	block = arena_try_alloc(arena, new_size);
	return block ? memcpy(block, old, old_size) : NULL;
}
