/* The codecs: what commands are made of (RFC 9051 section 9), mailbox names, sequence sets, pieces of responses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "imap/envelope.h"
#include "imap/fetch.h"
#include "imap/name.h"
#include "imap/parse.h"
#include "imap/search.h"
#include "imap/set.h"
#include "imap/url.h"
#include "imap/write.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct arena arena;

static struct imap_parser parser(const char *text)
{
	struct imap_parser p;

	imap_parser_init(&p, &arena, slice_from_cstr(text), false);
	return p;
}

static void assert_slice(struct slice got, const char *expected)
{
	struct slice want = slice_from_cstr(expected);

	if (!slice_eq(got, want))
		fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(got), expected);
}

static void test_strings(void **state)
{
	static const struct {
		const char *text, *value, *rest; /* value NULL: refused */
	} cases[] = {
		{"INBOX rest", "INBOX", " rest"},
		{"a]b rest", "a]b", " rest"},
		{"\"a b\" rest", "a b", " rest"},
		{"\"\"", "", ""},
		{"\"say \\\"hi\\\" \\\\\"x", "say \"hi\" \\", "x"},
		{"{3}\r\na\"b rest", "a\"b", " rest"},
		{"{3+}\r\nabc", "abc", ""},
		{"{0}\r\n", "", ""},
		{"\"Gr\xc3\xbc\xc3\x9f"
		 "e\"",
		 "Gr\xc3\xbc\xc3\x9f"
		 "e",
		 ""},
		{"\"open", NULL, NULL},
		{"\"bad \\n\"", NULL, NULL},
		{"\"two\r\nlines\"", NULL, NULL},
		{"{4}\r\nabc", NULL, NULL},
		{"{3}abc", NULL, NULL},
		{"{x}\r\nabc", NULL, NULL},
		{"{99999999999999999999}\r\nabc", NULL, NULL},
		{"", NULL, NULL},
		{"(a)", NULL, NULL},
		{"%", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_parser p = parser(cases[i].text);
		struct slice value;
		bool ok = imap_parse_astring(&p, &value);

		if (ok != (cases[i].value != NULL))
			fail_msg("%s", cases[i].text);
		assert_int_equal(ok, p.fault.len == 0);
		if (!ok)
			continue;
		assert_slice(value, cases[i].value);
		assert_slice(p.rest, cases[i].rest);
	}
}

static void test_line_literals(void **state)
{
	static const struct {
		const char *line;
		bool is, waits, binary;
		uint64_t size;
	} cases[] = {
		{"a APPEND INBOX {310}", true, true, false, 310},
		{"a LOGIN {5+}", true, false, false, 5},
		{"a APPEND INBOX ~{7+}", true, false, true, 7},
		{"a NOOP", false, false, false, 0},
		{"a X {}", false, false, false, 0},
		{"a X {+}", false, false, false, 0},
		{"a X {1-}", false, false, false, 0},
		{"a X {5} ", false, false, false, 0},
		{"a X }", false, false, false, 0},
		{"a X {9223372036854775808}", false, false, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_literal literal;

		assert_int_equal(imap_line_literal(slice_from_cstr(cases[i].line), &literal), cases[i].is);
		if (!cases[i].is)
			continue;
		assert_int_equal(literal.waits, cases[i].waits);
		assert_int_equal(literal.binary, cases[i].binary);
		assert_int_equal(literal.size, cases[i].size);
	}
}

static void test_flags(void **state)
{
	struct imap_parser p = parser("(\\Seen \\deleted $Forwarded NonJunk) x");
	struct imap_flags flags;

	(void)state;
	assert_true(imap_parse_flags(&p, false, &flags));
	assert_int_equal(flags.system, FLAG_SEEN | FLAG_DELETED);
	assert_int_equal(flags.keyword_count, 2);
	assert_slice(flags.keywords[0], "$Forwarded");
	assert_slice(p.rest, " x");
	p = parser("()");
	assert_true(imap_parse_flags(&p, false, &flags));
	assert_int_equal(flags.system, 0);
	p = parser("\\Flagged \\Answered");
	assert_true(imap_parse_flags(&p, true, &flags));
	assert_int_equal(flags.system, FLAG_FLAGGED | FLAG_ANSWERED);
	p = parser("\\Flagged");
	assert_false(imap_parse_flags(&p, false, &flags));
	p = parser("(\\Nonsense)");
	assert_false(imap_parse_flags(&p, false, &flags));
	p = parser("(\\Seen");
	assert_false(imap_parse_flags(&p, false, &flags));
}

static void test_dates(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} times[] = {
		{"\"17-Jul-1996 02:44:25 -0700\"", INT64_C(837596665000)},
		{"\" 1-Jan-1970 00:00:00 +0000\"", 0},
		{"\"24-nov-2026 12:00:00 +0100\"", INT64_C(1795518000000)},
		{"\"29-Feb-2024 00:00:00 +0000\"", INT64_C(1709164800000)},
		{"\"29-Feb-2023 00:00:00 +0000\"", -1},
		{"\"17-Jul-96 02:44:25 -0700\"", -1},
		{"\"17-Jul-1996 24:44:25 -0700\"", -1},
		{"\"17-Jul-1996 02:44:25 GMT\"", -1},
		{"\"17-Xxx-1996 02:44:25 -0700\"", -1},
		{"17-Jul-1996", -1},
	};
	static const struct {
		const char *text;
		int64_t day;
	} days[] = {{"1-Feb-1994", 8797}, {"\"01-Jan-1970\"", 0}, {"31-Dec-1969", -1}, {"1-Jan-2000", 10957}};
	struct imap_parser p;
	int64_t value;

	(void)state;
	for (size_t i = 0; i < COUNT(times); i++) {
		p = parser(times[i].text);
		assert_int_equal(imap_parse_date_time(&p, &value), times[i].ms != -1);
		if (times[i].ms != -1)
			assert_int_equal(value, times[i].ms);
	}
	for (size_t i = 0; i < COUNT(days); i++) {
		p = parser(days[i].text);
		assert_true(imap_parse_date(&p, &value));
		assert_int_equal(value, days[i].day);
	}
}

static void test_sets(void **state)
{
	static const struct {
		const char *text;
		uint32_t last;
		const char *resolved; /* NULL: refused */
	} cases[] = {
		{"2,4:7,9,12:*", 15, "2,4:7,9,12:15"}, /* RFC 9051 section 9 */
		{"*:4,5:7", 10, "4:10"},
		{"*", 3, "3"},
		{"100:*", 7, "7:100"},
		{"5:3,4", 9, "3:5"},
		{"1,2,3", 9, "1:3"},
		{"9,1", 9, "1,9"},
		{"4294967295", 9, "4294967295"},
		{"0", 9, NULL},
		{"1:", 9, NULL},
		{"4294967296", 9, NULL},
		{",1", 9, NULL},
		{"a", 9, NULL},
		{"", 9, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_parser p = parser(cases[i].text);
		struct imap_set set;
		struct buf out SCOPED_BUF;
		bool ok = imap_parse_set(&p, &set);

		assert_int_equal(ok, cases[i].resolved != NULL);
		if (!ok)
			continue;
		imap_set_resolve(&set, cases[i].last);
		imap_put_set(&out, &set);
		assert_slice(buf_slice(&out), cases[i].resolved);
	}
}

static void test_set_of_numbers(void **state)
{
	static const uint32_t numbers[] = {1, 2, 3, 7, 9, 10};
	struct imap_set set = imap_set_of(&arena, numbers, COUNT(numbers));
	struct buf out SCOPED_BUF;

	(void)state;
	assert_int_equal(set.count, 3);
	assert_true(imap_set_has(&set, 2));
	assert_true(imap_set_has(&set, 7));
	assert_false(imap_set_has(&set, 8));
	assert_false(imap_set_has(&set, 11));
	assert_int_equal(imap_set_greatest(&set), 10);
	imap_put_numbers_as_set(&out, numbers, COUNT(numbers));
	assert_slice(buf_slice(&out), "1:3,7,9:10");
}

static void test_modified_utf7(void **state)
{
	static const struct {
		const char *utf7, *utf8; /* utf8 NULL: refused */
	} cases[] = {
		{"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
		 "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"}, /* RFC 3501 section 5.1.3 */
		{"&Jjo-!", "\xe2\x98\xba!"},
		{"Work/Projects &- Co", "Work/Projects & Co"},
		{"&-", "&"},
		{"&2D3eAA-", "\xf0\x9f\x98\x80"},
		{"Entw&APw-rfe", "Entw\xc3\xbcrfe"},
		{"&U,BTFw-&ZeVnLIqe-", NULL}, /* two runs side by side */
		{"&Jjo!", NULL},              /* no end */
		{"&AGE-", NULL},              /* "a" needn't be encoded */
		{"&2D0-", NULL},              /* half a pair */
		{"&3gA-", NULL},
		{"&A-", NULL},
		{"&Jj=-", NULL},
		{"\xc3\xa4", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out SCOPED_BUF, back SCOPED_BUF;
		bool ok = imap_utf7_decode(&out, slice_from_cstr(cases[i].utf7));

		if (ok != (cases[i].utf8 != NULL))
			fail_msg("%s", cases[i].utf7);
		if (!ok)
			continue;
		assert_slice(buf_slice(&out), cases[i].utf8);
		imap_utf7_encode(&back, buf_slice(&out));
		assert_slice(buf_slice(&back), cases[i].utf7);
	}
}

static void test_names(void **state)
{
	static const char *const good[] = {"INBOX", "a/b/c", "Gel\xc3\xb6scht", "with space", "a\"b\\c", "~", "#news"};
	static const char *const bad[] = {"", "/a", "a/", "a//b", "a*", "a%b", "a\tb", "a\x7f", "a\xc2\x85", "a\xe2\x80\xa8 b"};
	char long_name[1200];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(imap_name_is_valid(slice_from_cstr(good[i])));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(imap_name_is_valid(slice_from_cstr(bad[i])));
	memset(long_name, 'a', sizeof(long_name));
	assert_false(imap_name_is_valid(slice_of(long_name, sizeof(long_name))));
	assert_false(imap_name_is_valid(slice_of(long_name, 256)));
	assert_slice(imap_name_canonical(&arena, SLICE("inbox")), "INBOX");
	assert_slice(imap_name_canonical(&arena, SLICE("iNbox/Sub")), "INBOX/Sub");
	assert_slice(imap_name_canonical(&arena, SLICE("Inboxes")), "Inboxes");
	assert_true(imap_name_is_below(SLICE("a/b"), SLICE("a")));
	assert_false(imap_name_is_below(SLICE("ab"), SLICE("a")));
	assert_true(imap_name_compare(SLICE("a/b"), SLICE("a b")) < 0);
	assert_true(imap_name_compare(SLICE("a"), SLICE("a/b")) < 0);
}

/* The slow and obvious way. */
static bool matches_slowly(const char *pattern, const char *name)
{
	if (*pattern == '\0')
		return *name == '\0';
	if (*pattern == '*' || *pattern == '%')
		return matches_slowly(pattern + 1, name) ||
		       (*name && (*pattern == '*' || *name != '/') && matches_slowly(pattern, name + 1));
	return *pattern == *name && matches_slowly(pattern + 1, name + 1);
}

static void test_patterns(void **state)
{
	static const char letters[] = "ab/%*";

	(void)state;
	assert_true(imap_pattern_matches(SLICE("*"), SLICE("a/b/c")));
	assert_false(imap_pattern_matches(SLICE("%"), SLICE("a/b")));
	assert_true(imap_pattern_matches(SLICE("%/%"), SLICE("a/b")));
	assert_true(imap_pattern_matches(SLICE("a*c"), SLICE("a/b/c")));
	srand(1);
	for (int round = 0; round < 200000; round++) {
		char pattern[9] = "", name[11] = "";
		size_t pattern_len = (size_t)rand() % 8, name_len = (size_t)rand() % 10;

		for (size_t i = 0; i < pattern_len; i++)
			pattern[i] = letters[rand() % 5];
		for (size_t i = 0; i < name_len; i++)
			name[i] = letters[rand() % 3];
		if (imap_pattern_matches(slice_from_cstr(pattern), slice_from_cstr(name)) != matches_slowly(pattern, name))
			fail_msg("\"%s\" and \"%s\"", pattern, name);
	}
}

static void test_fetch(void **state)
{
	static const struct {
		const char *text, *label; /* label NULL: refused; "": no section */
		unsigned items;
		bool sets_seen;
	} cases[] = {
		{"FLAGS", "", FETCH_FLAGS, false},
		{"(UID flags RFC822.size)", "", FETCH_UID | FETCH_FLAGS | FETCH_SIZE, false},
		{"ALL", "", FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE, false},
		{"full", "", FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE | FETCH_BODY, false},
		{"BODY", "", FETCH_BODY, false},
		{"BODY[]", "BODY[]", 0, true},
		{"(body.peek[header.fields (date From)])", "BODY[HEADER.FIELDS (date From)]", 0, false},
		{"BODY[4.2.2.1]", "BODY[4.2.2.1]", 0, true},
		{"BODY[4.1.MIME]", "BODY[4.1.MIME]", 0, true},
		{"BODY[3.HEADER]", "BODY[3.HEADER]", 0, true},
		{"BODY[TEXT]<0.2048>", "BODY[TEXT]<0>", 0, true},
		{"BODY.PEEK[1]<100.5>", "BODY[1]<100>", 0, false},
		{"BODY[HEADER.FIELDS.NOT (\"Received\")]", "BODY[HEADER.FIELDS.NOT (Received)]", 0, true},
		{"BINARY.PEEK[1.2]", "BINARY[1.2]", 0, false},
		{"BINARY.SIZE[1]", "BINARY.SIZE[1]", 0, false},
		{"RFC822", "RFC822", 0, true},
		{"RFC822.HEADER", "RFC822.HEADER", 0, false},
		{"RFC822.TEXT", "RFC822.TEXT", 0, true},
		{"BODY.PEEK[HEADER.FIELDS (\"X(odd\")]", "BODY[HEADER.FIELDS (\"X(odd\")]", 0, false},
		{"BODY[HEADER.FIELDS (\"a b\")]", NULL, 0, false},
		{"BODY[HEADER.FIELDS ({3}\r\na\r\n)]", NULL, 0, false},
		{"()", NULL, 0, false},
		{"(ALL)", NULL, 0, false},
		{"BODY[MIME]", NULL, 0, false},
		{"BODY[0]", NULL, 0, false},
		{"BODY[1.]", NULL, 0, false},
		{"BODY[HEADER.FIELDS ()]", NULL, 0, false},
		{"BODY[TEXT]<0.0>", NULL, 0, false},
		{"BODY[", NULL, 0, false},
		{"BINARY[TEXT]", NULL, 0, false},
		{"BODYSTRUCTURE[1]", NULL, 0, false},
		{"NONSENSE", NULL, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_parser p = parser(cases[i].text);
		struct fetch_request request;
		bool ok = imap_parse_fetch(&p, &request) && imap_parse_end(&p);

		if (ok != (cases[i].label != NULL))
			fail_msg("%s", cases[i].text);
		if (!ok)
			continue;
		assert_int_equal(request.items, cases[i].items);
		assert_int_equal(request.sets_seen, cases[i].sets_seen);
		assert_slice(request.sections ? request.sections->label : SLICE_EMPTY, cases[i].label);
	}
}

static void test_search_keys(void **state)
{
	static const struct {
		const char *text;
		enum search_answer answer; /* for a flagged, seen message 5 of 2,000 bytes that came on 2 January 1970 */
	} cases[] = {
		{"ALL", SEARCH_YES},
		{"FLAGGED SEEN", SEARCH_YES},
		{"FLAGGED UNSEEN", SEARCH_NO},
		{"NOT DELETED", SEARCH_YES},
		{"OR DELETED FLAGGED", SEARCH_YES},
		{"OR (DELETED) (ANSWERED)", SEARCH_NO},
		{"LARGER 1999 SMALLER 2001", SEARCH_YES},
		{"LARGER 2000", SEARCH_NO},
		{"ON 2-Jan-1970", SEARCH_YES},
		{"BEFORE 2-Jan-1970", SEARCH_NO},
		{"SINCE 2-Jan-1970 BEFORE 3-Jan-1970", SEARCH_YES},
		{"YOUNGER 86400", SEARCH_YES}, /* until the search begins, the moment is just a number */
		{"OLDER 1", SEARCH_NO},
		{"NEW", SEARCH_NO},
		{"OLD", SEARCH_YES},
		{"UID 1:4", SEARCH_NO},
		{"UID 5", SEARCH_YES},
		{"UIDAFTER 4 UIDBEFORE 6", SEARCH_YES},
		{"UIDAFTER 5", SEARCH_NO},
		{"UIDBEFORE 5", SEARCH_NO},
		{"UIDAFTER 4294967295", SEARCH_NO},
		{"UIDBEFORE 1", SEARCH_NO},
		{"UIDBEFORE 4294967295", SEARCH_YES},
		{"SUBJECT x", SEARCH_UNKNOWN},
		{"SEEN SUBJECT x", SEARCH_UNKNOWN},
		{"UNSEEN SUBJECT x", SEARCH_NO},
		{"OR SEEN TEXT x", SEARCH_YES},
		{"NOT BODY x", SEARCH_UNKNOWN},
		{"HEADER Message-ID \"\" SENTSINCE 1-Jan-1970", SEARCH_UNKNOWN},
	};
	static const struct view_message message = {
		.uid = 5, .size = 2000, .flags = FLAG_FLAGGED | FLAG_SEEN, .received_ms = INT64_C(86400000) + 5000};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_parser p = parser(cases[i].text);
		struct search_request request;

		if (!imap_parse_search(&p, &request) || !imap_parse_end(&p))
			fail_msg("%s: %.*s", cases[i].text, SLICE_ARG(p.fault));
		if (search_facts(request.key, &message) != cases[i].answer)
			fail_msg("%s", cases[i].text);
	}
}

static void test_search_faults(void **state)
{
	static const char *const bad[] = {
		"",      "NONSENSE",   "NOT",           "OR SEEN",        "(SEEN",          "SUBJECT",
		"UID x", "LARGER -1",  "ON 1-Jan-70",   "RETURN (X) ALL", "RETURN MIN ALL", "SEEN  FLAGGED",
		"()",    "SUBJECT \"", "KEYWORD \\Seen", "UIDAFTER 0",    "UIDBEFORE 4294967296", "UIDAFTER 1:2",  "UIDBEFORE *"};
	struct imap_parser p;
	struct search_request request;
	char deep[400] = "";
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		p = parser(bad[i]);
		if (imap_parse_search(&p, &request) && imap_parse_end(&p))
			fail_msg("%s", bad[i]);
	}
	for (int i = 0; i < 60; i++, at += 4)
		memcpy(deep + at, "NOT ", 4);
	memcpy(deep + at, "ALL", 4);
	p = parser(deep);
	assert_false(imap_parse_search(&p, &request));
	p = parser("CHARSET KOI8-R TEXT \"x\"");
	assert_true(imap_parse_search(&p, &request));
	assert_true(request.unknown_charset);
	p = parser("RETURN () CHARSET utf-8 ALL");
	assert_true(imap_parse_search(&p, &request));
	assert_int_equal(request.returns, SEARCH_RETURN_ALL);
	assert_true(request.extended);
}

static void test_envelope(void **state)
{
	static const char text[] =
		"(\"Mon, 7 Feb 1994 21:52:25 -0800 (PST)\" {10}\r\na \"quoted\""
		" ((\"=?UTF-8?Q?Fran=C3=A7ois?= \\\"x\\\"\" NIL \"fred\" \"example.org\")(NIL NIL \"b\" \"example.net\")) NIL "
		"NIL "
		"((NIL NIL \"friends\" NIL)(NIL NIL \"c\" \"example.com\")(NIL NIL NIL NIL)) NIL NIL NIL \"<id@example.org>\")";
	static const struct {
		enum envelope_item item;
		const char *text;
	} items[] = {
		{ENVELOPE_DATE, "Mon, 7 Feb 1994 21:52:25 -0800 (PST)"},
		{ENVELOPE_SUBJECT, "a \"quoted\""},
		{ENVELOPE_FROM, "Fran\xc3\xa7ois \"x\" <fred@example.org>, <b@example.net>, "},
		{ENVELOPE_TO, "friends: <c@example.com>, ; "},
		{ENVELOPE_MESSAGE_ID, "<id@example.org>"},
	};
	static const char *const malformed[] = {"",
						"(",
						"NIL",
						"(NIL",
						"(NIL NIL",
						"(NIL NIL (",
						"(NIL NIL ((",
						"(NIL NIL (NIL))",
						"(NIL NIL ((NIL NIL NIL))",
						"(NIL NIL ((NIL NIL \"a\" {5}\r\nx)))"};
	struct slice envelope = slice_from_cstr(text);

	(void)state;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		assert_slice(envelope_text(&arena, envelope, items[i].item), items[i].text);
	assert_null(envelope_text(&arena, envelope, ENVELOPE_CC).data);
	assert_null(envelope_text(&arena, envelope, ENVELOPE_IN_REPLY_TO).data);
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		assert_null(envelope_text(&arena, slice_from_cstr(malformed[i]), ENVELOPE_FROM).data);
}

static void test_urls(void **state)
{
	static const struct {
		const char *text, *user, *mailbox, *section, *partial, *rump, *token;
		enum imap_url_access access;
		const char *access_user;
		int64_t expire_ms;
	} cases[] = {
		{"/INBOX/;UID=20", "", "INBOX", "", "", "", "", IMAP_URL_OPEN, "", 0},
		{";uid=20/;section=1.2/;PARTIAL=0.500", "", NULL, "1.2", "0.500", "", "", IMAP_URL_OPEN, "", 0},
		{"imap://h:143/inbox/sub/;UID=20", "", "INBOX/sub", "", "", "", "", IMAP_URL_OPEN, "", 0},
		{"imap://a%40b;AUTH=*@h/A%2fB;UIDVALIDITY=7/;UID=20/;SECTION=HEADER.FIELDS%20(A)", "a@b", "A/B", "HEADER.FIELDS (A)", "",
		 "", "", IMAP_URL_OPEN, "", 0},
		{"imap://a@h:143/A/;UID=20;URLAUTH=submit+b%40c", "a@h", "A", "", "", "imap://a@h:143/A/;UID=20;URLAUTH=submit+b%40c", "",
		 IMAP_URL_SUBMIT, "b@c", 0},
		{"imap://a@h/A/;UID=20/;PARTIAL=3;expire=1970-01-01T00:00:01Z;urlauth=Anonymous:internal:0aB9", "a@h", "A", "", "3",
		 "imap://a@h/A/;UID=20/;PARTIAL=3;expire=1970-01-01T00:00:01Z;urlauth=Anonymous", "0aB9", IMAP_URL_ANONYMOUS, "", 1000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_url url;

		assert_true(imap_url_parse(&arena, slice_from_cstr(cases[i].text), &url));
		assert_int_equal(url.uid, 20);
		assert_slice(url.user, cases[i].user);
		if (cases[i].mailbox)
			assert_slice(url.mailbox, cases[i].mailbox);
		else
			assert_null(url.mailbox.data);
		assert_slice(url.section, cases[i].section);
		assert_slice(url.partial, cases[i].partial);
		assert_slice(url.rump, cases[i].rump);
		assert_slice(url.token, cases[i].token);
		assert_int_equal(url.access, cases[i].access);
		assert_slice(url.access_user, cases[i].access_user);
		assert_int_equal(url.expire_ms, cases[i].expire_ms);
	}
}

static void test_url_faults(void **state)
{
	static const char *const malformed[] = {
		"", "/", "imap://", "imap://h", "imap://h/", "imap:///INBOX/;UID=1", "http://h/INBOX/;UID=1", "INBOX/;UID=1",
		"/INBOX", "/INBOX/;UID=", "/INBOX/;UID=0", "/INBOX/;UID=4294967296", "/INBOX/;UID=1x", "//;UID=1", "/a//b/;UID=1",
		"/INBOX;UIDVALIDITY=/;UID=1", "/INBOX;x/;UID=1", "/%/;UID=1", "/%4/;UID=1", "/%zz/;UID=1", "/%00/;UID=1", "/%ff/;UID=1",
		"/INBOX/;UID=1/;PARTIAL=1/;SECTION=1", "/INBOX/;UID=1/;SECTION=1/;SECTION=1", "/INBOX/;UID=1/;PARTIAL=", "/INBOX/;UID=1/x",
		"/INBOX/;UID=1;URLAUTH=anonymous", "imap://a@h/INBOX;URLAUTH=anonymous", "imap://a@h/INBOX/;UID=1;URLAUTH=",
		"imap://a@h/INBOX/;UID=1;URLAUTH=user+", "imap://a@h/INBOX/;UID=1;URLAUTH=user", "imap://a@h/INBOX/;UID=1;URLAUTH=stream",
		"imap://a@h/INBOX/;UID=1;URLAUTH=anonymous:", "imap://a@h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL",
		"imap://a@h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:", "imap://a@h/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:xy",
		"imap://a@h/INBOX/;UID=1;EXPIRE=;URLAUTH=anonymous", "imap://a@h/INBOX/;UID=1;EXPIRE=2030-13-01T00:00:00Z;URLAUTH=anonymous",
		"imap://a%00@h/INBOX/;UID=1", "imap://a@\xff/INBOX/;UID=1", "imap://a@h/INBOX/;UID=1;URLAUTH=user+%ff",
	};
	struct imap_url url;

	(void)state;
	for (size_t i = 0; i < COUNT(malformed); i++) {
		if (imap_url_parse(&arena, slice_from_cstr(malformed[i]), &url))
			fail_msg("%s is no URL", malformed[i]);
	}
}

static void test_writing(void **state)
{
	struct buf out SCOPED_BUF;
	struct keyword_table keywords = {0};

	(void)state;
	imap_put_string(&out, SLICE("a \"b\" \\"), false);
	imap_put_string(&out, SLICE("gr\xc3\xbcn"), false);
	imap_put_string(&out, SLICE("gr\xc3\xbcn"), true);
	imap_put_string(&out, SLICE("a\nb"), true);
	assert_slice(buf_slice(&out), "\"a \\\"b\\\" \\\\\"{5}\r\ngr\xc3\xbcn\"gr\xc3\xbcn\"{3}\r\na\nb");
	buf_clear(&out);
	keywords.names[FLAG_KEYWORD_FIRST] = SLICE("$Junk");
	imap_put_flags(&out, FLAG_SEEN | FLAG_DRAFT | 1 << FLAG_KEYWORD_FIRST | 1 << (FLAG_KEYWORD_FIRST + 1), &keywords);
	assert_slice(buf_slice(&out), "\\Seen \\Draft $Junk");
	buf_clear(&out);
	imap_put_date_time(&out, INT64_C(837596665000));
	imap_put_date_time(&out, 0);
	assert_slice(buf_slice(&out), "\"17-Jul-1996 09:44:25 +0000\"\" 1-Jan-1970 00:00:00 +0000\"");
	buf_clear(&out);
	imap_put_mailbox(&out, SLICE("Entw\xc3\xbcrfe"), false);
	imap_put_mailbox(&out, SLICE("Entw\xc3\xbcrfe"), true);
	imap_put_mailbox(&out, SLICE("A & B"), false);
	assert_slice(buf_slice(&out), "\"Entw&APw-rfe\"\"Entw\xc3\xbcrfe\"\"A &- B\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),       cmocka_unit_test(test_line_literals),
		cmocka_unit_test(test_flags),         cmocka_unit_test(test_dates),
		cmocka_unit_test(test_sets),          cmocka_unit_test(test_set_of_numbers),
		cmocka_unit_test(test_modified_utf7), cmocka_unit_test(test_names),
		cmocka_unit_test(test_patterns),      cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_search_keys),   cmocka_unit_test(test_search_faults),
		cmocka_unit_test(test_envelope),      cmocka_unit_test(test_writing),
		cmocka_unit_test(test_urls),          cmocka_unit_test(test_url_faults),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_free(&arena);
	return failed;
}
