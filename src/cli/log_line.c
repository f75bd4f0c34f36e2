#include "cli/log_line.h"

#include "base/buf.h"

struct reading {
	struct arena *arena;
	struct slice rest;
	bool failed;
};

static bool take(struct reading *r, char byte)
{
	if (r->rest.len == 0 || r->rest.data[0] != byte)
		return false;
	r->rest = slice_skip(r->rest, 1);
	return true;
}

static void add_code_point(struct buf *out, uint64_t code)
{
	if (code < 0x80) {
		buf_add_byte(out, (char)code);
	} else if (code < 0x800) {
		buf_add_byte(out, (char)(0xC0 | code >> 6));
		buf_add_byte(out, (char)(0x80 | (code & 0x3F)));
	} else {
		buf_add_byte(out, (char)(0xE0 | code >> 12));
		buf_add_byte(out, (char)(0x80 | (code >> 6 & 0x3F)));
		buf_add_byte(out, (char)(0x80 | (code & 0x3F)));
	}
}

/* What stands behind the backslash: \" \\ \/ \n \r \t \x1b \u001b. Surrogates don't come: log writes characters as they are. */
static void take_escape(struct reading *r, struct buf *out)
{
	static const char names[] = "nrtbf", bytes[] = "\n\r\t\b\f";
	char kind = r->rest.len > 0 ? r->rest.data[0] : '\0';
	const char *at = kind ? strchr(names, kind) : NULL;
	size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : 0;
	uint64_t code;

	r->rest = slice_skip(r->rest, 1);
	if (at) {
		buf_add_byte(out, bytes[at - names]);
	} else if (digits > 0 && r->rest.len >= digits && slice_hex_to_u64(slice_sub(r->rest, 0, digits), &code)) {
		if (kind == 'x')
			buf_add_byte(out, (char)code);
		else
			add_code_point(out, code);
		r->rest = slice_skip(r->rest, digits);
	} else if (kind == '"' || kind == '\\' || kind == '/') {
		buf_add_byte(out, kind);
	} else {
		r->failed = true;
	}
}

/* Behind the opening quote. */
static struct slice take_quoted(struct reading *r)
{
	struct buf out;

	buf_init(&out, r->arena, 0);
	while (!r->failed) {
		size_t end = 0;

		while (end < r->rest.len && r->rest.data[end] != '"' && r->rest.data[end] != '\\')
			end++;
		buf_add(&out, slice_sub(r->rest, 0, end));
		r->rest = slice_skip(r->rest, end);
		if (take(r, '"'))
			return buf_slice(&out);
		if (take(r, '\\'))
			take_escape(r, &out);
		else
			r->failed = true; /* it ends too early */
	}
	return SLICE_EMPTY;
}

static bool ends_bare(char byte)
{
	return byte == ' ' || byte == ',' || byte == '}';
}

static struct slice take_bare(struct reading *r, bool is_json)
{
	size_t end = 0;

	while (end < r->rest.len && !(is_json ? ends_bare(r->rest.data[end]) : r->rest.data[end] == ' '))
		end++;
	struct slice value = slice_sub(r->rest, 0, end);

	r->rest = slice_skip(r->rest, end);
	return value;
}

static void add_field(struct reading *r, struct log_line *line, struct slice key, bool is_json)
{
	struct slice value = take(r, '"') ? take_quoted(r) : take_bare(r, is_json);

	if (line->count < LOG_LINE_FIELDS_MAX)
		line->fields[line->count++] = (struct log_line_field){key, value};
}

static bool is_key(struct slice key)
{
	for (size_t i = 0; i < key.len; i++)
		if (!ascii_is_alnum(key.data[i]) && key.data[i] != '_' && key.data[i] != '-' && key.data[i] != '.')
			return false;
	return key.len > 0;
}

static bool parse_logfmt(struct reading *r, struct log_line *line)
{
	while (r->rest.len > 0 && !r->failed) {
		size_t end = slice_find_byte(r->rest, '=');
		struct slice key = slice_sub(r->rest, 0, end);

		if (end == SLICE_NOT_FOUND || !is_key(key))
			return false;
		r->rest = slice_skip(r->rest, end + 1);
		add_field(r, line, key, false);
		if (r->rest.len > 0 && !take(r, ' '))
			return false;
	}
	return !r->failed;
}

/* A flat object of texts and numbers. */
static bool parse_json(struct reading *r, struct log_line *line)
{
	if (!take(r, '{'))
		return false;
	do {
		if (!take(r, '"'))
			return false;
		struct slice key = take_quoted(r);

		if (r->failed || !is_key(key) || !take(r, ':'))
			return false;
		add_field(r, line, key, true);
	} while (!r->failed && take(r, ','));
	return !r->failed && take(r, '}') && r->rest.len == 0;
}

bool log_line_parse(struct arena *arena, struct slice text, struct log_line *line)
{
	struct slice whole = slice_trim(text);
	size_t json = slice_find(whole, SLICE("{\"time\":")), logfmt = slice_find(whole, SLICE("time="));
	struct reading r = {.arena = arena};

	line->count = 0;
	if (json != SLICE_NOT_FOUND && json < logfmt) {
		r.rest = slice_skip(whole, json);
		return parse_json(&r, line);
	}
	if (logfmt == SLICE_NOT_FOUND || (logfmt > 0 && whole.data[logfmt - 1] != ' '))
		return false;
	r.rest = slice_skip(whole, logfmt);
	return parse_logfmt(&r, line);
}

struct slice log_line_value(const struct log_line *line, struct slice key)
{
	for (size_t i = 0; i < line->count; i++)
		if (slice_eq(line->fields[i].key, key))
			return line->fields[i].value;
	return SLICE_EMPTY;
}
