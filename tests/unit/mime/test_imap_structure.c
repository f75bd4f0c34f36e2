#include "fixture.h"

#include "mime/imap_structure.h"

static struct slice envelope(struct arena *arena, struct slice header)
{
	struct buf out;

	buf_init(&out, arena, 0);
	imap_envelope(&out, arena, header);
	return buf_slice(&out);
}

static struct slice body(struct arena *arena, struct slice text, bool is_extended)
{
	struct message *message = message_parse(arena, text, NULL);
	struct buf out;

	buf_init(&out, arena, 0);
	if (is_extended)
		imap_body_structure(&out, arena, message);
	else
		imap_body(&out, arena, message);
	return buf_slice(&out);
}

/* RFC 9051 section 8 */
static void rfc_9051_example(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice header = SLICE("Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
				    "From: Terry Gray <gray@cac.washington.edu>\r\n"
				    "Subject: IMAP4rev2 WG mtg summary and minutes\r\n"
				    "To: imap@cac.washington.edu\r\n"
				    "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
				    "Message-Id: <B27397-0100000@cac.washington.ed>\r\n"
				    "MIME-Version: 1.0\r\n"
				    "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n"
				    "\r\n");

	(void)state;
	assert_slice(
		&arena, envelope(&arena, header),
		"(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" "
		"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) "
		"((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
		"\"<B27397-0100000@cac.washington.ed>\")");
	assert_slice(&arena, body(&arena, header, false),
		     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)");
}

static void envelopes(void **state)
{
	static const struct {
		const char *header, *expected;
	} table[] = {
		{"", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Subject:\nDate:\nFrom:\nMessage-ID:\n", "(\"\" \"\" NIL NIL NIL NIL NIL NIL NIL \"\")"},
		{"Subject: \"q\" \\\n", "(NIL {5}\r\n\"q\" \\ NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Subject:  two  spaces\n", "(NIL {10}\r\ntwo spaces NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Subject: folded\n\there\n", "(NIL {11}\r\nfolded here NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Subject: Grüße\n", "(NIL {7}\r\nGrüße NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Subject: =?utf-8?q?a?=\n", "(NIL \"=?utf-8?q?a?=\" NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Message-ID: <\"a\\b\"@c>\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL \"<\\\"a\\\\b\\\"@c>\")"},
		{"Message-ID: \"\"\"\"\"\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL {5}\r\n\"\"\"\"\")"},
		{"In-Reply-To: <a>\r\n\t<b>\r\n", "(NIL NIL NIL NIL NIL NIL NIL NIL \"<a>\t<b>\" NIL)"},
		{"From: a@b\nSender: c@d\nReply-To: e@f\n",
		 "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) ((NIL NIL \"e\" \"f\")) NIL NIL NIL NIL NIL)"},
		/* RFC 9051 section 7.5.2: an empty Reply-To is as none */
		{"From: a@b\nSender:\nReply-To: ,\n",
		 "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL)"},
		{"To: g: a@b;\n",
		 "(NIL NIL NIL NIL NIL ((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL)) NIL NIL NIL NIL)"},
		{"To: <@r:a@b>\n", "(NIL NIL NIL NIL NIL ((NIL \"@r\" \"a\" \"b\")) NIL NIL NIL NIL)"},
		{"From: Alice Smith\n",
		 "(NIL NIL ((\"Alice Smith\" NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\")) ((\"Alice Smith\" NIL "
		 "\"MISSING_MAILBOX\" "
		 "\"MISSING_DOMAIN\")) ((\"Alice Smith\" NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\")) NIL NIL NIL NIL NIL)"},
		{"To: a\n", "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"MISSING_DOMAIN\")) NIL NIL NIL NIL)"},
		{"To: a@b\nTo: c@d\n", "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL NIL)"},
		{"To: \"a \\\"b\\\"\" <c@d>\n", "(NIL NIL NIL NIL NIL (({5}\r\na \"b\" NIL \"c\" \"d\")) NIL NIL NIL NIL)"},
		{"Bcc: a@b\nCc: c@d\n", "(NIL NIL NIL NIL NIL NIL ((NIL NIL \"c\" \"d\")) ((NIL NIL \"a\" \"b\")) NIL NIL)"},
		{"Subject: a\rb\n", "(NIL {3}\r\na b NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"Date: a\rb\n", "(\"ab\" NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		char *header = exact_copy(slice_from_cstr(table[i].header));

		print_message("%s\n", table[i].header);
		assert_slice(&arena, envelope(&arena, slice_of(header, strlen(table[i].header))), table[i].expected);
		free(header);
	}
}

/* Literals can't hold NUL. */
static void nul_is_left_out(void **state)
{
	struct arena arena SCOPED_ARENA;

	(void)state;
	assert_slice(&arena, envelope(&arena, SLICE("Date: a\0b\nSubject: c\0d\nTo: \"e\0f\" <g\0h@i>\n")),
		     "({2}\r\nab {3}\r\nc d NIL NIL NIL ((\"ef\" NIL \"g h\" \"i\")) NIL NIL NIL NIL)");
}

static void structures(void **state)
{
	static const struct {
		const char *text, *expected;
	} table[] = {
		{"\nx", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL)"},
		{"Content-Type: image/gif\n\nx", "(\"image\" \"gif\" NIL NIL NIL \"7bit\" 1 NIL NIL NIL NIL)"},
		{"Content-Type: text/html; a=b\n\nx\n",
		 "(\"text\" \"html\" (\"a\" \"b\" \"charset\" \"us-ascii\") NIL NIL \"7bit\" 2 1 NIL NIL NIL NIL)"},
		{"Content-Type: application/pdf; name=\"a b.pdf\"\nContent-ID: <1@x>\nContent-Description: a \"b\"\n"
		 "Content-Transfer-Encoding: BASE64\nContent-MD5: abc==\nContent-Disposition: attachment; filename=\"a "
		 "b.pdf\"; size=1\n"
		 "Content-Language: en, de\nContent-Location: http://x/\n\nx",
		 "(\"application\" \"pdf\" (\"name\" \"a b.pdf\") \"<1@x>\" \"a \\\"b\\\"\" \"BASE64\" 1 \"abc==\" "
		 "(\"attachment\" (\"filename\" \"a b.pdf\" \"size\" \"1\")) (\"en\" \"de\") \"http://x/\")"},
		{"Content-Type: multipart/mixed; boundary=b\nContent-Language: en\n\n--b\n\nx\n--b--\n",
		 "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) \"mixed\" "
		 "(\"boundary\" \"b\") NIL "
		 "(\"en\") NIL)"},
		{"Content-Type: multipart/mixed; boundary=b\n\nx",
		 "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) \"mixed\" "
		 "(\"boundary\" \"b\") NIL "
		 "NIL NIL)"},
		{"Content-Type: message/rfc822\n\nSubject: s\n\nx\n",
		 "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 14 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
		 "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 2 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)"},
		{"Content-Type: image/gif; name=\"ä\"; a*=utf-8''%e2\nContent-Disposition: ; filename=x\n\n",
		 "(\"image\" \"gif\" (\"name\" {2}\r\nä \"a*\" \"utf-8''%e2\") NIL NIL \"7bit\" 0 NIL (\"attachment\" "
		 "(\"filename\" \"x\")) "
		 "NIL NIL)"},
		{"Content-Disposition: \"inline\"\nContent-Language: en (English), , de;q=1 x\nContent-Location: a\n b\n\n",
		 "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL (\"inline\" NIL) (\"en\" \"de\") \"a "
		 "b\")"},
		/* plain 7-bit texts and messages are always in the same letters, nothing else is */
		{"Content-Type: Text/Plain\nContent-Transfer-Encoding: 7BIT\nContent-Language: en\n\nx",
		 "(\"Text\" \"Plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 1 0 NIL NIL (\"en\") NIL)"},
		{"Content-Type: Text/Plain\nContent-Transfer-Encoding: 7BIT\n\nx",
		 "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL)"},
		{"Content-Type: Text/Plain; charset=UTF-8\n\nx",
		 "(\"Text\" \"Plain\" (\"charset\" \"UTF-8\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL)"},
		{"Content-Type: MESSAGE/RFC822\n\n",
		 "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "
		 "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) 0 NIL NIL NIL NIL)"},
		/* behind a known encoding anything may stand; else the field is none */
		{"Content-Type: a/b\nContent-Transfer-Encoding: base64; x=y\n\n",
		 "(\"a\" \"b\" NIL NIL NIL \"base64\" 0 NIL NIL NIL NIL)"},
		{"Content-Type: a/b\nContent-Transfer-Encoding: 8 bit\n\n",
		 "(\"a\" \"b\" NIL NIL NIL \"7bit\" 0 NIL NIL NIL NIL)"},
		{"Content-Type: a/b\nContent-Transfer-Encoding: text/html\nContent-Transfer-Encoding: x-y (z)\n\n",
		 "(\"a\" \"b\" NIL NIL NIL \"x-y\" 0 NIL NIL NIL NIL)"},
		/* of several the last */
		{"Content-Type: a/b\nContent-Disposition: inline; a=b\nContent-Disposition: attachment\n\n",
		 "(\"a\" \"b\" NIL NIL NIL \"7bit\" 0 NIL (\"attachment\" NIL) NIL NIL)"},
		/* RFC 2231 section 7: a value that is in no charset says so */
		{"Content-Type: a/b; n*0=\"a b\"; n*1*=%20c\n\n",
		 "(\"a\" \"b\" (\"n*\" \"''a%20b%20c\") NIL NIL \"7bit\" 0 NIL NIL NIL NIL)"},
		{"Content-Type: message/global\nContent-Transfer-Encoding: base64\n\neA==",
		 "(\"application\" \"octet-stream\" NIL NIL NIL \"base64\" 4 NIL NIL NIL NIL)"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		char *text = exact_copy(slice_from_cstr(table[i].text));

		print_message("%s\n", table[i].text);
		assert_slice(&arena, body(&arena, slice_of(text, strlen(table[i].text)), true), table[i].expected);
		free(text);
	}
}

/* RFC 2231 */
static void parameters(void **state)
{
	static const struct {
		const char *value, *name, *expected; /* expected: decoded; NULL: there is none */
	} table[] = {
		/* sections 3 and 4 */
		{"message/external-body; access-type=URL;\n URL*0=\"ftp://\";\n "
		 "URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
		 "url", "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"},
		{"application/x-stuff;\n title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "title",
		 "This is ***fun***"},
		{"application/x-stuff;\n title*0*=us-ascii'en'This%20is%20even%20more%20;\n "
		 "title*1*=%2A%2A%2Afun%2A%2A%2A%20;\n"
		 " title*2=\"isn't it!\"",
		 "title", "This is even more ***fun*** isn't it!"},
		{"a/b; n*=utf-8''%e2%82%ac", "n", "€"},
		{"a/b; n*=iso-8859-1''%e4", "n", "ä"},
		{"a/b; n*=x-nowhere''%e4", "n", "\xef\xbf\xbd"},
		{"a/b; n*=''%e2%82%ac", "n", "€"},
		{"a/b; n*=%e2%82%ac", "n", "€"},
		{"a/b; n*=utf-8''%4", "n", "%4"},
		{"a/b; n*1*=b; n*0*=utf-8''a", "n", "ab"},
		{"a/b; n*0=a; N*1=b; n*3=d", "n", "ab"},
		{"a/b; n*1=b", "n", NULL},
		{"a/b; n*1=c; n*0=a; n*0=b", "n", "ac"},
		{"a/b; a*0=1; b*0=2; c=3; d=4; e=5; f=6; g=7; h=8; a*1=9; b*1=0", "b", "20"},
		{"a/b; n*0*=utf-8''%e2%82; n*1*=%ac", "n", "€"},
		{"a/b; n*0=\"a'b \"; n*1*=%e2%82%ac", "n", "a'b €"},
		{"a/b; n*0*=utf-8''%e4x; n*1=\"100%\"", "n", "\xef\xbf\xbdx100%"},
		/* what mailers did before, and do */
		{"a/b; n=\"=?utf-8?q?=E2=82=AC?=\"", "n", "€"},
		{"a/b; n==?utf-8?b?4oKs?=", "n", "€"},
		{"a/b; n=\"=?utf-8?q?a?=\n =?utf-8?q?b?=\"", "n", "ab"},
		{"a/b; n=\xe4", "n", "ä"},
		{"a/b; name=a b (1).txt; x=y", "name", "a b (1).txt"},
		{"a/b; name=a b.txt; x=y", "x", "y"},
		{"a/b; N = \"a\\\"b\"", "n", "a\"b"},
		{"a/b;;;n=x", "n", "x"},
		{"a/b; n", "n", NULL},
		{"a/b; n=", "n", ""},
		{"a/b; n=\"x", "n", "x"},
		{"a/b n=x", "n", NULL},
		{"a/b (c; n=y); n=x", "n", "x"},
		{"a/b; m=\"; n=y\"; n=x", "n", "x"},
		{"a/b; n=x; n=y", "n", "x"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		const struct slice parts[] = {SLICE("Content-Type: "), slice_from_cstr(table[i].value)};
		struct slice text = slice_join(&arena, parts, 2), found = {NULL, 0};
		char *copy = exact_copy(text);
		struct message *message = message_parse(&arena, slice_of(copy, text.len), NULL);

		print_message("%s\n", table[i].value);
		for (unsigned j = message->root->parameter_count; j-- > 0;)
			if (slice_eq(message->root->parameters[j].name, slice_from_cstr(table[i].name)))
				found = message->root->parameters[j].value;
		assert_slice(&arena, found, table[i].expected);
		free(copy);
	}
}

/* What a few bytes become is bounded: "a," is forty bytes of an answer, three times in a From field. */
static void addresses_are_bounded(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct buf text, list;

	(void)state;
	buf_init(&list, &arena, 0);
	for (int i = 0; i < 30; i++) {
		buf_add_literal(&list, "From: ");
		for (int j = 0; j < 5000; j++)
			buf_add_literal(&list, "a,");
		buf_add_literal(&list, "\n");
	}
	assert_true(envelope(&arena, buf_slice(&list)).len < 3000000);
	buf_init(&text, &arena, 0);
	buf_add_literal(&text, "Content-Type: multipart/digest; boundary=b\n\n");
	for (int i = 0; i < 10; i++) {
		buf_add_literal(&text, "--b\n\n");
		buf_add(&text, buf_slice(&list));
		buf_add_literal(&text, "\n");
	}
	assert_true(body(&arena, buf_slice(&text), true).len < 3000000);
}

/* The same message with bare LF has the same structure but for the sizes. */
static void bare_line_feeds(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice text = SLICE(
		"From: a\n b <c@d>\nSubject: x\n y\nContent-Type: multipart/mixed;\n boundary=b\n\n--b\n\n--b\n\n--b--\n");

	(void)state;
	assert_slice(&arena, body(&arena, text, true), slice_cstr(&arena, body(&arena, with_crlf(&arena, text), true)));
	assert_slice(&arena, envelope(&arena, text), slice_cstr(&arena, envelope(&arena, with_crlf(&arena, text))));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_9051_example), cmocka_unit_test(envelopes),  cmocka_unit_test(nul_is_left_out),
		cmocka_unit_test(structures),       cmocka_unit_test(parameters), cmocka_unit_test(addresses_are_bounded),
		cmocka_unit_test(bare_line_feeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
