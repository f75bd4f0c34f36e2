/* MTA-STS: records and policies (RFC 8461 section 3, 4.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "relay/sts_policy.h"

static void records(void **state)
{
	static const struct {
		const char *texts[3];
		const char *id; /* NULL: none */
	} TABLE[] = {
		{{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
		{{"v=STSv1;id=1"}, "1"},
		{{"v=spf1 -all", "v=STSv1; other=x; id=abc; id2=z", NULL}, "abc"},
		{{"v=STSv1; id=1", "v=STSv1; id=1", NULL}, NULL}, /* two */
		{{"v=STSv2; id=1"}, NULL},
		{{" v=STSv1; id=1"}, NULL},
		{{"v=STSv10; id=1"}, NULL},
		{{"v=STSv1 ; id=1"}, "1"},
		{{"id=1; v=STSv1"}, NULL},
		{{"v=STSv1; id="}, NULL},
		{{"v=STSv1; id=a-b"}, NULL},
		{{"v=STSv1; id=123456789012345678901234567890123"}, NULL},
		{{"v=STSv1"}, NULL},
		{{""}, NULL},
		{{NULL}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct slice texts[3], id;
		size_t count = 0;

		for (; count < 3 && TABLE[i].texts[count]; count++)
			texts[count] = slice_from_cstr(TABLE[i].texts[count]);
		assert_int_equal(sts_record_find(texts, count, &id), TABLE[i].id != NULL);
		if (TABLE[i].id)
			assert_true(slice_eq(id, slice_from_cstr(TABLE[i].id)));
	}
}

static void policies(void **state)
{
	static const struct {
		const char *text;
		bool is_one;
		enum sts_mode mode;
		int64_t max_age_s;
		size_t hosts;
	} TABLE[] = {
		{"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n", true, STS_ENFORCE,
		 604800, 2},
		{"version: STSv1\nmode: testing\nmx: a\nmax_age: 0", true, STS_TESTING, 0, 1},
		{"version:STSv1\nmode:none\nmax_age:1\n", true, STS_NONE, 1, 0},
		{"version: STSv1\nmode: enforce\nmode: none\nmx: a.test.\nmax_age: 5\nmax_age: x\nfuture: 1\n\n", true, STS_ENFORCE, 5, 1},
		{"version: STSv1\nmode: none\nmax_age: 9999999999\n", true, STS_NONE, STS_MAX_AGE_S, 0},
		{"version: STSv1\nmode: enforce\nmax_age: 1\n", false, 0, 0, 0}, /* nobody to send to */
		{"version: STSv2\nmode: none\nmax_age: 1\n", false, 0, 0, 0},
		{"mode: none\nmax_age: 1\n", false, 0, 0, 0},
		{"version: STSv1\nmode: none\n", false, 0, 0, 0},
		{"version: STSv1\nmax_age: 1\n", false, 0, 0, 0},
		{"version: STSv1\nmode: Enforce\nmx: a\nmax_age: 1\n", false, 0, 0, 0},
		{"version: STSv1\nmode: none\nmax_age: -1\n", false, 0, 0, 0},
		{"version: STSv1\nmode: none\nmax_age: 99999999999\n", false, 0, 0, 0},
		{"version: STSv1\nmode: enforce\nmx: a b\nmax_age: 1\n", false, 0, 0, 0},
		{"version: STSv1\nmode: enforce\nmx: *.\nmax_age: 1\n", false, 0, 0, 0},
		{"<html>", false, 0, 0, 0},
		{"", false, 0, 0, 0},
	};
	struct arena arena SCOPED_ARENA;

	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct sts_policy policy;

		assert_int_equal(sts_policy_parse(&arena, slice_from_cstr(TABLE[i].text), &policy), TABLE[i].is_one);
		if (!TABLE[i].is_one)
			continue;
		assert_int_equal(policy.mode, TABLE[i].mode);
		assert_int_equal(policy.max_age_s, TABLE[i].max_age_s);
		assert_int_equal(policy.host_count, TABLE[i].hosts);
	}
}

static void too_much(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct sts_policy policy;
	struct buf text;

	(void)state;
	buf_init(&text, &arena, 0);
	buf_add_literal(&text, "version: STSv1\nmode: enforce\nmax_age: 1\n");
	for (size_t i = 0; i < STS_HOSTS_MAX; i++)
		buf_add_literal(&text, "mx: a.test\n");
	assert_true(sts_policy_parse(&arena, buf_slice(&text), &policy));
	buf_add_literal(&text, "mx: a.test\n");
	assert_false(sts_policy_parse(&arena, buf_slice(&text), &policy));
	buf_clear(&text);
	buf_add_literal(&text, "version: STSv1\nmode: none\nmax_age: 1\n");
	while (text.len <= STS_POLICY_BYTES_MAX)
		buf_add_literal(&text, "future: x\n");
	assert_false(sts_policy_parse(&arena, buf_slice(&text), &policy));
}

static void names(void **state)
{
	static const struct {
		const char *host;
		bool fits;
	} TABLE[] = {
		{"mail.example.com", true}, {"MAIL.Example.COM", true},    {"a.example.net", true}, {"example.net", false},
		{"a.b.example.net", false}, {"xexample.net", false},	   {".example.net", false}, {"mail.example.com.evil.test", false},
		{"", false},		    {"other.example.com", false},
	};
	struct slice hosts[] = {SLICE("mail.example.com"), SLICE("*.example.net")};
	const struct sts_policy policy = {.mode = STS_ENFORCE, .hosts = hosts, .host_count = 2};

	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++)
		assert_int_equal(sts_policy_names(&policy, slice_from_cstr(TABLE[i].host)), TABLE[i].fits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(policies),
		cmocka_unit_test(too_much),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
