/* edit: the header of a message under a milter's hands: fields that are added, inserted, changed and removed, counted as Postfix and
 * Sendmail count them. Pure.
 *
 * A change counts fields of that name in the message as it came, so that our own trace field (`is_ours`) isn't among them; an insertion
 * counts all fields as they will be delivered, ours too: 0 is above everything, 1 below our trace field.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#define EDIT_HEADER_MAX (1024 * 1024) /* bytes; more is refused */

struct edit_field {
	struct slice name;
	struct slice text; /* all of it, with its last CRLF */
	bool is_ours;
	struct edit_field *prev, *next;
};

struct edit {
	struct arena *arena;
	struct edit_field *first, *last;
	size_t bytes;
	bool is_changed;
};

void edit_init(struct edit *edit, struct arena *arena);
/* Whole fields, one after the other; they outlive the edit. At the end of what is there. */
void edit_load(struct edit *edit, struct slice header, bool is_ours);
/* What a milter sees behind the colon: lines separated by LF, without one leading space unless `with_space`. In the arena. */
struct slice edit_value(struct arena *arena, const struct edit_field *field, bool with_space);

/* `value` as a milter gives it: lines separated by LF; with_space: it has its leading space with it. False: the header would be too
 * long. */
MUST_CHECK bool edit_add(struct edit *edit, struct slice name, struct slice value, bool with_space);
MUST_CHECK bool edit_insert(struct edit *edit, uint32_t index, struct slice name, struct slice value, bool with_space);
/* index from 1 (0 is 1). Empty value: removes it. If there is none of that name it is added at the end. */
MUST_CHECK bool edit_change(struct edit *edit, uint32_t index, struct slice name, struct slice value, bool with_space);
/* A line "Name: text" above all that is there. */
MUST_CHECK bool edit_prepend(struct edit *edit, struct slice line);

void edit_write(const struct edit *edit, struct buf *out);
