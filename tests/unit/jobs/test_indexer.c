#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "jobs/indexer.h"
#include "store/text_index.h"
#include "store/threads.h"

/* A store that has so many segments to make, to write anew, and faults to come. */
struct store {
	_Atomic unsigned segments, thin, faults, tidied;
	_Atomic unsigned unthreaded, names;
};

enum status text_index_step(struct store *store, const struct attachment_edition *edition, int64_t *account, size_t *indexed)
{
	(void)edition;
	*indexed = 0;
	if (*account < 1)
		return STATUS_BUG;
	if (store->faults > 0) {
		atomic_fetch_sub(&store->faults, 1);
		return STATUS_TEMPORARY;
	}
	if (store->segments > 0) {
		atomic_fetch_sub(&store->segments, 1);
		*indexed = 300;
	}
	return STATUS_OK;
}

enum status text_index_tidy(struct store *store, const struct attachment_edition *edition, int64_t *account, size_t *rewritten, bool *more)
{
	(void)edition;
	atomic_fetch_add(&store->tidied, 1);
	*rewritten = store->thin > 0 ? 1 : 0;
	*more = store->thin > 0;
	atomic_fetch_sub(&store->thin, *rewritten);
	(*account)++;
	return STATUS_OK;
}

enum status text_index_renew(struct store *store, const struct attachment_edition *edition, int64_t *account, size_t *rewritten)
{
	(void)store;
	(void)edition;
	(void)account;
	*rewritten = 0;
	return STATUS_OK;
}

enum status threads_step(struct store *store, int64_t *account, size_t *threaded)
{
	*threaded = *account == 1 && store->unthreaded > 0 ? 1 : 0;
	atomic_fetch_sub(&store->unthreaded, *threaded);
	return STATUS_OK;
}

enum status threads_tidy(struct store *store, int64_t *account, unsigned *part, size_t *removed, bool *more)
{
	*removed = *more = *account == 1 && store->names > 0;
	atomic_fetch_sub(&store->names, *removed);
	(*part)++;
	return STATUS_OK;
}

static struct indexer *start(struct store *store, struct log *log, struct indexer_options options)
{
	struct indexer *indexer;

	log_init(log, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("jobs"));
	indexer = indexer_new(&options, store, log);
	assert_non_null(indexer);
	return indexer;
}

static void test_all_is_done(void **state)
{
	struct store store = {.segments = 5, .thin = 2, .faults = 1, .unthreaded = 3, .names = 2};
	struct log log;
	struct indexer *indexer =
		start(&store, &log, (struct indexer_options){.interval_ms = 1, .rest_ms = 1, .tidy_interval_ms = 1});

	(void)state;
	for (int i = 0; i < 5000 && store.segments + store.thin + store.unthreaded + store.names > 0; i++)
		usleep(1000);
	indexer_free(indexer);
	assert_int_equal(store.segments, 0);
	assert_int_equal(store.thin, 0);
	assert_int_equal(store.unthreaded, 0);
	assert_int_equal(store.names, 0);
}

static void test_begins_at_once(void **state)
{
	struct store store = {.segments = 1};
	struct log log;
	struct indexer *indexer = start(&store, &log, (struct indexer_options){.rest_ms = 1});

	(void)state;
	for (int i = 0; i < 5000 && store.segments > 0; i++)
		usleep(1000);
	indexer_free(indexer); /* in the middle of its minute */
	assert_int_equal(store.segments, 0);
	assert_int_equal(store.tidied, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_is_done),
		cmocka_unit_test(test_begins_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
