/* schema: the table as libcyaml's schema, which loads every value as text. Private to config/. */
#pragma once

#include <cyaml/cyaml.h>

#include "base/arena.h"
#include "config/table.h"

/* What libcyaml fills for one setting: `data` is a char *, a list's char **, or an array of records (arrays of char *). */
struct raw {
	void *data;
	unsigned count;
};

/* For a root that is an array of setting_count struct raw. */
const cyaml_schema_value_t *schema_new(struct arena *arena);
/* A setting's place in a loaded root; NULL if its section wasn't given. */
const struct raw *schema_get(const struct raw *root, size_t setting);
