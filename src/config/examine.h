/* examine: goes over the YAML text with libyaml's events, before libcyaml loads it, so that whatever is wrong is told with its
 * line and with what is allowed there. After it has succeeded the loading can't fail for the text's sake. Private to
 * config/. */
#pragma once

#include "base/arena.h"
#include "base/error.h"

struct examination {
	bool is_empty;   /* no document: all defaults */
	bool *given;     /* per setting of the table: has it a value? */
	unsigned *lines; /* and where it stands, from 1; 0: nowhere */
};
MUST_CHECK bool examine(struct slice text, const char *name, struct arena *arena, struct examination *result,
			struct error *error);
