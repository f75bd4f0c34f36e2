#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "main/metrics_request.h"

static const struct {
	const char *request;
	enum metrics_answer answer;
} cases[] = {
	{"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", METRICS_PAGE},
	{"GET /metrics?x=1 HTTP/1.0\r\n\r\n", METRICS_PAGE},
	{"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", METRICS_PAGE_HEAD},
	{"POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n", METRICS_NOT_ALLOWED},
	{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", METRICS_NOT_FOUND},
	{"GET /metricsx HTTP/1.1\r\n\r\n", METRICS_NOT_FOUND},
	{"GET /metrics HTTP/2\r\n\r\n", METRICS_BAD_REQUEST},
	{"GET /metrics\r\n\r\n", METRICS_BAD_REQUEST},
	{"GET  /metrics HTTP/1.1\r\n\r\n", METRICS_BAD_REQUEST},
	{"G\x01T /metrics HTTP/1.1\r\n\r\n", METRICS_BAD_REQUEST},
	{" \r\n\r\n", METRICS_BAD_REQUEST},
	{"\r\n\r\n", METRICS_BAD_REQUEST},
};

static void test_requests(void **state)
{
	enum metrics_answer answer;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice whole = slice_from_cstr(cases[i].request);

		for (size_t cut = 0; cut < whole.len; cut++)
			assert_int_equal(metrics_request_parse(slice_sub(whole, 0, cut), &answer), STATUS_NEED_MORE);
		assert_int_equal(metrics_request_parse(whole, &answer), STATUS_OK);
		assert_int_equal(answer, cases[i].answer);
	}
}

static void test_too_long(void **state)
{
	static char bytes[METRICS_REQUEST_MAX];
	enum metrics_answer answer;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(metrics_request_parse(slice_of(bytes, sizeof(bytes) - 1), &answer), STATUS_NEED_MORE);
	assert_int_equal(metrics_request_parse(slice_of(bytes, sizeof(bytes)), &answer), STATUS_OK);
	assert_int_equal(answer, METRICS_BAD_REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests), cmocka_unit_test(test_too_long)};

	return cmocka_run_group_tests_name("main/metrics_request", tests, NULL, NULL);
}
