#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define LINE_MAX_BYTES 8192
#define TAIL_BYTES     24 /* kept free for closing a cut line */

struct line {
	char data[LINE_MAX_BYTES];
	size_t len;
	bool cut;
};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void log_init(struct log *log, int fd, enum log_format format, enum log_level level, struct slice role)
{
	*log = (struct log){.fd = fd, .format = format, .level = level, .role = role};
}

bool log_level_parse(struct slice name, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (slice_eq(name, slice_from_cstr(level_names[i]))) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* All of it or nothing, so that no escape sequence is cut in two. */
static void put(struct line *line, struct slice s)
{
	if (line->cut || s.len > LINE_MAX_BYTES - TAIL_BYTES - line->len) {
		line->cut = true;
		return;
	}
	memcpy(line->data + line->len, s.data, s.len);
	line->len += s.len;
}

static void put_escaped(struct line *line, unsigned char byte, enum log_format format)
{
	char text[8];
	int len;

	if (byte == '"' || byte == '\\')
		len = snprintf(text, sizeof(text), "\\%c", byte);
	else if (byte == '\n' || byte == '\r' || byte == '\t')
		len = snprintf(text, sizeof(text), "\\%c", byte == '\n' ? 'n' : byte == '\r' ? 'r' : 't');
	else
		len = snprintf(text, sizeof(text), format == LOG_FORMAT_JSON ? "\\u%04x" : "\\x%02x", byte);
	put(line, slice_of(text, (size_t)len));
}

static bool is_plain(unsigned char byte, bool is_utf8)
{
	return byte >= ' ' && byte != '"' && byte != '\\' && byte != 0x7f && (byte < 0x80 || is_utf8);
}

/* Bytes that are no UTF-8 are escaped one by one, so that a line is always valid text. */
static void put_quoted(struct line *line, struct slice s, enum log_format format)
{
	bool is_utf8 = slice_is_utf8(s);

	put(line, SLICE("\""));
	for (size_t at = 0; at < s.len && !line->cut;) {
		size_t end = at;

		while (end < s.len && end - at < 256 && is_plain((unsigned char)s.data[end], is_utf8))
			end++;
		while (end > at && end < s.len && ((unsigned char)s.data[end] & 0xC0) == 0x80 && is_utf8)
			end--; /* a cut falls between characters */
		if (end > at)
			put(line, slice_sub(s, at, end));
		else
			put_escaped(line, (unsigned char)s.data[end++], format);
		at = end;
	}
	line->data[line->len++] = '"'; /* there is room: TAIL_BYTES */
}

static bool needs_quotes(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == ' ' || s.data[i] == '=' || !is_plain((unsigned char)s.data[i], false))
			return true;
	}
	return s.len == 0;
}

static void put_key(struct line *line, const char *key, enum log_format format)
{
	bool first = line->len <= 1;

	if (format == LOG_FORMAT_JSON) {
		put(line, first ? SLICE("\"") : SLICE(",\""));
		put(line, slice_from_cstr(key));
		put(line, SLICE("\":"));
		return;
	}
	if (!first)
		put(line, SLICE(" "));
	put(line, slice_from_cstr(key));
	put(line, SLICE("="));
}

static void put_text(struct line *line, const char *key, struct slice value, enum log_format format)
{
	size_t before = line->len;

	put_key(line, key, format);
	if (line->cut)
		line->len = before;
	else if (format == LOG_FORMAT_JSON || needs_quotes(value))
		put_quoted(line, value, format);
	else
		put(line, value);
	if (line->cut && line->len > before && line->data[line->len - 1] == '=')
		line->len = before;
}

static void put_number(struct line *line, const char *key, int64_t value, enum log_format format)
{
	size_t before = line->len;
	char text[24];
	int len = snprintf(text, sizeof(text), "%lld", (long long)value);

	put_key(line, key, format);
	put(line, slice_of(text, (size_t)len));
	if (line->cut)
		line->len = before;
}

static void put_head(struct line *line, const struct log *log, enum log_level level, const char *event)
{
	char text[32];
	struct buf time = {.data = text, .cap = sizeof(text), .limit = sizeof(text)};

	clock_format_rfc3339(&time, clock_wall_ms());
	if (log->format == LOG_FORMAT_JSON)
		put(line, SLICE("{"));
	put_text(line, "time", buf_slice(&time), log->format);
	put_text(line, "level", slice_from_cstr(level_names[level]), log->format);
	if (log->role.len)
		put_text(line, "role", log->role, log->format);
	put_text(line, "event", slice_from_cstr(event), log->format);
}

void log_event(const struct log *log, enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
	__attribute__((uninitialized)) struct line line; /* 8 KB that need not be cleared for every event */
	struct slice tail;
	ssize_t written;

	if ((int)level < atomic_load_explicit(&log->level, memory_order_relaxed))
		return;
	line.len = 0;
	line.cut = false;
	put_head(&line, log, level, event);
	for (size_t i = 0; i < count; i++) {
		if (fields[i].type == LOG_FIELD_INT)
			put_number(&line, fields[i].key, fields[i].number, log->format);
		else
			put_text(&line, fields[i].key, fields[i].text, log->format);
	}
	if (log->format == LOG_FORMAT_JSON)
		tail = line.cut ? SLICE(",\"cut\":1}\n") : SLICE("}\n");
	else
		tail = line.cut ? SLICE(" cut=1\n") : SLICE("\n");
	memcpy(line.data + line.len, tail.data, tail.len);
	written = write(log->fd, line.data, line.len + tail.len);
	(void)written; /* a log that can't be written is lost */
}
