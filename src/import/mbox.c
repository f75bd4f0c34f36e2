#include "import/mbox.h"

#include "base/clock.h"
#include "mime/message.h"
#include "store/mailbox.h"

#define FROM SLICE("From ")

/* ---- From lines ---- */

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char weekdays[] = "SunMonTueWedThuFriSat";

static int month_of(struct slice word)
{
	for (int i = 0; word.len == 3 && i < 12; i++)
		if (slice_eq_nocase(word, slice_of(months + 3 * i, 3)))
			return i + 1;
	return 0;
}

static bool time_of(struct slice word, struct civil_time *time)
{
	uint32_t hour, minute, second = 0;

	if (!slice_to_u32(slice_cut(&word, ':'), 23, &hour) || !slice_to_u32(slice_cut(&word, ':'), 59, &minute))
		return false;
	if (word.len > 0 && !slice_to_u32(word, 60, &second))
		return false;
	time->hour = (int)hour;
	time->minute = (int)minute;
	time->second = (int)second;
	return true;
}

static struct slice next_word(struct slice *rest)
{
	while (rest->len > 0 && rest->data[0] == ' ')
		*rest = slice_skip(*rest, 1);
	return slice_cut(rest, ' ');
}

static void zone_of(struct slice word, struct civil_time *time)
{
	uint32_t number;

	if (word.len == 5 && (word.data[0] == '+' || word.data[0] == '-') && slice_to_u32(slice_skip(word, 1), 2359, &number))
		time->zone_minutes = (int)(number / 100 * 60 + number % 100) * (word.data[0] == '-' ? -1 : 1);
}

/* Behind the month: "24 15:00:00 2026", with a zone before or after the year. */
static bool rest_of_date(struct slice rest, struct civil_time *date)
{
	uint32_t day, year = 0;

	if (!slice_to_u32(next_word(&rest), 31, &day) || day == 0 || !time_of(next_word(&rest), date))
		return false;
	date->day = (int)day;
	while (rest.len > 0) {
		struct slice word = next_word(&rest);

		if (year == 0 && word.len == 4 && slice_to_u32(word, 9999, &year))
			continue;
		zone_of(word, date);
	}
	date->year = (int)year;
	return year >= 1970;
}

bool mbox_is_from_line(struct slice line, int64_t *received_ms)
{
	struct civil_time date = {0};

	if (!slice_starts_with(line, FROM) || line.len > 1000)
		return false;
	struct slice rest = slice_skip(slice_trim(line), 5);

	while (rest.len > 0) {
		date.month = month_of(next_word(&rest));
		if (date.month != 0 && rest_of_date(rest, &date)) {
			*received_ms = clock_from_civil(&date);
			return true;
		}
	}
	return false;
}

/* ---- cutting ---- */

static struct slice line_at(struct slice bytes, size_t at)
{
	struct slice rest = slice_skip(bytes, at);

	return slice_cut(&rest, '\n');
}

/* The offset behind the header's blank line. */
static size_t header_end(struct slice bytes)
{
	size_t at = 0;

	while (at < bytes.len) {
		struct slice line = line_at(bytes, at);

		at += line.len + 1;
		if (line.len == 0 || (line.len == 1 && line.data[0] == '\r'))
			return at < bytes.len ? at : bytes.len;
	}
	return bytes.len;
}

/* The offset of the next From line at or after `at` that follows a blank line; the end if there is none. */
static size_t next_from(struct slice bytes, size_t at)
{
	int64_t ms;

	for (;;) {
		size_t found = slice_find(slice_skip(bytes, at), SLICE("\nFrom "));

		if (found == SLICE_NOT_FOUND)
			return bytes.len;
		at += found + 1;
		bool after_blank = (at >= 2 && bytes.data[at - 2] == '\n') ||
				   (at >= 3 && bytes.data[at - 2] == '\r' && bytes.data[at - 3] == '\n') || at == 1;

		if (after_blank && mbox_is_from_line(line_at(bytes, at), &ms))
			return at;
	}
}

/* Is there a boundary `length` bytes behind `start`? Then *end is where the body ends. */
static bool length_fits(struct slice bytes, size_t start, uint64_t length, size_t *end)
{
	int64_t ms;

	if (length > bytes.len - start)
		return false;
	*end = start + length;
	struct slice rest = slice_skip(bytes, *end);

	while (rest.len > 0 && (rest.data[0] == '\n' || rest.data[0] == '\r'))
		rest = slice_skip(rest, 1);
	bool at_line = *end == start || bytes.data[*end - 1] == '\n' || (size_t)(rest.data - bytes.data) > *end;

	return rest.len == 0 || (at_line && mbox_is_from_line(line_at(rest, 0), &ms));
}

static bool has_raw_from(struct slice body)
{
	return slice_starts_with(body, FROM) || slice_find(body, SLICE("\nFrom ")) != SLICE_NOT_FOUND;
}

static void read_status(struct slice value, struct mbox_message *message)
{
	static const struct {
		char letter;
		uint64_t flag;
	} letters[] = {
		{'R', FLAG_SEEN}, {'A', FLAG_ANSWERED}, {'F', FLAG_FLAGGED}, {'T', FLAG_DRAFT}, {'D', FLAG_DELETED},
	};

	for (size_t i = 0; i < value.len; i++)
		for (size_t n = 0; n < sizeof letters / sizeof letters[0]; n++)
			if (value.data[i] == letters[n].letter)
				message->flags |= letters[n].flag;
}

/* "1275660208 0000025021 keyword..." */
static void read_base(struct slice value, struct mbox *mbox)
{
	uint32_t validity, last;

	if (slice_to_u32(next_word(&value), UINT32_MAX, &validity) && slice_to_u32(next_word(&value), UINT32_MAX - 1, &last)) {
		mbox->uid_validity = validity;
		mbox->last_uid = last;
	}
}

enum own_field { OWN_NONE, OWN_LENGTH, OWN_STATUS, OWN_KEYWORDS, OWN_UID, OWN_BASE, OWN_INTERNAL };

static enum own_field own_field(struct slice name)
{
	static const struct {
		struct slice name;
		enum own_field field;
	} fields[] = {
		{{"Content-Length", 14}, OWN_LENGTH}, {{"Status", 6}, OWN_STATUS}, {{"X-Status", 8}, OWN_STATUS},
		{{"X-Keywords", 10}, OWN_KEYWORDS},   {{"X-UID", 5}, OWN_UID},     {{"X-IMAPbase", 10}, OWN_BASE},
		{{"X-IMAP", 6}, OWN_INTERNAL},
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (slice_eq_nocase(name, fields[i].name))
			return fields[i].field;
	return OWN_NONE;
}

static void read_fields(struct mbox *mbox, struct mbox_message *message, uint64_t *length)
{
	struct slice rest = message->header;
	struct header_field field;

	while (header_next(&rest, &field)) {
		struct slice value = slice_trim(field.value);

		switch (own_field(field.name)) {
		case OWN_NONE:
			break;
		case OWN_LENGTH:
			if (!slice_to_u64(value, UINT32_MAX, length))
				*length = UINT64_MAX;
			break;
		case OWN_STATUS:
			read_status(value, message);
			break;
		case OWN_KEYWORDS:
			message->keywords = value;
			break;
		case OWN_UID:
			if (!slice_to_u32(value, UINT32_MAX - 1, &message->uid))
				message->uid = 0;
			break;
		case OWN_INTERNAL:
			message->is_internal = true;
			read_base(value, mbox);
			break;
		case OWN_BASE:
			read_base(value, mbox);
			break;
		}
	}
}

bool mbox_next(struct mbox *mbox, struct mbox_message *message)
{
	uint64_t length = UINT64_MAX;

	*message = (struct mbox_message){.keywords = SLICE_EMPTY, .is_quoted = true};
	struct slice line = line_at(mbox->rest, 0);

	if (!mbox_is_from_line(line, &message->received_ms)) {
		mbox->rest = slice_skip(mbox->rest, next_from(mbox->rest, 0));
		line = line_at(mbox->rest, 0);
		if (!mbox_is_from_line(line, &message->received_ms))
			return false;
	}
	struct slice bytes = slice_skip(mbox->rest, line.len + 1);
	size_t start = header_end(bytes), end, next;

	message->header = slice_sub(bytes, 0, start);
	read_fields(mbox, message, &length);
	if (length != UINT64_MAX && length_fits(bytes, start, length, &end)) {
		message->body = slice_sub(bytes, start, end);
		message->is_quoted = !has_raw_from(message->body);
		next = end;
	} else {
		next = next_from(bytes, start > 0 ? start - 1 : 0);
		message->body = slice_sub(bytes, start, next);
		/* The blank line before the next From line belongs to the file. */
		if (slice_ends_with(message->body, SLICE("\r\n")) &&
		    slice_ends_with(slice_sub(message->body, 0, message->body.len - 2), SLICE("\n")))
			message->body.len -= 2;
		else if (slice_ends_with(message->body, SLICE("\n\n")) || slice_eq(message->body, SLICE("\n")))
			message->body.len--;
	}
	mbox->rest = slice_skip(bytes, next);
	while (mbox->rest.len > 0 && (mbox->rest.data[0] == '\n' || mbox->rest.data[0] == '\r'))
		mbox->rest = slice_skip(mbox->rest, 1);
	return true;
}

/* ---- as it was ---- */

static void put_line(struct buf *out, struct slice line)
{
	if (slice_ends_with(line, SLICE("\r")))
		line.len--;
	buf_add(out, line);
	buf_add_literal(out, "\r\n");
}

static bool is_quoted_from(struct slice line)
{
	size_t quotes = 0;

	while (quotes < line.len && line.data[quotes] == '>')
		quotes++;
	return slice_starts_with(slice_skip(line, quotes), FROM) && quotes > 0;
}

static void put_lines(struct buf *out, struct slice text, bool is_quoted)
{
	while (text.len > 0) {
		bool is_last = slice_find_byte(text, '\n') == SLICE_NOT_FOUND;
		struct slice line = slice_cut(&text, '\n');

		if (is_quoted && is_quoted_from(line))
			line = slice_skip(line, 1);
		if (is_last)
			buf_add(out, line);
		else
			put_line(out, line);
	}
}

void mbox_restore(struct buf *out, const struct mbox_message *message)
{
	struct slice rest = message->header;
	bool drops = false;

	while (rest.len > 0) {
		struct slice line = slice_cut(&rest, '\n'), name = line;
		bool goes_on = line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t');

		if (!goes_on)
			drops = own_field(slice_trim(slice_cut(&name, ':'))) != OWN_NONE;
		if (!drops)
			put_line(out, line);
	}
	put_lines(out, message->body, message->is_quoted);
}

/* ---- the other way ---- */

static void put_from_line(struct buf *out, const struct mbox_facts *facts)
{
	struct civil_time at = clock_civil(facts->received_ms, 0);

	buf_add_literal(out, "From ");
	for (size_t i = 0; i < facts->sender.len && i < 300; i++)
		buf_add_byte(out, (unsigned char)facts->sender.data[i] > 0x20 && facts->sender.data[i] != 0x7f
					  ? facts->sender.data[i]
					  : '_');
	if (facts->sender.len == 0)
		buf_add_literal(out, "MAILER-DAEMON");
	buf_printf(out, " %.3s %.3s %2d %02d:%02d:%02d %d\n", weekdays + 3 * at.weekday, months + 3 * (at.month - 1), at.day,
		   at.hour, at.minute, at.second, at.year);
}

static void put_own_fields(struct buf *out, const struct mbox_facts *facts)
{
	if (facts->uid_validity > 0)
		buf_printf(out, "X-IMAPbase: %u %010u\n", facts->uid_validity, facts->last_uid);
	buf_printf(out, "Status: %sO\n", facts->flags & FLAG_SEEN ? "R" : "");
	if (facts->flags & (FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT | FLAG_DELETED))
		buf_printf(out, "X-Status: %s%s%s%s\n", facts->flags & FLAG_ANSWERED ? "A" : "",
			   facts->flags & FLAG_FLAGGED ? "F" : "", facts->flags & FLAG_DRAFT ? "T" : "",
			   facts->flags & FLAG_DELETED ? "D" : "");
	if (facts->keywords.len > 0)
		buf_printf(out, "X-Keywords: %.*s\n", SLICE_ARG(facts->keywords));
	if (facts->uid > 0)
		buf_printf(out, "X-UID: %u\n", facts->uid);
}

static void put_quoted(struct buf *out, struct slice text)
{
	while (text.len > 0) {
		struct slice line = slice_cut(&text, '\n');

		if (slice_ends_with(line, SLICE("\r")))
			line.len--;
		if (slice_starts_with(line, FROM) || is_quoted_from(line))
			buf_add_byte(out, '>');
		buf_add(out, line);
		buf_add_byte(out, '\n');
	}
	buf_add_byte(out, '\n');
}

/* Fields of the same names that the message brought would be taken for the file's: they are left out. */
void mbox_put(struct buf *out, const struct mbox_facts *facts, struct slice bytes)
{
	size_t end = header_end(bytes);
	struct slice rest = slice_sub(bytes, 0, end);
	bool drops = false;

	put_from_line(out, facts);
	while (rest.len > 0) {
		struct slice line = slice_cut(&rest, '\n'), name = line;
		bool goes_on = line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t');

		/* Nothing that could be taken for the end of the header. */
		while (slice_ends_with(line, SLICE("\r")))
			line.len--;
		if (line.len == 0)
			continue;
		if (!goes_on)
			drops = own_field(slice_trim(slice_cut(&name, ':'))) != OWN_NONE;
		if (drops)
			continue;
		buf_add(out, line);
		buf_add_byte(out, '\n');
	}
	put_own_fields(out, facts);
	buf_add_byte(out, '\n');
	put_quoted(out, slice_skip(bytes, end));
}
