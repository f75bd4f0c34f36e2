/* fuzzy: how much of a text another holds (RFC 6203): the share of its byte triples, as the full-text index counts them. Pure. */
#pragma once

#include "base/slice.h"

#define FUZZY_TRIPLES_MAX 64
#define FUZZY_LEAST       50 /* percent from which on it is a match */

struct fuzzy {
	struct slice text; /* folded */
	uint32_t triples[FUZZY_TRIPLES_MAX];
	unsigned count;
	uint64_t seen;
	uint32_t filter[2048]; /* a bit for each hash of a triple */
};
/* `text` stays where it is. A text of less than three bytes has no triples: it is there as a whole, or not. */
void fuzzy_begin(struct fuzzy *fuzzy, struct slice text);
/* Looks into one more folded text. */
void fuzzy_look(struct fuzzy *fuzzy, struct slice folded);
/* 0 to 100. */
unsigned fuzzy_percent(const struct fuzzy *fuzzy);
