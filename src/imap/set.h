/* set: sequence sets (RFC 9051 section 9: sequence-set), as a client writes them and as ranges that can be walked. Pure. */
#pragma once

#include "imap/parse.h"

struct imap_range {
	uint32_t first, last; /* 0: "*" */
};

struct imap_set {
	struct imap_range *ranges;
	size_t count;
	bool saved; /* "$": the saved search result (RFC 5182) */
};
MUST_CHECK bool imap_parse_set(struct imap_parser *p, struct imap_set *set);

/* Puts `last` in place of "*", and makes the ranges ascending, disjoint and not adjacent. */
void imap_set_resolve(struct imap_set *set, uint32_t last);
bool imap_set_has(const struct imap_set *resolved, uint32_t number);
uint32_t imap_set_greatest(const struct imap_set *resolved); /* 0: empty */
/* The set of these numbers, ascending. */
struct imap_set imap_set_of(struct arena *arena, const uint32_t *numbers, size_t count);
