/* log_line: one line of Posthorn's log, logfmt or JSON (base/log.h), read back. Pure; what stands before the line, as syslog puts it there,
 * is passed over. Values live in the arena, or in the line. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define LOG_LINE_FIELDS_MAX 64

struct log_line_field {
	struct slice key, value;
};
struct log_line {
	struct log_line_field fields[LOG_LINE_FIELDS_MAX];
	size_t count;
};
/* False: it is no such line. */
MUST_CHECK bool log_line_parse(struct arena *arena, struct slice text, struct log_line *line);
/* Empty if it has none. */
struct slice log_line_value(const struct log_line *line, struct slice key);
