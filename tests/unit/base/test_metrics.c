#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"

struct text {
	struct buf buf;
	struct slice all;
};

/* The text of one role's metrics. */
static struct text write_text(struct metrics *metrics, const char *role, const struct metric_extra *extras, size_t extra_count)
{
	uint64_t *cells = calloc(metrics_cell_count(), sizeof(*cells));
	struct metric_source source = {.role = slice_from_cstr(role),
				       .cells = cells,
				       .extras = extras,
				       .extra_count = extra_count,
				       .is_known = true,
				       .is_up = true,
				       .restarts = 7};
	struct text text;

	metrics_read(metrics, cells);
	buf_init(&text.buf, NULL, 0);
	metrics_write(&text.buf, &source, 1);
	text.all = buf_slice(&text.buf);
	free(cells);
	return text;
}

static bool has(const struct text *text, const char *line)
{
	return slice_find(text->all, slice_from_cstr(line)) != SLICE_NOT_FOUND;
}

static void test_counting(void **state)
{
	struct metrics *metrics = metrics_new();

	(void)state;
	metrics_add(metrics, METRIC_SMTP_BYTES, 0, 1000);
	metrics_add(metrics, METRIC_SMTP_BYTES, 0, 24);
	metrics_add(metrics, METRIC_SMTP_REPLIES, metrics_label_number(METRIC_SMTP_REPLIES, 250), 2);
	metrics_add(metrics, METRIC_SMTP_REPLIES, metrics_label_number(METRIC_SMTP_REPLIES, 999), 1);
	metrics_add(metrics, METRIC_CONNECTIONS, metrics_label(METRIC_CONNECTIONS, SLICE("submission")), 1);
	metrics_add(metrics, METRIC_CONNECTIONS, metrics_label(METRIC_CONNECTIONS, SLICE("nonsense")), -1);
	struct text text = write_text(metrics, "smtp", NULL, 0);

	assert_true(has(&text, "\nposthorn_smtp_message_bytes_total 1024\n"));
	assert_true(has(&text, "\nposthorn_smtp_replies_total{code=\"250\"} 2\n"));
	assert_true(has(&text, "\nposthorn_smtp_replies_total{code=\"other\"} 1\n"));
	assert_true(has(&text, "\nposthorn_connections{role=\"smtp\",listener=\"submission\"} 1\n"));
	assert_true(has(&text, "\nposthorn_connections{role=\"smtp\",listener=\"other\"} 0\n")); /* never below */
	assert_true(has(&text, "\nposthorn_role_up{role=\"smtp\"} 1\n"));
	assert_true(has(&text, "\nposthorn_role_restarts_total{role=\"smtp\"} 7\n"));
	assert_true(has(&text, "# TYPE posthorn_smtp_replies_total counter\n"));
	assert_false(has(&text, "\nposthorn_imap_views ")); /* another role's */
	buf_free(&text.buf);
	metrics_free(metrics);
}

static void test_histogram(void **state)
{
	struct metrics *metrics = metrics_new();
	static const uint64_t values[] = {0, 100, 101, 5000000, 5000001, 2500000};

	(void)state;
	for (size_t i = 0; i < 6; i++)
		metrics_observe(metrics, METRIC_DELIVER_SECONDS, values[i]);
	metrics_observe(metrics, METRIC_STORE_BATCH, 3);
	struct text text = write_text(metrics, "deliver", NULL, 0);

	assert_true(has(&text, "posthorn_deliver_seconds_bucket{le=\"0.0001\"} 2\n"));
	assert_true(has(&text, "posthorn_deliver_seconds_bucket{le=\"0.00025\"} 3\n"));
	assert_true(has(&text, "posthorn_deliver_seconds_bucket{le=\"1.0\"} 3\n"));
	assert_true(has(&text, "posthorn_deliver_seconds_bucket{le=\"5.0\"} 5\n"));
	assert_true(has(&text, "posthorn_deliver_seconds_bucket{le=\"+Inf\"} 6\n"));
	assert_true(has(&text, "posthorn_deliver_seconds_sum 12.500202\n"));
	assert_true(has(&text, "posthorn_deliver_seconds_count 6\n"));
	assert_true(has(&text, "posthorn_store_batch_works_bucket{role=\"deliver\",le=\"2.0\"} 0\n"));
	assert_true(has(&text, "posthorn_store_batch_works_bucket{role=\"deliver\",le=\"4.0\"} 1\n"));
	assert_true(has(&text, "posthorn_store_batch_works_sum{role=\"deliver\"} 3\n"));
	buf_free(&text.buf);
	metrics_free(metrics);
}

/* What strangers chose can't break out of its quotes, nor spoil the encoding. */
static void test_labels(void **state)
{
	struct metrics *metrics = metrics_new();
	struct metric_extra extras[] = {{METRIC_RELAY_HOP_CONNECTIONS, SLICE("a\"b\\c\nd"), 3},
					{METRIC_RELAY_HOP_CONNECTIONS, SLICE("b\xff"), 4}};

	(void)state;
	struct text text = write_text(metrics, "relay", extras, 2);

	assert_true(has(&text, "\nposthorn_relay_hop_connections{hop=\"a\\\"b\\\\c\\nd\"} 3\n"));
	assert_true(has(&text, "\nposthorn_relay_hop_connections{hop=\"b?\"} 4\n"));
	assert_true(slice_is_utf8(text.all));
	buf_free(&text.buf);
	metrics_free(metrics);
}

static void test_none(void **state)
{
	struct log log = {0};

	(void)state;
	METRIC_ADD(&log, METRIC_COMMANDS, 0, 1);
	metrics_add(NULL, METRIC_COMMANDS, 0, 1);
	metrics_observe(NULL, METRIC_DELIVER_SECONDS, 1);
	assert_int_equal(metrics_now_us(NULL), 0);
	/* A role that didn't answer has no numbers, and the text is whole nevertheless. */
	struct metric_source source = {.role = SLICE("imap"), .is_known = true};
	struct buf out SCOPED_BUF;

	buf_init(&out, NULL, 0);
	metrics_write(&out, &source, 1);
	assert_true(slice_find(buf_slice(&out), SLICE("\nposthorn_role_answered{role=\"imap\"} 0\n")) != SLICE_NOT_FOUND);
	assert_true(slice_find(buf_slice(&out), SLICE("\nposthorn_memory_bytes{")) == SLICE_NOT_FOUND);
}

#define THREADS   4
#define ADDITIONS 100000

static void *add_many(void *context)
{
	for (int i = 0; i < ADDITIONS; i++) {
		metrics_add(context, METRIC_COMMANDS, 0, 1);
		metrics_observe(context, METRIC_STORE_BATCH, 2);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct metrics *metrics = metrics_new();
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_true(thread_start(&threads[i], 0, add_many, metrics));
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	struct text text = write_text(metrics, "imap", NULL, 0);

	assert_true(has(&text, "\nposthorn_commands_total{role=\"imap\"} 400000\n"));
	assert_true(has(&text, "\nposthorn_store_batch_works_count{role=\"imap\"} 400000\n"));
	buf_free(&text.buf);
	metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counting), cmocka_unit_test(test_histogram), cmocka_unit_test(test_labels),
		cmocka_unit_test(test_none),     cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("base/metrics", tests, NULL, NULL);
}
