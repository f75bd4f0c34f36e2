/* Results: when a recipient comes again, when it is given up, and of whom the sender is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "relay/outcome.h"

static const int64_t RETRY_MS[] = {1000, 5000, 20000};
static const struct outcome_policy POLICY = {RETRY_MS, 3, 100000, 40000};

static struct reply reply_of(unsigned code)
{
	return (struct reply){code, SLICE_EMPTY, SLICE("text"), false};
}

struct expectation {
	enum recipient_state state;
	unsigned attempts, notify;
	int64_t age_ms;
	bool delay_warned;
	const char *sender;
	bool relayed_plainly;
	/* */
	enum queue_outcome outcome;
	int64_t due_in_ms;
	int report;         /* -1: none */
	const char *status; /* of the report */
};

static void check(const struct expectation *e)
{
	struct parcel parcel = {.count = 1};
	struct recipient recipient = {
		.item = {.id = 4,
			 .sender = slice_from_cstr(e->sender),
			 .recipient = SLICE("b@example.net"),
			 .attempts = e->attempts,
			 .notify = e->notify,
			 .created_ms = 1000000 - e->age_ms,
			 .delay_warned = e->delay_warned},
		.state = e->state,
		.reply = reply_of(e->state == RECIPIENT_DELIVERED ? 250
				  : e->state == RECIPIENT_FAILED  ? 550
								  : 450),
		.relayed_plainly = e->relayed_plainly,
	};
	struct settlement settlement;

	parcel.recipients = parcel.last_recipient = &recipient;
	outcome_settle(&POLICY, &parcel, 1000000, &settlement);
	assert_int_equal(settlement.count, 1);
	assert_int_equal(settlement.results[0].id, 4);
	assert_int_equal(settlement.results[0].outcome, e->outcome);
	if (e->outcome == QUEUE_DEFERRED)
		assert_int_equal(settlement.results[0].due_ms - 1000000, e->due_in_ms);
	assert_int_equal(settlement.report_count, e->report >= 0);
	if (e->report >= 0) {
		assert_int_equal(settlement.reports[0].action, e->report);
		assert_true(slice_eq(settlement.reports[0].status, slice_from_cstr(e->status)));
	}
	if (e->report == DSN_DELAYED)
		assert_true(settlement.results[0].delay_warned);
	arena_free(&parcel.arena);
}

static void table(void **state)
{
	static const struct expectation TABLE[] = {
		/* delivered: told of only if asked for, and the peer can't */
		{RECIPIENT_DELIVERED, 0, 0, 0, false, "a@b", true, QUEUE_DELIVERED, 0, -1, NULL},
		{RECIPIENT_DELIVERED, 0, NOTIFY_SUCCESS, 0, false, "a@b", true, QUEUE_DELIVERED, 0, DSN_RELAYED, "2.0.0"},
		{RECIPIENT_DELIVERED, 0, NOTIFY_SUCCESS, 0, false, "a@b", false, QUEUE_DELIVERED, 0, -1, NULL},
		{RECIPIENT_DELIVERED, 0, NOTIFY_SUCCESS, 0, false, "", true, QUEUE_DELIVERED, 0, -1, NULL},
		/* failed */
		{RECIPIENT_FAILED, 0, 0, 0, false, "a@b", false, QUEUE_FAILED, 0, DSN_FAILED, "5.0.0"},
		{RECIPIENT_FAILED, 0, NOTIFY_FAILURE, 0, false, "a@b", false, QUEUE_FAILED, 0, DSN_FAILED, "5.0.0"},
		{RECIPIENT_FAILED, 0, NOTIFY_SUCCESS | NOTIFY_DELAY, 0, false, "a@b", false, QUEUE_FAILED, 0, -1, NULL},
		{RECIPIENT_FAILED, 0, NOTIFY_NEVER, 0, false, "a@b", false, QUEUE_FAILED, 0, -1, NULL},
		{RECIPIENT_FAILED, 0, 0, 0, false, "", false, QUEUE_FAILED, 0, -1, NULL}, /* double bounce */
		/* deferred: the schedule, its last step again */
		{RECIPIENT_DEFERRED, 0, 0, 0, false, "a@b", false, QUEUE_DEFERRED, 1000, -1, NULL},
		{RECIPIENT_DEFERRED, 1, 0, 0, false, "a@b", false, QUEUE_DEFERRED, 5000, -1, NULL},
		{RECIPIENT_DEFERRED, 9, 0, 0, false, "a@b", false, QUEUE_DEFERRED, 20000, -1, NULL},
		{RECIPIENT_WAITING, 0, 0, 0, false, "a@b", false, QUEUE_DEFERRED, 1000, -1, NULL},
		{RECIPIENT_CROWDED, 0, 0, 0, false, "a@b", false, QUEUE_DEFERRED, 1000, -1, NULL},
		/* the warning, once */
		{RECIPIENT_DEFERRED, 9, 0, 40000, false, "a@b", false, QUEUE_DEFERRED, 20000, DSN_DELAYED, "4.0.0"},
		{RECIPIENT_DEFERRED, 9, 0, 40000, true, "a@b", false, QUEUE_DEFERRED, 20000, -1, NULL},
		{RECIPIENT_DEFERRED, 9, NOTIFY_FAILURE, 40000, false, "a@b", false, QUEUE_DEFERRED, 20000, -1, NULL},
		{RECIPIENT_DEFERRED, 9, NOTIFY_DELAY, 40000, false, "a@b", false, QUEUE_DEFERRED, 20000, DSN_DELAYED, "4.0.0"},
		{RECIPIENT_DEFERRED, 9, 0, 40000, false, "", false, QUEUE_DEFERRED, 20000, -1, NULL},
		/* the last attempt is made when the time is up, and then it is given up */
		{RECIPIENT_DEFERRED, 9, 0, 90000, true, "a@b", false, QUEUE_DEFERRED, 10000, -1, NULL},
		{RECIPIENT_DEFERRED, 9, 0, 100000, true, "a@b", false, QUEUE_FAILED, 0, DSN_FAILED, "4.4.7"},
		{RECIPIENT_DEFERRED, 9, NOTIFY_NEVER, 100000, true, "a@b", false, QUEUE_FAILED, 0, -1, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++)
		check(&TABLE[i]);
}

static void put_off(void **state)
{
	struct recipient recipient = {.item = {.created_ms = 1000000}, .state = RECIPIENT_DEFERRED, .reply = reply_of(450)};
	struct parcel parcel = {.count = 1, .recipients = &recipient, .put_off_ms = 600};
	struct settlement settlement;

	(void)state;
	outcome_settle(&POLICY, &parcel, 1000000, &settlement);
	assert_int_equal(settlement.results[0].due_ms, 1000600); /* with its hop */
	assert_true(settlement.results[0].is_untried);
	parcel.was_tried = true;
	outcome_settle(&POLICY, &parcel, 1000000, &settlement);
	assert_int_equal(settlement.results[0].due_ms, 1001000); /* never sooner than the schedule */
	assert_false(settlement.results[0].is_untried);
	parcel.put_off_ms = 7000;
	outcome_settle(&POLICY, &parcel, 1000000, &settlement);
	assert_int_equal(settlement.results[0].due_ms, 1007000);
	arena_free(&parcel.arena);
}

/* In the queue itself: till the hop is tried again, but not past what the sender is to be told. */
static void put_off_in_the_queue(void **state)
{
	struct queue_item item = {.sender = SLICE("a@b"), .created_ms = 1000000};

	(void)state;
	assert_false(outcome_is_urgent(&POLICY, &item, 1039999));
	assert_true(outcome_is_urgent(&POLICY, &item, 1040000)); /* the warning */
	assert_int_equal(outcome_put_off(&POLICY, &item, 1030000), 1030000);
	assert_int_equal(outcome_put_off(&POLICY, &item, 1050000), 1040000);
	item.delay_warned = true;
	assert_false(outcome_is_urgent(&POLICY, &item, 1099999));
	assert_true(outcome_is_urgent(&POLICY, &item, 1100000)); /* the end */
	assert_int_equal(outcome_put_off(&POLICY, &item, 1150000), 1100000);
	item.expires_ms = 1060000;
	assert_int_equal(outcome_put_off(&POLICY, &item, 1150000), 1060000);
}

/* What the notification is made of. */
static void report(void **state)
{
	struct recipient recipient = {
		.item = {.sender = SLICE("a@b"),
			 .recipient = SLICE("b@example.net"),
			 .original_recipient = SLICE("rfc822;x+2By+3D+zz@example.net"),
			 .created_ms = 900000,
			 .attempts = 9},
		.state = RECIPIENT_DEFERRED,
		.reply = {554, SLICE("5.7.1"), SLICE("554 5.7.1 no service"), false},
		.remote = SLICE("mx.example.net [192.0.2.1]"),
	};
	struct parcel parcel = {.count = 1, .recipients = &recipient};
	struct outcome_policy patient = POLICY;
	struct settlement settlement;
	const struct dsn_recipient *told;

	(void)state;
	patient.expire_ms = 1000000;
	outcome_settle(&patient, &parcel, 1000000, &settlement);
	assert_int_equal(settlement.report_count, 1);
	assert_false(settlement.has_failed_report);
	told = &settlement.reports[0];
	assert_int_equal(told->action, DSN_DELAYED);
	assert_true(slice_eq(told->status, SLICE("4.7.1"))); /* it is tried again, so it isn't permanent */
	assert_true(slice_eq(told->original, SLICE("rfc822;x+y=+zz@example.net")));
	assert_true(slice_eq(told->remote_mta, SLICE("mx.example.net")));
	assert_true(slice_eq(told->diagnostic, SLICE("554 5.7.1 no service")));
	assert_int_equal(told->retry_until_ms, 1900000);
	arena_free(&parcel.arena);
}

/* RFC 2852 section 4.1.3: what becomes of a recipient whose host is away, by the mode and the time that is left. */
static void deadlines(void **state)
{
	static const struct {
		unsigned mode;
		int64_t left_ms, created_ms;
		bool delay_warned;
		enum queue_outcome outcome;
		int64_t due_in_ms;
		int report; /* -1: none */
		const char *status;
	} CASES[] = {
		{BY_RETURN, 600, 999000, false, QUEUE_DEFERRED, 600, -1, NULL},
		{BY_RETURN, 5000, 999000, false, QUEUE_DEFERRED, 1000, -1, NULL},
		{BY_RETURN, 0, 999000, false, QUEUE_FAILED, 0, DSN_FAILED, "5.4.7"},
		{BY_NOTIFY, 600, 999000, false, QUEUE_DEFERRED, 600, -1, NULL},
		{BY_NOTIFY, 0, 999000, false, QUEUE_DEFERRED, 1000, DSN_DELAYED, "4.4.7"},
		{BY_NOTIFY | BY_TRACE, -1, 999000, false, QUEUE_DEFERRED, 1000, DSN_DELAYED, "4.4.7"},
		{BY_NOTIFY, -1, 999000, true, QUEUE_DEFERRED, 1000, -1, NULL},
		/* It had passed before the message came: others have told. */
		{BY_NOTIFY, -5000, 999000, false, QUEUE_DEFERRED, 1000, -1, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
		struct parcel parcel = {.count = 1};
		struct recipient recipient = {.item = {.sender = SLICE("a@b"),
						       .recipient = SLICE("b@example.net"),
						       .created_ms = CASES[i].created_ms,
						       .delay_warned = CASES[i].delay_warned,
						       .timing = {.by_mode = CASES[i].mode, .by_ms = 1000000 + CASES[i].left_ms}},
					      .state = RECIPIENT_DEFERRED,
					      .reply = reply_of(450)};
		struct settlement settlement;

		parcel.recipients = parcel.last_recipient = &recipient;
		outcome_settle(&POLICY, &parcel, 1000000, &settlement);
		assert_int_equal(settlement.results[0].outcome, CASES[i].outcome);
		if (CASES[i].outcome == QUEUE_DEFERRED)
			assert_int_equal(settlement.results[0].due_ms - 1000000, CASES[i].due_in_ms);
		assert_int_equal(settlement.report_count, CASES[i].report >= 0);
		if (CASES[i].report >= 0) {
			assert_int_equal(settlement.reports[0].action, CASES[i].report);
			assert_true(slice_eq(settlement.reports[0].status, slice_from_cstr(CASES[i].status)));
		}
		arena_free(&parcel.arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(deadlines), cmocka_unit_test(put_off), cmocka_unit_test(put_off_in_the_queue), cmocka_unit_test(report)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
