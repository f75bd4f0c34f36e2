/* directory_cache: answers of directory_look_up, remembered for less than a second and dropped at once when the directory changes
 * here: a message asks for its recipients twice within milliseconds, at RCPT and at its end. What is remembered may be stale (an
 * account removed, a quota filled): the delivery's transaction decides. Bounded; any thread.
 */
#pragma once

#include "store/directory.h"

struct directory_cache;

struct directory_cache *directory_cache_new(struct store *store, char separator);
void directory_cache_free(struct directory_cache *cache);
/* As directory_look_up. */
MUST_CHECK enum status directory_cache_look_up(struct directory_cache *cache, struct arena *arena, struct slice address,
					       struct directory_entry *entry);
void directory_cache_drop(struct directory_cache *cache);
