/* csv: RFC 4180 files: fields in quotes or not, "" for a quote in quotes, LF or CRLF. Pure. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"

#define CSV_FIELDS_MAX 16

struct csv_row {
	struct slice fields[CSV_FIELDS_MAX];
	size_t count;
	unsigned line; /* where it begins, from 1 */
};

struct csv {
	struct slice rest;
	unsigned line; /* the next to read */
	bool failed;   /* a quote isn't closed, or there are too many fields: in the row of `line` */
};

static inline struct csv csv_begin(struct slice text)
{
	/* Spreadsheets like to begin with a byte order mark. */
	return (struct csv){slice_starts_with(text, SLICE("\xEF\xBB\xBF")) ? slice_skip(text, 3) : text, 1, false};
}
/* The next row that isn't empty; false at the end or at a fault. */
bool csv_next(struct csv *csv, struct arena *arena, struct csv_row *row);
