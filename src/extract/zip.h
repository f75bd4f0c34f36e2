/* zip: the files of an archive in memory, by its central directory (APPNOTE.TXT 6.3: stored and deflated, without encryption and ZIP64).
 * Nothing is trusted: what contradicts itself is passed over. Pure. */
#pragma once

#include "base/buf.h"

#define ZIP_ENTRIES_MAX 20000

struct zip {
	struct slice bytes, directory; /* what is left of it */
	unsigned entries;              /* that have been seen */
};
/* False: it is none. */
__attribute__((warn_unused_result)) bool zip_open(struct zip *zip, struct slice bytes);

struct zip_entry {
	struct slice name;
	struct slice packed;
	bool is_deflated;
};
/* False at the end. Those that can't be read aren't told. */
__attribute__((warn_unused_result)) bool zip_next(struct zip *zip, struct zip_entry *entry);
/* Appends at most `most` bytes of it; what follows, or comes behind damage, is left out. */
void zip_read(const struct zip_entry *entry, size_t most, struct buf *out);
