/* Who is told that a mailbox is nearly full, how often, and what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/deliver.h"
#include "jobs/quota_notice.h"
#include "store/quota_watch.h"

/* ---- a store with one full account, and a deliver role ---- */

struct store {
	struct quota_full full;
	bool is_full, is_told;
	enum status trouble; /* of each delivery */
	unsigned forgotten_below, deliveries, last_id;
	char message[4096];
};

enum status quota_find_full(struct store *store, struct arena *arena, unsigned percent, int64_t after, size_t max,
			    struct quota_full **full, size_t *count)
{
	assert_int_equal(percent, 90);
	*count = 0;
	*full = ARENA_ARRAY(arena, struct quota_full, max);
	for (int64_t id = after + 1; store->is_full && !store->is_told && id <= store->full.account && *count < max; id++) {
		(*full)[*count] = store->full;
		(*full)[(*count)++].account = id;
	}
	return STATUS_OK;
}

enum status quota_set_told(struct store *store, int64_t account)
{
	(void)account;
	store->is_told = true;
	store->full.times++;
	return STATUS_OK;
}

enum status quota_forget_told(struct store *store, unsigned percent)
{
	store->forgotten_below = percent;
	if (!store->is_full)
		store->is_told = false;
	return STATUS_OK;
}

/* The ipc is the store. */
struct deliver_verdict deliver_message(struct ipc *ipc, struct arena *arena, const struct deliver_envelope *envelope, struct slice bytes,
				       int fd)
{
	struct store *store = (struct store *)ipc;

	(void)arena;
	(void)fd;
	assert_int_equal(envelope->sender.address.len, 0);
	assert_int_equal(envelope->recipient_count, 1);
	assert_true(slice_eq(envelope->recipients[0].address, SLICE("alice@example.test")));
	assert_true(slice_starts_with(envelope->queue_id, SLICE("quota-")) && envelope->again);
	store->last_id = slice_eq(envelope->queue_id, SLICE("quota-1-1")) ? 1 : slice_eq(envelope->queue_id, SLICE("quota-1-2")) ? 2 : 0;
	assert_true(bytes.len < sizeof store->message);
	memcpy(store->message, bytes.data, bytes.len);
	store->message[bytes.len] = 0;
	store->deliveries++;
	return (struct deliver_verdict){.status = store->trouble};
}

static void send_to(struct store *store)
{
	struct log log;

	log_init(&log, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("jobs"));
	quota_notices_send(&(struct quota_notices){
		.store = store, .ipc = (struct ipc *)store, .hostname = SLICE("mail.example.test"), .percent = 90, .log = &log});
}

static struct store a_full_one(void)
{
	return (struct store){.is_full = true,
			      .full = {.account = 1,
				       .address = SLICE("alice@example.test"),
				       .used_bytes = 1866000000,
				       .quota_bytes = 2000000000,
				       .used_messages = 10,
				       .quota_messages = 1000}};
}

static void told_once_until_there_is_room(void **state)
{
	struct store store = a_full_one();

	(void)state;
	send_to(&store);
	send_to(&store);
	assert_int_equal(store.deliveries, 1);
	assert_int_equal(store.last_id, 1);
	assert_int_equal(store.forgotten_below, 85);
	store.is_full = false;
	send_to(&store);
	assert_int_equal(store.deliveries, 1);
	store.is_full = true;
	send_to(&store);
	assert_int_equal(store.deliveries, 2);
	assert_int_equal(store.last_id, 2); /* or it would be taken for the first */
}

static void what_is_said(void **state)
{
	struct store store = a_full_one();

	(void)state;
	send_to(&store);
	assert_non_null(strstr(store.message, "\r\nSubject: Your mailbox is 93 % full\r\n"));
	assert_non_null(strstr(store.message, "\r\nAuto-Submitted: auto-generated\r\n"));
	assert_non_null(strstr(store.message, "\r\n\r\nOf 2.0 GB, 1.9 GB are used.\r\nOf 1000 messages, 10 are there.\r\n"));
}

/* Each is tried, whatever becomes of those before it; but not while nothing can be delivered. */
static void many_that_take_nothing_more(void **state)
{
	struct store store = a_full_one();

	(void)state;
	store.full.account = 250;
	store.trouble = STATUS_LIMIT;
	send_to(&store);
	assert_int_equal(store.deliveries, 250);
	assert_false(store.is_told);
	store.trouble = STATUS_TEMPORARY;
	send_to(&store);
	assert_int_equal(store.deliveries, 251);
}

static void nobody_is_told_at_zero(void **state)
{
	struct store store = a_full_one();

	(void)state;
	quota_notices_send(&(struct quota_notices){.store = &store, .ipc = (struct ipc *)&store});
	assert_int_equal(store.deliveries, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_once_until_there_is_room),
		cmocka_unit_test(what_is_said),
		cmocka_unit_test(many_that_take_nothing_more),
		cmocka_unit_test(nobody_is_told_at_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
