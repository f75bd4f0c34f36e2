/* What only the real engine and a real socket can show: what goes out together, who spoke first, and what is said when time is up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guard/door.h"
#include "served.h"

#define SENDER "MAIL FROM:<a@b.test>\r\nRCPT TO:<ok@example.test>\r\n"

static int set_up(void **state)
{
	static struct served served;

	served_init(&served);
	*state = &served;
	return 0;
}

static int tear_down(void **state)
{
	served_free(*state);
	return 0;
}

static void equal(struct slice found, struct slice expected)
{
	if (!slice_eq(found, expected))
		fail_msg("expected \"%.*s\", found \"%.*s\"", SLICE_ARG(expected), SLICE_ARG(found));
}

static void greet(struct served *s)
{
	served_start(s);
	served_connect(s);
	assert_true(served_wait_for(s, SLICE("220 ")));
	served_say(s, SLICE("EHLO c.test\r\n"));
	assert_true(served_wait_for(s, SLICE("250 ")));
}

/* RFC 2920 section 3.2: the replies to a group leave in one piece. */
static void test_group(void **state)
{
	struct served *s = *state;

	greet(s);
	served_say(s, SLICE(SENDER "DATA\r\n"));
	equal(served_hear(s), SLICE("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"));
	served_say(s, SLICE("Subject: x\r\n\r\n..y\r\n.\r\n" SENDER "NOOP\r\nQUIT\r\n"));
	struct slice heard = served_hear(s);

	assert_true(slice_starts_with(heard, SLICE("250 2.0.0 Ok: queued as ")));
	assert_true(slice_ends_with(heard, SLICE("\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n")));
	assert_int_equal(served_hear(s).len, 0);
	assert_int_equal(fake_roles.messages, 1);
	assert_true(slice_ends_with(fake_roles.last.body, SLICE("\r\nSubject: x\r\n\r\n.y\r\n")));
}

static void test_early(void **state)
{
	struct served *s = *state;

	served_connect(s);
	served_say(s, SLICE("EHLO c.test\r\n"));
	served_start(s);
	equal(served_hear_out(s), SLICE("554 You spoke before the greeting\r\n"));
}

/* ---- waiting ---- */

#define GREETING "220 mx.example.test ESMTP Posthorn\r\n"
#define FIRST    "220-mx.example.test ESMTP Posthorn\r\n"

static struct door *door_that_waits(struct served *s, int greeting_ms, int longest_ms)
{
	struct door_options options = {.delays = {.greeting_ms = greeting_ms,
						  .remember_s = 3600,
						  .free_failures = 1,
						  .step_ms = longest_ms,
						  .longest_ms = longest_ms}};

	s->context.door = door_new(&options, NULL, &s->log);
	return s->context.door;
}

/* Who waits is greeted, and the next time at once. */
static void test_wait(void **state)
{
	struct served *s = *state;
	struct door *door = door_that_waits(s, 50, 0);

	served_start(s);
	for (int i = 0; i < 2; i++) {
		served_connect(s);
		served_say(s, served_wait_for(s, SLICE("220 ")) ? SLICE("QUIT\r\n") : SLICE_EMPTY);
		equal(served_hear_out(s), SLICE("221 2.0.0 Bye\r\n"));
		served_hang_up(s);
	}
	served_connect(s);
	equal(served_hear(s), SLICE(GREETING));
	served_stop(s);
	door_free(door);
}

/* The first line is no greeting yet. */
static void test_no_patience(void **state)
{
	struct served *s = *state;
	struct door *door = door_that_waits(s, 60000, 0);

	served_start(s);
	served_connect(s);
	equal(served_hear(s), SLICE(FIRST));
	served_say(s, SLICE("EHLO c.test\r\n"));
	equal(served_hear_out(s), SLICE(FIRST "554 You spoke before the greeting\r\n"));
	served_hang_up(s);
	/* Who is gone meanwhile leaves nothing, and has not waited. */
	served_connect(s);
	equal(served_hear(s), SLICE(FIRST));
	served_hang_up(s);
	served_connect(s);
	equal(served_hear(s), SLICE(FIRST));
	served_stop(s);
	equal(served_hear_out(s), SLICE(FIRST "421 4.3.2 Service is shutting down, try again later\r\n"));
	door_free(door);
}

/* Answers to failures come late, one after the other, and what was said meanwhile is heard. */
static void test_held_back(void **state)
{
	struct served *s = *state;
	struct door *door = door_that_waits(s, 0, 700);

	greet(s);
	served_say(s, SLICE("NONSENSE\r\n"));
	assert_true(served_wait_for(s, SLICE("500 ")));
	served_say(s, SLICE("NONSENSE\r\nNONSENSE\r\nQUIT\r\n"));
	equal(served_hear(s), SLICE("500 5.5.1 Command not recognized\r\n"));
	s->len = 0;
	equal(served_hear_out(s), SLICE("500 5.5.1 Command not recognized\r\n221 2.0.0 Bye\r\n"));
	served_stop(s);
	door_free(door);
}

/* RFC 2920 section 3.1: a group ends with EHLO and with DATA, and after HELO there are none. */
static void test_out_of_turn(void **state)
{
	static const struct {
		const char *said[3];
	} rows[] = {
		{{"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\n"}},
		{{"HELO c.test\r\nMAIL FROM:<a@b.test>\r\n"}},
		{{"HELO c.test\r\n", "MAIL FROM:<a@b.test>\r\nRCPT TO:<ok@example.test>\r\n"}},
		{{"EHLO c.test\r\n", SENDER "DATA\r\nSubject: x\r\n"}},
	};
	struct served *s = *state;
	struct door *door = door_that_waits(s, 0, 0);

	s->context.options.strict_pipelining = true;
	served_start(s);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		served_connect(s);
		assert_true(served_wait_for(s, SLICE("220 ")));
		for (size_t j = 0; j < 3 && rows[i].said[j]; j++) {
			served_say(s, slice_from_cstr(rows[i].said[j]));
			if (rows[i].said[j + 1])
				assert_true(served_wait_for(s, SLICE("250 ")));
		}
		assert_true(slice_ends_with(served_hear_out(s), SLICE("554 5.5.0 You spoke before my answer\r\n")));
		served_hang_up(s);
	}
	served_connect(s);
	assert_true(served_wait_for(s, SLICE("220 ")));
	served_say(s, SLICE("EHLO c.test\r\n"));
	assert_true(served_wait_for(s, SLICE("250 ")));
	served_say(s, SLICE(SENDER "DATA\r\n"));
	assert_true(served_wait_for(s, SLICE("354 ")));
	served_say(s, SLICE("Subject: x\r\n\r\n.\r\n" SENDER "QUIT\r\n"));
	assert_true(slice_ends_with(served_hear_out(s), SLICE("221 2.0.0 Bye\r\n")));
	assert_int_equal(fake_roles.messages, 1);
	served_stop(s);
	door_free(door);
}

static void test_idle(void **state)
{
	struct served *s = *state;

	s->context.options.command_timeout_ms = 20;
	served_start(s);
	served_connect(s);
	equal(served_hear_out(s), SLICE("220 mx.example.test ESMTP Posthorn\r\n421 4.4.2 Timeout, closing connection\r\n"));
}

static void test_session_too_long(void **state)
{
	struct served *s = *state;

	s->context.options.session_timeout_ms = 20;
	served_start(s);
	served_connect(s);
	equal(served_hear_out(s), SLICE("220 mx.example.test ESMTP Posthorn\r\n421 4.4.2 Session has lasted too long, closing "
					"connection\r\n"));
}

static void test_silent_in_data(void **state)
{
	struct served *s = *state;

	s->context.options.data_timeout_ms = 20;
	greet(s);
	served_say(s, SLICE(SENDER "DATA\r\nSubject: x\r\n.\r"));
	assert_true(slice_ends_with(served_hear_out(s), SLICE("354 End data with <CR><LF>.<CR><LF>\r\n")));
	assert_int_equal(fake_roles.messages, 0);
}

static void test_shutdown(void **state)
{
	struct served *s = *state;

	greet(s);
	served_stop(s);
	equal(served_hear_out(s), SLICE("421 4.3.2 Service is shutting down, try again later\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_group, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_early, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_patience, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_held_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_out_of_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_idle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_session_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silent_in_data, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shutdown, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
