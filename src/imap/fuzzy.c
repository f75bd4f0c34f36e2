#include "imap/fuzzy.h"

#include <string.h>

static uint32_t triple_at(const char *text)
{
	return (uint32_t)(unsigned char)text[0] << 16 | (uint32_t)(unsigned char)text[1] << 8 | (unsigned char)text[2];
}

static uint32_t hash_of(uint32_t triple)
{
	return (triple * UINT32_C(2654435761)) >> 16;
}

static void add_triple(struct fuzzy *fuzzy, uint32_t triple)
{
	for (unsigned i = 0; i < fuzzy->count; i++) {
		if (fuzzy->triples[i] == triple)
			return;
	}
	fuzzy->filter[hash_of(triple) / 32] |= UINT32_C(1) << hash_of(triple) % 32;
	fuzzy->triples[fuzzy->count++] = triple;
}

/* Of a long text some, spread over it. */
void fuzzy_begin(struct fuzzy *fuzzy, struct slice text)
{
	size_t all = text.len >= 3 ? text.len - 2 : 0, wanted = all < FUZZY_TRIPLES_MAX ? all : FUZZY_TRIPLES_MAX;

	memset(fuzzy, 0, sizeof(*fuzzy));
	fuzzy->text = text;
	for (size_t i = 0; i < wanted; i++)
		add_triple(fuzzy, triple_at(text.data + (wanted > 1 ? i * (all - 1) / (wanted - 1) : 0)));
}

static void see(struct fuzzy *fuzzy, uint32_t triple)
{
	for (unsigned i = 0; i < fuzzy->count; i++) {
		if (fuzzy->triples[i] == triple)
			fuzzy->seen |= UINT64_C(1) << i;
	}
}

void fuzzy_look(struct fuzzy *fuzzy, struct slice folded)
{
	if (fuzzy->count == 0 && slice_find(folded, fuzzy->text) != SLICE_NOT_FOUND)
		fuzzy->seen = 1;
	for (size_t i = 0; fuzzy->count > 0 && i + 3 <= folded.len; i++) {
		uint32_t triple = triple_at(folded.data + i), hash = hash_of(triple);

		if (fuzzy->filter[hash / 32] & UINT32_C(1) << hash % 32)
			see(fuzzy, triple);
	}
}

unsigned fuzzy_percent(const struct fuzzy *fuzzy)
{
	unsigned seen = (unsigned)__builtin_popcountll(fuzzy->seen);

	return fuzzy->count > 0 ? seen * 100 / fuzzy->count : seen * 100;
}
