/* opener: files elsewhere, opened with the powers that the command was started with. Who imports as root gives these up for those of the
 * data folder's owner before the store is opened; a child that was forked before keeps them and opens what it is asked to.
 *
 * The owner of a Maildir may not be who imports it: below the folder that was named no symbolic link is followed, or he could have files
 * read that only root may.
 */
#pragma once

#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"

struct opener;

/* With a child if we are root; else we open ourselves. NULL: no child could be made. */
MUST_CHECK struct opener *opener_new(void);
void opener_free(struct opener *opener);
/* From now on nothing below this folder is reached through a symbolic link. False: it is no folder. */
MUST_CHECK bool opener_set_root(struct opener *opener, const char *folder);
/* Everything is close-on-exec. -1 with errno. */
MUST_CHECK int opener_open(struct opener *opener, const char *path, int flags, mode_t mode);
/* One that exists is fine. */
MUST_CHECK bool opener_make_folder(struct opener *opener, const char *path);
/* Sets the time of its last change. */
MUST_CHECK bool opener_set_time(struct opener *opener, const char *path, int64_t wall_ms);

/* All bytes of a file; NULL data with errno. At most `limit`. */
struct slice opener_read(struct opener *opener, struct arena *arena, const char *path, size_t limit);
/* Names in a folder without "." and "..", sorted. False: it can't be read. */
MUST_CHECK bool opener_list(struct opener *opener, struct arena *arena, const char *path, struct slice **names, size_t *count);
