/* Notifications: who gets one, what is in it, and that there is an end to it. */
#include "relay/bounce.h"

#include "base/clock.h"
#include "relay_fixture.h"

static const int64_t RETRY_MS[] = {60000};
static const struct outcome_policy POLICY = {RETRY_MS, 1, 5 * 24 * 3600 * 1000LL, 4 * 3600 * 1000};

struct notice {
	struct scheduler *scheduler;
	struct parcel *parcel;
	struct settlement settlement;
	struct delivery *bounce;
};

/* Takes the one parcel that is due and gives its recipients this outcome. */
static void conclude(struct relay_fixture *f, struct notice *notice, enum recipient_state state, const char *reply)
{
	const struct scheduler_limits limits = {.in_hand = 100, .per_hop = 1, .concurrency = 1};
	struct queue_item *items;
	size_t count;

	notice->scheduler = scheduler_new(&limits);
	assert_int_equal(
		queue_take_due(f->store->store, &f->store->arena, clock_wall_ms(), 60000, SLICE("n"), 100, &items, &count),
		STATUS_OK);
	assert_true(count > 0);
	for (size_t i = 0; i < count; i++)
		assert_true(scheduler_add(notice->scheduler, &items[i], SLICE("remote.example"), 0));
	notice->parcel = scheduler_take(notice->scheduler);
	for (struct recipient *recipient = notice->parcel->recipients; recipient; recipient = recipient->next) {
		recipient->state = state;
		recipient->reply =
			(struct reply){state == RECIPIENT_FAILED ? 550 : 450, SLICE("5.1.1"), slice_from_cstr(reply), false};
		recipient->remote = SLICE("mx.remote.example [192.0.2.1]");
	}
	outcome_settle(&POLICY, notice->parcel, clock_wall_ms(), &notice->settlement);
}

static enum status make(struct relay_fixture *f, struct notice *notice, struct slice smarthost)
{
	const struct bounce_options options = {SLICE("me.example.test"), smarthost, {.separator = '+'}};

	return bounce_make(&options, f->store->store, &f->store->log, notice->parcel, &notice->settlement, clock_wall_ms(),
			   &notice->bounce);
}

static void finish(struct relay_fixture *f, struct notice *notice)
{
	assert_int_equal(queue_finish(f->store->store, notice->settlement.results, notice->settlement.count, notice->bounce),
			 STATUS_OK);
}

static void done(struct notice *notice)
{
	scheduler_forget(notice->scheduler, notice->parcel);
	scheduler_free(notice->scheduler);
}

/* The whole way, for the one message in the queue. */
static void fail_message(struct relay_fixture *f)
{
	struct notice notice;

	conclude(f, &notice, RECIPIENT_FAILED, "550-5.1.1 no\n550 5.1.1 such user");
	assert_int_equal(make(f, &notice, SLICE_EMPTY), STATUS_OK);
	finish(f, &notice);
	done(&notice);
}

static void local_sender(void **state)
{
	struct relay_fixture *f = *state;
	struct slice queue_id = relay_fixture_queue(f, &(struct letter){.recipients = {"x+y@remote.example"},
									.envelope_id = "E+2B1",
									.original_recipient = "rfc822;o+2Bp@else.example"});
	struct slice text;

	fail_message(f);
	assert_int_equal(relay_fixture_items(f).count, 0);
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, &text), 1);
	assert_int_equal(relay_fixture_inbox(f, f->store->bob, NULL), 0);
	assert_true(slice_starts_with(text, SLICE("Return-Path: <>\r\nDelivered-To: alice@example.test\r\n")));
	assert_true(has(text, "To: <alice@example.test>") || has(text, "To: alice@example.test"));
	assert_true(has(text, "Auto-Submitted: auto-replied"));
	assert_true(has(text, "Reporting-MTA: dns; me.example.test"));
	assert_true(has(text, "Original-Envelope-Id: E+1"));
	assert_true(has(text, "Original-Recipient: rfc822;o+p@else.example") ||
		    has(text, "Original-Recipient: rfc822; o+p@else.example"));
	assert_true(has(text, "Final-Recipient: rfc822;x+y@remote.example") ||
		    has(text, "Final-Recipient: rfc822; x+y@remote.example"));
	assert_true(has(text, "Action: failed"));
	assert_true(has(text, "Status: 5.1.1"));
	assert_true(has(text, "Remote-MTA: dns; mx.remote.example\r\n"));
	assert_true(has(text, "smtp; 550-5.1.1 no"));
	assert_true(has(text, "Subject: letter-0"));
	assert_false(has(text, "The end.")); /* RFC 3461 section 4.3: the header only */
	assert_true(slice_find(text, queue_id) != SLICE_NOT_FOUND);
}

static void whole_message(void **state)
{
	struct relay_fixture *f = *state;
	struct slice text;

	relay_fixture_queue(f, &(struct letter){.recipients = {"x@remote.example"}, .dsn_return = DSN_RETURN_FULL, .size = 300000});
	fail_message(f);
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, &text), 1);
	assert_true(has(text, "The end."));

	/* Too much to send back. */
	relay_fixture_queue(f, &(struct letter){.recipients = {"x@remote.example"}, .dsn_return = DSN_RETURN_FULL, .size = 600000});
	fail_message(f);
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, &text), 2);
	assert_true(has(text, "Subject: letter-1"));
	assert_false(has(text, "The end."));
	assert_true(text.len < 10000);
}

/* RFC 3461 section 4.3: RET is about failures. */
static void delay(void **state)
{
	struct relay_fixture *f = *state;
	struct notice notice;
	struct slice text;

	relay_fixture_queue(
		f, &(struct letter){.recipients = {"x@remote.example"}, .dsn_return = DSN_RETURN_FULL, .age_ms = 5 * 3600 * 1000});
	conclude(f, &notice, RECIPIENT_DEFERRED, "450 5.1.1 later");
	assert_int_equal(make(f, &notice, SLICE_EMPTY), STATUS_OK);
	finish(f, &notice);
	done(&notice);
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, &text), 1);
	assert_true(has(text, "Action: delayed"));
	assert_true(has(text, "Status: 4.1.1"));
	assert_true(has(text, "Will-Retry-Until: "));
	assert_false(has(text, "The end."));
	assert_int_equal(relay_fixture_items(f).count, 1);
	assert_true(relay_fixture_items(f).items[0].delay_warned);
}

static void remote_sender(void **state)
{
	static const struct slice SMARTHOSTS[] = {SLICE(""), SLICE("smart.example:587")};
	struct relay_fixture *f = *state;

	for (size_t i = 0; i < 2; i++) {
		struct queue_items left;
		struct notice notice;

		relay_fixture_queue(f, &(struct letter){.sender = "Them@Far.Example", .recipients = {"x@remote.example"}});
		conclude(f, &notice, RECIPIENT_FAILED, "550 5.1.1 no");
		assert_int_equal(make(f, &notice, SMARTHOSTS[i]), STATUS_OK);
		finish(f, &notice);
		done(&notice);
		left = relay_fixture_items(f);
		assert_int_equal(left.count, 1);
		assert_int_equal(left.items[0].sender.len, 0);
		assert_true(slice_eq(left.items[0].recipient, SLICE("Them@Far.Example")));
		assert_true(slice_eq(left.items[0].next_hop, i == 0 ? SLICE("far.example") : SMARTHOSTS[1]));

		/* And that one fails too: RFC 5321 section 6.1: that is the end of it. */
		conclude(f, &notice, RECIPIENT_FAILED, "550 5.1.1 no");
		assert_int_equal(notice.settlement.report_count, 0);
		assert_int_equal(make(f, &notice, SLICE_EMPTY), STATUS_OK);
		assert_null(notice.bounce);
		finish(f, &notice);
		done(&notice);
		assert_int_equal(relay_fixture_items(f).count, 0);
	}
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, NULL), 0);
}

static void null_sender(void **state)
{
	struct relay_fixture *f = *state;

	relay_fixture_queue(f, &(struct letter){.sender = "", .recipients = {"x@remote.example"}});
	fail_message(f);
	assert_int_equal(relay_fixture_items(f).count, 0);
}

/* A local address that nobody has: there is nobody to tell, and the message goes all the same. */
static void nobody(void **state)
{
	struct relay_fixture *f = *state;
	struct notice notice;

	relay_fixture_queue(f, &(struct letter){.sender = "gone@example.test", .recipients = {"x@remote.example"}});
	conclude(f, &notice, RECIPIENT_FAILED, "550 5.1.1 no");
	assert_int_equal(notice.settlement.report_count, 1);
	assert_int_equal(make(f, &notice, SLICE_EMPTY), STATUS_OK);
	assert_null(notice.bounce);
	finish(f, &notice);
	done(&notice);
	assert_int_equal(relay_fixture_items(f).count, 0);
}

static void behind_an_alias(void **state)
{
	struct relay_fixture *f = *state;
	static const char *const TARGETS[] = {"alice@example.test", "bob@example.test", "bob+again@example.test",
					      "out@far.example"};
	struct queue_items left;

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(directory_add_alias(f->store->store, SLICE("team@example.test"), slice_from_cstr(TARGETS[i])),
				 STATUS_OK);
	relay_fixture_queue(f, &(struct letter){.sender = "Team+x@Example.TEST", .recipients = {"x@remote.example"}});
	fail_message(f);
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, NULL), 1);
	assert_int_equal(relay_fixture_inbox(f, f->store->bob, NULL), 1);
	left = relay_fixture_items(f);
	assert_int_equal(left.count, 1);
	assert_true(slice_eq(left.items[0].recipient, SLICE("out@far.example")));
}

/* Aliases in a ring end somewhere. */
static void alias_ring(void **state)
{
	struct relay_fixture *f = *state;

	assert_int_equal(directory_add_alias(f->store->store, SLICE("a@example.test"), SLICE("b@example.test")), STATUS_OK);
	assert_int_equal(directory_add_alias(f->store->store, SLICE("b@example.test"), SLICE("a@example.test")), STATUS_OK);
	relay_fixture_queue(f, &(struct letter){.sender = "a@example.test", .recipients = {"x@remote.example"}});
	fail_message(f);
	assert_int_equal(relay_fixture_items(f).count, 0);
}

static enum status away(void *context)
{
	(void)context;
	return STATUS_TEMPORARY;
}

static void store_away(void **state)
{
	struct relay_fixture *f = *state;
	struct notice notice;

	relay_fixture_queue_to(f, "x@remote.example");
	conclude(f, &notice, RECIPIENT_FAILED, "550 5.1.1 no");
	fixture_set_fault(f->store, away, NULL);
	assert_int_equal(make(f, &notice, SLICE_EMPTY), STATUS_TEMPORARY);
	fixture_set_fault(f->store, NULL, NULL);
	assert_int_equal(make(f, &notice, SLICE_EMPTY), STATUS_OK);
	finish(f, &notice);
	done(&notice);
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, NULL), 1);
}

/* Full mailbox: the end of the matter too. */
static void over_quota(void **state)
{
	struct relay_fixture *f = *state;

	assert_int_equal(directory_set_quota(f->store->store, SLICE("alice@example.test"), 10, 0), STATUS_OK);
	relay_fixture_queue_to(f, "x@remote.example");
	fail_message(f);
	assert_int_equal(relay_fixture_items(f).count, 0);
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(local_sender), RELAY_TEST(whole_message), RELAY_TEST(delay),           RELAY_TEST(remote_sender),
		RELAY_TEST(null_sender),  RELAY_TEST(nobody),        RELAY_TEST(behind_an_alias), RELAY_TEST(alias_ring),
		RELAY_TEST(store_away),   RELAY_TEST(over_quota),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
