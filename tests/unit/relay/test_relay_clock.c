/* The relay while the wall clock is set: nothing in the queue is stuck, and nothing comes twice. The linker puts a clock of ours before
 * the real one (--wrap). */
#include <stdatomic.h>

#include "base/clock.h"
#include "relay_fixture.h"

static _Atomic int64_t offset_ms;

int64_t __real_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void);

int64_t __wrap_clock_wall_ms(void)
{
	return __real_clock_wall_ms() + offset_ms;
}

static const int64_t HOUR_MS = 3600 * 1000;

static const struct script_line LATER_AT_FIRST[] = {{AT_RCPT, NULL, 0, "450 4.2.0 greylisted\r\n"}, {0}};

/* One letter is put off for an hour; the clock is set, and another one comes. */
static void play(struct relay_fixture *f, struct fake_server *server, int64_t by_ms)
{
	static const int64_t RETRY[] = {3600 * 1000};

	fake_server_start(server);
	relay_fixture_add_record(f, "other.example", -1, "127.0.0.1");
	f->options.retry_ms = RETRY;
	f->options.retry_count = 1;
	relay_fixture_start(f, server->port);
	relay_fixture_queue_to(f, "x@remote.example");
	assert_true(relay_fixture_wait(f, 0, 1, 0));
	assert_true(relay_fixture_items(f).items[0].due_ms > clock_wall_ms() + HOUR_MS / 2);
	offset_ms = by_ms;
	relay_fixture_queue_to(f, "y@other.example");
}

static void check(struct relay_fixture *f, struct fake_server *server)
{
	assert_true(relay_fixture_wait(f, 2, 1, 0));
	assert_int_equal(server->count, 2);
	assert_int_equal(relay_fixture_items(f).count, 0);
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, NULL), 0); /* neither bounced nor warned of */
	relay_fixture_stop(f);
	fake_server_stop(server);
	offset_ms = 0;
}

/* Its time would come in a month and an hour only. */
static void set_back(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = scripted, .context = (void *)LATER_AT_FIRST};

	play(f, &server, -30 * 24 * HOUR_MS);
	check(f, &server);
}

/* Its time has come, all at once. */
static void set_forward(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = scripted, .context = (void *)LATER_AT_FIRST};

	play(f, &server, 2 * HOUR_MS);
	check(f, &server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {RELAY_TEST(set_back), RELAY_TEST(set_forward)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
