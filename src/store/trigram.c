#include "store/trigram.h"

#include <stdlib.h>

#define TRIPLES     (1U << 24)
#define ENTRIES_MAX (4U * 1024 * 1024)

/* bucket (8 bits), triple (24), document (16), from the top: in that order they are sorted. */
struct trigram_set {
	uint64_t *entries;
	size_t count;
	bool is_sorted;
	size_t next; /* where the next bucket's entries begin */
	uint32_t document;
	size_t document_start;
	uint64_t seen[TRIPLES / 64]; /* by the document at work */
};

struct trigram_set *trigram_set_new(void)
{
	struct trigram_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->entries = malloc(ENTRIES_MAX * sizeof(*set->entries));
	if (set->entries)
		return set;
	free(set);
	return NULL;
}

void trigram_set_free(struct trigram_set *set)
{
	if (!set)
		return;
	free(set->entries);
	free(set);
}

static uint32_t triple_of(uint64_t entry)
{
	return (uint32_t)(entry >> 16) & (TRIPLES - 1);
}

/* The document at work is done: it has seen nothing yet. */
static void begin_document(struct trigram_set *set, uint32_t number)
{
	for (size_t i = set->document_start; i < set->count; i++)
		set->seen[triple_of(set->entries[i]) / 64] = 0;
	set->document = number;
	set->document_start = set->count;
}

bool trigram_set_add(struct trigram_set *set, uint32_t number, struct slice folded)
{
	if (number != set->document)
		begin_document(set, number);
	for (size_t i = 0; i + 3 <= folded.len; i++) {
		uint32_t triple = trigram_at(folded.data + i);
		uint64_t bit = UINT64_C(1) << triple % 64;

		if (set->seen[triple / 64] & bit)
			continue;
		if (set->count == ENTRIES_MAX) {
			size_t start = set->document_start;

			begin_document(set, number);
			set->count = set->document_start = start;
			return false;
		}
		set->seen[triple / 64] |= bit;
		set->entries[set->count++] = (uint64_t)trigram_bucket(triple) << 40 | (uint64_t)triple << 16 | number;
	}
	return true;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

void trigram_put_number(struct buf *out, uint64_t number)
{
	while (number >= 0x80) {
		buf_add_byte(out, (char)(number | 0x80));
		number >>= 7;
	}
	buf_add_byte(out, (char)number);
}

bool trigram_take_number(struct slice *rest, uint64_t *number)
{
	*number = 0;
	for (unsigned shift = 0; rest->len && shift < 63; shift += 7) {
		unsigned char byte = (unsigned char)rest->data[0];

		*rest = slice_skip(*rest, 1);
		*number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

void trigram_set_rewind(struct trigram_set *set)
{
	set->next = 0;
}

static void pack_documents(struct buf *documents, const uint64_t *entries, size_t count)
{
	uint32_t last = 0;

	buf_clear(documents);
	for (size_t i = 0; i < count; i++) {
		uint32_t number = entries[i] & 0xffff;

		trigram_put_number(documents, number - last);
		last = number;
	}
}

void trigram_set_pack(struct trigram_set *set, unsigned bucket, struct buf *out)
{
	struct buf documents SCOPED_BUF;
	uint32_t last = 0;
	size_t end;

	if (!set->is_sorted) {
		qsort(set->entries, set->count, sizeof(*set->entries), compare);
		set->is_sorted = true;
	}
	for (; set->next < set->count && set->entries[set->next] >> 40 == bucket; set->next = end) {
		uint32_t triple = triple_of(set->entries[set->next]);

		for (end = set->next; end < set->count && triple_of(set->entries[end]) == triple; end++)
			;
		pack_documents(&documents, set->entries + set->next, end - set->next);
		trigram_put_number(out, triple - last);
		trigram_put_number(out, documents.len);
		buf_add(out, buf_slice(&documents));
		last = triple;
	}
}

static bool count_documents(struct slice list, uint16_t *hits, size_t documents)
{
	uint64_t number = 0, more;

	while (list.len) {
		if (!trigram_take_number(&list, &more) || more >= documents || (number += more) >= documents)
			return false;
		hits[number]++;
	}
	return true;
}

bool trigram_count(struct slice packed, uint32_t trigram, uint16_t *hits, size_t documents)
{
	uint64_t at = 0, more, length;

	while (packed.len) {
		if (!trigram_take_number(&packed, &more) || !trigram_take_number(&packed, &length) || length > packed.len)
			return false;
		at += more;
		if (at == trigram)
			return count_documents(slice_sub(packed, 0, length), hits, documents);
		if (at > trigram)
			return true;
		packed = slice_skip(packed, length);
	}
	return true;
}
