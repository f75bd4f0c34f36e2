/* MTA-STS policies that are kept, and the counts of TLS results. */
#include "store_fixture.h"

#include "store/sts_cache.h"
#include "store/tls_report.h"

static void put(struct fixture *f, const char *domain, const char *id, int64_t refresh_ms, int64_t expires_ms)
{
	const struct sts_cached cached = {slice_from_cstr(id), SLICE("version: STSv1\nmode: none\n"), 1000, refresh_ms, expires_ms};

	assert_int_equal(sts_cache_put(f->store, slice_from_cstr(domain), &cached), STATUS_OK);
}

static void test_policies(void **state)
{
	struct fixture *f = *state;
	struct sts_cached cached;
	struct slice *domains;
	size_t count;

	assert_int_equal(sts_cache_find(f->store, &f->arena, SLICE("a.test"), 2000, &cached), STATUS_NOT_FOUND);
	put(f, "a.test", "one", 5000, 10000);
	put(f, "b.test", "one", 4000, 10000);
	put(f, "a.test", "two", 6000, 10000);
	fixture_reopen(f);
	assert_int_equal(sts_cache_find(f->store, &f->arena, SLICE("a.test"), 9999, &cached), STATUS_OK);
	assert_true(slice_eq(cached.id, SLICE("two")));
	assert_true(slice_eq(cached.text, SLICE("version: STSv1\nmode: none\n")));
	assert_int_equal(cached.refresh_ms, 6000);
	assert_int_equal(sts_cache_find(f->store, &f->arena, SLICE("a.test"), 10000, &cached), STATUS_NOT_FOUND);

	assert_int_equal(sts_cache_due(f->store, &f->arena, 3999, 10, &domains, &count), STATUS_OK);
	assert_int_equal(count, 0);
	assert_int_equal(sts_cache_due(f->store, &f->arena, 6000, 10, &domains, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_true(slice_eq(domains[0], SLICE("b.test")));
	assert_int_equal(sts_cache_put_off(f->store, SLICE("b.test"), 7000), STATUS_OK);
	assert_int_equal(sts_cache_due(f->store, &f->arena, 6000, 10, &domains, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(sts_cache_due(f->store, &f->arena, 10000, 10, &domains, &count), STATUS_OK);
	assert_int_equal(count, 0);

	assert_int_equal(sts_cache_forget_expired(f->store, 9999), STATUS_OK);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM sts_policy"), 2);
	assert_int_equal(sts_cache_forget_expired(f->store, 10000), STATUS_OK);
	assert_int_equal(fixture_number(f, "SELECT count(*) FROM sts_policy"), 0);
}

static struct tls_count row(int64_t day, const char *domain, const char *result, uint64_t sessions)
{
	return (struct tls_count){
		.day = day,
		.domain = slice_from_cstr(domain),
		.policy_type = SLICE("sts"),
		.policy = SLICE("version: STSv1"),
		.result = slice_from_cstr(result),
		.receiving_host = SLICE("mx.test"),
		.sessions = sessions,
	};
}

static void test_counts(void **state)
{
	struct fixture *f = *state;
	struct tls_count rows[] = {row(10, "b.test", "", 3), row(10, "a.test", "certificate-expired", 1), row(11, "a.test", "", 1)};
	struct tls_count *counts;
	size_t count;

	assert_int_equal(tls_count_add(f->store, rows, 3), STATUS_OK);
	assert_int_equal(tls_count_add(f->store, rows, 2), STATUS_OK);
	assert_int_equal(tls_count_add(f->store, NULL, 0), STATUS_OK);
	assert_int_equal(tls_count_list(f->store, &f->arena, -1, SLICE_EMPTY, &counts, &count), STATUS_OK);
	assert_int_equal(count, 3);
	assert_true(slice_eq(counts[0].domain, SLICE("a.test")) && counts[0].sessions == 2 && counts[0].day == 10);
	assert_true(slice_eq(counts[0].result, SLICE("certificate-expired")));
	assert_true(slice_eq(counts[1].domain, SLICE("b.test")) && counts[1].sessions == 6);
	assert_true(slice_eq(counts[1].policy, SLICE("version: STSv1")));
	assert_int_equal(tls_count_list(f->store, &f->arena, 11, SLICE_EMPTY, &counts, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(tls_count_list(f->store, &f->arena, -1, SLICE("b.test"), &counts, &count), STATUS_OK);
	assert_int_equal(count, 1);
	size_t removed;

	assert_int_equal(tls_count_forget(f->store, 11 * 86400000LL - 1, 1, &removed), STATUS_OK);
	assert_int_equal(removed, 0);
	assert_int_equal(tls_count_forget(f->store, 11 * 86400000LL, 1, &removed), STATUS_OK);
	assert_int_equal(removed, 2);
	assert_int_equal(tls_count_list(f->store, &f->arena, -1, SLICE_EMPTY, &counts, &count), STATUS_OK);
	assert_int_equal(count, 1);
}

/* Each day's report to a domain is made once, taken once, and comes back until it is over. */
static void test_reports(void **state)
{
	struct fixture *f = *state;
	struct tls_count rows[] = {row(10, "b.test", "", 3), row(10, "a.test", "certificate-expired", 1), row(11, "a.test", "", 1)};
	struct tls_report report, other;

	assert_int_equal(tls_count_add(f->store, rows, 3), STATUS_OK);
	assert_int_equal(tls_report_take(f->store, &f->arena, 5000, 100, &report), STATUS_NOT_FOUND);
	assert_int_equal(tls_report_plan(f->store, 10, 1000), STATUS_OK);
	assert_int_equal(tls_report_plan(f->store, 10, 2000), STATUS_OK);
	assert_int_equal(tls_report_take(f->store, &f->arena, 999, 100, &report), STATUS_NOT_FOUND);
	assert_int_equal(tls_report_take(f->store, &f->arena, 1000, 100, &report), STATUS_OK);
	assert_int_equal(tls_report_take(f->store, &f->arena, 1000, 100, &other), STATUS_OK);
	assert_int_equal(report.day, 10);
	assert_true(slice_eq(report.domain, SLICE("a.test")) && slice_eq(other.domain, SLICE("b.test")));
	assert_int_equal(tls_report_take(f->store, &f->arena, 1000, 100, &other), STATUS_NOT_FOUND);
	report.done = 5;
	assert_int_equal(tls_report_put(f->store, &report, 3000), STATUS_OK);
	assert_int_equal(tls_report_put(f->store, &other, 0), STATUS_OK);
	assert_int_equal(tls_report_take(f->store, &f->arena, 3000, 100, &report), STATUS_OK);
	assert_int_equal(report.tries, 1);
	assert_int_equal(report.done, 5);
	/* A lease that ends without a word. */
	assert_int_equal(tls_report_take(f->store, &f->arena, 3100, 100, &report), STATUS_OK);
	assert_int_equal(tls_report_put(f->store, &report, 0), STATUS_OK);
	assert_int_equal(tls_report_plan(f->store, 10, 1000), STATUS_OK);
	assert_int_equal(tls_report_take(f->store, &f->arena, INT64_MAX / 2, 100, &report), STATUS_NOT_FOUND);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {FIXTURE_TEST(test_policies), FIXTURE_TEST(test_counts), FIXTURE_TEST(test_reports)};

	return FIXTURE_MAIN(argc, argv, "sending security", tests);
}
