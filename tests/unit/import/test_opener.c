/* Below the root no link is followed, whoever put it there and whenever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "import/opener.h"

struct place {
	struct arena arena;
	struct opener *opener;
	char folder[64];
};

static const char *at(struct place *place, const char *rest)
{
	struct buf path;

	buf_init(&path, &place->arena, 0);
	buf_printf(&path, "%s/%s", place->folder, rest);
	buf_add_byte(&path, 0);
	return path.data;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof *place);

	snprintf(place->folder, sizeof place->folder, "/tmp/test-opener-XXXXXX");
	assert_non_null(mkdtemp(place->folder));
	assert_int_equal(mkdir(at(place, "mail"), 0700) | mkdir(at(place, "mail/cur"), 0700) | mkdir(at(place, "other"), 0700),
			 0);
	write_file(at(place, "mail/cur/1"), "mine");
	write_file(at(place, "other/secret"), "secret");
	assert_int_equal(symlink("../../other/secret", at(place, "mail/cur/2")), 0);
	assert_int_equal(symlink(at(place, "other"), at(place, "mail/.Sub")), 0);
	assert_int_equal(symlink("mail", at(place, "link")), 0);
	place->opener = opener_new();
	assert_non_null(place->opener);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	struct buf command;

	opener_free(place->opener);
	buf_init(&command, &place->arena, 0);
	buf_printf(&command, "rm -r %s", place->folder);
	buf_add_byte(&command, 0);
	assert_int_equal(system(command.data), 0);
	arena_free(&place->arena);
	free(place);
	return 0;
}

static bool can_read(struct place *place, const char *path)
{
	return opener_read(place->opener, &place->arena, at(place, path), 1000).data != NULL;
}

static void test_links_lead_nowhere(void **state)
{
	struct place *place = *state;
	struct slice *names;
	size_t count;

	assert_true(can_read(place, "mail/cur/2"));
	assert_true(opener_set_root(place->opener, at(place, "mail")));
	assert_true(can_read(place, "mail/cur/1"));
	assert_false(can_read(place, "mail/cur/2"));
	assert_false(can_read(place, "mail/.Sub/secret"));
	assert_false(can_read(place, "mail/../other/secret"));
	assert_false(opener_list(place->opener, &place->arena, at(place, "mail/.Sub"), &names, &count));
	assert_false(opener_make_folder(place->opener, at(place, "mail/.Sub/new")));
	assert_int_equal(opener_open(place->opener, at(place, "mail/.Sub/new"), O_WRONLY | O_CREAT | O_EXCL, 0600), -1);
	assert_false(opener_set_time(place->opener, at(place, "mail/cur/2"), 1000));
	assert_int_not_equal(access(at(place, "other/new"), F_OK), 0);
}

/* The root itself may be a link: it was named. */
static void test_work_below_the_root(void **state)
{
	struct place *place = *state;
	struct slice *names;
	struct stat facts;
	size_t count;

	assert_false(opener_set_root(place->opener, at(place, "other/secret")));
	assert_true(opener_set_root(place->opener, at(place, "link")));
	assert_true(can_read(place, "link/cur/1"));
	assert_true(opener_make_folder(place->opener, at(place, "link/new")));
	assert_true(opener_make_folder(place->opener, at(place, "link/new")));
	assert_true(opener_make_folder(place->opener, at(place, "link/new/deep")));
	int fd = opener_open(place->opener, at(place, "link/new/deep/x"), O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_true(opener_set_time(place->opener, at(place, "link/new/deep/x"), 1234567));
	assert_int_equal(stat(at(place, "mail/new/deep/x"), &facts), 0);
	assert_int_equal(facts.st_mtime, 1234);
	assert_true(opener_list(place->opener, &place->arena, at(place, "link"), &names, &count));
	assert_int_equal(count, 3);
	assert_true(slice_eq(names[0], SLICE(".Sub")));
	assert_int_equal(opener_read(place->opener, &place->arena, at(place, "link/cur/1"), 3).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_links_lead_nowhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_work_below_the_root, setup, teardown),
	};

	return cmocka_run_group_tests_name("import/opener", tests, NULL, NULL);
}
