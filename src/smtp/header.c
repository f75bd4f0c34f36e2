#include "smtp/header.h"

#include "base/clock.h"

#define NAME_MAX_LENGTH 200

/* The length of the field's name; 0: the line is no header field. Space before the colon is RFC 5322 section 4.5's. */
static size_t name_length(struct slice line)
{
	size_t len = 0, colon;

	while (len < line.len && line.data[len] > ' ' && line.data[len] < 127 && line.data[len] != ':')
		len++;
	colon = len;
	while (colon < line.len && (line.data[colon] == ' ' || line.data[colon] == '\t'))
		colon++;
	return len <= NAME_MAX_LENGTH && colon < line.len && line.data[colon] == ':' ? len : 0;
}

static void note_field(struct header_facts *facts, struct slice name, struct slice line)
{
	if (slice_eq_nocase(name, SLICE("Received")))
		facts->received++;
	else if (slice_eq_nocase(name, SLICE("Date")))
		facts->has_date = true;
	else if (slice_eq_nocase(name, SLICE("From")))
		facts->has_from = true;
	else if (slice_eq_nocase(name, SLICE("Message-ID"))) {
		facts->has_message_id = true;
		facts->message_id = slice_trim(slice_skip(line, slice_find_byte(line, ':') + 1));
	}
}

struct header_facts header_look(struct slice message)
{
	struct header_facts facts = {.message_id = SLICE_EMPTY};
	bool in_field = false;

	while (facts.end < message.len) {
		struct slice rest = slice_skip(message, facts.end), line = slice_sub(rest, 0, slice_find_byte(rest, '\n'));
		size_t name_len;

		if (line.len == rest.len)
			return facts; /* the line isn't whole */
		if (line.len == 0 || line.data[0] == '\r') {
			facts.is_whole = facts.has_blank = true;
			return facts;
		}
		if (!(in_field && (line.data[0] == ' ' || line.data[0] == '\t'))) {
			name_len = name_length(line);
			facts.is_whole = name_len == 0;
			if (facts.is_whole)
				return facts;
			note_field(&facts, slice_sub(line, 0, name_len), line);
			in_field = true;
		}
		facts.end += line.len + 1;
	}
	return facts;
}

static void add_two_digits(struct buf *out, int value)
{
	buf_add_byte(out, (char)('0' + value / 10 % 10));
	buf_add_byte(out, (char)('0' + value % 10));
}

void header_write_date(struct buf *out, int64_t wall_ms)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil_time t = clock_civil(wall_ms, 0);

	buf_add(out, slice_of(days + 3 * t.weekday, 3));
	buf_add_literal(out, ", ");
	add_two_digits(out, t.day);
	buf_add_byte(out, ' ');
	buf_add(out, slice_of(months + 3 * (t.month - 1), 3));
	buf_add_byte(out, ' ');
	buf_add_u64(out, (uint64_t)t.year);
	buf_add_byte(out, ' ');
	add_two_digits(out, t.hour);
	buf_add_byte(out, ':');
	add_two_digits(out, t.minute);
	buf_add_byte(out, ':');
	add_two_digits(out, t.second);
	buf_add_literal(out, " +0000");
}

void header_write_missing(struct buf *out, const struct header_facts *facts, const struct header_origin *origin)
{
	if (!facts->has_date) {
		buf_add_literal(out, "Date: ");
		header_write_date(out, origin->wall_ms);
		buf_add_literal(out, "\r\n");
	}
	if (!facts->has_from && origin->author.len > 0) {
		buf_add_literal(out, "From: <");
		buf_add(out, origin->author);
		buf_add_literal(out, ">\r\n");
	}
	if (!facts->has_message_id) {
		buf_add_literal(out, "Message-ID: <");
		buf_add(out, origin->queue_id);
		buf_add_byte(out, '@');
		buf_add(out, origin->hostname);
		buf_add_literal(out, ">\r\n");
	}
}
