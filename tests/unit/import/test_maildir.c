#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "import/maildir.h"
#include "store/mailbox.h"

static void check_text(struct slice got, const char *wanted)
{
	if (!slice_eq(got, slice_from_cstr(wanted)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(got), wanted);
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *base, *unique, *flags;
		int64_t time_s;
	} names[] = {
		{"1276528487.M364837P9451.host,S=1355,W=1394:2,FS", "1276528487.M364837P9451.host,S=1355,W=1394",
		 "1276528487.M364837P9451.host", "FS", 0},
		{"1276528487.1.host", "1276528487.1.host", "1276528487.1.host", "", 0},
		{"a,T=77,S=3:2,", "a,T=77,S=3", "a", "", 77},
		{"a:2,Sab,more", "a", "a", "Sab", 0},
		{"a:1,S", "a", "a", "", 0},
		{"a,T=x:2,S", "a,T=x", "a", "S", 0},
	};
	static const char *const none[] = {"", ".", ".hidden", ":2,S", ",S=3", "a/b", "a\nb"};
	struct maildir_name parsed;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert_true(maildir_name_parse(slice_from_cstr(names[i].name), &parsed));
		check_text(parsed.base, names[i].base);
		check_text(parsed.unique, names[i].unique);
		check_text(parsed.flags, names[i].flags);
		assert_int_equal(parsed.time_s, names[i].time_s);
	}
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_false(maildir_name_parse(slice_from_cstr(none[i]), &parsed));
}

static void test_flags(void **state)
{
	struct buf out SCOPED_BUF;

	(void)state;
	assert_int_equal(maildir_flag('S'), FLAG_SEEN);
	assert_int_equal(maildir_flag('P'), 0);
	buf_init(&out, NULL, 0);
	maildir_put_flags(&out, FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT | FLAG_DELETED);
	check_text(buf_slice(&out), "DFRST");
}

static void test_uidlist(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct maildir_uidlist list;

	(void)state;
	maildir_uidlist_parse(
		&arena,
		SLICE("3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n25006 :z,S=1355\n25017 W2481 S3 :a:2,S\n"
		      "junk\n0 :zero\n4294967295 :last\n"),
		&list);
	assert_int_equal(list.uid_validity, 1275660208);
	assert_int_equal(list.next_uid, 25022);
	assert_int_equal(list.count, 2);
	assert_int_equal(maildir_uidlist_find(&list, SLICE("z,S=1355")), 25006);
	assert_int_equal(maildir_uidlist_find(&list, SLICE("a")), 25017);
	assert_int_equal(maildir_uidlist_find(&list, SLICE("b")), 0);
	maildir_uidlist_parse(&arena, SLICE("1 4711 9\n3 a\n12 b:2,S\n"), &list);
	assert_int_equal(list.uid_validity, 4711);
	assert_int_equal(list.next_uid, 13);
	assert_int_equal(maildir_uidlist_find(&list, SLICE("b")), 12);
	maildir_uidlist_parse(&arena, SLICE("2 4711 9\n3 a\n"), &list);
	assert_int_equal(list.uid_validity, 0);
	maildir_uidlist_parse(&arena, SLICE_EMPTY, &list);
	assert_int_equal(maildir_uidlist_find(&list, SLICE("b")), 0);
}

static void test_keywords(void **state)
{
	struct slice names[MAILDIR_KEYWORDS];

	(void)state;
	maildir_keywords_parse(SLICE("0 $Forwarded\n2 $Junk\n26 TooMany\nx y\n"), names);
	check_text(names[0], "$Forwarded");
	check_text(names[1], "");
	check_text(names[2], "$Junk");
}

struct names {
	struct slice names[10];
	size_t count;
};

static void note(void *context, struct slice name)
{
	struct names *names = context;

	names->names[names->count++] = name;
}

static void test_subscriptions(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct names names = {0};

	(void)state;
	maildir_subscriptions_parse(&arena, SLICE("INBOX\nLists.Caf&AOk-\n\n"), '.', note, &names);
	maildir_subscriptions_parse(&arena, SLICE("V\t2\n\nLists\tCaf&AOk-\nA.b\n"), '.', note, &names);
	assert_int_equal(names.count, 4);
	check_text(names.names[0], "INBOX");
	check_text(names.names[1], "Lists/Café");
	check_text(names.names[2], "Lists/Café");
	check_text(names.names[3], "A.b");
}

static void test_folders(void **state)
{
	static const struct {
		const char *name, *folder;
	} folders[] = {{"Sent", ".Sent"}, {"Lists/Café", ".Lists.Caf&AOk-"}, {"a&b/c", ".a&-b.c"}};
	struct arena arena SCOPED_ARENA;
	struct slice name;

	(void)state;
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		struct buf out SCOPED_BUF;

		buf_init(&out, NULL, 0);
		maildir_folder_encode(&out, slice_from_cstr(folders[i].name));
		check_text(buf_slice(&out), folders[i].folder);
		assert_true(maildir_folder_decode(&arena, slice_from_cstr(folders[i].folder + 1), '.', &name));
		check_text(name, folders[i].name);
	}
	assert_true(maildir_folder_decode(&arena, SLICE("Caf\xc3\xa9"), '.', &name));
	check_text(name, "Café");
	assert_false(maildir_folder_decode(&arena, SLICE("Caf\xff"), '.', &name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),    cmocka_unit_test(test_flags),         cmocka_unit_test(test_uidlist),
		cmocka_unit_test(test_keywords), cmocka_unit_test(test_subscriptions), cmocka_unit_test(test_folders),
	};

	return cmocka_run_group_tests_name("import/maildir", tests, NULL, NULL);
}
