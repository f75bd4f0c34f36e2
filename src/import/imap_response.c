#include "import/imap_response.h"

#include "base/clock.h"

struct reader {
	struct arena *arena;
	struct slice rest;
	unsigned depth, count;
	bool failed;
};

static bool at(const struct reader *reader, char byte)
{
	return reader->rest.len > 0 && reader->rest.data[0] == byte;
}

static bool accept(struct reader *reader, char byte)
{
	if (!at(reader, byte))
		return false;
	reader->rest = slice_skip(reader->rest, 1);
	return true;
}

/* "{123}", "{123+}", "~{123}" at the end of a line. */
bool imap_line_announces(struct slice line, uint64_t *size)
{
	size_t open = slice_find_last_byte(line, '{');

	if (!slice_ends_with(line, SLICE("}")) || open == SLICE_NOT_FOUND)
		return false;
	struct slice number = slice_sub(line, open + 1, line.len - 1);

	if (slice_ends_with(number, SLICE("+")))
		number.len--;
	return slice_to_u64(number, UINT32_MAX, size);
}

/* ---- values ---- */

static struct imap_value *read_values(struct reader *reader);

static struct slice read_quoted(struct reader *reader)
{
	struct slice s = reader->rest;
	size_t end = 0, escapes = 0;

	while (end < s.len && s.data[end] != '"') {
		escapes += s.data[end] == '\\';
		end += s.data[end] == '\\' ? 2 : 1;
	}
	if (end >= s.len) {
		reader->failed = true;
		return SLICE_EMPTY;
	}
	reader->rest = slice_skip(s, end + 1);
	if (escapes == 0)
		return slice_sub(s, 0, end);
	char *copy = arena_alloc(reader->arena, end + 1);
	size_t length = 0;

	for (size_t i = 0; i < end; i++) {
		i += s.data[i] == '\\';
		copy[length++] = s.data[i];
	}
	return slice_of(copy, length);
}

static struct slice read_literal(struct reader *reader)
{
	struct slice line = reader->rest, text;
	size_t end = slice_find_byte(line, '\n');
	uint64_t size;

	if (end == SLICE_NOT_FOUND || !imap_line_announces(slice_trim(slice_sub(line, 0, end)), &size) ||
	    size > line.len - end - 1) {
		reader->failed = true;
		return SLICE_EMPTY;
	}
	text = slice_sub(line, end + 1, end + 1 + (size_t)size);
	reader->rest = slice_skip(line, end + 1 + (size_t)size);
	return text;
}

/* An atom, with what stands in brackets: BODY[HEADER.FIELDS (X Y)]<0>. */
static struct slice read_atom(struct reader *reader)
{
	size_t end = 0;
	bool in_brackets = false;

	for (; end < reader->rest.len; end++) {
		char c = reader->rest.data[end];

		if (c == '[')
			in_brackets = true;
		else if (c == ']')
			in_brackets = false;
		else if (!in_brackets && (c == ' ' || c == '(' || c == ')' || c == '"' || (unsigned char)c < 0x20))
			break;
	}
	struct slice atom = slice_sub(reader->rest, 0, end);

	reader->rest = slice_skip(reader->rest, end);
	reader->failed |= end == 0;
	return atom;
}

static void read_value(struct reader *reader, struct imap_value *value)
{
	if (accept(reader, '(')) {
		value->kind = IMAP_LIST;
		value->values = read_values(reader);
		reader->failed |= !accept(reader, ')');
	} else if (accept(reader, '"')) {
		value->kind = IMAP_STRING;
		value->text = read_quoted(reader);
	} else if (at(reader, '{') || slice_starts_with(reader->rest, SLICE("~{"))) {
		value->kind = IMAP_STRING;
		value->text = read_literal(reader);
	} else {
		value->text = read_atom(reader);
		value->kind = slice_eq_nocase(value->text, SLICE("NIL")) ? IMAP_NIL : IMAP_ATOM;
	}
}

static struct imap_value *read_values(struct reader *reader)
{
	struct imap_value *first = NULL, **place = &first;

	if (++reader->depth > IMAP_VALUE_DEPTH_MAX)
		reader->failed = true;
	while (!reader->failed && reader->rest.len > 0 && !at(reader, ')')) {
		if (accept(reader, ' '))
			continue;
		struct imap_value *value = ARENA_NEW(reader->arena, struct imap_value);

		if (++reader->count > IMAP_VALUES_MAX)
			reader->failed = true;
		else
			read_value(reader, value);
		*place = value;
		place = &value->next;
	}
	reader->depth--;
	return first;
}

const struct imap_value *imap_value_find(const struct imap_value *list, struct slice name)
{
	for (; list && list->next; list = list->next->next)
		if (list->kind == IMAP_ATOM && slice_eq_nocase(list->text, name))
			return list->next;
	return NULL;
}

/* ---- responses ---- */

static struct slice next_word(struct slice *rest)
{
	struct slice word = slice_cut(rest, ' ');

	while (rest->len > 0 && rest->data[0] == ' ')
		*rest = slice_skip(*rest, 1);
	return word;
}

static bool is_condition(struct slice name)
{
	static const struct slice names[] = {{"OK", 2}, {"NO", 2}, {"BAD", 3}, {"BYE", 3}, {"PREAUTH", 7}};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (slice_eq_nocase(name, names[i]))
			return true;
	return false;
}

/* "[CODE ...] text" */
static void read_condition(struct slice rest, struct imap_response *response)
{
	size_t end = slice_find_byte(rest, ']');

	if (slice_starts_with(rest, SLICE("[")) && end != SLICE_NOT_FOUND) {
		response->code = slice_sub(rest, 1, end);
		rest = slice_trim(slice_skip(rest, end + 1));
	}
	response->text = rest;
}

bool imap_response_parse(struct arena *arena, struct slice bytes, struct imap_response *response)
{
	struct slice rest = bytes;

	*response =
		(struct imap_response){.tag = next_word(&rest), .code = SLICE_EMPTY, .text = SLICE_EMPTY, .name = SLICE_EMPTY};
	if (slice_eq(response->tag, SLICE("+"))) {
		response->kind = IMAP_RESPONSE_GO_ON;
		response->text = rest;
		return true;
	}
	response->name = next_word(&rest);
	if (is_condition(response->name)) {
		response->kind = slice_eq(response->tag, SLICE("*")) ? IMAP_RESPONSE_CONDITION : IMAP_RESPONSE_TAGGED;
		read_condition(rest, response);
		return true;
	}
	if (!slice_eq(response->tag, SLICE("*")) || response->name.len == 0)
		return false;
	response->kind = IMAP_RESPONSE_DATA;
	if (slice_to_u32(response->name, UINT32_MAX, &response->number))
		response->name = next_word(&rest);
	struct reader reader = {.arena = arena, .rest = rest};

	response->values = read_values(&reader);
	return !reader.failed && reader.rest.len == 0;
}

/* ---- dates ---- */

static bool number_of(struct slice text, uint32_t max, int *value)
{
	uint32_t number;

	text = slice_trim(text);
	if (!slice_to_u32(text, max, &number))
		return false;
	*value = (int)number;
	return true;
}

bool imap_date_parse(struct slice text, int64_t *wall_ms)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil_time at = {0};
	int zone;

	text = slice_trim(text);
	struct slice day = slice_cut(&text, '-'), month = slice_cut(&text, '-'), year = slice_cut(&text, ' ');
	struct slice hour = slice_cut(&text, ':'), minute = slice_cut(&text, ':'), second = slice_cut(&text, ' ');

	for (int i = 0; month.len == 3 && i < 12; i++)
		if (slice_eq_nocase(month, slice_of(months + 3 * i, 3)))
			at.month = i + 1;
	if (at.month == 0 || !number_of(day, 31, &at.day) || at.day == 0 || !number_of(year, 9999, &at.year) ||
	    !number_of(hour, 23, &at.hour) || !number_of(minute, 59, &at.minute) || !number_of(second, 60, &at.second) ||
	    text.len != 5 || (text.data[0] != '+' && text.data[0] != '-') || !number_of(slice_skip(text, 1), 2359, &zone))
		return false;
	at.zone_minutes = (zone / 100 * 60 + zone % 100) * (text.data[0] == '-' ? -1 : 1);
	*wall_ms = clock_from_civil(&at);
	return true;
}
