#include "local/letter.h"

#include "base/clock.h"

static bool is_quotable(struct slice line)
{
	while (line.len > 0 && line.data[0] == '>')
		line = slice_skip(line, 1);
	return slice_starts_with(line, SLICE("From "));
}

static struct slice cut_line(struct slice *rest)
{
	struct slice line = slice_cut(rest, '\n');

	return slice_ends_with(line, SLICE("\r")) ? slice_sub(line, 0, line.len - 1) : line;
}

bool letter_was_here(struct slice bytes, struct slice recipient)
{
	static const struct slice NAME = {"Delivered-To:", 13};

	while (bytes.len > 0) {
		struct slice line = cut_line(&bytes);

		if (line.len == 0)
			return false;
		if (slice_starts_with_nocase(line, NAME) && slice_eq_nocase(slice_trim(slice_skip(line, NAME.len)), recipient))
			return true;
	}
	return false;
}

/* What could end a line or a word of the envelope line doesn't get into it. */
static void add_word(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_add_byte(out, (unsigned char)text.data[i] > ' ' && text.data[i] != 0x7f ? text.data[i] : '_');
}

static void write_from(struct buf *out, struct slice sender, int64_t now_ms)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct civil_time now = clock_civil(now_ms, clock_local_zone_minutes(now_ms));

	buf_add_literal(out, "From ");
	add_word(out, sender.len > 0 ? sender : SLICE("MAILER-DAEMON"));
	buf_printf(out, "  %s %s %2d %02d:%02d:%02d %d\n", days[now.weekday], months[now.month - 1], now.day, now.hour, now.minute,
		   now.second, now.year);
}

void letter_write(struct buf *out, const struct local_request *request, int64_t now_ms, unsigned flags, struct slice bytes)
{
	/* "rfc822;user@example.org" */
	struct slice original = request->original_recipient, type = slice_cut(&original, ';');

	if (flags & LETTER_FROM)
		write_from(out, request->sender, now_ms);
	buf_add_literal(out, "Return-Path: <");
	add_word(out, request->sender);
	buf_add_literal(out, ">\n");
	if (type.len > 0 && original.len > 0 && !slice_eq_nocase(original, request->recipient)) {
		buf_add_literal(out, "X-Original-To: ");
		add_word(out, original);
		buf_add_byte(out, '\n');
	}
	buf_add_literal(out, "Delivered-To: ");
	add_word(out, request->recipient);
	buf_add_byte(out, '\n');
	while (bytes.len > 0) {
		struct slice line = cut_line(&bytes);

		if ((flags & LETTER_QUOTED) && is_quotable(line))
			buf_add_byte(out, '>');
		buf_add(out, line);
		buf_add_byte(out, '\n');
	}
}
