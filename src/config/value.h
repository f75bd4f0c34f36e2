/* value: one setting's text to its place in a struct, and back. Private to config/. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "config/table.h"

/* Is the text allowed? Else *why: `"abc" is not a number; allowed is 1 to 100000`. For a list: one of its items. */
__attribute__((warn_unused_result)) bool value_check(const struct setting *setting, struct slice text, struct arena *arena,
						     struct slice *why);
/* Puts a checked text in its place. `base` is the struct that setting->offset is meant in. Relative paths get `folder` in
 * front, unless that is empty. Not for lists and records. */
void value_store(const struct setting *setting, void *base, struct slice text, struct slice folder, struct arena *arena);
/* The text that gives what stands there; false if the setting should be left out (NULL, or out of range). */
__attribute__((warn_unused_result)) bool value_text(const struct setting *setting, const void *base, struct buf *out);
/* "1 to 100000", "never, loopback or always" */
void value_allowed(const struct setting *setting, struct buf *out);
