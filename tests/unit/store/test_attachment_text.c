/* What was read in attachments: kept with its message, of one edition; the index that holds it, and how the work goes on. */
#include <stdio.h>
#include <stdlib.h>

#include "mime/words.h"
#include "store/text_index.h"
#include "store_fixture.h"

#define COUNT 220
#define ONE   INT64_C(1001) /* editions */
#define TWO   INT64_C(2002)

/* Every tenth message has an attachment: its structure isn't a single part's. */
static bool wants(const void *context, struct arena *arena, struct slice structure)
{
	struct message *message = message_unpack(arena, structure, SLICE_EMPTY);

	(void)context;
	return message && message->part_count > 1;
}
static const struct attachment_edition edition_one = {ONE, wants, NULL}, edition_two = {TWO, wants, NULL};

static void deliver_many(struct fixture *fixture, int64_t account, int from, int count)
{
	for (int i = from; i < from + count; i++) {
		struct buf text SCOPED_BUF;

		if (i % 10 == 0)
			buf_printf(&text,
				   "Subject: s%d\r\nContent-Type: multipart/mixed; "
				   "boundary=b\r\n\r\n--b\r\n\r\nhay\r\n--b\r\nContent-Type: "
				   "application/pdf\r\n\r\nx\r\n--b--\r\n",
				   i);
		else
			buf_printf(&text, "Subject: s%d\r\n\r\nhay\r\n", i);
		fixture_deliver(fixture, account, buf_slice(&text));
	}
}

static enum status write(struct fixture *fixture, int64_t email, int64_t edition, const char *first, const char *second)
{
	struct buf packed SCOPED_BUF;

	attachment_texts_add(&packed, &(struct attachment_text){100, 5, slice_from_cstr(first)});
	attachment_texts_add(&packed, &(struct attachment_text){70000, UINT64_MAX >> 2, slice_from_cstr(second)});
	return attachment_texts_write(fixture->store, email >> 32, email, edition, buf_slice(&packed));
}

static void assert_texts(struct fixture *fixture, int64_t email, int64_t edition, const char *first, const char *second)
{
	struct attachment_text text;
	struct slice packed;

	assert_int_equal(attachment_texts_read(fixture->store, &fixture->arena, email >> 32, email, edition, &packed),
			 STATUS_OK);
	assert_true(attachment_texts_next(&packed, &text));
	assert_true(slice_eq(text.utf8, slice_from_cstr(first)));
	assert_true(text.part == 100 && text.reader == 5);
	assert_true(attachment_texts_next(&packed, &text));
	assert_true(slice_eq(text.utf8, slice_from_cstr(second)));
	assert_true(text.part == 70000 && text.reader == UINT64_MAX >> 2);
	assert_false(attachment_texts_next(&packed, &text));
}

static int64_t first_email(struct fixture *fixture)
{
	return fixture_number(fixture, "SELECT min(id) FROM email");
}

static void test_texts(void **state)
{
	struct fixture *fixture = *state;
	static char large[3000001];
	struct slice packed;
	int64_t email;

	deliver_many(fixture, fixture->alice, 0, 2);
	email = first_email(fixture);
	assert_int_equal(attachment_texts_read(fixture->store, &fixture->arena, fixture->alice, email, ONE, &packed),
			 STATUS_NOT_FOUND);
	assert_int_equal(write(fixture, email, ONE, "first", ""), STATUS_OK);
	assert_texts(fixture, email, ONE, "first", "");
	assert_int_equal(write(fixture, email, ONE, "later", "x"), STATUS_OK);
	assert_texts(fixture, email, ONE, "first", "");
	assert_int_equal(attachment_texts_read(fixture->store, &fixture->arena, fixture->alice, email, TWO, &packed),
			 STATUS_NOT_FOUND);
	assert_texts(fixture, email, ATTACHMENT_ANY_EDITION, "first", "");
	/* another edition takes its place, in many chunks */
	for (size_t i = 0; i < sizeof(large) - 1; i++)
		large[i] = (char)('a' + rand() % 26);
	assert_int_equal(write(fixture, email, TWO, large, "behind"), STATUS_OK);
	assert_texts(fixture, email, TWO, large, "behind");
	assert_true(fixture_number(fixture, "SELECT count(*) FROM attachment_text") > 4);
	assert_int_equal(write(fixture, email, ONE, "short", "again"), STATUS_OK);
	assert_texts(fixture, email, ONE, "short", "again");
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM attachment_text"), 1);
	assert_int_equal(write(fixture, email + 1000, ONE, "no", "message"), STATUS_NOT_FOUND);
	fixture_check_invariants(fixture);
}

static void test_damage(void **state)
{
	static const char *const packed[] = {"\x01", "\x01\x01",
					     ("\x01\x01\x05"
					      "abc"),
					     "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
					     "\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f"};
	struct attachment_text text;

	(void)state;
	for (size_t i = 0; i < sizeof(packed) / sizeof(packed[0]); i++) {
		struct slice rest = slice_from_cstr(packed[i]);

		assert_false(attachment_texts_next(&rest, &text));
	}
}

static void expunge_all(struct fixture *fixture, int64_t account)
{
	struct mailbox mailbox = fixture_mailbox(fixture, account, "INBOX");
	uint32_t *uids = ARENA_ARRAY(&fixture->arena, uint32_t, mailbox.messages), *expunged, *modified;
	struct flag_request request = {.uids = uids,
				       .uid_count = mailbox.messages,
				       .change = FLAGS_ADD,
				       .flags = FLAG_DELETED,
				       .unchanged_since = UINT64_MAX};
	size_t count;
	uint64_t modseq;

	for (uint32_t i = 0; i < mailbox.messages; i++)
		uids[i] = i + 1;
	assert_int_equal(mailbox_change_flags(fixture->store, &fixture->arena, account, mailbox.id, &request, &modified, &count,
					      &modseq),
			 STATUS_OK);
	assert_int_equal(mailbox_expunge(fixture->store, &fixture->arena, account, mailbox.id, NULL, 0, &expunged, &count),
			 STATUS_OK);
}

static void test_goes_with_the_message(void **state)
{
	struct fixture *fixture = *state;

	deliver_many(fixture, fixture->alice, 0, 3);
	assert_int_equal(write(fixture, first_email(fixture), ONE, "first", "second"), STATUS_OK);
	expunge_all(fixture, fixture->alice);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM attachment_text"), 0);
	fixture_check_invariants(fixture);
}

/* ---- the work ---- */

/* Reads what waits, all of it or so many batches. The number of messages that were seen. */
static size_t work(struct fixture *fixture, const struct attachment_edition *edition, const char *text, unsigned batches)
{
	struct attachment_batch batch;
	size_t seen = 0;

	for (; batches > 0; batches--) {
		struct arena arena SCOPED_ARENA;

		assert_int_equal(attachment_batch_next(fixture->store, &arena, edition->number, 1, &batch), STATUS_OK);
		if (batch.account == 0)
			break;
		for (size_t i = 0; i < batch.count; i++, seen++) {
			if (wants(NULL, &arena, batch.sources[i].structure))
				assert_int_equal(write(fixture, batch.sources[i].email, edition->number, text, "and more"),
						 STATUS_OK);
		}
		assert_int_equal(attachment_batch_done(fixture->store, edition->number, &batch), STATUS_OK);
	}
	return seen;
}

static void test_batches(void **state)
{
	struct fixture *fixture = *state;
	struct attachment_state progress;

	assert_int_equal(work(fixture, &edition_one, "x", 10), 0); /* both accounts, empty */
	deliver_many(fixture, fixture->alice, 0, COUNT);
	deliver_many(fixture, fixture->bob, 0, 3);
	assert_int_equal(work(fixture, &edition_one, "x", 1), 200);
	assert_int_equal(work(fixture, &edition_one, "x", 100), COUNT - 200 + 3);
	assert_int_equal(work(fixture, &edition_one, "x", 100), 0);
	assert_int_equal(attachment_state_of(fixture->store, fixture->alice, &progress), STATUS_OK);
	assert_int_equal(progress.edition, ONE);
	assert_int_equal(progress.messages, COUNT / 10);
	deliver_many(fixture, fixture->alice, COUNT, 1);
	assert_int_equal(work(fixture, &edition_one, "x", 100), 1);
	/* another edition begins at the beginning */
	assert_int_equal(work(fixture, &edition_two, "y", 100), COUNT + 1 + 3);
	assert_int_equal(work(fixture, &edition_two, "y", 100), 0);
	fixture_check_invariants(fixture);
}

static void find(struct fixture *fixture, const char *text, int64_t edition, struct text_hits *hits)
{
	struct buf folded;

	buf_init(&folded, &fixture->arena, 0);
	text_fold(&folded, slice_from_cstr(text));
	assert_int_equal(
		text_index_find(fixture->store, &fixture->arena, fixture->alice, buf_slice(&folded), edition, 100, hits),
		STATUS_OK);
}

static size_t count_of(struct fixture *fixture, const char *text, int64_t edition)
{
	struct text_hits hits;

	find(fixture, text, edition, &hits);
	return hits.count;
}

static size_t index_all(struct fixture *fixture, const struct attachment_edition *edition)
{
	int64_t account = 1;
	size_t indexed, all = 0;

	do {
		assert_int_equal(text_index_step(fixture->store, edition, &account, &indexed), STATUS_OK);
		all += indexed;
	} while (indexed);
	return all;
}

static size_t renew_all(struct fixture *fixture, const struct attachment_edition *edition)
{
	int64_t account = 1;
	size_t rewritten, all = 0;

	do {
		assert_int_equal(text_index_renew(fixture->store, edition, &account, &rewritten), STATUS_OK);
		all += rewritten;
	} while (rewritten);
	return all;
}

static void test_index(void **state)
{
	struct fixture *fixture = *state;
	struct text_hits hits;

	deliver_many(fixture, fixture->alice, 0, COUNT);
	/* without attachments: for who looks into them it says nothing of anybody */
	assert_int_equal(index_all(fixture, NULL), COUNT);
	assert_int_equal(count_of(fixture, "needle", 0), 0);
	find(fixture, "needle", ONE, &hits);
	assert_int_equal(hits.count, COUNT);
	assert_int_equal(hits.percents[0], TEXT_INDEX_UNKNOWN);
	assert_int_equal(renew_all(fixture, &edition_one), 0); /* nothing has been read yet */
	/* once all has been read it is written anew */
	assert_int_equal(work(fixture, &edition_one,
			      "a N\xc3\xa9"
			      "edle",
			      100),
			 COUNT);
	assert_int_equal(renew_all(fixture, &edition_one), 1);
	assert_int_equal(renew_all(fixture, &edition_one), 0);
	find(fixture,
	     "n\xc3\xa9"
	     "edle",
	     ONE, &hits);
	assert_int_equal(hits.count, COUNT / 10);
	assert_int_equal(hits.percents[0], 100);
	assert_int_equal(count_of(fixture, "and more", ONE), COUNT / 10);
	assert_int_equal(count_of(fixture, "nothing", ONE), 0);
	assert_int_equal(count_of(fixture, "needle", TWO), COUNT);
	/* one message is read by another edition: its segment no longer counts */
	assert_int_equal(write(fixture, first_email(fixture), TWO, "other", "text"), STATUS_OK);
	assert_int_equal(count_of(fixture, "nothing", ONE), COUNT);
	fixture_check_invariants(fixture);
}

/* The index doesn't get ahead of what was read; what should have been and wasn't may hold anything. */
static void test_order(void **state)
{
	struct fixture *fixture = *state;
	struct text_hits hits;

	deliver_many(fixture, fixture->alice, 0, 2 * COUNT);
	assert_int_equal(index_all(fixture, &edition_one), 0);
	assert_int_equal(work(fixture, &edition_one, "needle", 1), 200);
	assert_int_equal(index_all(fixture, &edition_one), 200);
	assert_int_equal(count_of(fixture, "needle", ONE), 20);
	assert_int_equal(work(fixture, &edition_one, "needle", 100), 2 * COUNT - 200);
	fixture_number(fixture,
		       "DELETE FROM attachment_text WHERE email = (SELECT max(email) FROM attachment_text) RETURNING 1");
	assert_int_equal(index_all(fixture, &edition_one), 2 * COUNT - 200);
	assert_int_equal(count_of(fixture, "needle", ONE), 2 * COUNT / 10);
	find(fixture, "nothing", ONE, &hits);
	assert_int_equal(hits.count, 1);
	assert_int_equal(hits.percents[0], TEXT_INDEX_UNKNOWN);
}

static void test_forget(void **state)
{
	struct fixture *fixture = *state;
	struct text_index_state index;

	deliver_many(fixture, fixture->alice, 0, 10 * COUNT);
	assert_int_equal(work(fixture, &edition_one, "needle", 100), 10 * COUNT);
	assert_int_equal(index_all(fixture, &edition_one), 10 * COUNT);
	assert_int_equal(text_index_state_of(fixture->store, fixture->alice, &index), STATUS_OK);
	assert_int_equal(index.messages, 10 * COUNT);
	assert_true(index.segments >= 3 && index.bytes > 0 && index.last_email > 0);
	assert_int_equal(text_index_forget(fixture->store, fixture->alice), STATUS_OK);
	assert_int_equal(fixture_number(fixture,
					"SELECT (SELECT count(*) FROM attachment_text) + (SELECT count(*) FROM "
					"attachment_progress WHERE account = 1)"
					" + (SELECT count(*) FROM text_segment) + (SELECT count(*) FROM text_posting)"),
			 0);
	assert_int_equal(work(fixture, &edition_one, "needle", 100), 10 * COUNT);
	assert_int_equal(index_all(fixture, &edition_one), 10 * COUNT);
	assert_int_equal(count_of(fixture, "needle", ONE), COUNT);
}

static void test_account_goes(void **state)
{
	struct fixture *fixture = *state;

	deliver_many(fixture, fixture->alice, 0, COUNT);
	assert_int_equal(work(fixture, &edition_one, "needle", 100), COUNT);
	assert_int_equal(directory_remove_account(fixture->store, SLICE("alice@example.test")), STATUS_OK);
	assert_int_equal(directory_finish_removals(fixture->store), STATUS_OK);
	assert_int_equal(
		fixture_number(fixture,
			       "SELECT (SELECT count(*) FROM attachment_text) + (SELECT count(*) FROM attachment_progress"
			       " WHERE account = 1)"),
		0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_texts),   cmocka_unit_test(test_damage),   FIXTURE_TEST(test_goes_with_the_message),
		FIXTURE_TEST(test_batches), FIXTURE_TEST(test_index),        FIXTURE_TEST(test_order),
		FIXTURE_TEST(test_forget),  FIXTURE_TEST(test_account_goes),
	};

	return FIXTURE_MAIN(argc, argv, "attachment_text", tests);
}
