#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mime/search_text.h"

static void assert_slice(struct slice is, const char *expected)
{
	if (!slice_eq(is, slice_from_cstr(expected)))
		fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(is), expected);
}

static void test_html(void **state)
{
	static const struct {
		const char *html, *text;
	} rows[] = {
		{"", ""},
		{"plain  text\r\n here", "plain text here"},
		{"<p>one</p><p>two</p>", "one\ntwo"},
		{"a<b>b</b>c<br>d", "abc\nd"},
		{"<ul><li>x<li>y</ul>z", "x\ny\nz"},
		{"<!-- <p>no --> yes", "yes"},
		{"<script>if (a<b) alert('x')</script >done<STYLE a=b>p{}</style>", "done"},
		{"<script>never ends", ""},
		{"<!-- never ends", ""},
		{"Gr&uuml;&szlig;e &amp; K&#252;sse &#x20AC;&nbsp;5", "Gr\xc3\xbc\xc3\x9f"
								      "e & K\xc3\xbcsse \xe2\x82\xac 5"},
		{"AT&T &unknown; &amp x &#0;", "AT&T &unknown; & x &#0;"},
		{"&#xD800;&#1114112;", "\xef\xbf\xbd&#1114112;"},
		{"1 < 2 <a", "1 < 2 <a"},
		{"<a href=\"x\">link</a><!DOCTYPE html><?x?>", "link"},
		{"<", "<"},
		{"&", "&"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out SCOPED_BUF;

		html_to_text(&out, slice_from_cstr(rows[i].html));
		assert_slice(slice_trim(buf_slice(&out)), rows[i].text);
	}
}

/* Much of what could be looked for again and again. */
static void test_long_html(void **state)
{
	static const char *const pieces[] = {"<a ", "<!--", "&", "<script>", "</", "&#x", " "};

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct buf html SCOPED_BUF, out = {0};

		while (html.len < 4 * 1024 * 1024)
			buf_add(&html, slice_from_cstr(pieces[i]));
		html_to_text(&out, buf_slice(&html));
		assert_true(out.len <= html.len);
		buf_free(&out);
	}
}

static bool gather(void *context, struct slice text, enum message_text_place place)
{
	struct buf *all = context;

	buf_add_byte(all, place == MESSAGE_TEXT_HEADER ? 'H' : 'B');
	buf_add(all, slice_trim(text));
	buf_add_byte(all, '|');
	return slice_eq(slice_trim(text), SLICE("stop"));
}

static void test_message(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct buf all SCOPED_BUF;
	const struct message *message = message_parse(
		&arena,
		SLICE("Subject: =?utf-8?q?=C3=A9t=C3=A9?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
		      "--b\r\n\r\nfirst\r\n--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		      "PHA+Q2Fm6Q==\r\n--b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\n"
		      "Content-Disposition: attachment; filename*=utf-8''%c3%bcber.pdf\r\n\r\nBINARY\r\n"
		      "--b\r\nContent-Type: message/delivery-status\r\n\r\nStatus: 5.1.1\r\n"
		      "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nstop\r\n"
		      "--b\r\n\r\nnot reached\r\n--b--\r\n"),
		NULL);

	(void)state;
	assert_true(message_texts(&arena, message, gather, &all));
	assert_slice(buf_slice(&all),
		     "HSubject: \xc3\xa9t\xc3\xa9|HContent-Type: multipart/mixed; boundary=b|Bfirst|HContent-Type: text/html|"
		     "HContent-Transfer-Encoding: base64|BCaf\xc3\xa9|HContent-Type: application/pdf; name=\"a.pdf\"|"
		     "HContent-Disposition: attachment; filename*=utf-8''%c3%bcber.pdf|Ha.pdf|H\xc3\xbc"
		     "ber.pdf|HContent-Type: message/delivery-status|BStatus: 5.1.1|HContent-Type: message/rfc822|HSubject: "
		     "inner|Bstop|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_html),
		cmocka_unit_test(test_long_html),
		cmocka_unit_test(test_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
