#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "smtp/parse.h"
#include "store/email.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void equal(struct slice found, const char *expected)
{
	if (!slice_eq(found, slice_from_cstr(expected)))
		fail_msg("expected \"%s\", found \"%.*s\"", expected, SLICE_ARG(found));
}

static void test_line(void **state)
{
	struct smtp_line line = smtp_parse_line(SLICE("mail  FROM:<a@b>  SIZE=1 "));

	(void)state;
	equal(line.verb, "mail");
	equal(line.argument, "FROM:<a@b>  SIZE=1");
	line = smtp_parse_line(SLICE(""));
	equal(line.verb, "");
	equal(line.argument, "");
}

static void test_mail(void **state)
{
	static const struct {
		const char *argument;
		enum reply_id fault;
		const char *address, *envelope_id;
		uint64_t size;
		bool body_8bit, smtputf8;
		enum dsn_return dsn_return;
	} cases[] = {
		{"FROM:<>", REPLY_NONE, "", "", 0, false, false, DSN_RETURN_UNSAID},
		{"from : <a@B.Test>", REPLY_NONE, "a@b.test", "", 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:a@b.test", REPLY_NONE, "a@b.test", "", 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<@x.test:a@b.test>", REPLY_NONE, "a@b.test", "", 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<\"a b\"@b.test> SIZE=10", REPLY_NONE, "\"a b\"@b.test", "", 10, false, false, DSN_RETURN_UNSAID},
		{"FROM:<\"a\\\">b\"@b.test> SIZE=10", REPLY_NONE, "\"a\\\">b\"@b.test", "", 10, false, false,
		 DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> BODY=8bitmime RET=full ENVID=a+2Bb SMTPUTF8", REPLY_NONE, "a@b.test", "a+2Bb", 0, true, true,
		 DSN_RETURN_FULL},
		{"FROM:<a@b.test> BODY=7BIT RET=HDRS", REPLY_NONE, "a@b.test", "", 0, false, false, DSN_RETURN_HEADERS},
		{"FROM:<a@b.test> SIZE=18446744073709551616", REPLY_NONE, "a@b.test", "", UINT64_MAX, false, false,
		 DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> SIZE=1 SIZE=2", REPLY_PARAMETER_VALUE, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> SIZE=00000000000000000010", REPLY_NONE, "a@b.test", "", 10, false, false, DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> SIZE=000000000000000000010", REPLY_PARAMETER_VALUE, NULL, NULL, 0, false, false,
		 DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> SIZE=-1", REPLY_PARAMETER_VALUE, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> SIZE=", REPLY_PARAMETER_VALUE, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> ENVID=+2", REPLY_PARAMETER_VALUE, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> S_ZE=1", REPLY_PARAMETER_VALUE, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> AUTH=a\tb", REPLY_PARAMETER_VALUE, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> AUTH=a+40b", REPLY_NONE, "a@b.test", "", 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> AUTH=a=b", REPLY_PARAMETER_VALUE, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> X=1", REPLY_PARAMETER_UNKNOWN, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<a@b.test> SIZE=1=2", REPLY_PARAMETER_VALUE, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:", REPLY_SYNTAX_MAIL, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<a@b.test>>", REPLY_SYNTAX_MAIL, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<\"a>@b.test", REPLY_SYNTAX_MAIL, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<@x.test>", REPLY_BAD_SENDER, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
		{"FROM:<\xc3\xa4@b.test>", REPLY_NEEDS_SMTPUTF8, NULL, NULL, 0, false, false, DSN_RETURN_UNSAID},
	};
	struct arena arena SCOPED_ARENA;
	struct smtp_mail mail;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		enum reply_id fault = smtp_parse_mail(&arena, slice_from_cstr(cases[i].argument), &mail);

		if (fault != cases[i].fault)
			fail_msg("%s: reply %d", cases[i].argument, fault);
		if (fault != REPLY_NONE)
			continue;
		equal(mail.path.address, cases[i].address);
		equal(mail.envelope_id, cases[i].envelope_id);
		assert_int_equal(mail.size, cases[i].size);
		assert_int_equal(mail.body_8bit, cases[i].body_8bit);
		assert_int_equal(mail.smtputf8, cases[i].smtputf8);
		assert_int_equal(mail.dsn_return, cases[i].dsn_return);
		assert_false(mail.requires_tls);
	}
}

static void test_rcpt(void **state)
{
	static const struct {
		const char *argument;
		enum reply_id fault;
		const char *address, *original;
		unsigned notify;
	} cases[] = {
		{"TO:<a@b.test>", REPLY_NONE, "a@b.test", "", 0},
		{"TO:<PostMaster>", REPLY_NONE, "postmaster", "", 0},
		{"TO:<a@b.test> NOTIFY=SUCCESS,FAILURE,DELAY", REPLY_NONE, "a@b.test", "", 14},
		{"TO:<a@b.test> NOTIFY=NEVER ORCPT=rfc822;A+2Bx@B", REPLY_NONE, "a@b.test", "rfc822;A+2Bx@B", NOTIFY_NEVER},
		{"TO:<a@b.test> ORCPT=utf-8;\xc3\xa4@b", REPLY_NONE, "a@b.test", "utf-8;\xc3\xa4@b", 0},
		{"TO:<a@b.test> ORCPT=rfc822;+C3+A4@b", REPLY_NONE, "a@b.test", "rfc822;+C3+A4@b", 0}, /* as Postfix has it */
		{"TO:<a@b.test> ORCPT=rfc822;+C3@b", REPLY_PARAMETER_VALUE, NULL, NULL, 0},
		{"TO:<a@b.test> ORCPT=rfc822;+0A@b", REPLY_PARAMETER_VALUE, NULL, NULL, 0},
		{"TO:<a@b.test> ORCPT=rfc822;\xc3\xa4@b", REPLY_PARAMETER_VALUE, NULL, NULL, 0},
		{"TO:<a@b.test> ORCPT=rfc822;", REPLY_PARAMETER_VALUE, NULL, NULL, 0},
		{"TO:<a@b.test> ORCPT=rfc_822;a", REPLY_PARAMETER_VALUE, NULL, NULL, 0},
		{"TO:<a@b.test> ORCPT=rfc822", REPLY_PARAMETER_VALUE, NULL, NULL, 0},
		{"TO:<a@b.test> ORCPT=utf-8;\xff", REPLY_PARAMETER_VALUE, NULL, NULL, 0},
		{"TO:<a@b.test> ORCPT=;a", REPLY_PARAMETER_VALUE, NULL, NULL, 0},
		{"TO:<a@b.test> NOTIFY=SOMETIMES", REPLY_PARAMETER_VALUE, NULL, NULL, 0},
		{"TO:<a@b.test> NOTIFY=,DELAY", REPLY_PARAMETER_VALUE, NULL, NULL, 0},
		{"TO:<a@b.test> SIZE=1", REPLY_PARAMETER_UNKNOWN, NULL, NULL, 0},
		{"TO:<>", REPLY_SYNTAX_RCPT, NULL, NULL, 0},
		{"FROM:<a@b.test>", REPLY_SYNTAX_RCPT, NULL, NULL, 0},
		{"TO:<a>", REPLY_BAD_RECIPIENT, NULL, NULL, 0},
	};
	struct arena arena SCOPED_ARENA;
	struct smtp_rcpt rcpt;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		enum reply_id fault = smtp_parse_rcpt(&arena, slice_from_cstr(cases[i].argument), &rcpt);

		if (fault != cases[i].fault)
			fail_msg("%s: reply %d", cases[i].argument, fault);
		if (fault != REPLY_NONE)
			continue;
		equal(rcpt.path.address, cases[i].address);
		equal(rcpt.original, cases[i].original);
		assert_int_equal(rcpt.notify, cases[i].notify);
	}
}

static void test_dates(void **state)
{
	static const struct {
		const char *text;
		int64_t wall_ms; /* -1: none */
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-25T14:00:00Z", 1795615200000},
		{"2026-11-25t14:00:00.123456z", 1795615200000},
		{"2026-11-25T15:30:00+01:30", 1795615200000},
		{"2026-11-24T23:00:00-15:00", 1795615200000},
		{"2028-02-29T00:00:00Z", 1835395200000},
		{"2026-02-29T00:00:00Z", -1},
		{"2026-11-31T00:00:00Z", -1},
		{"2026-13-01T00:00:00Z", -1},
		{"2026-11-25T24:00:00Z", -1},
		{"2026-11-25T14:00:00", -1},
		{"2026-11-25T14:00Z", -1},
		{"2026-11-25T14:00:00.Z", -1},
		{"2026-11-25T14:00:00+0100", -1},
		{"2026-11-25T14:00:00Zz", -1},
		{"2026-1-25T14:00:00Z", -1},
		{"+026-11-25T14:00:00Z", -1},
		{"", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t wall_ms = -1;
		bool is_one = clock_parse_rfc3339(slice_from_cstr(cases[i].text), &wall_ms);

		if (is_one != (cases[i].wall_ms >= 0) || (is_one && wall_ms != cases[i].wall_ms))
			fail_msg("%s: %lld", cases[i].text, (long long)wall_ms);
	}
}

/* RFC 4865 section 3, 4.2: that there may be one only is judged later. */
static void test_holds(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct smtp_mail mail;

	(void)state;
	assert_int_equal(smtp_parse_mail(&arena, SLICE("FROM:<a@b.test> HOLDFOR=999999999"), &mail), REPLY_NONE);
	assert_int_equal(mail.timing.hold_for_s, 999999999);
	equal(mail.timing.hold_value, "999999999");
	assert_int_equal(smtp_parse_mail(&arena, SLICE("FROM:<a@b.test> HOLDFOR=1000000000"), &mail), REPLY_PARAMETER_VALUE);
	assert_int_equal(smtp_parse_mail(&arena, SLICE("FROM:<a@b.test> HOLDFOR=01"), &mail), REPLY_PARAMETER_VALUE);
	assert_int_equal(smtp_parse_mail(&arena, SLICE("FROM:<a@b.test> HOLDFOR"), &mail), REPLY_PARAMETER_VALUE);
	assert_int_equal(smtp_parse_mail(&arena, SLICE("FROM:<a@b.test> HOLDFOR=1 HOLDFOR=1"), &mail), REPLY_PARAMETER_VALUE);
	assert_int_equal(smtp_parse_mail(&arena, SLICE("FROM:<a@b.test> HOLDFOR=1 HOLDUNTIL=2026-11-25T14:00:00Z"), &mail),
			 REPLY_NONE);
	assert_int_equal(mail.timing.holds, 2);
}

static void test_by(void **state)
{
	static const struct {
		const char *value;
		bool ok;
		int seconds;
		unsigned mode;
	} cases[] = {
		{"120;R", true, 120, BY_RETURN},
		{"+120;nt", true, 120, BY_NOTIFY | BY_TRACE},
		{"-999999999;N", true, -999999999, BY_NOTIFY},
		{"0;N", true, 0, BY_NOTIFY},
		{"1;RT", true, 1, BY_RETURN | BY_TRACE},
		{"0;R", false, 0, 0},
		{"-1;R", false, 0, 0},
		{"1000000000;R", false, 0, 0},
		{"120", false, 0, 0},
		{"120;", false, 0, 0},
		{"120;X", false, 0, 0},
		{"120;RX", false, 0, 0},
		{"120;RTT", false, 0, 0},
		{";R", false, 0, 0},
		{"+-1;N", false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct smtp_timing timing = {0};
		bool ok = timing_take_by(&timing, slice_from_cstr(cases[i].value));

		if (ok != cases[i].ok || (ok && (timing.by_s != cases[i].seconds || timing.by_mode != cases[i].mode)))
			fail_msg("BY=%s", cases[i].value);
	}
}

static void test_priority_and_verp(void **state)
{
	static const char *const bad[] = {"10", "-10", "-0", "+1", "", "x", "1 "};
	struct smtp_timing timing = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(timing_take_priority(&timing, slice_from_cstr(bad[i])));
	assert_true(timing_take_priority(&timing, SLICE("-9")) && timing.priority == -9);
	assert_true(timing_take_priority(&timing, SLICE("9")) && timing.priority == 9);
	assert_true(timing_take_priority(&timing, SLICE("0")) && timing.priority == 0 && timing.has_priority);
	assert_true(timing_take_verp(&timing, false, SLICE_EMPTY));
	equal(timing.verp, "+=");
	assert_true(timing_take_verp(&timing, true, SLICE("-=")));
	assert_false(timing_take_verp(&timing, true, SLICE("a=")));
}

static void test_bdat(void **state)
{
	static const struct {
		const char *argument;
		bool ok, last;
		uint64_t size;
	} cases[] = {
		{"0", true, false, 0},       {"86 LAST", true, true, 86},   {"86  last", true, true, 86},
		{"", false, false, 0},       {"LAST", false, false, 0},     {"-1", false, false, 0},
		{"1 MORE", false, false, 0}, {"1 LAST x", false, false, 0}, {"18446744073709551616", false, false, 0},
	};
	uint64_t size;
	bool last;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(smtp_parse_bdat(slice_from_cstr(cases[i].argument), &size, &last), cases[i].ok);
		if (!cases[i].ok)
			continue;
		assert_int_equal(size, cases[i].size);
		assert_int_equal(last, cases[i].last);
	}
}

static void test_host(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {{"mx.example.org", true},
		     {"[192.0.2.1]", true},
		     {"[IPv6:2001:db8::1]", true},
		     {"under_score", true},
		     {"b\xc3\xbc"
		      "cher.test",
		      true},
		     {"", false},
		     {"a b", false},
		     {"a(b)", false},
		     {"a\tb", false},
		     {"\xff", false},
		     {"a<b>", false},
		     {"a;b", false}};
	struct slice host;
	char longest[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(smtp_parse_host(slice_from_cstr(cases[i].text), &host), cases[i].ok);
	memset(longest, 'a', sizeof(longest));
	assert_true(smtp_parse_host(slice_of(longest, 255), &host));
	assert_false(smtp_parse_host(slice_of(longest, 256), &host));
}

static void test_xtext(void **state)
{
	(void)state;
	assert_true(smtp_is_xtext(SLICE("a+3Db"), 10));
	assert_false(smtp_is_xtext(SLICE("a+3db"), 10));
	assert_false(smtp_is_xtext(SLICE("+C3+A4"), 10));
	assert_false(smtp_is_xtext(SLICE("a=b"), 10));
	assert_false(smtp_is_xtext(SLICE("a+"), 10));
	assert_false(smtp_is_xtext(SLICE("a+0"), 10));
	assert_false(smtp_is_xtext(SLICE("a+0A"), 10));
	assert_false(smtp_is_xtext(SLICE("a+7F"), 10));
	assert_false(smtp_is_xtext(SLICE("abc"), 2));
	assert_false(smtp_is_xtext(SLICE(""), 2));
}

static void test_replies(void **state)
{
	struct buf out SCOPED_BUF;
	struct reply reply = {550, SLICE("5.1.1"), SLICE("line\r\nbreak")};

	(void)state;
	reply_write(&out, &reply);
	equal(buf_slice(&out), "550-5.1.1 line?\r\n550 5.1.1 break\r\n");
	/* Nothing from elsewhere makes a line that is none, or too long a one (RFC 5321 section 4.5.3.1.5). */
	static char text[1000];

	memset(text, '\xe4', sizeof(text));
	reply.text = slice_of(text, sizeof(text));
	buf_clear(&out);
	reply_write(&out, &reply);
	assert_in_range(out.len, 500, 512);
	assert_true(slice_ends_with(buf_slice(&out), SLICE("??\r\n")));
	/* Each has a code, an enhanced one of the same class (RFC 2034 section 4), and a text. */
	for (int id = REPLY_OK; id < REPLY_COUNT; id++) {
		reply = reply_make((enum reply_id)id);
		assert_in_range(reply.code, 200, 599);
		assert_true(reply.text.len > 0);
		assert_true(reply.enhanced.len > 0 || id == REPLY_GO_AHEAD || id == REPLY_SYNTAX_HELLO ||
			    id == REPLY_EARLY_TALKER || id == REPLY_LMTP_STRANGER);
		if (reply.enhanced.len > 0)
			assert_int_equal(reply.enhanced.data[0] - '0', reply.code / 100);
	}
	buf_clear(&out);
	reply_write_challenge(&out, SLICE("Username:"));
	equal(buf_slice(&out), "334 VXNlcm5hbWU6\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),    cmocka_unit_test(test_mail), cmocka_unit_test(test_rcpt),
		cmocka_unit_test(test_bdat),    cmocka_unit_test(test_host), cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_replies), cmocka_unit_test(test_dates), cmocka_unit_test(test_holds), cmocka_unit_test(test_by),
		cmocka_unit_test(test_priority_and_verp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
