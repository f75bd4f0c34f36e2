/* What next hops of the queue say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "relay/way.h"

struct expectation {
	const char *hop;
	enum way_kind kind;
	const char *host, *user, *target;
	bool is_rule;
	enum tls_wish wish;
};

static void table(void **state)
{
	static const struct expectation TABLE[] = {
		{"example.org", WAY_SMTP, "example.org", "", "", false, TLS_WISH_NONE},
		{"example.org with REQUIRETLS", WAY_SMTP, "example.org", "", "", false, TLS_WISH_REQUIRED},
		{"relay.example:587", WAY_SMTP, "relay.example:587", "", "", false, TLS_WISH_NONE},
		{"route:relay.example:587", WAY_SMTP, "relay.example:587", "", "relay.example:587", true, TLS_WISH_NONE},
		{"route:relay.example:587/bob@example.org without demands of TLS", WAY_SMTP, "relay.example:587", "bob@example.org",
		 "relay.example:587", true, TLS_WISH_OPTIONAL},
		{"route:[2001:db8::1]:587/a/b", WAY_SMTP, "[2001:db8::1]:587", "a/b", "[2001:db8::1]:587", true, TLS_WISH_NONE},
		{"route:lmtp:boxes.example:24", WAY_LMTP, "boxes.example:24", "", "lmtp:boxes.example:24", true, TLS_WISH_NONE},
		{"route:error:5.1.1 no such user", WAY_ERROR, "5.1.1 no such user", "", "", true, TLS_WISH_NONE},
		{"route:retry:4.7.1 later", WAY_RETRY, "4.7.1 later", "", "", true, TLS_WISH_NONE},
		{"route:discard:", WAY_DISCARD, "", "", "", true, TLS_WISH_NONE},
		{"error:5.1.1 x", WAY_SMTP, "error:5.1.1 x", "", "", false, TLS_WISH_NONE}, /* nobody's rule */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		const struct expectation *e = &TABLE[i];
		struct way way = way_of(slice_from_cstr(e->hop));

		assert_int_equal(way.kind, e->kind);
		assert_true(slice_eq(way.host, slice_from_cstr(e->host)));
		assert_true(slice_eq(way.user, slice_from_cstr(e->user)));
		assert_true(slice_eq(way.target, slice_from_cstr(e->target)));
		assert_int_equal(way.is_rule, e->is_rule);
		assert_int_equal(way.wish, e->wish);
	}
}

static void replies(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct way way = way_of(SLICE("route:error:5.7.1 closed for good"));
	struct reply reply = way_reply(&arena, &way);

	(void)state;
	assert_true(reply.code == 550 && reply.is_ours && slice_eq(reply.enhanced, SLICE("5.7.1")));
	assert_true(slice_eq(reply.text, SLICE("closed for good")));
	way = way_of(SLICE("route:retry:4.3.2 tomorrow"));
	assert_int_equal(way_reply(&arena, &way).code, 450);
	way = way_of(SLICE("route:discard:"));
	assert_int_equal(way_reply(&arena, &way).code, 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(replies)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
