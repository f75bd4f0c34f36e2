/* The full-text index: it names all that hold a text, whatever is expunged, removed or damaged meanwhile. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "mime/words.h"
#include "store_fixture.h"
#include "store/text_index.h"
#include "store/trigram.h"

#define COUNT 250

/* ---- the postings ---- */

static void test_trigrams(void **state)
{
	struct trigram_set *set = trigram_set_new();
	struct buf buckets[TRIGRAM_BUCKETS] = {0};
	uint16_t hits[3] = {0};
	uint32_t cde = trigram_at("cde");

	(void)state;
	assert_non_null(set);
	assert_true(trigram_set_add(set, 0, SLICE("abcde")));
	assert_true(trigram_set_add(set, 1, SLICE("ab")));
	assert_true(trigram_set_add(set, 1, SLICE("cde")));
	assert_true(trigram_set_add(set, 1, SLICE("cdecde")));
	assert_true(trigram_set_add(set, 2, SLICE("\xe6\x97\xa5\xe6\x9c\xac")));
	for (int round = 0; round < 2; round++) {
		trigram_set_rewind(set);
		for (unsigned i = 0; i < TRIGRAM_BUCKETS; i++) {
			buf_clear(&buckets[i]);
			trigram_set_pack(set, i, &buckets[i]);
		}
	}
	assert_true(trigram_count(buf_slice(&buckets[trigram_bucket(cde)]), cde, hits, 3));
	assert_int_equal(hits[0], 1);
	assert_int_equal(hits[1], 1);
	assert_int_equal(hits[2], 0);
	assert_true(trigram_count(buf_slice(&buckets[trigram_bucket(cde)]), cde + 1, hits, 3));
	assert_int_equal(hits[1], 1);
	/* damaged: documents beyond the last, lengths beyond the end */
	assert_false(trigram_count(buf_slice(&buckets[trigram_bucket(cde)]), cde, hits, 1));
	assert_false(trigram_count(SLICE("\x05\x7f"), 5, hits, 3));
	assert_false(trigram_count(SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 5, hits, 3));
	for (unsigned i = 0; i < TRIGRAM_BUCKETS; i++)
		buf_free(&buckets[i]);
	trigram_set_free(set);
}

/* ---- in the store ---- */

static void deliver_many(struct fixture *fixture, int64_t account, int from, int count)
{
	for (int i = from; i < from + count; i++) {
		struct arena arena SCOPED_ARENA;
		struct buf text;

		buf_init(&text, &arena, 0);
		buf_printf(&text,
			   "Subject: number%d\r\nContent-Type: text/%s; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9f"
			   "e an <b>alle</b>"
			   " \xe6\x97\xa5\xe6\x9c\xac %s&amp;co word%dx\r\n",
			   i, i % 2 ? "html" : "plain", i % 10 == 0 ? "Needle" : "hay", i);
		fixture_deliver(fixture, account, buf_slice(&text));
	}
}

static void find(struct fixture *fixture, const char *text, struct text_hits *hits)
{
	struct buf folded;

	buf_init(&folded, &fixture->arena, 0);
	text_fold(&folded, slice_from_cstr(text));
	assert_int_equal(text_index_find(fixture->store, &fixture->arena, fixture->alice, buf_slice(&folded), 0, 100, hits),
			 STATUS_OK);
}

static size_t count_of(struct fixture *fixture, const char *text)
{
	struct text_hits hits;

	find(fixture, text, &hits);
	assert_true(hits.covered > 0);
	return hits.count;
}

static size_t index_all(struct fixture *fixture)
{
	int64_t account = 1;
	size_t indexed, all = 0;

	do {
		assert_int_equal(text_index_step(fixture->store, NULL, &account, &indexed), STATUS_OK);
		all += indexed;
	} while (indexed);
	return all;
}

static void test_finds(void **state)
{
	struct fixture *fixture = *state;
	struct text_hits hits;

	deliver_many(fixture, fixture->alice, 0, TEXT_INDEX_PENDING / 2);
	assert_int_equal(index_all(fixture), 0); /* not yet worth it */
	find(fixture, "needle", &hits);
	assert_int_equal(hits.covered, 0);
	assert_false(text_hits_exclude(&hits, 1));
	deliver_many(fixture, fixture->alice, TEXT_INDEX_PENDING / 2, COUNT - TEXT_INDEX_PENDING / 2);
	deliver_many(fixture, fixture->bob, 0, 5);
	assert_int_equal(index_all(fixture), COUNT);
	assert_int_equal(count_of(fixture, "NEEDLE"), COUNT / 10);
	assert_int_equal(count_of(fixture, "gr\xc3\x9c\xc3\x9f"
					   "e"),
			 COUNT);
	assert_int_equal(count_of(fixture, "\xe6\x9c\xac"), COUNT);
	assert_int_equal(count_of(fixture, "\xe6\x9c\xac\xe6\x97\xa5"), 0);
	assert_int_equal(count_of(fixture, "number123"), 1);
	assert_int_equal(count_of(fixture, "<b>"), COUNT / 2);    /* plain text keeps it */
	assert_int_equal(count_of(fixture, "hay&co"), COUNT / 2); /* HTML's "&amp;" is read */
	assert_int_equal(count_of(fixture, "nothing like it"), 0);
	find(fixture, "ab", &hits);
	assert_int_equal(hits.covered, 0); /* too short */
	/* what comes later isn't covered */
	find(fixture, "word77x", &hits);
	assert_int_equal(hits.count, 1);
	assert_false(text_hits_exclude(&hits, hits.emails[0]));
	assert_true(text_hits_exclude(&hits, hits.emails[0] + 1));
	assert_false(text_hits_exclude(&hits, hits.covered + 1));
	deliver_many(fixture, fixture->alice, COUNT, COUNT);
	assert_int_equal(index_all(fixture), COUNT);
	assert_int_equal(count_of(fixture, "needle"), 2 * COUNT / 10);
}

static void expunge(struct fixture *fixture, uint32_t from, uint32_t to)
{
	struct mailbox mailbox = fixture_mailbox(fixture, fixture->alice, "INBOX");
	uint32_t *uids = ARENA_ARRAY(&fixture->arena, uint32_t, to - from + 1), *expunged;
	size_t count = 0;
	struct flag_request request = {.uids = uids, .change = FLAGS_ADD, .flags = FLAG_DELETED, .unchanged_since = UINT64_MAX};
	uint32_t *modified;
	size_t modified_count;
	uint64_t modseq;

	for (uint32_t uid = from; uid <= to; uid++)
		uids[count++] = uid;
	request.uid_count = count;
	assert_int_equal(mailbox_change_flags(fixture->store, &fixture->arena, fixture->alice, mailbox.id, &request, &modified,
					      &modified_count, &modseq),
			 STATUS_OK);
	assert_int_equal(
		mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, mailbox.id, NULL, 0, &expunged, &count),
		STATUS_OK);
}

static void tidy_all(struct fixture *fixture, size_t expected)
{
	int64_t account = 1;
	size_t rewritten, all = 0;
	bool more;

	do {
		assert_int_equal(text_index_tidy(fixture->store, NULL, &account, &rewritten, &more), STATUS_OK);
		all += rewritten;
	} while (more);
	assert_int_equal(all, expected);
}

static void test_what_is_gone(void **state)
{
	struct fixture *fixture = *state;
	int64_t before;

	deliver_many(fixture, fixture->alice, 0, COUNT);
	assert_int_equal(index_all(fixture), COUNT);
	tidy_all(fixture, 0);
	before = fixture_number(fixture, "SELECT sum(length(postings)) FROM text_posting");
	expunge(fixture, 1, 200);
	tidy_all(fixture, 1);
	assert_int_equal(count_of(fixture, "needle"), 5);
	assert_int_equal(count_of(fixture, "word10x"), 0);
	assert_int_equal(count_of(fixture, "word210x"), 1);
	assert_true(fixture_number(fixture, "SELECT sum(length(postings)) FROM text_posting") < before);
	tidy_all(fixture, 0);
	expunge(fixture, 201, COUNT);
	tidy_all(fixture, 1);
	tidy_all(fixture, 0);
	assert_int_equal(count_of(fixture, "needle"), 0);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM text_posting"), 0);
}

/* Faults of the store: an index that is whole or not there, and later it is made. */
static enum status fail_at(void *context)
{
	int *statements = context;

	return (*statements)-- == 0 ? STATUS_TEMPORARY : STATUS_OK;
}

static void test_faults(void **state)
{
	struct fixture *fixture = *state;
	int statements;

	deliver_many(fixture, fixture->alice, 0, COUNT);
	for (int at = 0; at < 1200; at += at < 4 ? 1 : 97) {
		int64_t account = 1;
		size_t indexed;
		enum status status;

		statements = at;
		fixture_set_fault(fixture, fail_at, &statements);
		status = text_index_step(fixture->store, NULL, &account, &indexed);
		fixture_set_fault(fixture, NULL, NULL);
		if (status == STATUS_OK && indexed)
			break;
		assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM text_posting"), 0);
	}
	index_all(fixture);
	assert_int_equal(count_of(fixture, "needle"), COUNT / 10);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trigrams),
		FIXTURE_TEST(test_finds),
		FIXTURE_TEST(test_what_is_gone),
		FIXTURE_TEST(test_faults),
	};

	return FIXTURE_MAIN(argc, argv, "text_index", tests);
}
