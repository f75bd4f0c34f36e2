/* What only the real engine and a real socket can show: what goes out together, who spoke first, and what is said when time is up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

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
		cmocka_unit_test_setup_teardown(test_idle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_session_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silent_in_data, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shutdown, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
