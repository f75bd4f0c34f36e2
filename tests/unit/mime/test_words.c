#include "fixture.h"

#include "mime/words.h"
#include "mime/writer.h"

static void decoded(void **state)
{
	static const struct {
		const char *value, *expected;
	} table[] = {
		/* RFC 2047 section 8 */
		{"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"},
		{"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>", "Keld Jørn Simonsen <keld@dkuug.dk>"},
		{"=?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>", "André Pirard <PIRARD@vm1.ulg.ac.be>"},
		{"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
		 "If you can read this you understand the example."},
		{"=?ISO-8859-1?Q?a?=", "a"},
		{"(=?ISO-8859-1?Q?a?=)", "(a)"},
		{"(=?ISO-8859-1?Q?a?= b)", "(a b)"},
		{"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"},
		{"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"},
		{"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"},
		{"(=?ISO-8859-1?Q?a_b?=)", "(a b)"},
		{"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"},
		{"=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=", "םולש ןב ילטפנ"},
		/* RFC 2231 section 5 */
		{"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"},
		/* a character cut by the words' ends */
		{"=?utf-8?q?=E2=82?= =?utf-8?q?=AC?=", "€"},
		{"=?utf-8?b?4oI=?=\r\n =?UTF-8?B?rA==?=", "€"},
		{"=?utf-8?q?=E2=82?= =?iso-8859-1?q?x?=", "\xef\xbf\xbdx"},
		/* other charsets */
		{"=?koi8-r?b?7sHExdbEwQ==?=", "Надежда"},
		{"=?shift_jis?b?g2WDWINn?=", "テスト"},
		{"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"},
		{"=?gb2312?b?1tA=?=", "中"},
		{"=?big5?b?pKQ=?=", "中"},
		{"=?euc-kr?b?x9E=?=", "한"},
		{"=?utf-7?q?+AOQ-?=", "ä"},
		{"=?windows-1252?q?=80?=", "€"},
		{"=?iso-8859-1?q?=80?=", "€"},
		{"=?utf-16?b?/v8A5A==?=", "ä"},
		{"=?unknown-8bit?q?=C3=A4?=", "ä"},
		{"=?unknown-8bit?q?=E4?=", "ä"},
		{"=?x-nowhere?q?a=E4?=", "a\xef\xbf\xbd"},
		{"=?us-ascii?q?=E4?=", "ä"},
		/* lenient */
		{"a=?utf-8?q?b?=c", "abc"},
		{"=?utf-8?q?two words?=", "two words"},
		{"=?utf-8?q?=4?= x", "=4 x"},
		{"=?utf-8?q?=zz?=", "=zz"},
		{"=?utf-8?q?=?=", "="},
		{"=?utf-8?q?"
		 "?= x",
		 " x"},
		{"=?utf-8?b?w7w?=", "ü"},
		{"=?utf-8?b?w7w=?==?utf-8?b?w7w=?=", "üü"},
		/* no words */
		{"plain", "plain"},
		{"", ""},
		{"=?", "=?"},
		{"=?utf-8", "=?utf-8"},
		{"=?utf-8?x?a?=", "=?utf-8?x?a?="},
		{"=?utf-8?qq?a?=", "=?utf-8?qq?a?="},
		{"=??q?a?=", "=??q?a?="},
		{"=?utf-8?q?a", "=?utf-8?q?a"},
		{"=?a?z?=?utf-8?q?b?=", "=?a?z?b"},
		{"=?a?b =?utf-8?q?x?=", "=?a?b x"},
		/* raw 8-bit (RFC 6532, and what came before it) */
		{"Grüße", "Grüße"},
		{"Gr\xfc\xdf"
		 "e \x80",
		 "Grüße €"},
		{"ä =?utf-8?q?b?= \xe4", "ä b ä"},
		/* one line */
		{"  a\r\n b\r\n\tc  ", "a b c"},
		{"a\rb\x01z", "a b z"},
		{"=?utf-8?q?a=0D=0AX:_b=00?=", "a  X: b "},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		char *value = exact_copy(slice_from_cstr(table[i].value));

		print_message("%s\n", table[i].value);
		assert_slice(&arena, words_decode(&arena, slice_of(value, strlen(table[i].value))), table[i].expected);
		free(value);
	}
}

/* A megabyte of beginnings must not be searched for ends a megabyte each. */
static void beginnings_without_end(void **state)
{
	static const struct slice pieces[] = {SLICE("x=?"), SLICE("=?a?q? "), SLICE("=?="), SLICE("=?a?b?c")};

	(void)state;
	for (size_t i = 0; i < ROWS(pieces); i++) {
		struct arena arena SCOPED_ARENA;
		struct buf many;

		buf_init(&many, &arena, 0);
		while (many.len < 1000000)
			buf_add(&many, pieces[i]);
		assert_true(words_decode(&arena, buf_slice(&many)).len > 0);
	}
}

static void encoded(void **state)
{
	static const struct {
		const char *text, *expected;
	} table[] = {
		{"plain text", "plain text"},
		{"", ""},
		{"Grüße", "=?utf-8?b?R3LDvMOfZQ==?="},
		{"abcdefghijklü", "=?utf-8?q?abcdefghijkl=C3=BC?="},
		{"a ü b", "a =?utf-8?b?w7w=?= b"},
		{"ü ö", "=?utf-8?b?w7wgw7Y=?="},
		{"is =?utf-8?q?x?=", "is =?utf-8?b?PT91dGYtOD9xP3g/PQ==?="},
		{"日本語", "=?utf-8?b?5pel5pys6Kqe?="},
	};
	struct arena arena SCOPED_ARENA;

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct buf out;

		buf_init(&out, &arena, 0);
		words_encode(&out, slice_from_cstr(table[i].text));
		assert_slice(&arena, words_decode(&arena, buf_slice(&out)), table[i].text);
		assert_slice(&arena, buf_slice(&out), table[i].expected);
	}
}

/* RFC 2047 section 2 and RFC 5322 section 2.1.1 */
static void long_text_is_cut(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct buf text, out;
	struct slice rest;

	(void)state;
	buf_init(&text, &arena, 0);
	buf_init(&out, &arena, 0);
	for (int i = 0; i < 100; i++)
		buf_add_literal(&text, "€ü");
	header_write_text(&out, SLICE("Subject"), buf_slice(&text));
	rest = buf_slice(&out);
	while (rest.len > 0) {
		struct slice line = slice_cut(&rest, '\n');

		assert_true(line.len <= 76 + 1);
		assert_true(line.data[line.len - 1] == '\r');
	}
	assert_slice(&arena, words_decode(&arena, slice_skip(buf_slice(&out), 9)), slice_cstr(&arena, buf_slice(&text)));
}

static void headers_written(void **state)
{
	static const struct {
		const char *value, *expected;
	} table[] = {
		{"short", "X: short\r\n"},
		{"", "X: \r\n"},
		{"a\r\nBcc: evil", "X: a  Bcc: evil\r\n"},
		{"0123456789012345678901234567890123456789 0123456789012345678901234567890123456789",
		 "X: 0123456789012345678901234567890123456789\r\n 0123456789012345678901234567890123456789\r\n"},
	};
	struct arena arena SCOPED_ARENA;

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct buf out;

		buf_init(&out, &arena, 0);
		header_write(&out, SLICE("X"), slice_from_cstr(table[i].value));
		assert_slice(&arena, buf_slice(&out), table[i].expected);
	}
}

static void charsets(void **state)
{
	static const struct {
		const char *charset, *bytes, *expected;
		bool known;
	} table[] = {
		{"utf-8", "ä", "ä", true},
		{"UTF8", "ä", "ä", true},
		{" utf-8 ", "ä", "ä", true},
		{"utf-8", "a\xe4z", "a\xef\xbf\xbdz", true},
		{"utf-8", "\xc3", "\xef\xbf\xbd", true},
		{"utf-8", "\xed\xa0\x80", "\xef\xbf\xbd", true}, /* a surrogate */
		{"utf-8", "\xc0\xaf", "\xef\xbf\xbd", true},     /* not the shortest */
		{"utf-8", "\xf4\x90\x80\x80", "\xef\xbf\xbd", true},
		{"iso-8859-1", "\xe4\x85", "ä…", true},
		{"latin1", "\xe4", "ä", true},
		{"iso-8859-15", "\xa4", "€", true},
		{"iso-8859-2", "\xb1", "ą", true},
		{"windows-1251", "\xcf", "П", true},
		{"cp1250", "\xb9", "ą", true},
		{"macintosh", "\x8a", "ä", true},
		{"gb18030", "\xd6\xd0", "中", true},
		{"GBK", "\xd6\xd0", "中", true},
		{"shift-jis", "\x83\x65", "テ", true},
		{"euc-jp", "\xc6\xfc", "日", true},
		{"iso-2022-kr", "\x1b$)C\x0e\x47\x51\x0f", "한", true},
		{"utf-7", "+AOQ-", "ä", true},
		{"us-ascii", "\xe4", "ä", true},
		{"gb2312",
		 "a\xff\xff"
		 "b",
		 NULL, true},
		{"iso-2022-jp", "\x1b$B\x30", NULL, true},
		{"x-nowhere", "a\xe4z", "a\xef\xbf\xbdz", false},
		{"utf-8,swaplfnl", "\xc3\xa4", "\xef\xbf\xbd\xef\xbf\xbd", false},
		{"../../etc/passwd", "a", "a", false},
		{"ICU/../x", "a", "a", false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		struct slice charset = slice_from_cstr(table[i].charset);
		struct buf out;

		print_message("%s\n", table[i].charset);
		buf_init(&out, &arena, 0);
		assert_int_equal(charset_to_utf8(&out, charset, slice_from_cstr(table[i].bytes)), table[i].known);
		assert_int_equal(charset_is_known(charset), table[i].known);
		assert_true(slice_is_utf8(buf_slice(&out)));
		if (table[i].expected)
			assert_slice(&arena, buf_slice(&out), table[i].expected);
	}
}

/* What is cut by the end of an inner buffer is put together again. */
static void long_text_by_icu(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct buf in, out;

	(void)state;
	for (size_t pad = 0; pad < 3; pad++) {
		buf_init(&in, &arena, 0);
		buf_init(&out, &arena, 0);
		for (size_t i = 0; i < pad; i++)
			buf_add_literal(&in, "\0a");
		for (int i = 0; i < 2000; i++)
			buf_add_literal(&in, "\xd8\x3d\xde\x00"); /* U+1F600 */
		assert_true(charset_to_utf8(&out, SLICE("utf-16be"), buf_slice(&in)));
		assert_int_equal(out.len, pad + 2000 * 4);
		assert_memory_equal(out.data + out.len - 4, "\xf0\x9f\x98\x80", 4);
	}
}

static void folded(void **state)
{
	static const struct {
		const char *text, *expected;
	} table[] = {
		{"ASCII Text", "ascii text"},
		{"STRASSE", "strasse"},
		{"Straße", "strasse"},
		{"ÄÖÜ", "a\xcc\x88o\xcc\x88u\xcc\x88"},
		{"a\xcc\x88", "a\xcc\x88"},
		{"ΣΊΣΥΦΟΣ", "σι\xcc\x81συφοσ"},
		{"ﬁ", "fi"},
		{"Ⅷ", "viii"},
		{"ｆｕｌｌ", "full"},
		{"so\xc2\xad"
		 "ft",
		 "soft"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		struct buf out;

		buf_init(&out, &arena, 0);
		text_fold(&out, slice_from_cstr(table[i].text));
		assert_slice(&arena, buf_slice(&out), table[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decoded),          cmocka_unit_test(beginnings_without_end),
		cmocka_unit_test(encoded),          cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(headers_written),  cmocka_unit_test(charsets),
		cmocka_unit_test(long_text_by_icu), cmocka_unit_test(folded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
