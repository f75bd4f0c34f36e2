#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "guard/hello.h"
#include "guard/screen.h"

/* ---- the forms of lists ---- */

static void lists_are_parsed(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int points;
		uint32_t from, to;
	} table[] = {
		{"zen.example.net", true, 1, 0, 0},
		{"zen.example.net*3", true, 3, 0, 0},
		{"allow.example.net*-2", true, -2, 0, 0},
		{"zen.example.net=127.0.0.2", true, 1, 0x7f000002, 0x7f000002},
		{"zen.example.net=127.0.0.2-11*3", true, 3, 0x7f000002, 0x7f00000b},
		{"zen.example.net*0", false, 0, 0, 0},
		{"zen.example.net*", false, 0, 0, 0},
		{"zen.example.net*101", false, 0, 0, 0},
		{"zen.example.net*x", false, 0, 0, 0},
		{"zen.example.net=", false, 0, 0, 0},
		{"zen.example.net=*2", false, 0, 0, 0},
		{"zen.example.net=10.0.0.1", false, 0, 0, 0},
		{"zen.example.net=127.0.0.5-4", false, 0, 0, 0},
		{"zen.example.net=127.0.0.5-", false, 0, 0, 0},
		{"zen.example.net=127.0.0.5-256", false, 0, 0, 0},
		{"zen", false, 0, 0, 0},
		{"", false, 0, 0, 0},
		{".example.net", false, 0, 0, 0},
		{"example.net.", false, 0, 0, 0},
		{"example..net", false, 0, 0, 0},
		{"exa mple.net", false, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct dnslist list;

		if (dnslist_parse(slice_from_cstr(table[i].text), &list) != table[i].ok)
			fail_msg("%s", table[i].text);
		if (!table[i].ok)
			continue;
		assert_int_equal(list.points, table[i].points);
		assert_int_equal(list.from, table[i].from);
		assert_int_equal(list.to, table[i].to);
	}
}

static struct net_address address(const char *text)
{
	struct net_address address;

	assert_true(net_address_parse(slice_from_cstr(text), &address));
	return address;
}

/* RFC 5782 section 2.1 and section 2.4's own examples. */
static void names_are_made(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct dnslist list = {.zone = SLICE("bad.example.com")};
	struct net_address four = address("192.0.2.99"), six = address("2001:db8:1:2:3:4:567:89ab");

	(void)state;
	assert_true(slice_eq(dnslist_query(&arena, &list, &four), SLICE("99.2.0.192.bad.example.com")));
	assert_true(slice_eq(dnslist_query(&arena, &list, &six),
			     SLICE("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bad.example.com")));
}

static void answers_mean_what_the_list_says(void **state)
{
	static const struct {
		const char *list, *answer;
		bool matches;
	} table[] = {
		{"a.test", "127.0.0.2", true},
		{"a.test", "127.0.1.9", true},
		{"a.test", "127.0.0.1", false},
		{"a.test", "127.255.255.254", false},
		{"a.test", "192.0.2.1", false},
		{"a.test", "::1", false},
		{"a.test=127.0.0.2-4", "127.0.0.3", true},
		{"a.test=127.0.0.2-4", "127.0.0.5", false},
		{"a.test=127.0.0.2-4", "127.0.1.3", false},
		{"a.test=127.255.255.254", "127.255.255.254", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct net_address answer = address(table[i].answer);
		struct dnslist list;

		assert_true(dnslist_parse(slice_from_cstr(table[i].list), &list));
		if (dnslist_matches(&list, &answer) != table[i].matches)
			fail_msg("%s %s", table[i].list, table[i].answer);
	}
}

/* ---- the screen ---- */

/* A small world's DNS: a name and its address, or "!" for trouble; "slow" answers never in time. */
static const struct {
	const char *name, *value;
} zone[] = {
	{"99.2.0.192.block.test", "127.0.0.2"},
	{"99.2.0.192.allow.test", "127.0.0.9"},
	{"98.2.0.192.block.test", "127.0.0.2"},
	{"97.2.0.192.block.test", "!"},
	{"mx.good.test", "192.0.2.1"},
	{"mx.liar.test", "192.0.2.200"},
	{"mx.trouble.test", "!"},
};
static const struct {
	const char *address, *name;
} reverse_zone[] = {
	{"192.0.2.1", "mx.good.test"}, {"192.0.2.2", "mx.liar.test"}, {"192.0.2.3", "mx.trouble.test"}, {"192.0.2.4", "!"}};

static _Atomic bool slow, go_on;
static _Atomic unsigned questions;

static void wait_if_slow(void)
{
	questions++;
	while (slow && !go_on)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static enum status find(void *context, struct arena *arena, struct slice name, struct net_address **addresses, size_t *count)
{
	(void)context;
	wait_if_slow();
	*count = 0;
	for (size_t i = 0; i < sizeof(zone) / sizeof(zone[0]); i++) {
		if (!slice_eq(name, slice_from_cstr(zone[i].name)))
			continue;
		if (zone[i].value[0] == '!')
			return STATUS_TEMPORARY;
		*addresses = ARENA_NEW(arena, struct net_address);
		**addresses = address(zone[i].value);
		*count = 1;
		return STATUS_OK;
	}
	return STATUS_NOT_FOUND;
}

static enum status find_reverse(void *context, struct arena *arena, const struct net_address *peer, struct slice **names,
				size_t *count)
{
	struct buf text;

	(void)context;
	wait_if_slow();
	*count = 0;
	buf_init(&text, arena, 0);
	net_address_format(&text, peer);
	for (size_t i = 0; i < sizeof(reverse_zone) / sizeof(reverse_zone[0]); i++) {
		if (!slice_eq(buf_slice(&text), slice_from_cstr(reverse_zone[i].address)))
			continue;
		if (reverse_zone[i].name[0] == '!')
			return STATUS_TEMPORARY;
		*names = ARENA_NEW(arena, struct slice);
		**names = slice_from_cstr(reverse_zone[i].name);
		*count = 1;
		return STATUS_OK;
	}
	return STATUS_NOT_FOUND;
}

static enum status find_mail_hosts(void *context, struct arena *arena, struct slice domain, bool *is_null)
{
	(void)context, (void)arena;
	wait_if_slow();
	*is_null = slice_eq(domain, SLICE("null.test"));
	if (slice_eq(domain, SLICE("trouble.test")))
		return STATUS_TEMPORARY;
	return *is_null || slice_eq(domain, SLICE("mail.test")) ? STATUS_OK : STATUS_NOT_FOUND;
}

static const struct screen_resolver resolver = {find, find, find_reverse, find_mail_hosts, NULL};
static struct dnslist lists[2];
static struct log test_log;

static struct screen *make(int no_reverse, int bad_hello, int timeout_ms)
{
	struct screen_options options = {.lists = lists,
					 .list_count = 2,
					 .no_reverse_points = no_reverse,
					 .bad_hello_points = bad_hello,
					 .timeout_ms = timeout_ms,
					 .hostname = SLICE("mx.here.test")};

	slow = go_on = false;
	questions = 0;
	log_init(&test_log, 2, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("test"));
	assert_true(dnslist_parse(SLICE("block.test*5"), &lists[0]));
	assert_true(dnslist_parse(SLICE("allow.test*-3"), &lists[1]));
	return screen_new(&options, &resolver, &test_log);
}

static int points(struct screen *screen, const char *from, const char *hello, const char *reasons_have)
{
	struct net_address peer = address(from);
	struct assessment *assessment = screen_begin(screen, &peer, slice_from_cstr(hello), SCREEN_REVERSE_ASK);
	struct slice reasons;
	int found = screen_points(assessment, &reasons);

	if (reasons_have && slice_find(reasons, slice_from_cstr(reasons_have)) == SLICE_NOT_FOUND)
		fail_msg("%.*s", SLICE_ARG(reasons));
	assert_true(reasons_have || reasons.len == 0);
	assert_int_equal(screen_points(assessment, &reasons), found);
	assessment_free(assessment);
	return found;
}

static void points_add_up(void **state)
{
	struct screen *screen = make(0, 0, 60000);

	(void)state;
	assert_int_equal(points(screen, "192.0.2.50", "a.test", NULL), 0);
	assert_int_equal(points(screen, "192.0.2.98", "a.test", "block.test 5"), 5);
	assert_int_equal(points(screen, "192.0.2.99", "a.test", "allow.test -3"), 2);
	/* Trouble counts nothing. */
	assert_int_equal(points(screen, "192.0.2.97", "a.test", NULL), 0);
	assert_int_equal(points(screen, "2001:db8::1", "a.test", NULL), 0);
	assert_int_equal(questions, 10);
	screen_free(screen);
}

static void reverse_names(void **state)
{
	struct screen *screen = make(7, 0, 60000);

	(void)state;
	assert_int_equal(points(screen, "192.0.2.1", "a.test", NULL), 0);
	assert_int_equal(points(screen, "192.0.2.2", "a.test", "no reverse name 7"), 7);
	assert_int_equal(points(screen, "192.0.2.3", "a.test", NULL), 0);
	assert_int_equal(points(screen, "192.0.2.4", "a.test", NULL), 0);
	assert_int_equal(points(screen, "192.0.2.5", "a.test", "no reverse name 7"), 7);
	screen_free(screen);
}

static void greetings(void **state)
{
	static const struct {
		const char *hello;
		int points;
	} table[] = {
		{"mx.good.test", 0}, {"MX.Good.Test", 0},   {"mx.liar.test", 0}, {"mx.trouble.test", 0},
		{"localhost", 4},    {"mx.here.test", 4},   {"[192.0.2.1]", 0},  {"[192.0.2.2]", 4},
		{"nowhere.test", 4}, {"[IPv6:2001::1]", 4}, {"[192.0.2.1", 4},   {"[", 4},
	};
	struct screen *screen = make(0, 4, 60000);

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (points(screen, "192.0.2.1", table[i].hello, table[i].points ? "bad HELO 4" : NULL) != table[i].points)
			fail_msg("%s", table[i].hello);
	screen_free(screen);
}

static void forms_of_greetings(void **state)
{
	static const struct {
		const char *hello;
		bool ok;
	} table[] = {
		{"mx.example.org", true},
		{"MX-1.example.org", true},
		{"a_b.example.org", true},
		{"b\xc3\xbc" "cher.example", true},
		{"1.2.3.example", true},
		{"[192.0.2.1]", true},
		{"[IPv6:2001:db8::1]", true},
		{"[ipv6:::ffff:192.0.2.1]", true},
		{"localhost", false},
		{"mx.example.org.", false},
		{".example.org", false},
		{"mx..org", false},
		{"-mx.example.org", false},
		{"mx-.example.org", false},
		{"192.0.2.1", false},
		{"mx.example.123", false},
		{"mx!.example.org", false},
		{"", false},
		{"[", false},
		{"[]", false},
		{"[192.0.2.1", false},
		{"[192.0.2]", false},
		{"[2001:db8::1]", false},
		{"[IPv6:192.0.2.1.5]", false},
		{"[mx.example.org]", false},
		{"a234567890123456789012345678901234567890123456789012345678901234.test", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (hello_is_well_formed(slice_from_cstr(table[i].hello)) != table[i].ok)
			fail_msg("%s", table[i].hello);
}

/* Points for what is worse take the place of those for what is bad. */
static void finer_points(void **state)
{
	struct screen_options options = {.no_reverse_points = 1,
					 .no_pointer_points = 4,
					 .bad_hello_points = 2,
					 .malformed_hello_points = 8,
					 .timeout_ms = 60000,
					 .hostname = SLICE("mx.here.test")};
	struct screen *screen = screen_new(&options, &resolver, &test_log);
	struct net_address peer = address("192.0.2.1");
	struct slice reasons;

	(void)state;
	assert_int_equal(points(screen, "192.0.2.1", "mx.good.test", NULL), 0);
	assert_int_equal(points(screen, "192.0.2.2", "mx.good.test", "no reverse name 1"), 1);
	assert_int_equal(points(screen, "192.0.2.5", "mx.good.test", "no reverse name 4"), 4);
	assert_int_equal(points(screen, "192.0.2.1", "localhost", "malformed HELO 8"), 8);
	assert_int_equal(points(screen, "192.0.2.1", "nowhere.test", "bad HELO 2"), 2);
	/* Who has been told already isn't asked for. */
	unsigned asked = questions;
	struct assessment *assessment = screen_begin(screen, &peer, SLICE("localhost"), SCREEN_REVERSE_NONE);

	assert_int_equal(screen_points(assessment, &reasons), 12);
	assert_true(slice_eq(reasons, SLICE("malformed HELO 8, no reverse name 4")));
	assessment_free(assessment);
	peer = address("192.0.2.5");
	assessment = screen_begin(screen, &peer, SLICE("localhost"), SCREEN_REVERSE_GIVEN);
	assert_int_equal(screen_points(assessment, &reasons), 8);
	assessment_free(assessment);
	assert_int_equal(questions, asked);
	screen_free(screen);
}

static void domains_of_senders(void **state)
{
	static const struct {
		const char *domain;
		enum screen_domain expected;
	} table[] = {
		{"mail.test", SCREEN_DOMAIN_FINE},       {"MAIL.test", SCREEN_DOMAIN_FINE},  {"null.test", SCREEN_DOMAIN_NULL_MX},
		{"nowhere.test", SCREEN_DOMAIN_UNKNOWN}, {"mx.good.test", SCREEN_DOMAIN_FINE}, {"trouble.test", SCREEN_DOMAIN_FINE},
		{"mx.trouble.test", SCREEN_DOMAIN_FINE},
	};
	struct screen *screen = make(0, 0, 60000);

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct assessment *assessment = screen_begin_domain(screen, slice_from_cstr(table[i].domain));

		if (screen_domain(assessment) != table[i].expected)
			fail_msg("%s", table[i].domain);
		assessment_free(assessment);
	}
	screen_free(screen);
	screen = make(0, 0, 20);
	slow = true;
	struct assessment *late = screen_begin_domain(screen, SLICE("nowhere.test"));

	assert_int_equal(screen_domain(late), SCREEN_DOMAIN_FINE);
	go_on = true;
	screen_free(screen);
	assessment_free(late);
}

static void who_does_not_answer_counts_nothing(void **state)
{
	struct screen *screen = make(7, 4, 50);
	struct net_address peer = address("192.0.2.98");

	(void)state;
	slow = true;
	assert_int_equal(points(screen, "192.0.2.98", "localhost", "bad HELO 4"), 4);
	/* A session that is gone before its answers, and a screen before its questions. */
	for (int i = 0; i < 100; i++)
		assessment_free(screen_begin(screen, &peer, SLICE("a.test"), SCREEN_REVERSE_ASK));
	struct assessment *last = screen_begin(screen, &peer, SLICE("a.test"), SCREEN_REVERSE_ASK);

	go_on = true;
	screen_free(screen);
	assessment_free(last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_parsed),
		cmocka_unit_test(names_are_made),
		cmocka_unit_test(answers_mean_what_the_list_says),
		cmocka_unit_test(points_add_up),
		cmocka_unit_test(reverse_names),
		cmocka_unit_test(greetings),
		cmocka_unit_test(forms_of_greetings),
		cmocka_unit_test(finer_points),
		cmocka_unit_test(domains_of_senders),
		cmocka_unit_test(who_does_not_answer_counts_nothing),
	};

	return cmocka_run_group_tests_name("guard/screen", tests, NULL, NULL);
}
