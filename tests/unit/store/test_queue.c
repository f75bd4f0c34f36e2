/* The queue and the trace. */
#include "base/clock.h"
#include "store_fixture.h"

#define NODE SLICE("node-1")

static enum status enqueue(struct fixture *fixture, struct slice queue_id, struct slice message, const char *const *recipients,
			   size_t count)
{
	struct queue_target targets[8];
	struct delivery delivery = {
		.queue_id = queue_id,
		.sender = SLICE("Alice@example.test"),
		.envelope_id = SLICE("env-1"),
		.dsn_return = DSN_RETURN_HEADERS,
		.tls_wish = TLS_WISH_REQUIRED,
		.needs_utf8 = true,
		.received_ms = 1000,
		.bytes = message,
		.queue = targets,
		.queue_count = count,
		.trace_from = SLICE("submission 192.0.2.9"),
		.all_or_nothing = true,
	};

	for (size_t i = 0; i < count; i++)
		targets[i] = (struct queue_target){.recipient = slice_from_cstr(recipients[i]),
						   .original_recipient = SLICE("rfc822;original"),
						   .notify = NOTIFY_FAILURE | NOTIFY_DELAY,
						   .next_hop = SLICE("remote.example")};
	return store_deliver(fixture->store, &delivery);
}

static const char *const two[] = {"x@remote.example", "y@other.example"};

struct items {
	struct queue_item *items;
	size_t count;
};

static struct items take(struct fixture *fixture, int64_t now_ms, size_t max)
{
	struct items items;

	assert_int_equal(queue_take_due(fixture->store, &fixture->arena, now_ms, 60000, NODE, max, &items.items, &items.count),
			 STATUS_OK);
	return items;
}

static struct items list(struct fixture *fixture, struct queue_filter filter)
{
	struct items items;

	assert_int_equal(queue_list(fixture->store, &fixture->arena, &filter, 100, &items.items, &items.count), STATUS_OK);
	return items;
}

static int64_t next_due(struct fixture *fixture)
{
	int64_t due_ms;

	assert_int_equal(queue_next_due(fixture->store, &due_ms), STATUS_OK);
	return due_ms;
}

static void finish(struct fixture *fixture, const struct queue_item *item, enum queue_outcome outcome, int64_t due_ms)
{
	struct queue_result result = {.id = item->id,
				      .message = item->message,
				      .outcome = outcome,
				      .due_ms = due_ms,
				      .delay_warned = due_ms != 0,
				      .reply = SLICE("450 4.2.0 later"),
				      .remote = SLICE("mx.remote.example [192.0.2.1]")};

	assert_int_equal(queue_finish(fixture->store, &result, 1, NULL), STATUS_OK);
}

static void check_bytes(struct fixture *fixture, int64_t message, struct slice expected)
{
	struct email_reader *reader;
	struct slice piece;
	uint64_t offset = 0;

	assert_int_equal(queue_open(fixture->store, &fixture->arena, message, &reader), STATUS_OK);
	assert_int_equal(email_reader_size(reader), expected.len);
	while (email_read(reader, offset, &piece) == STATUS_OK && piece.len > 0) {
		assert_true(slice_eq(piece, slice_sub(expected, offset, offset + piece.len)));
		offset += piece.len;
	}
	assert_int_equal(offset, expected.len);
	email_close(reader);
}

/* One recipient becomes others; the message goes with the last of them. */
static void test_split(void **state)
{
	struct fixture *fixture = *state;
	const struct queue_part parts[] = {{SLICE("a@here.example"), SLICE("unix:a:|x")}, {SLICE("b@there.example"), SLICE("forward:a@here.example")}};
	struct queue_target target = {.recipient = SLICE("a@here.example"), .next_hop = SLICE("unix:a"), .notify = NOTIFY_FAILURE};
	struct delivery delivery = {.queue_id = SLICE("QSPLIT"), .sender = SLICE("s@there.example"), .received_ms = 1000,
				    .bytes = fixture_message(&fixture->arena, "split", 100), .queue = &target, .queue_count = 1};
	struct queue_item *items;
	size_t count;

	assert_int_equal(store_deliver(fixture->store, &delivery), STATUS_OK);
	assert_int_equal(queue_take_due(fixture->store, &fixture->arena, 2000, 1000, SLICE("n"), 10, &items, &count), STATUS_OK);
	assert_int_equal(count, 1);
	struct queue_item former = items[0];

	assert_int_equal(queue_split(fixture->store, &former, parts, 2), STATUS_OK);
	assert_int_equal(queue_split(fixture->store, &former, parts, 2), STATUS_NOT_FOUND);
	assert_int_equal(queue_take_due(fixture->store, &fixture->arena, INT64_MAX / 2, 1000, SLICE("n"), 10, &items, &count), STATUS_OK);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++) {
		size_t which = slice_eq(items[i].recipient, parts[0].recipient) ? 0 : 1;

		assert_true(slice_eq(items[i].next_hop, parts[which].next_hop));
		assert_true(slice_eq(items[i].sender, delivery.sender) && slice_eq(items[i].queue_id, delivery.queue_id));
		assert_int_equal(items[i].notify, NOTIFY_FAILURE);
		assert_int_equal(items[i].message, former.message);
		check_bytes(fixture, items[i].message, delivery.bytes);
		finish(fixture, &items[i], QUEUE_DELIVERED, 0);
	}
	struct email_reader *reader;

	assert_int_equal(queue_open(fixture->store, &fixture->arena, former.message, &reader), STATUS_NOT_FOUND);
}

static void test_take_and_finish(void **state)
{
	struct fixture *fixture = *state;
	struct slice message = fixture_message(&fixture->arena, "out", 600000);

	assert_true(next_due(fixture) == INT64_MAX);
	assert_int_equal(enqueue(fixture, SLICE("Q1"), message, two, 2), STATUS_OK);
	fixture_check_invariants(fixture);
	assert_int_equal(next_due(fixture), 1000);
	assert_int_equal(take(fixture, 999, 10).count, 0);
	struct items items = take(fixture, 1000, 10);

	assert_int_equal(items.count, 2);
	struct queue_item *item = &items.items[0];

	assert_true(slice_eq(item->queue_id, SLICE("Q1")));
	assert_true(slice_eq(item->sender, SLICE("Alice@example.test")));
	assert_true(slice_eq(item->recipient, SLICE("x@remote.example")));
	assert_true(slice_eq(item->original_recipient, SLICE("rfc822;original")));
	assert_true(slice_eq(item->envelope_id, SLICE("env-1")));
	assert_true(slice_eq(item->next_hop, SLICE("remote.example")));
	assert_int_equal(item->notify, NOTIFY_FAILURE | NOTIFY_DELAY);
	assert_true(item->dsn_return == DSN_RETURN_HEADERS && item->tls_wish == TLS_WISH_REQUIRED && item->needs_utf8 && !item->body_8bit);
	assert_int_equal(item->due_ms, 1000);
	assert_int_equal(item->size, message.len);
	assert_true(item->expires_ms > 4LL * 24 * 3600 * 1000);
	check_bytes(fixture, item->message, message);
	/* Taken: not again before the lease ends, which is when the queue wants to be looked at again. */
	assert_int_equal(take(fixture, 1000, 10).count, 0);
	assert_int_equal(next_due(fixture), 61000);
	finish(fixture, item, QUEUE_DELIVERED, 0);
	finish(fixture, &items.items[1], QUEUE_DEFERRED, 5000);
	fixture_check_invariants(fixture);
	items = take(fixture, 5000, 10);
	assert_int_equal(items.count, 1);
	assert_int_equal(items.items[0].attempts, 1);
	assert_true(items.items[0].delay_warned);
	assert_true(slice_eq(items.items[0].last_reply, SLICE("450 4.2.0 later")));
	finish(fixture, &items.items[0], QUEUE_FAILED, 0);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM blob"), 0);
	assert_true(next_due(fixture) == INT64_MAX);
	fixture_check_invariants(fixture);
}

static struct items look(struct fixture *fixture, struct queue_look look)
{
	struct items items;

	assert_int_equal(queue_look(fixture->store, &fixture->arena, &look, &items.items, &items.count), STATUS_OK);
	return items;
}

/* Looking takes nothing; pages follow each other, by arrival and by time; what was looked at is taken if it is as it was. */
static void test_look_and_take(void **state)
{
	struct fixture *fixture = *state;
	struct slice message = fixture_message(&fixture->arena, "out", 500);
	const struct queue_lease lease = {1000, 60000, NODE};
	struct queue_place place = {INT64_MIN, 0};
	struct items all, page;
	int64_t newest, due_ms;

	assert_int_equal(queue_newest(fixture->store, &newest), STATUS_OK);
	assert_int_equal(newest, 0);
	assert_int_equal(enqueue(fixture, SLICE("Q1"), message, two, 2), STATUS_OK);
	assert_int_equal(enqueue(fixture, SLICE("Q2"), message, two, 2), STATUS_OK);
	all = look(fixture, (struct queue_look){.after = place, .now_ms = 1000, .max = 10});
	assert_int_equal(all.count, 4);
	assert_int_equal(look(fixture, (struct queue_look){.after = place, .now_ms = 999, .max = 10}).count, 0);
	for (size_t i = 0; i < 4; i++) {
		page = look(fixture, (struct queue_look){.after = place, .now_ms = 1000, .max = 1});
		assert_int_equal(page.count, 1);
		assert_int_equal(page.items[0].id, all.items[i].id);
		place = (struct queue_place){page.items[0].due_ms, page.items[0].id};
	}
	assert_int_equal(look(fixture, (struct queue_look){.after = place, .now_ms = 1000, .max = 1}).count, 0);
	assert_int_equal(queue_newest(fixture->store, &newest), STATUS_OK);
	assert_int_equal(newest, all.items[3].id);
	page = look(fixture, (struct queue_look){.by_arrival = true, .after = {0, all.items[1].id}, .max = 10});
	assert_int_equal(page.count, 2);
	assert_int_equal(page.items[0].id, all.items[2].id);

	/* One goes by another hand in between, one is held. */
	finish(fixture, &all.items[0], QUEUE_DELIVERED, 0);
	assert_int_equal(queue_hold(fixture->store, &(struct queue_filter){.state = -1, .queue_id = SLICE("Q1")}, true, &page.count),
			 STATUS_OK);
	assert_int_equal(queue_take(fixture->store, &lease, all.items, &all.count), STATUS_OK);
	assert_int_equal(all.count, 2);
	assert_true(slice_eq(all.items[0].queue_id, SLICE("Q2")) && slice_eq(all.items[1].queue_id, SLICE("Q2")));
	assert_int_equal(queue_next_due_after(fixture->store, 1000, &due_ms), STATUS_OK);
	assert_int_equal(due_ms, 61000);
	assert_int_equal(queue_next_due_after(fixture->store, 61000, &due_ms), STATUS_OK);
	assert_true(due_ms == INT64_MAX);
}

/* Together, with the reason, without an attempt; a trace tells of it once. */
static void test_put_off(void **state)
{
	struct fixture *fixture = *state;
	struct items due, after;
	struct queue_put_off put_off[2];

	assert_int_equal(enqueue(fixture, SLICE("Q1"), fixture_message(&fixture->arena, "out", 500), two, 2), STATUS_OK);
	for (int64_t now = 1000; now <= 3000; now += 1000) {
		due = look(fixture, (struct queue_look){.after = {INT64_MIN, 0}, .now_ms = now, .max = 10});
		assert_int_equal(due.count, 2);
		for (size_t i = 0; i < 2; i++)
			put_off[i] = (struct queue_put_off){&due.items[i], now + 1000, SLICE("connect: refused")};
		assert_int_equal(queue_put_off(fixture->store, put_off, 2), STATUS_OK);
	}
	assert_int_equal(queue_put_off(fixture->store, put_off, 2), STATUS_OK); /* they aren't what was read any more */
	after = list(fixture, (struct queue_filter){.state = QUEUE_DUE});
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(after.items[i].due_ms, 4000);
		assert_int_equal(after.items[i].attempts, 0);
		assert_false(after.items[i].in_hand);
		assert_true(slice_eq(after.items[i].last_reply, SLICE("connect: refused")));
	}
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM trace WHERE length(detail) = 16"), 2);
	fixture_check_invariants(fixture);
}

/* With a lease that is over, of a node that died: it is nobody's then. */
static void test_put_off_after_a_lease(void **state)
{
	struct fixture *fixture = *state;
	struct items due;

	assert_int_equal(enqueue(fixture, SLICE("Q1"), fixture_message(&fixture->arena, "out", 500), two, 1), STATUS_OK);
	assert_int_equal(take(fixture, 1000, 1).count, 1);
	due = look(fixture, (struct queue_look){.after = {INT64_MIN, 0}, .now_ms = 61000, .max = 10});
	assert_int_equal(due.count, 1);
	const struct queue_put_off put_off = {due.items, 70000, SLICE("connect: refused")};

	assert_int_equal(queue_put_off(fixture->store, &put_off, 1), STATUS_OK);
	assert_false(list(fixture, (struct queue_filter){.state = -1}).items[0].in_hand);
	/* The node that comes back has nothing of it. */
	assert_int_equal(queue_release_leases(fixture->store, NODE), STATUS_OK);
	assert_int_equal(next_due(fixture), 70000);
}

static void test_leases(void **state)
{
	struct fixture *fixture = *state;
	struct slice message = fixture_message(&fixture->arena, "out", 1000);
	size_t count;

	assert_int_equal(enqueue(fixture, SLICE("Q1"), message, two, 2), STATUS_OK);
	assert_int_equal(take(fixture, 1000, 1).count, 1);
	assert_int_equal(take(fixture, 1000, 1).count, 1);
	assert_true(list(fixture, (struct queue_filter){.state = -1}).items[0].in_hand);
	/* Its owner died: at the end of the lease it is anybody's; at once is what the owner doesn't know of. */
	struct items all = list(fixture, (struct queue_filter){.state = -1});
	const int64_t rows[] = {all.items[0].id, all.items[1].id};

	assert_int_equal(queue_renew_leases(fixture->store, NODE, rows, 2, 70000), STATUS_OK);
	assert_int_equal(take(fixture, 61000, 10).count, 0);
	assert_int_equal(queue_renew_leases(fixture->store, NODE, rows, 1, 90000), STATUS_OK);
	assert_int_equal(queue_renew_leases(fixture->store, SLICE("another"), rows, 2, 990000), STATUS_OK);
	assert_int_equal(take(fixture, 70000, 10).count, 1);
	assert_int_equal(take(fixture, 130000, 10).count, 2);
	/* Its owner started again: at once. */
	assert_int_equal(queue_release_leases(fixture->store, SLICE("another")), STATUS_OK);
	assert_int_equal(take(fixture, clock_wall_ms() + 1, 10).count, 2);
	assert_int_equal(take(fixture, clock_wall_ms() + 1, 10).count, 0);
	assert_int_equal(queue_release_leases(fixture->store, NODE), STATUS_OK);
	assert_int_equal(queue_retry(fixture->store, &(struct queue_filter){.state = -1}, &count), STATUS_OK);
	assert_int_equal(take(fixture, clock_wall_ms() + 1, 10).count, 2);
}

static void test_filters(void **state)
{
	struct fixture *fixture = *state;
	struct slice message = fixture_message(&fixture->arena, "out", 1000);
	size_t count;

	assert_int_equal(enqueue(fixture, SLICE("Q1"), message, two, 2), STATUS_OK);
	assert_int_equal(enqueue(fixture, SLICE("Q2"), message, two, 2), STATUS_OK);
	assert_int_equal(list(fixture, (struct queue_filter){.state = -1}).count, 4);
	assert_int_equal(list(fixture, (struct queue_filter){.queue_id = SLICE("Q2"), .state = -1}).count, 2);
	assert_int_equal(list(fixture, (struct queue_filter){.sender = SLICE("alice@EXAMPLE.test"), .state = -1}).count, 4);
	assert_int_equal(list(fixture, (struct queue_filter){.recipient_domain = SLICE("other.example"), .state = -1}).count,
			 2);
	struct queue_filter q1 = {.queue_id = SLICE("Q1"), .state = -1}, held = {.state = QUEUE_HELD};

	assert_int_equal(queue_hold(fixture->store, &q1, true, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_int_equal(list(fixture, held).count, 2);
	assert_int_equal(take(fixture, 2000, 10).count, 2);
	assert_int_equal(queue_hold(fixture->store, &held, false, &count), STATUS_OK);
	assert_int_equal(take(fixture, clock_wall_ms() + 1, 1).count, 1);
	assert_int_equal(queue_remove(fixture->store, &q1, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_int_equal(queue_remove(fixture->store, &q1, &count), STATUS_OK);
	assert_int_equal(count, 0);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM queue_message"), 1);
	fixture_check_invariants(fixture);
}

static struct delivery bounce_to(struct delivery_target *target)
{
	return (struct delivery){.queue_id = SLICE("QBOUNCE"),
				 .sender = SLICE_EMPTY,
				 .received_ms = clock_wall_ms(),
				 .bytes = SLICE("Subject: Undelivered\r\nMessage-ID: <bounce@example.test>\r\n\r\nSorry.\r\n"),
				 .targets = target,
				 .target_count = 1};
}

/* A recipient goes together with its bounce, and only once. */
static void test_bounce(void **state)
{
	struct fixture *fixture = *state;
	struct delivery_target target = {.account = fixture->alice};
	struct delivery bounce = bounce_to(&target);

	assert_int_equal(enqueue(fixture, SLICE("Q1"), fixture_message(&fixture->arena, "out", 1000), two, 1), STATUS_OK);
	struct items items = take(fixture, 1000, 10);
	struct queue_result result = {.id = items.items[0].id,
				      .message = items.items[0].message,
				      .outcome = QUEUE_FAILED,
				      .reply = SLICE("550 5.1.1 no such user")};

	assert_int_equal(queue_finish(fixture->store, &result, 1, &bounce), STATUS_OK);
	assert_int_equal(target.status, STATUS_OK);
	assert_int_equal(queue_finish(fixture->store, &result, 1, &bounce), STATUS_OK);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").messages, 1);
	fixture_check_invariants(fixture);
}

/* ---- the trace ---- */

static void test_trace(void **state)
{
	struct fixture *fixture = *state;
	struct delivery_target target = {.account = fixture->alice};
	struct trace_step *steps;
	size_t count, removed;
	static const char *const events[] = {"received", "queued", "deferred", "bounced", "received", "delivered"};

	assert_int_equal(enqueue(fixture, SLICE("Q1"), fixture_message(&fixture->arena, "out", 1000), two, 1), STATUS_OK);
	struct items items = take(fixture, 1000, 10);

	finish(fixture, &items.items[0], QUEUE_DEFERRED, 2000);
	struct queue_result result = {.id = items.items[0].id,
				      .message = items.items[0].message,
				      .outcome = QUEUE_FAILED,
				      .remote = SLICE("mx [192.0.2.1]"),
				      .reply = SLICE("550 no")};
	struct delivery bounce = bounce_to(&target);

	bounce.received_ms++; /* not in the millisecond of the deferral */
	assert_int_equal(queue_finish(fixture->store, &result, 1, &bounce), STATUS_OK);
	static const char *const ids[] = {"Q1", "<out@example.org>", "out@example.org"};

	/* A message is followed into its bounce. */
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(trace_find(fixture->store, &fixture->arena, slice_from_cstr(ids[i]), &steps, &count),
				 STATUS_OK);
		assert_int_equal(count, 6);
		for (size_t j = 0; j < count; j++)
			assert_true(slice_eq(steps[j].event, slice_from_cstr(events[j])));
		assert_true(slice_eq(steps[0].detail, SLICE("submission 192.0.2.9")));
		assert_true(slice_eq(steps[3].detail, SLICE("mx [192.0.2.1]: 550 no")));
		assert_true(slice_eq(steps[3].subject, SLICE("x@remote.example")));
		assert_true(slice_eq(steps[5].queue_id, SLICE("QBOUNCE")));
		assert_true(slice_eq(steps[5].subject, SLICE("alice@example.test")));
	}
	assert_int_equal(trace_find(fixture->store, &fixture->arena, SLICE("nothing"), &steps, &count), STATUS_NOT_FOUND);
	assert_int_equal(trace_find(fixture->store, &fixture->arena, SLICE(""), &steps, &count), STATUS_NOT_FOUND);
	struct trace_step refused = {.at_ms = 500,
				     .queue_id = SLICE("Q0"),
				     .event = SLICE("refused"),
				     .subject = SLICE("z@example.test"),
				     .detail = SLICE("550")};

	assert_int_equal(trace_add(fixture->store, &refused, 1), STATUS_OK);
	assert_int_equal(trace_add(fixture->store, &refused, 1), STATUS_OK);
	assert_int_equal(trace_find(fixture->store, &fixture->arena, SLICE("Q0"), &steps, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_int_equal(trace_forget(fixture->store, 600, 1, &removed), STATUS_OK);
	assert_int_equal(removed, 1);
	assert_int_equal(trace_forget(fixture->store, 600, 10, &removed), STATUS_OK);
	assert_int_equal(removed, 1);
	assert_int_equal(trace_find(fixture->store, &fixture->arena, SLICE("Q0"), &steps, &count), STATUS_NOT_FOUND);
}

/* What a hostile peer can put into an envelope or a header must not keep a message from being stored. */
static void test_hostile_bytes(void **state)
{
	struct fixture *fixture = *state;
	static const char *const recipients[] = {"\xff\xfe@remote.example"};
	static const char message[] = "Message-ID: <\xff\0\xfe@x>\r\nSubject: \xc3\x28 \x01\r\n\r\n\0\xff\r\n";
	struct trace_step step = {.at_ms = 1,
				  .queue_id = SLICE("\xff"),
				  .event = SLICE("refused"),
				  .subject = SLICE("\xf0\x28"),
				  .detail = SLICE("a\0b")};

	assert_int_equal(enqueue(fixture, SLICE("Q\xff"), slice_of(message, sizeof message - 1), recipients, 1), STATUS_OK);
	fixture_deliver(fixture, fixture->alice, slice_of(message, sizeof message - 1));
	assert_int_equal(trace_add(fixture->store, &step, 1), STATUS_OK);
	struct items items = take(fixture, 1000, 1);

	assert_true(slice_eq(items.items[0].recipient, slice_from_cstr(recipients[0])));
	check_bytes(fixture, items.items[0].message, slice_of(message, sizeof message - 1));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_take_and_finish), FIXTURE_TEST(test_look_and_take), FIXTURE_TEST(test_put_off),
		FIXTURE_TEST(test_put_off_after_a_lease),
		FIXTURE_TEST(test_leases),
		FIXTURE_TEST(test_filters),         FIXTURE_TEST(test_bounce), FIXTURE_TEST(test_trace),
		FIXTURE_TEST(test_hostile_bytes), FIXTURE_TEST(test_split),
	};

	return FIXTURE_MAIN(argc, argv, "store/queue", tests);
}
