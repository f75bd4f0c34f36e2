/* Into Maildirs and mbox files: once, whole, and into no file that isn't one's own. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "local/deposit.h"

struct fixture {
	struct arena arena;
	char folder[64];
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/posthorn-deposit-XXXXXX");
	*state = fixture;
	return mkdtemp(fixture->folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", fixture->folder);
	int status = system(command);

	arena_free(&fixture->arena);
	free(fixture);
	return status;
}

static struct slice path(struct fixture *fixture, const char *name)
{
	const struct slice parts[] = {slice_from_cstr(fixture->folder), SLICE("/"), slice_from_cstr(name)};

	return slice_join(&fixture->arena, parts, 3);
}

static char *c_path(struct fixture *fixture, const char *name)
{
	return slice_cstr(&fixture->arena, path(fixture, name));
}

static struct local_outcome put(struct fixture *fixture, const char *name, const char *letter)
{
	struct deposit deposit = {.arena = &fixture->arena, .path = path(fixture, name), .name = SLICE("1.QX.host"),
				  .letter = slice_from_cstr(letter), .lock_wait_ms = 200};
	struct local_outcome outcome;

	if (slice_ends_with(deposit.path, SLICE("/")))
		deposit_maildir(&deposit, &outcome);
	else
		deposit_mbox(&deposit, &outcome);
	return outcome;
}

static void assert_holds(struct fixture *fixture, const char *name, const char *wanted)
{
	char bytes[1024] = {0};
	FILE *file = fopen(c_path(fixture, name), "re");

	assert_non_null(file);
	size_t got = fread(bytes, 1, sizeof(bytes) - 1, file);

	fclose(file);
	assert_int_equal(got, strlen(wanted));
	assert_string_equal(bytes, wanted);
}

static void test_maildir(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(put(fixture, "Maildir/", "one\n").result, LOCAL_DELIVERED);
	assert_holds(fixture, "Maildir/new/1.QX.host", "one\n");
	assert_int_equal(put(fixture, "Maildir/", "one\n").result, LOCAL_DELIVERED);
	assert_int_equal(access(c_path(fixture, "Maildir/tmp/1.QX.host"), F_OK), -1);
	assert_int_equal(access(c_path(fixture, "Maildir/cur"), F_OK), 0);
	assert_int_equal(put(fixture, "none/Maildir/", "one\n").result, LOCAL_DEFERRED);
	/* tmp, new and cur are no links to elsewhere. */
	assert_int_equal(mkdir(c_path(fixture, "other"), 0700), 0);
	assert_int_equal(mkdir(c_path(fixture, "Linked"), 0700), 0);
	assert_int_equal(symlink(c_path(fixture, "other"), c_path(fixture, "Linked/new")), 0);
	assert_int_equal(put(fixture, "Linked/", "one\n").result, LOCAL_DEFERRED);
}

static void test_mbox(void **state)
{
	struct fixture *fixture = *state;
	FILE *file;

	assert_int_equal(put(fixture, "mbox", "From a\nx\n").result, LOCAL_DELIVERED);
	assert_int_equal(put(fixture, "mbox", "From b\ny\n").result, LOCAL_DELIVERED);
	assert_holds(fixture, "mbox", "From a\nx\n\nFrom b\ny\n\n");
	assert_int_equal(access(c_path(fixture, "mbox.lock"), F_OK), -1);
	/* One that was cut off. */
	file = fopen(c_path(fixture, "torn"), "we");
	fputs("From a\nx", file);
	fclose(file);
	assert_int_equal(put(fixture, "torn", "From b\ny\n").result, LOCAL_DELIVERED);
	assert_holds(fixture, "torn", "From a\nx\n\nFrom b\ny\n\n");
}

static void test_refused(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(put(fixture, "real", "x\n").result, LOCAL_DELIVERED);
	assert_int_equal(symlink(c_path(fixture, "real"), c_path(fixture, "link")), 0);
	assert_int_equal(put(fixture, "link", "y\n").result, LOCAL_DEFERRED);
	assert_int_equal(mkfifo(c_path(fixture, "fifo"), 0600), 0);
	assert_int_equal(put(fixture, "fifo", "y\n").result, LOCAL_DEFERRED);
	assert_int_equal(link(c_path(fixture, "real"), c_path(fixture, "twin")), 0);
	assert_int_equal(put(fixture, "twin", "y\n").result, LOCAL_DEFERRED);
	assert_holds(fixture, "real", "x\n\n");
	if (geteuid() == 0) {
		assert_int_equal(put(fixture, "theirs", "x\n").result, LOCAL_DELIVERED);
		assert_int_equal(chown(c_path(fixture, "theirs"), 1, 1), 0);
		assert_int_equal(put(fixture, "theirs", "y\n").result, LOCAL_DEFERRED);
	}
}

static void test_locks(void **state)
{
	struct fixture *fixture = *state;
	char *lock = c_path(fixture, "mbox.lock");
	const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	close(open(lock, O_CREAT | O_WRONLY | O_CLOEXEC, 0444));
	assert_int_equal(put(fixture, "mbox", "x\n").result, LOCAL_DEFERRED);
	assert_int_equal(access(lock, F_OK), 0);
	assert_int_equal(utimensat(AT_FDCWD, lock, long_ago, 0), 0);
	assert_int_equal(put(fixture, "mbox", "x\n").result, LOCAL_DELIVERED);
	assert_int_equal(access(lock, F_OK), -1);
	assert_holds(fixture, "mbox", "x\n\n");
}

static void test_nothing(void **state)
{
	struct fixture *fixture = *state;
	const struct deposit deposit = {.arena = &fixture->arena, .path = SLICE("/dev/null"), .letter = SLICE("x")};
	struct local_outcome outcome;

	deposit_mbox(&deposit, &outcome);
	assert_int_equal(outcome.result, LOCAL_DELIVERED);
	assert_int_equal(access("/dev/null.lock", F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_maildir), TEST(test_mbox), TEST(test_refused), TEST(test_locks), TEST(test_nothing)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
