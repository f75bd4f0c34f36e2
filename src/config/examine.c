#include "config/examine.h"

#include <yaml.h>

#include "config/value.h"

struct examiner {
	yaml_parser_t parser;
	const char *name;
	struct arena *arena;
	struct examination *result;
	struct error *error;
};

#define SCOPED_EVENT __attribute__((cleanup(yaml_event_delete))) = {0}

__attribute__((format(printf, 4, 5))) static bool fault(struct examiner *e, const yaml_event_t *event, struct slice where,
							const char *format, ...)
{
	struct buf text;
	va_list args;

	buf_init(&text, e->arena, 0);
	buf_printf(&text, "%s:%zu: ", e->name, event->start_mark.line + 1);
	if (where.len)
		buf_printf(&text, "%.*s: ", SLICE_ARG(where));
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	*e->error = (struct error){STATUS_PEER, buf_slice(&text)};
	return false;
}

static bool next_event(struct examiner *e, yaml_event_t *event)
{
	yaml_event_delete(event);
	if (!yaml_parser_parse(&e->parser, event)) {
		const char *problem = e->parser.problem ? e->parser.problem : "it can't be read";
		size_t line = e->parser.problem_mark.line ? e->parser.problem_mark.line : e->parser.mark.line;

		error_set(e->error, e->arena, STATUS_PEER,
			  "%s:%zu: this is not valid YAML: %s; look at indentation, colons and quotes", e->name, line + 1,
			  problem);
		return false;
	}
	if (event->type == YAML_ALIAS_EVENT)
		return fault(e, event, SLICE_EMPTY, "aliases (*name) are not allowed; write the value here");
	return true;
}

static struct slice scalar_of(const yaml_event_t *event)
{
	return slice_of((const char *)event->data.scalar.value, event->data.scalar.length);
}

static bool is_empty_scalar(const yaml_event_t *event)
{
	return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0 &&
	       event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* ---- unknown names ---- */

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters must be changed, added or dropped. */
static size_t distance(struct slice a, struct slice b)
{
	size_t row[64];

	if (a.len >= 64 || b.len >= 64)
		return SIZE_MAX;
	for (size_t i = 0; i <= b.len; i++)
		row[i] = i;
	for (size_t i = 0; i < a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < b.len; j++) {
			size_t above = row[j + 1];

			row[j + 1] = smaller(smaller(above, row[j]) + 1, diagonal + (a.data[i] != b.data[j]));
			diagonal = above;
		}
	}
	return row[b.len];
}

/* The names that a section allows, one after the other: keys of settings, and sections at the top. False at the end. */
static bool next_name(struct slice section, size_t *at, struct slice *name)
{
	while (*at < setting_count) {
		const struct setting *setting = &settings[(*at)++];
		struct slice its = setting_section(setting);

		if (slice_eq(its, section)) {
			*name = setting_key(setting);
			return true;
		}
		if (section.len == 0 && !slice_eq(its, setting_section(setting - 1))) {
			*name = its;
			return true;
		}
	}
	return false;
}

static bool unknown_key(struct examiner *e, const yaml_event_t *event, struct slice section)
{
	struct slice key = scalar_of(event), name, best = SLICE_EMPTY;
	size_t least = 4;
	struct buf names;

	buf_init(&names, e->arena, 0);
	for (size_t at = 0; next_name(section, &at, &name);) {
		size_t far = distance(key, name);

		if (far < least && far < name.len) {
			least = far;
			best = name;
		}
		if (names.len)
			buf_add_literal(&names, ", ");
		buf_add(&names, name);
	}
	if (best.len)
		return fault(e, event, section, "there is no setting \"%.*s\"; did you mean \"%.*s\"?", SLICE_ARG(key),
			     SLICE_ARG(best));
	return fault(e, event, section, "there is no setting \"%.*s\"; allowed here: %.*s", SLICE_ARG(key),
		     SLICE_ARG(buf_slice(&names)));
}

/* ---- values ---- */

static bool examine_scalar(struct examiner *e, const yaml_event_t *event, const struct setting *setting, struct slice where)
{
	struct slice why;

	if (event->type != YAML_SCALAR_EVENT)
		return fault(e, event, where, "one value is wanted here, not several");
	if (is_empty_scalar(event) || value_check(setting, scalar_of(event), e->arena, &why))
		return true;
	return fault(e, event, where, "%.*s", SLICE_ARG(why));
}

static const struct setting *find_field(const struct setting *setting, struct slice key)
{
	for (size_t i = 0; i < setting->field_count; i++) {
		if (slice_eq(slice_from_cstr(setting->fields[i].name), key))
			return &setting->fields[i];
	}
	return NULL;
}

static void add_field_names(struct buf *out, const struct setting *setting)
{
	for (size_t i = 0; i < setting->field_count; i++)
		buf_printf(out, "%s%s", i ? ", " : "", setting->fields[i].name);
}

static bool unknown_field(struct examiner *e, const yaml_event_t *event, const struct setting *setting)
{
	struct buf names;

	buf_init(&names, e->arena, 0);
	add_field_names(&names, setting);
	return fault(e, event, slice_from_cstr(setting->name), "there is no \"%.*s\" in an entry; allowed here: %.*s",
		     SLICE_ARG(scalar_of(event)), SLICE_ARG(buf_slice(&names)));
}

static bool missing_field(struct examiner *e, const yaml_event_t *start, const struct setting *setting, unsigned seen)
{
	for (size_t i = 0; i < setting->field_count; i++) {
		if (!(seen & 1u << i) && !setting->fields[i].default_text)
			return fault(e, start, slice_from_cstr(setting->name), "this entry lacks \"%s\"",
				     setting->fields[i].name);
	}
	return true;
}

static bool examine_record(struct examiner *e, const yaml_event_t *start, const struct setting *setting)
{
	struct slice where = slice_from_cstr(setting->name);
	unsigned seen = 0;

	if (start->type != YAML_MAPPING_START_EVENT) {
		struct buf names;

		buf_init(&names, e->arena, 0);
		add_field_names(&names, setting);
		return fault(e, start, where, "an entry with these keys is wanted here: %.*s", SLICE_ARG(buf_slice(&names)));
	}
	for (;;) {
		yaml_event_t event SCOPED_EVENT;
		const struct setting *field;

		if (!next_event(e, &event))
			return false;
		if (event.type == YAML_MAPPING_END_EVENT)
			return missing_field(e, start, setting, seen);
		if (event.type != YAML_SCALAR_EVENT || !(field = find_field(setting, scalar_of(&event))))
			return unknown_field(e, &event, setting);
		if (seen & 1u << (field - setting->fields))
			return fault(e, &event, where, "\"%s\" stands here twice", field->name);
		if (!next_event(e, &event) || !examine_scalar(e, &event, field, where))
			return false;
		if (!is_empty_scalar(&event))
			seen |= 1u << (field - setting->fields);
	}
}

static bool examine_list(struct examiner *e, const yaml_event_t *start, const struct setting *setting)
{
	struct slice where = slice_from_cstr(setting->name);

	if (start->type != YAML_SEQUENCE_START_EVENT)
		return is_empty_scalar(start) ||
		       fault(e, start, where, "a list is wanted here: lines that begin with \"- \", or [one, two]");
	for (;;) {
		yaml_event_t event SCOPED_EVENT;

		if (!next_event(e, &event))
			return false;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			return true;
		if (is_empty_scalar(&event))
			return fault(e, &event, where, "an entry of the list is empty");
		if (setting->kind == SETTING_LIST ? !examine_scalar(e, &event, setting, where)
						  : !examine_record(e, &event, setting))
			return false;
	}
}

static bool examine_setting(struct examiner *e, const yaml_event_t *key, const struct setting *setting)
{
	size_t index = (size_t)(setting - settings);
	yaml_event_t value SCOPED_EVENT;

	if (e->result->lines[index])
		return fault(e, key, slice_from_cstr(setting->name), "this stands twice, first in line %u",
			     e->result->lines[index]);
	e->result->lines[index] = (unsigned)key->start_mark.line + 1;
	if (!next_event(e, &value))
		return false;
	e->result->given[index] = !is_empty_scalar(&value);
	if (setting->kind == SETTING_LIST || setting->kind == SETTING_RECORDS)
		return examine_list(e, &value, setting);
	return examine_scalar(e, &value, setting, slice_from_cstr(setting->name));
}

/* ---- mappings ---- */

static bool examine_mapping(struct examiner *e, struct slice section);

static bool examine_section(struct examiner *e, struct slice section)
{
	yaml_event_t event SCOPED_EVENT;

	if (!next_event(e, &event))
		return false;
	if (is_empty_scalar(&event))
		return true; /* all its settings are commented out */
	if (event.type != YAML_MAPPING_START_EVENT)
		return fault(e, &event, section, "settings are wanted here, indented, one to a line: NAME: VALUE");
	return examine_mapping(e, section);
}

/* Sections hold no sections, so this goes two deep at most. */
static bool examine_mapping(struct examiner *e, struct slice section)
{
	for (;;) {
		yaml_event_t event SCOPED_EVENT;
		const struct setting *setting;
		struct slice key;

		if (!next_event(e, &event))
			return false;
		if (event.type == YAML_MAPPING_END_EVENT)
			return true;
		if (event.type != YAML_SCALAR_EVENT)
			return fault(e, &event, section, "the name of a setting is wanted here");
		key = slice_dup(e->arena, scalar_of(&event));
		setting = setting_find(section, key);
		if (setting                                       ? !examine_setting(e, &event, setting)
		    : section.len == 0 && setting_is_section(key) ? !examine_section(e, key)
								  : !unknown_key(e, &event, section))
			return false;
	}
}

static bool examine_document(struct examiner *e)
{
	yaml_event_t event SCOPED_EVENT;

	do {
		if (!next_event(e, &event))
			return false;
	} while (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT);
	e->result->is_empty = event.type == YAML_STREAM_END_EVENT || is_empty_scalar(&event);
	if (e->result->is_empty)
		return true;
	if (event.type != YAML_MAPPING_START_EVENT)
		return fault(e, &event, SLICE_EMPTY, "settings are wanted here, one to a line: NAME: VALUE");
	if (!examine_mapping(e, SLICE_EMPTY) || !next_event(e, &event) || !next_event(e, &event))
		return false;
	return event.type == YAML_STREAM_END_EVENT ||
	       fault(e, &event, SLICE_EMPTY, "a second document (\"---\") is not allowed");
}

bool examine(struct slice text, const char *name, struct arena *arena, struct examination *result, struct error *error)
{
	struct examiner e = {.name = name, .arena = arena, .result = result, .error = error};
	bool ok;

	result->given = ARENA_ARRAY(arena, bool, setting_count);
	result->lines = ARENA_ARRAY(arena, unsigned, setting_count);
	if (!yaml_parser_initialize(&e.parser)) {
		error_set(error, arena, STATUS_TEMPORARY, "%s: out of memory", name);
		return false;
	}
	yaml_parser_set_input_string(&e.parser, (const unsigned char *)text.data, text.len);
	ok = examine_document(&e);
	yaml_parser_delete(&e.parser);
	return ok;
}
