/* The environment of a command, and what its end means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "local/command.h"
#include "local/verdict.h"

static const char *value_of(char **environment, const char *name)
{
	size_t length = strlen(name);

	for (; *environment; environment++)
		if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
			return *environment + length + 1;
	return NULL;
}

static void test_environment(void **state)
{
	const struct command_user user = {.name = {"al", 2}, .home = {"/home/al x", 10}, .shell = {"/bin/zsh", 8}};
	struct local_job job = {.separator = '+',
				.request = {.sender = SLICE("`rm -rf`\n$x@b.test"), .recipient = SLICE("al+lists(x)@c.test")}};
	struct arena arena SCOPED_ARENA;
	char **environment = command_environment(&arena, &user, &job, "Europe/Berlin");

	(void)state;
	assert_string_equal(value_of(environment, "HOME"), "/home/al x");
	assert_string_equal(value_of(environment, "SHELL"), "/bin/zsh");
	assert_string_equal(value_of(environment, "SENDER"), "_rm_-rf___x@b.test");
	assert_string_equal(value_of(environment, "RECIPIENT"), "al+lists_x_@c.test");
	assert_string_equal(value_of(environment, "ORIGINAL_RECIPIENT"), "al+lists_x_@c.test");
	assert_string_equal(value_of(environment, "LOCAL"), "al+lists_x_");
	assert_string_equal(value_of(environment, "EXTENSION"), "lists_x_");
	assert_string_equal(value_of(environment, "DOMAIN"), "c.test");
	assert_string_equal(value_of(environment, "TZ"), "Europe/Berlin");
	job.request = (struct local_request){.sender = SLICE_EMPTY, .recipient = SLICE("al@c.test"),
					     .original_recipient = SLICE("rfc822;old@c.test")};
	environment = command_environment(&arena, &user, &job, NULL);
	assert_string_equal(value_of(environment, "SENDER"), "MAILER-DAEMON");
	assert_string_equal(value_of(environment, "ORIGINAL_RECIPIENT"), "old@c.test");
	assert_null(value_of(environment, "EXTENSION"));
	assert_null(value_of(environment, "TZ"));
}

static void test_verdicts(void **state)
{
	static const struct {
		int status;
		enum local_result result;
		const char *enhanced;
	} cases[] = {
		{0 << 8, LOCAL_DELIVERED, "2.0.0"}, {75 << 8, LOCAL_DEFERRED, "4.3.0"}, {67 << 8, LOCAL_FAILED, "5.1.1"},
		{77 << 8, LOCAL_FAILED, "5.7.0"},   {1 << 8, LOCAL_FAILED, "5.3.0"},	{127 << 8, LOCAL_DEFERRED, "4.3.0"},
		{9, LOCAL_DEFERRED, "4.3.0"},
	};
	struct arena arena SCOPED_ARENA;
	struct local_outcome outcome;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		local_verdict(&arena, cases[i].status, SLICE("\n \nwhy \x01not\nmore"), &outcome);
		assert_int_equal(outcome.result, cases[i].result);
		assert_true(slice_eq(outcome.enhanced, slice_from_cstr(cases[i].enhanced)));
		assert_int_equal(slice_find(outcome.text, SLICE(". Command output: why ?not")) == SLICE_NOT_FOUND,
				 cases[i].result == LOCAL_DELIVERED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_environment), cmocka_unit_test(test_verdicts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
