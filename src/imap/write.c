#include "imap/write.h"

#include "base/clock.h"

#define QUOTED_MAX 1000

/* RFC 9051 section 9: TEXT-CHAR without quoted-specials; UTF-8 only where both sides have agreed on it. */
static bool can_be_quoted(struct slice text, bool utf8)
{
	if (text.len > QUOTED_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c == '\0' || c == '\r' || c == '\n' || (c >= 0x80 && !utf8))
			return false;
	}
	return !utf8 || slice_is_utf8(text);
}

void imap_put_string(struct buf *out, struct slice text, bool utf8)
{
	if (!can_be_quoted(text, utf8)) {
		buf_add_byte(out, '{');
		buf_add_u64(out, text.len);
		buf_add_literal(out, "}\r\n");
		buf_add(out, text);
		return;
	}
	buf_add_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '"' || text.data[i] == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, text.data[i]);
	}
	buf_add_byte(out, '"');
}

void imap_put_flags(struct buf *out, uint64_t flags, const struct keyword_table *keywords)
{
	static const struct {
		uint64_t bit;
		struct slice name;
	} system[] = {
		{FLAG_ANSWERED, {"\\Answered", 9}}, {FLAG_FLAGGED, {"\\Flagged", 8}}, {FLAG_DELETED, {"\\Deleted", 8}},
		{FLAG_SEEN, {"\\Seen", 5}},         {FLAG_DRAFT, {"\\Draft", 6}},     {FLAG_RECENT, {"\\Recent", 7}},
	};
	bool first = true;

	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++) {
		if (!(flags & system[i].bit))
			continue;
		if (!first)
			buf_add_byte(out, ' ');
		buf_add(out, system[i].name);
		first = false;
	}
	for (unsigned bit = FLAG_KEYWORD_FIRST; keywords && bit <= FLAG_KEYWORD_LAST; bit++) {
		if (!(flags & UINT64_C(1) << bit) || keywords->names[bit].len == 0)
			continue;
		if (!first)
			buf_add_byte(out, ' ');
		buf_add(out, keywords->names[bit]);
		first = false;
	}
}

char *imap_write_u64(char *to, uint64_t value)
{
	char digits[IMAP_U64_MAX], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return imap_write(to, slice_of(at, (size_t)(digits + sizeof(digits) - at)));
}

static char *write_id(char *to, char letter, int64_t number)
{
	*to++ = letter;
	for (int shift = 60; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[(uint64_t)number >> shift & 15];
	return to;
}

char *imap_write_email_id(char *to, int64_t email)
{
	return write_id(to, 'E', email);
}

char *imap_write_thread_id(char *to, int64_t thread)
{
	return write_id(to, 'T', thread);
}

static bool parse_id(struct slice id, char letter, int64_t *result)
{
	uint64_t number = 0;

	if (id.len != IMAP_EMAIL_ID_MAX || id.data[0] != letter)
		return false;
	for (size_t i = 1; i < id.len; i++) {
		size_t digit = slice_find_byte(SLICE("0123456789abcdef"), id.data[i]);

		if (digit == SLICE_NOT_FOUND)
			return false;
		number = number << 4 | digit;
	}
	*result = (int64_t)number;
	return true;
}

bool imap_email_id_parse(struct slice id, int64_t *email)
{
	return parse_id(id, 'E', email);
}

bool imap_thread_id_parse(struct slice id, int64_t *thread)
{
	return parse_id(id, 'T', thread);
}

static char *write_two(char *to, int value)
{
	to[0] = (char)('0' + value / 10);
	to[1] = (char)('0' + value % 10);
	return to + 2;
}

char *imap_write_date_time(char *to, int64_t wall_ms)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil_time civil = clock_civil(wall_ms, 0);

	*to++ = '"';
	*to++ = civil.day < 10 ? ' ' : (char)('0' + civil.day / 10);
	*to++ = (char)('0' + civil.day % 10);
	*to++ = '-';
	memcpy(to, months + (size_t)(civil.month - 1) * 3, 3);
	to[3] = '-';
	to = write_two(to + 4, civil.year / 100 % 100);
	to = write_two(to, civil.year % 100);
	*to++ = ' ';
	to = write_two(to, civil.hour);
	*to++ = ':';
	to = write_two(to, civil.minute);
	*to++ = ':';
	to = write_two(to, civil.second);
	return imap_write(to, SLICE(" +0000\""));
}

void imap_put_date_time(struct buf *out, int64_t wall_ms)
{
	char text[IMAP_DATE_TIME_LEN];

	buf_add(out, slice_of(text, (size_t)(imap_write_date_time(text, wall_ms) - text)));
}

static void put_range(struct buf *out, struct imap_range range, bool first)
{
	if (!first)
		buf_add_byte(out, ',');
	buf_add_u64(out, range.first);
	if (range.last == range.first)
		return;
	buf_add_byte(out, ':');
	buf_add_u64(out, range.last);
}

void imap_put_set(struct buf *out, const struct imap_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		put_range(out, set->ranges[i], i == 0);
}

void imap_put_numbers_as_set(struct buf *out, const uint32_t *numbers, size_t count)
{
	size_t start = 0;

	for (size_t i = 1; i <= count; i++) {
		if (i < count && numbers[i] == numbers[i - 1] + 1)
			continue;
		put_range(out, (struct imap_range){numbers[start], numbers[i - 1]}, start == 0);
		start = i;
	}
}
