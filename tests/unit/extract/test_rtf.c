/* RTF: characters in all the ways it has, what isn't text, and nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "extract/rtf.h"

static void test_texts(void **state)
{
	static const struct {
		const char *rtf, *text;
	} cases[] = {
		{"{\\rtf1\\ansi plain\\par next\\line\\tab more}", "plain\nnext\n\nmore\n"},
		{"{\\rtf1 {\\b nee}{\\i dle}\r\n \\{\\}\\\\}", "needle {}\\\n"},
		{"{\\rtf1\\ansi caf\\'e9 \\'80}", "caf\xc3\xa9 \xe2\x82\xac\n"},
		{"{\\rtf1\\ansi\\ansicpg1251 \\'ef\\'f0\\'e8}", "\xd0\xbf\xd1\x80\xd0\xb8\n"},
		{"{\\rtf1\\mac \\'8a}", "\xc3\xa4\n"},
		{"{\\rtf1\\uc1 Gr\\u252?\\u223 ?e}", "Gr\xc3\xbc\xc3\x9f"
						     "e\n"},
		{"{\\rtf1\\uc2 \\u26085xx\\u26412\\'93\\'fazz}", "\xe6\x97\xa5\xe6\x9c\xaczz\n"},
		{"{\\rtf1\\uc0 \\u-10179\\u-8704!}", "\xf0\x9f\x98\x80!\n"},
		{"{\\rtf1{\\uc0 \\u252}\\u252?x}", "\xc3\xbc\xc3\xbcx\n"},
		{"{\\rtf1{\\fonttbl{\\f0\\fcharset0 Arial;}{\\f1\\fcharset204 Hidden;}{\\f2\\fcharset128 Gothic;}}\\f1 "
		 "\\'ef{\\f2 \\'93\\'fa}\\f0\\'e9}",
		 "\xd0\xbf\xe6\x97\xa5\xc3\xa9\n"},
		{"{\\rtf1{\\info{\\title Hidden}}{\\*\\unknown Hidden{\\b Hidden}}{\\pict 89504e47}seen}", "seen\n"},
		{"{\\rtf1 link {\\field{\\*\\fldinst HYPERLINK x}{\\fldrslt shown}}}", "link shown\n"},
		{"{\\rtf1 a\\bin5 {}\\{}b}", "ab\n"},
		{"{\\rtf1 a\\~b\\_c\\-d}", "a b-cd\n"},
		{"{\\rtf1 unfinished", "unfinished\n"},
		{"{\\rtf1}}}}after", "after\n"},
		{"{\\rtf1 x\\", "x\n"},
		{"{\\rtf1 x\\'e", "x\n"},
		{"{\\rtf1 x\\u", "x\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out SCOPED_BUF;

		assert_true(rtf_to_text(&out, slice_from_cstr(cases[i].rtf)));
		if (!slice_eq(buf_slice(&out), slice_from_cstr(cases[i].text)))
			fail_msg("%s gives %.*s", cases[i].rtf, SLICE_ARG(buf_slice(&out)));
	}
}

static void test_nonsense(void **state)
{
	static const char *const pieces[] = {
		"{", "}", "\\", "\\u1", "\\'", "\\bin9999999 ", "\\f999 ", "{\\fonttbl{\\f1\\fcharset9", "\\uc15\\u9"};
	struct buf out SCOPED_BUF;

	(void)state;
	assert_false(rtf_to_text(&out, SLICE("{\\rt")));
	assert_false(rtf_to_text(&out, SLICE_EMPTY));
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct buf rtf SCOPED_BUF;

		buf_clear(&out);
		buf_add_literal(&rtf, "{\\rtf1 ");
		while (rtf.len < 1000000)
			buf_add(&rtf, slice_from_cstr(pieces[i]));
		assert_true(rtf_to_text(&out, buf_slice(&rtf)));
		assert_true(out.len <= rtf.len * 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
