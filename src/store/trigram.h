/* trigram: which of a few hundred documents may hold a text. Each document is the set of its byte triples in folded UTF-8, so that any
 * language has them: a Chinese character is one by itself. Pure. Private to store/.
 *
 * Triples fall into TRIGRAM_BUCKETS buckets; a bucket is the bytes of its triples in order, each as: how much greater than the last one,
 * how many bytes of documents follow, and these as distances (all numbers in groups of seven bits, the last one's top bit clear).
 */
#pragma once

#include "base/buf.h"

#define TRIGRAM_BUCKETS       256
#define TRIGRAM_DOCUMENTS_MAX 1024

static inline uint32_t trigram_at(const char *text)
{
	return (uint32_t)(unsigned char)text[0] << 16 | (uint32_t)(unsigned char)text[1] << 8 | (unsigned char)text[2];
}
static inline unsigned trigram_bucket(uint32_t trigram)
{
	return (trigram * UINT32_C(2654435761)) >> 24;
}

/* ---- building ---- */

struct trigram_set;
/* NULL: no memory. */
struct trigram_set *trigram_set_new(void);
void trigram_set_free(struct trigram_set *set);
/* Adds a text, folded, to document `number` (ascending). False: there is no more room, and the document isn't there. */
__attribute__((warn_unused_result)) bool trigram_set_add(struct trigram_set *set, uint32_t number, struct slice folded);
/* The buckets' bytes: at the end, in order of the buckets; again from the first one after trigram_set_rewind. */
void trigram_set_rewind(struct trigram_set *set);
void trigram_set_pack(struct trigram_set *set, unsigned bucket, struct buf *out);

/* ---- asking ---- */

/* Counts up `hits[d]` for each document that has the triple. False: the bytes are damaged. */
__attribute__((warn_unused_result)) bool trigram_count(struct slice packed, uint32_t trigram, uint16_t *hits, size_t documents);

/* Numbers in groups of seven bits. */
void trigram_put_number(struct buf *out, uint64_t number);
__attribute__((warn_unused_result)) bool trigram_take_number(struct slice *rest, uint64_t *number);
