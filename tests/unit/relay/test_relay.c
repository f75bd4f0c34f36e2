/* The relay as a whole: delivery, retries, bounces, connections, stopping. */
#include "base/clock.h"
#include "relay_fixture.h"

#include <stdio.h>
#include <unistd.h>

static void delivers(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {0};
	struct slice queue_id;
	struct trace_step *steps;
	size_t count;

	fake_server_start(&server);
	relay_fixture_add_record(f, "other.example", 10, "remote.example");
	queue_id = relay_fixture_queue_to(f, "x@remote.example");
	relay_fixture_queue(f, &(struct letter){.recipients = {"y@Other.Example"}, .size = 700000});
	relay_fixture_start(f, server.port);
	relay_fixture_queue(f, &(struct letter){.sender = "", .recipients = {"z@remote.example"}});
	assert_true(relay_fixture_wait(f, 3, 0, 0));
	assert_int_equal(relay_fixture_items(f).count, 0);
	assert_int_equal(relay_counts(f->relay).in_hand, 0);
	relay_fixture_stop(f);
	fake_server_stop(&server);
	assert_int_equal(trace_find(f->store->store, &f->store->arena, queue_id, &steps, &count), STATUS_OK);
	assert_true(slice_eq(steps[count - 1].event, SLICE("sent")));
	assert_true(slice_eq(steps[count - 1].detail, SLICE("remote.example [127.0.0.1]: 250 2.0.0 taken")));
}

/* What comes is what was queued, byte for byte. */
static void bytes(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {0};
	struct slice expected = fixture_message(&f->store->arena, "letter-0", 700000);

	fake_server_start(&server);
	relay_fixture_queue(f, &(struct letter){.recipients = {"x@remote.example"}, .size = 700000});
	relay_fixture_start(f, server.port);
	assert_true(fake_server_wait(&server, 1));
	assert_string_equal(server.messages[0].sender, "alice@example.test");
	assert_string_equal(server.messages[0].recipients, "x@remote.example ");
	assert_true(slice_eq(slice_of(server.messages[0].body, server.messages[0].size), expected));
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

static void one_transaction_for_a_hop(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {0};

	fake_server_start(&server);
	relay_fixture_queue(f, &(struct letter){.recipients = {"a@remote.example", "b@remote.example", "c@remote.example"}});
	relay_fixture_start(f, server.port);
	assert_true(relay_fixture_wait(f, 3, 0, 0));
	assert_int_equal(server.count, 1);
	assert_string_equal(server.messages[0].recipients, "a@remote.example b@remote.example c@remote.example ");
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

/* ---- results ---- */

static void try_again(struct relay_fixture *f)
{
	const struct queue_filter all = {.state = -1};
	size_t count;

	assert_int_equal(queue_retry(f->store->store, &all, &count), STATUS_OK);
	relay_retry(f->relay);
}

static void assert_due_in(struct relay_fixture *f, int64_t ms)
{
	int64_t due_in = relay_fixture_items(f).items[0].due_ms - clock_wall_ms();

	assert_true(due_in <= ms && due_in > ms - 15000);
}

static void retries(void **state)
{
	static const struct script_line SCRIPT[] = {
		{AT_RCPT, NULL, 0, "450 4.2.0 greylisted\r\n"}, {AT_END, NULL, 1, "451 4.3.0 not now\r\n"}, {0}};
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = scripted, .context = (void *)SCRIPT};

	fake_server_start(&server);
	relay_fixture_start(f, server.port);
	relay_fixture_queue_to(f, "x@remote.example");
	assert_true(relay_fixture_wait(f, 0, 1, 0));
	assert_due_in(f, 60000);
	assert_true(slice_eq(relay_fixture_items(f).items[0].last_reply, SLICE("450 4.2.0 greylisted")));
	assert_false(relay_fixture_items(f).items[0].in_hand);
	try_again(f);
	assert_true(relay_fixture_wait(f, 0, 2, 0));
	assert_due_in(f, 120000);
	assert_int_equal(relay_fixture_items(f).items[0].attempts, 2);
	try_again(f);
	assert_true(relay_fixture_wait(f, 1, 2, 0));
	assert_int_equal(server.count, 1);
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, NULL), 0);
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

/* Without a word from anybody, when its time has come. */
static void retries_by_itself(void **state)
{
	static const struct script_line SCRIPT[] = {{AT_RCPT, NULL, 0, "450 4.2.0 greylisted\r\n"}, {0}};
	static const int64_t SOON[] = {300};
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = scripted, .context = (void *)SCRIPT};

	fake_server_start(&server);
	f->options.retry_ms = SOON;
	f->options.retry_count = 1;
	relay_fixture_start(f, server.port);
	relay_fixture_queue_to(f, "x@remote.example");
	assert_true(relay_fixture_wait(f, 1, 1, 0));
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

static void partial_failure(void **state)
{
	static const struct script_line SCRIPT[] = {
		{AT_RCPT, "bad@", -1, "550 5.1.1 nobody\r\n"}, {AT_RCPT, "late@", -1, "450 4.2.2 full\r\n"}, {0}};
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = scripted, .context = (void *)SCRIPT};
	struct queue_items left;
	struct slice text;

	fake_server_start(&server);
	relay_fixture_start(f, server.port);
	relay_fixture_queue(f, &(struct letter){.recipients = {"bad@remote.example", "good@remote.example",
							       "late@remote.example", "also@remote.example"}});
	assert_true(relay_fixture_wait(f, 2, 1, 1));
	assert_string_equal(server.messages[0].recipients, "good@remote.example also@remote.example ");
	left = relay_fixture_items(f);
	assert_int_equal(left.count, 1);
	assert_true(slice_eq(left.items[0].recipient, SLICE("late@remote.example")));
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, &text), 1);
	assert_true(has(text, "bad@remote.example"));
	assert_true(has(text, "550 5.1.1 nobody"));
	assert_false(has(text, "late@remote.example"));
	assert_false(has(text, "good@remote.example"));
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

static void too_many_recipients(void **state)
{
	static const struct script_line SCRIPT[] = {{AT_RCPT, "b@", 0, "452 4.5.3 too many\r\n"}, {0}};
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = scripted, .context = (void *)SCRIPT};

	fake_server_start(&server);
	relay_fixture_start(f, server.port);
	relay_fixture_queue(f, &(struct letter){.recipients = {"a@remote.example", "b@remote.example"}});
	assert_true(relay_fixture_wait(f, 1, 1, 0)); /* first with others, then at once alone, where it is refused again */
	assert_int_equal(server.count, 1);
	assert_int_equal(server.connections, 1);
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

static void gives_up(void **state)
{
	static const struct script_line SCRIPT[] = {{AT_RCPT, NULL, -1, "450 4.2.2 full\r\n"}, {0}};
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = scripted, .context = (void *)SCRIPT};
	struct slice text;

	fake_server_start(&server);
	relay_fixture_start(f, server.port);
	relay_fixture_queue(f, &(struct letter){.recipients = {"x@remote.example"}, .age_ms = 6 * 24 * 3600 * 1000LL});
	assert_true(relay_fixture_wait(f, 0, 0, 1));
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, &text), 1);
	assert_true(has(text, "Action: failed") && has(text, "Status: 4.4.7") && has(text, "450 4.2.2 full"));
	assert_int_equal(relay_fixture_items(f).count, 0);
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

static void warns_once(void **state)
{
	static const struct script_line SCRIPT[] = {{AT_RCPT, NULL, -1, "450 4.2.2 full\r\n"}, {0}};
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = scripted, .context = (void *)SCRIPT};

	fake_server_start(&server);
	relay_fixture_start(f, server.port);
	relay_fixture_queue(f, &(struct letter){.recipients = {"x@remote.example"}, .age_ms = 5 * 3600 * 1000LL});
	assert_true(relay_fixture_wait(f, 0, 1, 0));
	try_again(f);
	assert_true(relay_fixture_wait(f, 0, 2, 0));
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, NULL), 1);
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

/* A bounce to a sender elsewhere is mail like any other: it is sent at once. */
static void bounce_leaves(void **state)
{
	static const struct script_line SCRIPT[] = {{AT_RCPT, "x@", -1, "550 5.1.1 nobody\r\n"}, {0}};
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = scripted, .context = (void *)SCRIPT};

	fake_server_start(&server);
	relay_fixture_start(f, server.port);
	relay_fixture_queue(f, &(struct letter){.sender = "them@remote.example", .recipients = {"x@remote.example"}});
	assert_true(relay_fixture_wait(f, 1, 0, 1));
	assert_int_equal(server.count, 1);
	assert_string_equal(server.messages[0].sender, "");
	assert_string_equal(server.messages[0].recipients, "them@remote.example ");
	assert_int_equal(relay_fixture_items(f).count, 0);
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

/* ---- connections ---- */

static void queue_many(struct relay_fixture *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		relay_fixture_queue_to(f, "x@remote.example");
}

static void reuses_connections(void **state)
{
	static const struct {
		unsigned per_connection;
		int connections;
	} TABLE[] = {{100, 1}, {3, 4}, {1, 10}};
	struct relay_fixture *f = *state;

	for (size_t i = 0; i < 3; i++) {
		struct fake_server server = {0};

		fake_server_start(&server);
		queue_many(f, 10);
		f->options.concurrency_per_hop = 1;
		f->options.messages_per_connection = TABLE[i].per_connection;
		relay_fixture_start(f, server.port);
		assert_true(relay_fixture_wait(f, 10, 0, 0));
		relay_fixture_stop(f);
		assert_int_equal(server.connections, TABLE[i].connections);
		fake_server_stop(&server);
	}
}

static void limits_per_hop(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {.delay_ms = 20};

	fake_server_start(&server);
	queue_many(f, 30);
	f->options.concurrency_per_hop = 3;
	f->options.messages_per_connection = 2; /* also while connections come and go */
	relay_fixture_start(f, server.port);
	assert_true(relay_fixture_wait(f, 30, 0, 0));
	relay_fixture_stop(f);
	assert_int_equal(server.open_most, 3);
	assert_int_equal(server.count, 30);
	fake_server_stop(&server);
}

static void limits_in_all(void **state)
{
	static const char *const DOMAINS[] = {"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"};
	struct relay_fixture *f = *state;
	struct fake_server server = {.delay_ms = 20};
	char recipient[40];

	fake_server_start(&server);
	for (size_t i = 0; i < 6; i++) {
		relay_fixture_add_record(f, DOMAINS[i], -1, "127.0.0.1");
		snprintf(recipient, sizeof(recipient), "x@%s", DOMAINS[i]);
		for (int j = 0; j < 5; j++)
			relay_fixture_queue_to(f, recipient);
	}
	f->options.concurrency = 4;
	relay_fixture_start(f, server.port);
	assert_true(relay_fixture_wait(f, 30, 0, 0));
	assert_true(relay_counts(f->relay).workers <= 4);
	relay_fixture_stop(f);
	assert_true(server.open_most <= 4);
	fake_server_stop(&server);
}

/* An open connection waits for more. */
static void lingers(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {0};

	fake_server_start(&server);
	f->options.timeouts.linger_ms = 5000;
	relay_fixture_start(f, server.port);
	for (unsigned i = 1; i <= 3; i++) {
		relay_fixture_queue_to(f, "x@remote.example");
		assert_true(relay_fixture_wait(f, i, 0, 0));
	}
	assert_int_equal(server.connections, 1);
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

static const char *tired_of_waiting(struct fake_server *server, enum stage stage, const char *line, int connection, int count)
{
	_Atomic bool *is_tired = server->context;

	(void)line;
	(void)count;
	return stage == AT_MAIL && connection == 0 && *is_tired ? "421 4.4.2 too late\r\n" : ANSWER_DEFAULT;
}

/* When the peer has closed it meanwhile, the next message takes a new one at once. */
static void lingers_too_long(void **state)
{
	_Atomic bool is_tired = false;
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = tired_of_waiting, .context = (void *)&is_tired};

	fake_server_start(&server);
	f->options.timeouts.linger_ms = 5000;
	relay_fixture_start(f, server.port);
	relay_fixture_queue_to(f, "x@remote.example");
	assert_true(relay_fixture_wait(f, 1, 0, 0));
	is_tired = true;
	relay_fixture_queue_to(f, "x@remote.example");
	assert_true(relay_fixture_wait(f, 2, 0, 0));
	assert_int_equal(server.connections, 2);
	assert_int_equal(relay_counts(f->relay).deferred, 0);
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

/* Hosts that say nothing hold what they got; others' mail passes. */
static void dead_hop_delays_nobody(void **state)
{
	static const struct script_line HANGS[] = {{AT_GREETING, NULL, -1, ANSWER_HANG}, {0}};
	struct relay_fixture *f = *state;
	struct fake_server dead = {.answer = scripted, .context = (void *)HANGS}, server = {0};
	int64_t began;

	fake_server_start(&dead);
	server.listen = (struct net_address){.family = AF_INET, .bytes = {127, 0, 0, 2}, .port = dead.port};
	fake_server_start(&server);
	relay_fixture_add_record(f, "good.example", -1, "127.0.0.2");
	f->options.timeouts.greeting_ms = 15000;
	f->options.concurrency = 4;
	queue_many(f, 20); /* to the dead one, and before the others */
	for (int i = 0; i < 20; i++)
		relay_fixture_queue_to(f, "x@good.example");
	began = clock_monotonic_ms();
	relay_fixture_start(f, server.port);
	assert_true(relay_fixture_wait(f, 20, 0, 0));
	assert_true(clock_monotonic_ms() < began + 15000);
	assert_int_equal(relay_fixture_items(f).count, 20);
	relay_stop(f->relay, 0);
	fake_server_stop(&dead);
	fake_server_stop(&server);
}

/* A great deal of mail for one slow hop, all of it older, does not hide what waits for another. */
static void greedy_hop_hides_nobody(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server slow = {.delay_ms = 20}, server = {0};

	fake_server_start(&slow);
	server.listen = (struct net_address){.family = AF_INET, .bytes = {127, 0, 0, 2}, .port = slow.port};
	fake_server_start(&server);
	relay_fixture_add_record(f, "good.example", -1, "127.0.0.2");
	f->options.concurrency_per_hop = 1;
	f->options.in_hand = 40;
	queue_many(f, 120);
	relay_fixture_queue_to(f, "x@good.example");
	relay_fixture_start(f, server.port);
	assert_true(fake_server_wait(&server, 1));
	assert_true(relay_counts(f->relay).delivered < 100);
	assert_true(relay_fixture_wait(f, 121, 0, 0)); /* and all comes through, nothing is put off */
	relay_fixture_stop(f);
	fake_server_stop(&slow);
	fake_server_stop(&server);
}

/* Nobody listens: one attempt for all, and none for what comes while the hop is suspended; `relay_retry` lifts that. */
static void suspends(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {0};

	fake_server_start(&server);
	fake_server_stop(&server);
	queue_many(f, 5);
	relay_fixture_start(f, server.port);
	assert_true(relay_fixture_wait(f, 0, 5, 0));
	assert_true(has(relay_fixture_items(f).items[4].last_reply, "connect to remote.example [127.0.0.1]"));
	server = (struct fake_server){.listen = server.listen};
	fake_server_start(&server);
	relay_fixture_queue_to(f, "x@remote.example");
	assert_true(relay_fixture_wait(f, 0, 6, 0)); /* put off, not tried */
	assert_int_equal(server.connections, 0);
	try_again(f);
	assert_true(relay_fixture_wait(f, 6, 6, 0));
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

/* ---- the queue's other hands, and the end ---- */

static void removed_meanwhile(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {.delay_ms = 300};
	struct slice second;
	size_t count;

	fake_server_start(&server);
	relay_fixture_queue_to(f, "x@remote.example");
	second = relay_fixture_queue_to(f, "x@remote.example");
	f->options.concurrency_per_hop = 1;
	relay_fixture_start(f, server.port);
	while (relay_counts(f->relay).connections == 0)
		usleep(1000);
	assert_int_equal(queue_remove(f->store->store, &(struct queue_filter){.queue_id = second, .state = -1}, &count),
			 STATUS_OK);
	assert_int_equal(count, 1);
	assert_true(relay_fixture_wait(f, 1, 0, 0));
	while (relay_counts(f->relay).in_hand > 0)
		usleep(1000);
	assert_int_equal(server.count, 1);
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

/* A peer that hangs behind the final dot doesn't keep us from stopping; the message stays, and the next life sends it. */
static void stops_in_the_middle(void **state)
{
	static const struct script_line HANGS[] = {{AT_END, NULL, 0, ANSWER_HANG}, {0}};
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = scripted, .context = (void *)HANGS};
	int64_t began;

	fake_server_start(&server);
	f->options.timeouts.end_of_data_ms = 60000;
	f->options.concurrency_per_hop = 1;
	queue_many(f, 5);
	relay_fixture_start(f, server.port);
	while (relay_counts(f->relay).connections == 0)
		usleep(1000);
	usleep(100000);
	began = clock_monotonic_ms();
	relay_stop(f->relay, 100);
	assert_true(clock_monotonic_ms() < began + 30000);
	assert_int_equal(relay_counts(f->relay).delivered, 0);
	assert_int_equal(relay_counts(f->relay).workers, 0);
	relay_free(f->relay);
	assert_int_equal(relay_fixture_items(f).count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_false(relay_fixture_items(f).items[i].in_hand);
	relay_fixture_start(f, server.port);
	assert_true(relay_fixture_wait(f, 5, 0, 0));
	relay_fixture_stop(f);
	fake_server_stop(&server);
	assert_int_equal(server.count, 5);
}

static _Atomic bool is_away;

static enum status away(void *context)
{
	(void)context;
	return is_away ? STATUS_TEMPORARY : STATUS_OK;
}

/* The store goes away in the middle: what was sent is not sent again, and all is recorded when it is back. */
static void store_goes_away(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {.delay_ms = 5};

	fake_server_start(&server);
	is_away = false;
	fixture_set_fault(f->store, away, NULL);
	queue_many(f, 60);
	relay_fixture_start(f, server.port);
	assert_true(fake_server_wait(&server, 5));
	is_away = true;
	usleep(700000);
	is_away = false;
	for (int i = 0; i < 2000 && relay_fixture_items(f).count > 0 && relay_counts(f->relay).delivered < 60; i++) {
		usleep(10000);
		if (i % 50 == 49)
			try_again(f); /* what could not be read was deferred */
	}
	assert_int_equal(relay_counts(f->relay).delivered, 60);
	relay_fixture_stop(f);
	fake_server_stop(&server);
	assert_int_equal(server.count, 60);
	fixture_set_fault(f->store, NULL, NULL);
}

static void starts_without_a_store(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {0};
	struct queue_item *items;
	size_t count;

	fake_server_start(&server);
	queue_many(f, 3);
	/* One of them was in hand when the former life ended. */
	assert_int_equal(queue_take_due(f->store->store, &f->store->arena, clock_wall_ms(), 3600000, f->options.hostname, 1,
					&items, &count),
			 STATUS_OK);
	is_away = true;
	fixture_set_fault(f->store, away, NULL);
	relay_fixture_start(f, server.port);
	usleep(100000);
	is_away = false;
	assert_true(relay_fixture_wait(f, 3, 0, 0));
	relay_fixture_stop(f);
	fake_server_stop(&server);
	fixture_set_fault(f->store, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(delivers),
		RELAY_TEST(bytes),
		RELAY_TEST(one_transaction_for_a_hop),
		RELAY_TEST(retries),
		RELAY_TEST(retries_by_itself),
		RELAY_TEST(partial_failure),
		RELAY_TEST(too_many_recipients),
		RELAY_TEST(gives_up),
		RELAY_TEST(warns_once),
		RELAY_TEST(bounce_leaves),
		RELAY_TEST(reuses_connections),
		RELAY_TEST(limits_per_hop),
		RELAY_TEST(limits_in_all),
		RELAY_TEST(lingers),
		RELAY_TEST(lingers_too_long),
		RELAY_TEST(dead_hop_delays_nobody),
		RELAY_TEST(greedy_hop_hides_nobody),
		RELAY_TEST(suspends),
		RELAY_TEST(removed_meanwhile),
		RELAY_TEST(stops_in_the_middle),
		RELAY_TEST(store_goes_away),
		RELAY_TEST(starts_without_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
