/* Base subjects, keys to sort by, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mime/subject.h"
#include "imap/thread.h"
#include "imap/thread_links.h"
#include "mime/words.h"

static enum status put_all(struct buf *out, struct arena *arena, enum thread_algorithm algorithm,
			   const struct thread_message *messages, size_t count)
{
	struct thread_builder *builder = thread_begin(arena, algorithm);
	bool goes_on = true;

	for (size_t i = 0; i < count && goes_on; i++)
		goes_on = thread_add(builder, &messages[i]);
	return goes_on ? thread_end(out, builder) : STATUS_LIMIT;
}

static struct arena arena;

static void assert_slice(struct slice is, const char *expected)
{
	if (!slice_eq(is, slice_from_cstr(expected)))
		fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(is), expected);
}

/* RFC 5256 section 2.1 */
static void test_subjects(void **state)
{
	static const struct {
		const char *subject, *base;
		bool is_reply;
	} rows[] = {
		{"hello", "hello", false},
		{"  hello  ", "hello", false},
		{"a\t\tb  c", "a b c", false},
		{"Re: hello", "hello", true},
		{"RE:hello", "hello", true},
		{"re : fw: FWD: hello (fwd) (FWD) ", "hello", true},
		{"hello (fwd)", "hello", true},
		{"(fwd)", "", true},
		{"Re: ", "", true},
		{"re", "re", false},
		{"ref: x", "ref: x", false},
		{"[list] hello", "hello", false},
		{"[list]", "[list]", false},
		{"[a] [b]", "[b]", false},
		{"[a][b]re: hello", "hello", true},
		{"[a] Re: [b] hello", "hello", true},
		{"Re[2]: hello", "hello", true},
		{"Re [2] : hello", "hello", true},
		{"RE\u00a0: hello", "hello", true},
		{"hello\u00a0there", "hello there", false},
		{"Re [2] hello", "Re [2] hello", false},
		{"Re[2[3]]: hello", "Re[2[3]]: hello", false},
		{"[fwd: hello]", "hello", true},
		{"[Fwd: Re: hello (fwd)]", "hello", true},
		{"[fwd: [fwd: x]]", "x", true},
		{"[fwd: x", "[fwd: x", false},
		{"[list", "[list", false},
		{"[] x", "x", false},
		{"", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool is_reply;
		struct slice base = subject_base(&arena, slice_from_cstr(rows[i].subject), &is_reply);

		assert_slice(base, rows[i].base);
		if (is_reply != rows[i].is_reply)
			fail_msg("\"%s\" is a reply: %d", rows[i].subject, is_reply);
	}
}

static void test_long_subjects(void **state)
{
	struct buf text SCOPED_BUF;
	struct slice base;

	(void)state;
	while (text.len < 100000)
		buf_add_literal(&text, "[x] re[");
	base = subject_base(&arena, buf_slice(&text), NULL);
	assert_in_range(base.len, 1, SUBJECT_LENGTH_MAX);
	buf_clear(&text);
	buf_add_byte(&text, 'a');
	while (text.len < 100000)
		buf_add_literal(&text, "\xe6\x97\xa5");
	base = subject_base(&arena, buf_slice(&text), NULL);
	assert_true(slice_is_utf8(base));
	assert_in_range(base.len, SUBJECT_LENGTH_MAX - 4, SUBJECT_LENGTH_MAX);
}

/* RFC 5051 section 2 */
static void test_collation(void **state)
{
	struct buf key SCOPED_BUF;

	(void)state;
	text_collation_key(&key, SLICE("Caf\xc3\xa9 _x"));
	assert_slice(buf_slice(&key), "CAFE\xcc\x81 _X");
	buf_clear(&key);
	text_collation_key(&key, SLICE("\xef\xac\x81\xc3\x9f\xd0\xb6")); /* the ligature fi, sharp s, a Cyrillic letter */
	assert_slice(buf_slice(&key), "fi\xc3\x9f\xd0\x96");
	buf_clear(&key);
	text_collation_key(&key, SLICE("a\xff\xc3"));
	assert_slice(buf_slice(&key), "A\xef\xbf\xbd\xef\xbf\xbd");
}

static struct slice key_of(const char *criteria, const struct view_message *message, const struct email *email)
{
	char text[200];
	struct sort_request request;
	struct imap_parser p;
	struct buf key;

	snprintf(text, sizeof(text), "(%s) UTF-8 ALL", criteria);
	imap_parser_init(&p, &arena, slice_dup(&arena, slice_from_cstr(text)), false);
	assert_true(imap_parse_sort(&p, &request));
	buf_init(&key, &arena, 0);
	sort_key(&key, &arena, &request, message, email, 0);
	return buf_slice(&key);
}

static void test_keys(void **state)
{
	const struct view_message first = {.size = 5, .received_ms = -1}, second = {.size = 4, .received_ms = 1000};
	const struct email a = {.envelope =
					SLICE("(NIL \"Re: abc\" ((\"Z\" NIL \"anna\" \"x\")) NIL NIL ((NIL NIL \"team\" NIL)"
					      "(NIL NIL \"q\" \"x\")(NIL NIL NIL NIL)) NIL NIL NIL NIL)")};
	const struct email b = {.envelope = SLICE("(NIL \"ABCD\" ((NIL NIL \"Bob\" \"x\")) NIL NIL NIL NIL NIL NIL NIL)"),
				.sent_ms = -5};

	(void)state;
	assert_true(slice_compare(key_of("ARRIVAL", &first, &a), key_of("ARRIVAL", &second, &b)) < 0);
	assert_true(slice_compare(key_of("REVERSE ARRIVAL", &first, &a), key_of("REVERSE ARRIVAL", &second, &b)) > 0);
	assert_true(slice_compare(key_of("DATE", &first, &a), key_of("DATE", &first, &b)) > 0);
	assert_true(slice_compare(key_of("SIZE", &first, &a), key_of("SIZE", &second, &b)) > 0);
	assert_true(slice_compare(key_of("SUBJECT", &first, &a), key_of("SUBJECT", &second, &b)) < 0);
	assert_true(slice_compare(key_of("REVERSE SUBJECT", &first, &a), key_of("REVERSE SUBJECT", &second, &b)) > 0);
	assert_true(slice_compare(key_of("FROM", &first, &a), key_of("FROM", &second, &b)) < 0);
	assert_true(slice_compare(key_of("DISPLAYFROM", &first, &a), key_of("DISPLAYFROM", &second, &b)) > 0);
	assert_true(slice_compare(key_of("TO", &first, &a), key_of("TO", &second, &b)) > 0);
	assert_true(slice_compare(key_of("CC SIZE", &first, &a), key_of("CC SIZE", &second, &b)) > 0);
	assert_int_equal(slice_compare(key_of("CC", &first, &a), key_of("CC", &second, &b)), 0);
}

/* ---- threads ---- */

/* "id|references|subject|sent", sequence numbers from 1. */
static void assert_threads(enum thread_algorithm algorithm, const char *const *rows, size_t count, const char *expected)
{
	struct thread_message *messages = ARENA_ARRAY(&arena, struct thread_message, count);
	struct buf out SCOPED_BUF;

	for (size_t i = 0; i < count; i++) {
		struct slice rest = slice_from_cstr(rows[i]), subject;
		struct buf key;

		messages[i].number = messages[i].sequence = (uint32_t)i + 1;
		messages[i].id = slice_cut(&rest, '|');
		messages[i].references = slice_cut(&rest, '|');
		subject = slice_cut(&rest, '|');
		buf_init(&key, &arena, 0);
		text_collation_key(&key, subject_base(&arena, subject, &messages[i].is_reply));
		messages[i].subject = buf_slice(&key);
		assert_true(slice_to_i64(rest, &messages[i].sent_ms));
		messages[i].received_ms = (int64_t)i;
	}
	assert_int_equal(put_all(&out, &arena, algorithm, messages, count), STATUS_OK);
	assert_slice(buf_slice(&out), expected);
}
#define THREADS(algorithm, expected, ...)                                                  \
	do {                                                                               \
		static const char *const rows[] = {__VA_ARGS__};                           \
		assert_threads(algorithm, rows, sizeof(rows) / sizeof(rows[0]), expected); \
	} while (0)

static void test_by_subject(void **state)
{
	(void)state;
	assert_threads(THREAD_ORDEREDSUBJECT, NULL, 0, "");
	THREADS(THREAD_ORDEREDSUBJECT, "(4)(1 (5)(3))(2 6)", "||x|10", "||y|20", "||Re: x|30", "||z|5", "||X|25",
		"||[q] fwd: Y|40");
}

static void test_references(void **state)
{
	(void)state;
	THREADS(THREAD_REFERENCES, "(1 2 (3)(4))", "a@x||s|1", "b@x|a@x|Re: s|2", "c@x|a@x b@x|Re: s|3", "d@x|a@x b@x|Re: s|4");
	/* the parent came later, or never */
	THREADS(THREAD_REFERENCES, "(2 1)", "b@x|a@x|t|2", "a@x||s|1");
	THREADS(THREAD_REFERENCES, "((1)(2))", "b@x|a@x|s|1", "c@x|a@x|t|2");
	THREADS(THREAD_REFERENCES, "(1)(2)", "b@x|a@x|s|1", "c@x|q@x|t|2");
	THREADS(THREAD_REFERENCES, "((1)(2))", "b@x|z@x y@x|s|1", "c@x|z@x w@x|t|2");
	/* loops, oneself, ids twice, ids that are none, quotes */
	THREADS(THREAD_REFERENCES, "(2 1)", "a@x|b@x|s|1", "b@x|a@x|t|2");
	THREADS(THREAD_REFERENCES, "(1)", "a@x|a@x a@x|s|1");
	THREADS(THREAD_REFERENCES, "(1 3)(2)", "a@x||s|1", "a@x||t|2", "c@x|a@x|u|3");
	THREADS(THREAD_REFERENCES, "(1)(2)", "a||s|1", "b|a @x x@|t|2");
	THREADS(THREAD_REFERENCES, "(1 2)", "\"a\"@x||s|1", "b@x|a@x|t|2");
	/* a message's own word counts more than others' */
	THREADS(THREAD_REFERENCES, "(1 3 2)", "a@x||s|1", "c@x|z@x b@x|t|2", "b@x|a@x|u|3");
	THREADS(THREAD_REFERENCES, "(2 1 3)", "a@x||s|1", "b@x||t|2", "c@x|b@x a@x|u|3");
}

/* Step 5 */
static void test_same_subjects(void **state)
{
	(void)state;
	THREADS(THREAD_REFERENCES, "(1 2)", "a@x||s|1", "b@x||Re: s|2");
	THREADS(THREAD_REFERENCES, "(2 1)", "a@x||Re: s|1", "b@x||s|2");
	THREADS(THREAD_REFERENCES, "((1)(2))", "a@x||s|1", "b@x||s|2");
	THREADS(THREAD_REFERENCES, "((1)(2)(3))", "a@x||s|1", "b@x||s|2", "c@x||s|3");
	THREADS(THREAD_REFERENCES, "((1)(2)(3)(4))", "a@x|p@x|s|1", "b@x|p@x|s|2", "c@x|q@x|s|3", "d@x|q@x|s|4");
	THREADS(THREAD_REFERENCES, "((1)(2)(3))", "a@x|p@x|s|1", "b@x|p@x|s|2", "c@x||s|3");
	THREADS(THREAD_REFERENCES, "(1)(2)", "a@x|||1", "b@x||Re:|2");
	THREADS(THREAD_REFS, "(1)(2)", "a@x||s|1", "b@x||Re: s|2");
}

static void test_order(void **state)
{
	(void)state;
	THREADS(THREAD_REFERENCES, "(3)(2)(1)", "a@x||s|9", "b@x||t|8", "c@x||u|7");
	/* by the latest arrival; inside by the Date field */
	THREADS(THREAD_REFS, "(2)(1 (4)(3))", "a@x||s|1", "b@x||t|99", "c@x|a@x|s|5", "d@x|a@x|s|4");
}

static void test_ids_that_count(void **state)
{
	(void)state;
	assert_slice(thread_references(SLICE("a b"), SLICE_EMPTY), "a b");
	assert_slice(thread_references(SLICE("a b c"), SLICE("<c>")), "a b");
	assert_slice(thread_references(SLICE("a a"), SLICE("<a>")), "a");
	assert_slice(thread_references(SLICE("c"), SLICE("Your mail <c>")), "c");
	assert_slice(thread_references(SLICE("c d"), SLICE("<c> <d>")), "c");
	assert_slice(thread_references(SLICE("a c d"), SLICE("<c> <d>")), "a");
	assert_slice(thread_references(SLICE("a"), SLICE("no id")), "a");
}

/* ---- what nobody sends but enemies ---- */

/* A chain, told backwards: each message cuts the one above off and joins it again. With walks to the root this would take minutes. And memory
 * is for a million messages in one THREAD. */
static void test_long_chain(void **state)
{
	enum { COUNT = 50000 };
	struct thread_message *messages = calloc(COUNT, sizeof(*messages));
	struct arena work SCOPED_ARENA, bounded SCOPED_ARENA;
	struct buf out SCOPED_BUF;

	(void)state;
	arena_init(&bounded, COUNT * 250);
	for (uint32_t i = 0; i < COUNT; i++) {
		char id[40], references[120];

		snprintf(id, sizeof(id), "%u@x", COUNT - i);
		snprintf(references, sizeof(references), "%u@x %u@x %u@x", COUNT - i - 3, COUNT - i - 2, COUNT - i - 1);
		messages[i] = (struct thread_message){.number = i + 1,
						      .sequence = i + 1,
						      .sent_ms = COUNT - i,
						      .id = slice_dup(&work, slice_from_cstr(id)),
						      .references = slice_dup(&work, slice_from_cstr(references))};
	}
	assert_int_equal(put_all(&out, &bounded, THREAD_REFERENCES, messages, COUNT), STATUS_OK);
	assert_true(slice_starts_with(buf_slice(&out), SLICE("(50000 49999 49998 ")));
	assert_true(slice_ends_with(buf_slice(&out), SLICE(" 3 2 1)")));
	free(messages);
}

static void test_no_memory(void **state)
{
	static const struct thread_message messages[40] = {{.number = 1, .references = {"a@x b@x c@x", 11}}};
	struct buf out SCOPED_BUF;
	enum status status = STATUS_OK;

	(void)state;
	for (size_t limit = 200; limit < 40000; limit += 200) {
		struct arena small SCOPED_ARENA;

		arena_init(&small, limit);
		buf_clear(&out);
		status = put_all(&out, &small, THREAD_REFERENCES, messages, 40);
		assert_true(status == STATUS_OK || status == STATUS_LIMIT);
	}
	assert_int_equal(status, STATUS_OK);
}

/* Against walks. */
static void test_links(void **state)
{
	enum { COUNT = 200 };
	struct thread_link links[COUNT] = {0};
	uint32_t parents[COUNT] = {0}, seed = 7;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint32_t a, b, root;

		seed = seed * 1664525 + 1013904223;
		a = 1 + (seed >> 8) % (COUNT - 1);
		b = 1 + (seed >> 18) % (COUNT - 1);
		for (root = b; parents[root]; root = parents[root])
			;
		assert_int_equal(thread_links_root(links, b), root);
		if (parents[a]) {
			thread_links_cut(links, a);
			parents[a] = 0;
		} else if (root != a) {
			thread_links_join(links, a, b);
			parents[a] = b;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subjects),       cmocka_unit_test(test_long_subjects),
		cmocka_unit_test(test_collation),      cmocka_unit_test(test_keys),
		cmocka_unit_test(test_by_subject),     cmocka_unit_test(test_references),
		cmocka_unit_test(test_same_subjects),  cmocka_unit_test(test_order),
		cmocka_unit_test(test_ids_that_count), cmocka_unit_test(test_long_chain),
		cmocka_unit_test(test_no_memory),      cmocka_unit_test(test_links),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_free(&arena);
	return failed;
}
