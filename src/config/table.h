/* table: what settings there are, as data. Parser, checks, defaults, messages and documentation all read this table; a new
 * setting is one row here and one field in config.h. Private to config/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum setting_kind {
	SETTING_TEXT,     /* char *, checked by `check` */
	SETTING_PATH,     /* char *, relative to the file's folder */
	SETTING_CHOICE,   /* char *, one of `allowed`: "a|b|c" */
	SETTING_BOOL,     /* bool */
	SETTING_NUMBER,   /* unsigned or uint64_t, min to max */
	SETTING_SIZE,     /* likewise: bytes divided by `scale`; min and max in bytes */
	SETTING_DURATION, /* likewise: milliseconds divided by `scale`; min and max in milliseconds */
	SETTING_LIST,     /* char ** with a count, each checked by `check` */
	SETTING_RECORDS,  /* array of structs with a count, whose fields are `fields` */
};

struct setting {
	const char *name; /* dotted */
	const char *documentation;
	enum setting_kind kind;
	size_t offset, size; /* in struct config, or in the record */
	size_t count_offset; /* lists and records: an unsigned */
	uint64_t min, max, scale;
	const char *default_text; /* NULL: none; a list's items are separated by ", " */
	const char *allowed;      /* for people; choices: the choices */
	bool (*check)(struct slice text);
	const struct setting *fields; /* of a record, all needed but bools */
	size_t field_count, record_size;
};

extern const struct setting settings[];
extern const size_t setting_count;

/* "limits" of "limits.recipients"; empty for a setting of the top. */
struct slice setting_section(const struct setting *setting);
/* "recipients" of "limits.recipients" */
struct slice setting_key(const struct setting *setting);
/* NULL if there is none. `section` empty: the top. */
const struct setting *setting_find(struct slice section, struct slice key);
bool setting_is_section(struct slice name);
