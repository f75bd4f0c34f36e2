#include "imap/parse.h"

#include "base/clock.h"
#include "imap/name.h"
#include "store/mailbox.h"

#define DAY_MS INT64_C(86400000)

void imap_parser_init(struct imap_parser *p, struct arena *arena, struct slice text, bool utf8)
{
	*p = (struct imap_parser){.rest = text, .arena = arena, .fault = SLICE_EMPTY, .utf8 = utf8};
}

bool imap_fault(struct imap_parser *p, struct slice fault)
{
	if (p->fault.len == 0)
		p->fault = fault;
	return false;
}

bool imap_allow_sequence(struct imap_parser *p)
{
	p->needs_uid = p->uid_only;
	return !p->uid_only || imap_fault(p, SLICE("UIDONLY is enabled: no sequence numbers"));
}

static struct slice take(struct imap_parser *p, size_t count)
{
	struct slice taken = slice_sub(p->rest, 0, count);

	p->rest = slice_skip(p->rest, count);
	return taken;
}

bool imap_accept(struct imap_parser *p, char byte)
{
	if (p->rest.len == 0 || p->rest.data[0] != byte)
		return false;
	p->rest = slice_skip(p->rest, 1);
	return true;
}

bool imap_parse_byte(struct imap_parser *p, char byte)
{
	return imap_accept(p, byte) || imap_fault(p, byte == '(' ? SLICE("a list is missing") : SLICE("a bracket is missing"));
}

bool imap_parse_space(struct imap_parser *p)
{
	return imap_accept(p, ' ') || imap_fault(p, p->rest.len ? SLICE("a space is missing") : SLICE("arguments are missing"));
}

/* Lenient: spaces at the end of a line are sent by some clients. */
bool imap_parse_end(struct imap_parser *p)
{
	while (imap_accept(p, ' '))
		;
	return p->rest.len == 0 || imap_fault(p, SLICE("more arguments than expected"));
}

/* RFC 9051 section 9: ATOM-CHAR. */
static bool is_atom_char(char c)
{
	switch (c) {
	case '(':
	case ')':
	case '{':
	case ' ':
	case '%':
	case '*':
	case '"':
	case '\\':
	case ']':
		return false;
	default:
		return c > 0x1f && c < 0x7f;
	}
}

bool imap_is_atom(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!is_atom_char(text.data[i]))
			return false;
	}
	return text.len > 0;
}

static bool is_astring_char(char c)
{
	return c == ']' || is_atom_char(c);
}

static bool is_tag_char(char c)
{
	return c != '+' && is_astring_char(c);
}

static bool is_word_char(char c)
{
	return ascii_is_alnum(c) || c == '.' || c == '-';
}

static bool is_pattern_char(char c)
{
	return c == '%' || c == '*' || is_astring_char(c);
}

static struct slice take_while(struct imap_parser *p, bool (*is)(char))
{
	size_t len = 0;

	while (len < p->rest.len && is(p->rest.data[len]))
		len++;
	return take(p, len);
}

bool imap_parse_word(struct imap_parser *p, struct slice *word)
{
	*word = take_while(p, is_word_char);
	return word->len > 0 || imap_fault(p, SLICE("a word is missing"));
}

bool imap_accept_word(struct imap_parser *p, struct slice word)
{
	struct slice before = p->rest;

	if (slice_eq_nocase(take_while(p, is_word_char), word))
		return true;
	p->rest = before;
	return false;
}

bool imap_parse_tag(struct imap_parser *p, struct slice *tag)
{
	*tag = take_while(p, is_tag_char);
	return (tag->len > 0 && tag->len <= IMAP_TAG_MAX) || imap_fault(p, SLICE("a command begins with a tag"));
}

bool imap_parse_atom(struct imap_parser *p, struct slice *atom)
{
	*atom = take_while(p, is_atom_char);
	return atom->len > 0 || imap_fault(p, SLICE("an atom is missing"));
}

static struct slice unescape(struct arena *arena, struct slice raw)
{
	char *out = arena_alloc(arena, raw.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < raw.len; i++) {
		if (raw.data[i] == '\\')
			i++;
		out[len++] = raw.data[i];
	}
	return slice_of(out, len);
}

/* RFC 9051 section 9: quoted. Bytes above ASCII may stand there; what they mean is the taker's affair. */
/* How far a quoted string goes on without anything that has to be looked at. */
static size_t plain_length(struct slice rest, size_t at)
{
	while (at < rest.len && rest.data[at] != '"' && rest.data[at] != '\\' && (unsigned char)rest.data[at] > '\r')
		at++;
	return at;
}

static bool parse_quoted(struct imap_parser *p, struct slice *string)
{
	bool escaped = false;

	for (size_t i = plain_length(p->rest, 1); i < p->rest.len; i++) {
		char c = p->rest.data[i];

		if (c == '"') {
			*string = slice_sub(p->rest, 1, i);
			p->rest = slice_skip(p->rest, i + 1);
			if (escaped)
				*string = unescape(p->arena, *string);
			return true;
		}
		if (c == '\\') {
			escaped = true;
			c = i + 1 < p->rest.len ? p->rest.data[++i] : '\0';
			if (c != '"' && c != '\\')
				return imap_fault(p, SLICE("a backslash in a quoted string stands before \" or \\"));
		}
		if (c == '\0' || c == '\r' || c == '\n')
			break;
	}
	return imap_fault(p, SLICE("a quoted string has no end"));
}

static bool parse_literal(struct imap_parser *p, struct slice *string)
{
	struct slice all = p->rest, head = slice_cut(&all, '\n');
	struct imap_literal literal;

	if (head.len == p->rest.len || !slice_ends_with(head, SLICE("\r")) ||
	    !imap_line_literal(slice_sub(head, 0, head.len - 1), &literal) || literal.size > all.len)
		return imap_fault(p, SLICE("a literal is malformed"));
	*string = slice_sub(all, 0, (size_t)literal.size);
	p->rest = slice_skip(all, (size_t)literal.size);
	return slice_find_byte(*string, '\0') == SLICE_NOT_FOUND || imap_fault(p, SLICE("a literal has no NUL"));
}

bool imap_parse_string(struct imap_parser *p, struct slice *string)
{
	if (imap_peek(p) == '"')
		return parse_quoted(p, string);
	if (imap_peek(p) == '{')
		return parse_literal(p, string);
	return imap_fault(p, SLICE("a string is missing"));
}

bool imap_parse_nstring(struct imap_parser *p, struct slice *string)
{
	*string = (struct slice){NULL, 0};
	return imap_accept_word(p, SLICE("NIL")) || imap_parse_string(p, string);
}

bool imap_parse_astring(struct imap_parser *p, struct slice *string)
{
	if (imap_peek(p) == '"' || imap_peek(p) == '{')
		return imap_parse_string(p, string);
	*string = take_while(p, is_astring_char);
	return string->len > 0 || imap_fault(p, SLICE("a string is missing"));
}

bool imap_parse_u64(struct imap_parser *p, uint64_t *number)
{
	struct slice digits = take_while(p, ascii_is_digit);

	/* RFC 9051 section 9: number64 ends at 2^63 - 1. */
	return slice_to_u64(digits, INT64_MAX, number) || imap_fault(p, SLICE("a number is missing or too large"));
}

bool imap_parse_u32(struct imap_parser *p, uint32_t *number)
{
	struct slice digits = take_while(p, ascii_is_digit);

	return slice_to_u32(digits, UINT32_MAX, number) || imap_fault(p, SLICE("a number is missing or too large"));
}

bool imap_line_literal(struct slice line, struct imap_literal *literal)
{
	size_t open = slice_find_last_byte(line, '{');
	struct slice number;

	if (open == SLICE_NOT_FOUND || !slice_ends_with(line, SLICE("}")))
		return false;
	number = slice_sub(line, open + 1, line.len - 1);
	literal->waits = !slice_ends_with(number, SLICE("+"));
	literal->binary = open > 0 && line.data[open - 1] == '~';
	if (!literal->waits)
		number = slice_sub(number, 0, number.len - 1);
	return slice_to_u64(number, INT64_MAX, &literal->size);
}

/* ---- flags ---- */

static bool system_flag(struct slice name, uint64_t *bit)
{
	static const struct {
		struct slice name;
		uint64_t bit;
	} known[] = {
		{{"Seen", 4}, FLAG_SEEN},   {{"Answered", 8}, FLAG_ANSWERED}, {{"Flagged", 7}, FLAG_FLAGGED},
		{{"Draft", 5}, FLAG_DRAFT}, {{"Deleted", 7}, FLAG_DELETED},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (slice_eq_nocase(name, known[i].name)) {
			*bit = known[i].bit;
			return true;
		}
	}
	return false;
}

static bool parse_flag(struct imap_parser *p, struct imap_flags *flags)
{
	struct slice name;
	uint64_t bit;

	if (imap_accept(p, '\\')) {
		if (!imap_parse_atom(p, &name))
			return false;
		/* Lenient: \Recent can't be set by a client, but some copy it from one server to the other. */
		if (slice_eq_nocase(name, SLICE("Recent")))
			return true;
		if (!system_flag(name, &bit))
			return imap_fault(p, SLICE("there is no such system flag"));
		flags->system |= bit;
		return true;
	}
	if (!imap_parse_atom(p, &name))
		return false;
	if (name.len > IMAP_KEYWORD_MAX || flags->keyword_count == IMAP_KEYWORDS_MAX)
		return imap_fault(p, SLICE("too many or too long keywords"));
	flags->keywords[flags->keyword_count++] = name;
	return true;
}

bool imap_parse_flags(struct imap_parser *p, bool bare, struct imap_flags *flags)
{
	bool in_list = imap_accept(p, '(');

	*flags = (struct imap_flags){.keywords = ARENA_ARRAY(p->arena, struct slice, IMAP_KEYWORDS_MAX)};
	if (!in_list && !bare)
		return imap_fault(p, SLICE("a list of flags is missing"));
	if (in_list && imap_accept(p, ')'))
		return true;
	do {
		if (!parse_flag(p, flags))
			return false;
	} while (imap_accept(p, ' '));
	return !in_list || imap_parse_byte(p, ')');
}

/* ---- dates ---- */

static bool parse_month(struct imap_parser *p, int *month)
{
	static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	struct slice name = take_while(p, ascii_is_alpha);

	for (int i = 0; name.len == 3 && i < 12; i++) {
		if (slice_eq_nocase(name, slice_of(names + (size_t)i * 3, 3))) {
			*month = i + 1;
			return true;
		}
	}
	return imap_fault(p, SLICE("a month is Jan, Feb, ... Dec"));
}

static bool parse_digits(struct imap_parser *p, size_t min, size_t max, int from, int to, int *value)
{
	struct slice digits = take_while(p, ascii_is_digit);
	uint32_t number;

	if (digits.len < min || digits.len > max || !slice_to_u32(digits, (uint32_t)to, &number) || (int)number < from)
		return imap_fault(p, SLICE("a date or time is malformed"));
	*value = (int)number;
	return true;
}

static bool parse_punctuation(struct imap_parser *p, char byte)
{
	return imap_accept(p, byte) || imap_fault(p, SLICE("a date or time is malformed"));
}

static int days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Day (one or two digits, or space and digit), month, year. */
static bool parse_civil_date(struct imap_parser *p, struct civil_time *civil)
{
	imap_accept(p, ' ');
	if (!parse_digits(p, 1, 2, 1, 31, &civil->day) || !parse_punctuation(p, '-') || !parse_month(p, &civil->month) ||
	    !parse_punctuation(p, '-') || !parse_digits(p, 4, 4, 1, 9999, &civil->year))
		return false;
	return civil->day <= days_of_month(civil->year, civil->month) || imap_fault(p, SLICE("that month has no such day"));
}

static bool parse_zone(struct imap_parser *p, int *minutes)
{
	bool west = imap_peek(p) == '-';
	struct slice digits;
	uint32_t zone;

	if (!imap_accept(p, '-') && !imap_accept(p, '+'))
		return imap_fault(p, SLICE("a time zone is +hhmm or -hhmm"));
	digits = take_while(p, ascii_is_digit);
	if (digits.len != 4 || !slice_to_u32(digits, 9959, &zone) || zone % 100 > 59)
		return imap_fault(p, SLICE("a time zone is +hhmm or -hhmm"));
	*minutes = (int)(zone / 100 * 60 + zone % 100);
	if (west)
		*minutes = -*minutes;
	return true;
}

bool imap_parse_date_time(struct imap_parser *p, int64_t *wall_ms)
{
	struct civil_time civil = {0};

	if (!parse_punctuation(p, '"') || !parse_civil_date(p, &civil) || !parse_punctuation(p, ' ') ||
	    !parse_digits(p, 2, 2, 0, 23, &civil.hour) || !parse_punctuation(p, ':') ||
	    !parse_digits(p, 2, 2, 0, 59, &civil.minute) || !parse_punctuation(p, ':') ||
	    !parse_digits(p, 2, 2, 0, 60, &civil.second) || !parse_punctuation(p, ' ') || !parse_zone(p, &civil.zone_minutes) ||
	    !parse_punctuation(p, '"'))
		return false;
	*wall_ms = clock_from_civil(&civil);
	return true;
}

bool imap_parse_date(struct imap_parser *p, int64_t *day)
{
	bool quoted = imap_accept(p, '"');
	struct civil_time civil = {0};
	int64_t ms;

	if (!parse_civil_date(p, &civil) || (quoted && !parse_punctuation(p, '"')))
		return false;
	ms = clock_from_civil(&civil);
	*day = (ms - (ms % DAY_MS + DAY_MS) % DAY_MS) / DAY_MS;
	return true;
}

/* ---- mailboxes ---- */

static bool parse_name(struct imap_parser *p, bool is_new, struct slice *name)
{
	struct slice raw;

	if (!imap_parse_astring(p, &raw))
		return false;
	if (is_new && raw.len > 1 && slice_ends_with(raw, SLICE("/")))
		raw = slice_sub(raw, 0, raw.len - 1);
	if (!imap_name_decode(p->arena, raw, p->utf8, name) || !imap_name_is_valid(*name)) {
		p->is_impossible = p->fault.len == 0;
		return imap_fault(p, SLICE("that can't be the name of a mailbox"));
	}
	*name = imap_name_canonical(p->arena, *name);
	return true;
}

bool imap_parse_mailbox(struct imap_parser *p, struct slice *name)
{
	return parse_name(p, false, name);
}

bool imap_parse_new_mailbox(struct imap_parser *p, struct slice *name)
{
	return parse_name(p, true, name);
}

bool imap_parse_pattern(struct imap_parser *p, struct slice *pattern)
{
	struct slice raw;

	if (imap_peek(p) == '"' || imap_peek(p) == '{') {
		if (!imap_parse_string(p, &raw))
			return false;
	} else {
		raw = take_while(p, is_pattern_char);
		if (raw.len == 0)
			return imap_fault(p, SLICE("a pattern is missing"));
	}
	if (raw.len > IMAP_NAME_MAX)
		return imap_fault(p, SLICE("that can't be the name of a mailbox"));
	/* What can't be a name isn't wrong; it matches none. */
	if (!imap_name_decode(p->arena, raw, p->utf8, pattern))
		*pattern = SLICE("\x7f");
	return true;
}

bool imap_brings_message(struct imap_parser *p)
{
	struct slice name, number;

	if (!imap_accept(p, ' '))
		return false;
	if (!imap_accept_word(p, SLICE("APPEND"))) {
		if (imap_accept_word(p, SLICE("UID")) && !imap_accept(p, ' '))
			return false;
		if (!imap_accept_word(p, SLICE("REPLACE")) || !imap_accept(p, ' ') ||
		    (!imap_accept(p, '*') && !imap_parse_astring(p, &number)))
			return false;
	}
	return imap_accept(p, ' ') && (imap_parse_mailbox(p, &name) || p->is_impossible) && imap_accept(p, ' ');
}
