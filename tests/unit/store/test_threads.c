/* Threads: what belongs together, in whatever order it comes; and a message's thread never changes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "store/invariants.h"
#include "store/threads.h"
#include "store_fixture.h"

static int64_t email_of(struct fixture *fixture, uint32_t uid)
{
	struct mailbox mailbox;
	struct mailbox_entry *entries;
	int64_t email = 0;
	size_t count;

	assert_int_equal(mailbox_load(fixture->store, &fixture->arena, fixture->alice, MAILBOX_INBOX_ID, &mailbox, &entries, &count),
			 STATUS_OK);
	for (size_t i = 0; i < count; i++)
		email = entries[i].uid == uid ? entries[i].email : email;
	free(entries);
	return email;
}

/* `references`: a header field or nothing. The email's id. */
static int64_t deliver(struct fixture *fixture, const char *id, const char *subject, const char *references)
{
	struct buf text;

	buf_init(&text, &fixture->arena, 0);
	buf_printf(&text, "Subject: %s\r\n%s", subject, references);
	if (*id)
		buf_printf(&text, "Message-ID: <%s>\r\n", id);
	buf_add_literal(&text, "\r\nText\r\n");
	return email_of(fixture, fixture_deliver(fixture, fixture->alice, buf_slice(&text)));
}

static int64_t thread_of(struct fixture *fixture, int64_t email)
{
	int64_t thread;

	assert_int_equal(threads_catch_up(fixture->store, fixture->alice), STATUS_OK);
	assert_int_equal(threads_of(fixture->store, &fixture->arena, fixture->alice, &email, 1, &thread), STATUS_OK);
	return thread;
}

static void assert_members(struct fixture *fixture, int64_t thread, const int64_t *expected, size_t expected_count)
{
	int64_t *emails;
	size_t count;

	assert_int_equal(thread_members(fixture->store, &fixture->arena, fixture->alice, thread, &emails, &count), STATUS_OK);
	assert_int_equal(count, expected_count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(emails[i], expected[i]);
}

static void assert_sound(struct fixture *fixture)
{
	struct store_violation *violations;
	size_t count;

	assert_int_equal(store_check_invariants(fixture->store, &fixture->arena, &violations, &count), STATUS_OK);
	assert_int_equal(count, 0);
}

static void test_answers(void **state)
{
	struct fixture *fixture = *state;
	int64_t a = deliver(fixture, "a@x", "Plans", ""), b = deliver(fixture, "b@x", "Re: plans", "In-Reply-To: <a@x>\r\n");
	int64_t other = deliver(fixture, "o@x", "Plans", ""), c, lone = deliver(fixture, "", "Plans", "");

	assert_int_equal(thread_of(fixture, a), a);
	assert_int_equal(thread_of(fixture, b), a);
	assert_int_equal(thread_of(fixture, other), other);
	assert_int_equal(thread_of(fixture, lone), lone);
	c = deliver(fixture, "c@x", "AW: Re: Antw:Plans", "References: <a@x> <b@x>\r\n");
	assert_int_equal(thread_of(fixture, c), a);
	assert_members(fixture, a, (int64_t[]){a, b, c}, 3);
	assert_members(fixture, lone, (int64_t[]){lone}, 1);
	assert_members(fixture, b, NULL, 0);
	assert_members(fixture, c + 1000, NULL, 0);
	assert_sound(fixture);
}

static void test_new_subject(void **state)
{
	struct fixture *fixture = *state;
	int64_t a = deliver(fixture, "a@x", "Plans", ""), b = deliver(fixture, "b@x", "Lunch", "In-Reply-To: <a@x>\r\n");
	int64_t c = deliver(fixture, "c@x", "Re: lunch", "References: <a@x> <b@x>\r\n");

	assert_int_equal(thread_of(fixture, a), a);
	assert_int_equal(thread_of(fixture, b), b);
	assert_int_equal(thread_of(fixture, c), b);
}

/* Answers come before what they answer. */
static void test_out_of_order(void **state)
{
	struct fixture *fixture = *state;
	int64_t c = deliver(fixture, "c@x", "Re: Plans", "References: <a@x> <b@x>\r\n");
	int64_t b = deliver(fixture, "b@x", "Re: Plans", "References: <a@x>\r\n"), a, d;

	assert_int_equal(thread_of(fixture, c), c);
	assert_int_equal(thread_of(fixture, b), c);
	a = deliver(fixture, "a@x", "Plans", "");
	assert_int_equal(thread_of(fixture, a), c);
	/* two threads that a third message knows of: it joins that of what it answers, and nothing moves */
	d = deliver(fixture, "d@x", "Plans", "");
	assert_int_equal(thread_of(fixture, d), d);
	int64_t e = deliver(fixture, "e@x", "Re: Plans", "References: <a@x> <d@x>\r\n");

	assert_int_equal(thread_of(fixture, e), d);
	assert_int_equal(thread_of(fixture, a), c);
	assert_members(fixture, c, (int64_t[]){c, b, a}, 3);
	assert_sound(fixture);
}

static void expunge(struct fixture *fixture, uint32_t uid)
{
	struct flag_request request = {.uids = &uid, .uid_count = 1, .flags = FLAG_DELETED, .unchanged_since = UINT64_MAX};
	uint64_t modseq;
	uint32_t *expunged;
	size_t count;

	assert_int_equal(mailbox_change_flags(fixture->store, &fixture->arena, fixture->alice, MAILBOX_INBOX_ID, &request, NULL,
					      NULL, &modseq),
			 STATUS_OK);
	assert_int_equal(mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, MAILBOX_INBOX_ID, NULL, 0, &expunged,
					 &count),
			 STATUS_OK);
	assert_int_equal(count, 1);
}

static void test_expunged(void **state)
{
	struct fixture *fixture = *state;
	int64_t a = deliver(fixture, "a@x", "Plans", ""), b = deliver(fixture, "b@x", "Re: Plans", "References: <a@x>\r\n");
	int64_t account = 1, c;
	size_t removed, total = 0;
	unsigned part = 0;
	bool more;

	assert_int_equal(thread_of(fixture, b), a);
	expunge(fixture, 1);
	assert_members(fixture, a, (int64_t[]){b}, 1);
	c = deliver(fixture, "c@x", "Re: Plans", "References: <a@x>\r\n");
	assert_int_equal(thread_of(fixture, c), a);
	expunge(fixture, 2);
	expunge(fixture, 3);
	assert_members(fixture, a, NULL, 0);
	assert_sound(fixture);
	/* nothing is left of it, so its names are forgotten, all of them once */
	do {
		assert_int_equal(threads_tidy(fixture->store, &account, &part, &removed, &more), STATUS_OK);
		total += removed;
	} while (more);
	assert_int_equal(total, 3);
	c = deliver(fixture, "d@x", "Re: Plans", "References: <a@x>\r\n");
	assert_int_equal(thread_of(fixture, c), c);
}

/* More than fit into a transaction; then jobs does it, for those accounts that were asked for. */
static void test_many(void **state)
{
	struct fixture *fixture = *state;
	int64_t first = 0, last = 0, account = 1;
	size_t threaded;

	for (int i = 0; i < 1100; i++) {
		char id[32], reference[64];

		snprintf(id, sizeof(id), "m%d@x", i);
		snprintf(reference, sizeof(reference), "References: <m%d@x>\r\n", i - 1);
		fixture_deliver(fixture, fixture->bob, SLICE("Subject: nobody asks\r\n\r\n"));
		last = deliver(fixture, id, "Chain", i > 0 ? reference : "");
		first = i == 0 ? last : first;
	}
	assert_int_equal(threads_step(fixture->store, &account, &threaded), STATUS_OK);
	assert_int_equal(threaded, 0);
	assert_int_equal(thread_of(fixture, last), first);
	last = deliver(fixture, "z@x", "Chain", "References: <m1099@x>\r\n");
	account = 1;
	assert_int_equal(threads_step(fixture->store, &account, &threaded), STATUS_OK);
	assert_int_equal(threaded, 1);
	assert_int_equal(threads_step(fixture->store, &account, &threaded), STATUS_OK);
	assert_int_equal(threaded, 0);
	assert_int_equal(threads_of(fixture->store, &fixture->arena, fixture->alice, &last, 1, &account), STATUS_OK);
	assert_int_equal(account, first);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_answers), FIXTURE_TEST(test_new_subject), FIXTURE_TEST(test_out_of_order),
		FIXTURE_TEST(test_expunged), FIXTURE_TEST(test_many),
	};

	return FIXTURE_MAIN(argc, argv, "threads", tests);
}
