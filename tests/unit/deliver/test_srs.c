/* The sender rewriting scheme: there and back, and what must not come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "deliver/srs.h"

#define DAY 86400000LL
#define NOW (20000 * DAY)

static const struct slice secret = {"a secret of this test", 21};

static struct slice forward(struct arena *arena, const char *sender, const char *domain)
{
	struct slice rewritten;

	assert_true(srs_rewrite(arena, secret, NOW, slice_from_cstr(sender), slice_from_cstr(domain), &rewritten));
	assert_true(srs_is_rewritten(rewritten));
	return rewritten;
}

static struct slice back(struct arena *arena, struct slice address)
{
	struct slice original = SLICE_EMPTY;

	return srs_reverse(arena, secret, NOW + DAY, address, &original) ? original : SLICE_EMPTY;
}

static void test_there_and_back(void **state)
{
	static const char *const senders[] = {"alice@example.org", "A.B=c+d@sub.example.org", "srs@example.org",
					      "SRS0@x.example"};
	struct arena arena SCOPED_ARENA;

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
		struct slice rewritten = forward(&arena, senders[i], "ours.test");

		assert_true(slice_starts_with(rewritten, SLICE("SRS0=")));
		assert_true(slice_ends_with(rewritten, SLICE("@ours.test")));
		assert_true(slice_eq(back(&arena, rewritten), slice_from_cstr(senders[i])));
		/* A peer may have changed the case of all of it. */
		assert_true(slice_eq_nocase(back(&arena, slice_lower(&arena, rewritten)), slice_from_cstr(senders[i])));
	}
}

/* The second forwarder's bounces go to the first, whoever comes after it. */
static void test_chain(void **state)
{
	struct slice first = SLICE("SRS0+HHHH=TT=example.org=alice@first.test"), second, third;
	struct arena arena SCOPED_ARENA;

	(void)state;
	arena_init(&arena, 0);
	assert_true(srs_rewrite(&arena, secret, NOW, first, SLICE("second.test"), &second));
	assert_true(slice_starts_with(second, SLICE("SRS1=")));
	assert_true(slice_ends_with(second, SLICE("=first.test=+HHHH=TT=example.org=alice@second.test")));
	assert_true(slice_eq(back(&arena, second), first));
	assert_true(srs_rewrite(&arena, SLICE("another's"), NOW, second, SLICE("third.test"), &third));
	assert_true(slice_ends_with(third, SLICE("=first.test=+HHHH=TT=example.org=alice@third.test")));
}

static void test_refused(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice good, original;

	(void)state;
	arena_init(&arena, 0);
	good = forward(&arena, "alice@example.org", "ours.test");
	assert_true(srs_reverse(&arena, secret, NOW + 21 * DAY, good, &original));
	assert_false(srs_reverse(&arena, secret, NOW + 22 * DAY, good, &original));
	assert_false(srs_reverse(&arena, secret, NOW - DAY, good, &original));
	assert_false(srs_reverse(&arena, SLICE("another secret"), NOW, good, &original));
	/* Each byte of it counts. */
	for (size_t i = 5; i < good.len - 10; i++) {
		char *copy = slice_cstr(&arena, good);

		copy[i] = copy[i] == 'x' ? 'y' : 'x';
		assert_false(srs_reverse(&arena, secret, NOW, slice_from_cstr(copy), &original));
	}
	static const char *const bad[] = {"SRS0=@ours.test",        "SRS0=x@ours.test", "SRS0=====@ours.test",
					  "SRS1=a=b=c@ours.test",   "SRS1=@ours.test",  "SRS0=a=b=c=d",
					  "SRS2=a=b=c=d@ours.test", "@ours.test",       ""};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(srs_reverse(&arena, secret, NOW, slice_from_cstr(bad[i]), &original));
	assert_false(srs_is_rewritten(SLICE("srs0@ours.test")));
	assert_false(srs_is_rewritten(SLICE("srs0x@ours.test")));
	assert_false(srs_rewrite(&arena, secret, NOW, SLICE("\"a b\"@example.org"), SLICE("ours.test"), &original));
	assert_false(srs_rewrite(&arena, secret, NOW, SLICE("alice"), SLICE("ours.test"), &original));
	assert_false(srs_rewrite(&arena, secret, NOW, SLICE("a@b=c"), SLICE("ours.test"), &original));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
