/* Messages: delivery, append, reading, flags, expunge, copy and move, following changes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "mime/search_text.h"
#include "store/email_texts.h"
#include "store_fixture.h"

#define INBOX MAILBOX_INBOX_ID

static int64_t create(struct fixture *fixture, const char *name)
{
	int64_t id = 0;

	assert_int_equal(mailbox_create(fixture->store, fixture->alice, slice_from_cstr(name), SLICE_EMPTY, &id), STATUS_OK);
	return id;
}

static uint64_t modseq_of(struct fixture *fixture, int64_t mailbox)
{
	uint64_t modseq = 0;

	assert_int_equal(mailbox_highest_modseq(fixture->store, fixture->alice, mailbox, &modseq), STATUS_OK);
	return modseq;
}

static void deliver_many(struct fixture *fixture, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "many", 600 + i));
}

static enum status set_flags(struct fixture *fixture, int64_t mailbox, const uint32_t *uids, size_t count, enum flag_change change,
			     uint64_t flags)
{
	struct flag_request request = {uids, count, change, flags, UINT64_MAX};

	return mailbox_change_flags(fixture->store, &fixture->arena, fixture->alice, mailbox, &request, NULL, NULL, NULL);
}

struct loaded {
	struct mailbox mailbox;
	struct mailbox_entry *entries;
	size_t count;
};

static struct loaded load(struct fixture *fixture, int64_t mailbox)
{
	struct loaded loaded;
	struct mailbox_entry *entries;

	assert_int_equal(mailbox_load(fixture->store, &fixture->arena, fixture->alice, mailbox, &loaded.mailbox, &entries,
				      &loaded.count),
			 STATUS_OK);
	loaded.entries = ARENA_ARRAY(&fixture->arena, struct mailbox_entry, loaded.count);
	memcpy(loaded.entries, entries, loaded.count * sizeof *entries);
	free(entries);
	return loaded;
}

/* ---- delivery ---- */

static void test_deliver_one(void **state)
{
	struct fixture *fixture = *state;
	struct slice message = fixture_message(&fixture->arena, "one", 4000);
	uint32_t uid = fixture_deliver(fixture, fixture->alice, message);
	struct loaded inbox = load(fixture, INBOX);

	assert_int_equal(uid, 1);
	assert_int_equal(inbox.count, 1);
	assert_int_equal(inbox.entries[0].size, message.len);
	assert_int_equal(inbox.mailbox.unseen, 1);
	assert_int_equal(inbox.mailbox.uid_next, 2);
	assert_int_equal(inbox.mailbox.size_bytes, message.len);
	assert_int_equal(inbox.entries[0].modseq, inbox.mailbox.highest_modseq);
	assert_true(slice_eq(fixture_read(fixture, fixture->alice, INBOX, uid), message));
	fixture_check_invariants(fixture);
}

static bool copy_email(void *context, const struct email *email)
{
	struct email *copy = context;

	*copy = *email;
	static char structure[4096], envelope[4096], body[4096], body_structure[4096];

	assert_true(email->structure.len <= sizeof structure && email->envelope.len <= sizeof envelope);
	memcpy(structure, email->structure.data, email->structure.len);
	memcpy(envelope, email->envelope.data, email->envelope.len);
	memcpy(body, email->body.data, email->body.len);
	memcpy(body_structure, email->body_structure.data, email->body_structure.len);
	copy->structure.data = structure;
	copy->envelope.data = envelope;
	copy->body.data = body;
	copy->body_structure.data = body_structure;
	return true;
}

static const char multipart[] =
	"From: sender@example.org\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	"--b\r\nContent-Type: text/plain\r\n\r\nText.\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nInner text.\r\n"
	"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n";

/* Each target's own header is part of its message: size and offsets count it, as if the whole had been parsed. */
static void test_headers_of_targets(void **state)
{
	struct fixture *fixture = *state;
	static const char *const headers[] = {"Return-Path: <>\r\nDelivered-To: alice@example.test\r\n", "", "Delivered-To: b\r\n",
					      "Delivered-To: c\r\n"};
	struct delivery_target targets[4];
	struct delivery delivery = {.queue_id = SLICE("Q"),
				    .received_ms = 1795532400123,
				    .bytes = slice_from_cstr(multipart),
				    .targets = targets,
				    .target_count = 4};

	for (int i = 0; i < 4; i++)
		targets[i] = (struct delivery_target){.account = i % 2 ? fixture->bob : fixture->alice,
						      .headers = slice_from_cstr(headers[i])};
	assert_int_equal(store_deliver(fixture->store, &delivery), STATUS_OK);
	for (int i = 0; i < 4; i++) {
		struct slice parts[] = {slice_from_cstr(headers[i]), slice_from_cstr(multipart)};
		struct slice whole = slice_join(&fixture->arena, parts, 2);
		struct email_facts facts;
		struct email email = {0};

		email_facts(&fixture->arena, whole, &facts);
		assert_int_equal(targets[i].status, STATUS_OK);
		assert_true(slice_eq(fixture_read(fixture, targets[i].account, INBOX, targets[i].uid), whole));
		assert_int_equal(email_scan(fixture->store, targets[i].account, INBOX, &targets[i].uid, 1,
					    EMAIL_STRUCTURE | EMAIL_ENVELOPE | EMAIL_BODY | EMAIL_BODY_STRUCTURE, copy_email, &email),
				 STATUS_OK);
		assert_int_equal(email.size, whole.len);
		assert_int_equal(email.received_ms, 1795532400123);
		assert_true(slice_eq(email.structure, facts.structure));
		assert_true(slice_eq(email.envelope, facts.envelope));
		assert_true(slice_eq(email.body, facts.body));
		assert_true(slice_eq(email.body_structure, facts.body_structure));
	}
	fixture_check_invariants(fixture);
}

static void test_deliver_to_mailboxes(void **state)
{
	struct fixture *fixture = *state;
	struct delivery_target targets[] = {
		{.account = fixture->alice, .mailbox = SLICE("Lists/New"), .flags = FLAG_SEEN},
		{.account = fixture->bob, .mailbox = SLICE("Junk")},
		{.account = 777},
		{.account = fixture->bob, .mailbox = SLICE("Gone")},
		{.account = 0},
	};
	struct delivery delivery = {
		.queue_id = SLICE("Q"), .received_ms = 1, .bytes = SLICE("A: b\r\n\r\nc\r\n"), .targets = targets, .target_count = 5};

	create(fixture, "Lists/New");
	assert_int_equal(store_deliver(fixture->store, &delivery), STATUS_OK);
	assert_int_equal(targets[0].status, STATUS_OK);
	assert_int_equal(targets[1].status, STATUS_OK);
	assert_int_equal(targets[2].status, STATUS_NOT_FOUND);
	assert_int_equal(targets[3].status, STATUS_OK);
	assert_int_equal(targets[3].mailbox.len, 0);
	assert_int_equal(fixture_mailbox(fixture, fixture->bob, "INBOX").messages, 1);
	assert_int_equal(targets[4].status, STATUS_NOT_FOUND);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "Lists/New").unseen, 0);
	assert_int_equal(fixture_mailbox(fixture, fixture->bob, "Junk").messages, 1);
	/* All or nothing: the first that fails undoes the others. */
	delivery.all_or_nothing = true;
	assert_int_equal(store_deliver(fixture->store, &delivery), STATUS_NOT_FOUND);
	assert_int_not_equal(targets[0].status, STATUS_OK);
	assert_int_equal(fixture_mailbox(fixture, fixture->bob, "Junk").messages, 1);
	fixture_check_invariants(fixture);
}

static void test_quota(void **state)
{
	struct fixture *fixture = *state;
	struct slice message = fixture_message(&fixture->arena, "quota", 1000);
	uint32_t uids[] = {1, 2}, *source, *target, uid_validity, uid;
	size_t count;
	int64_t copies = create(fixture, "Copies");
	struct email_facts facts;

	email_facts(&fixture->arena, message, &facts);
	struct append_request append = {fixture->alice, INBOX, &facts, 0, 1};

	assert_int_equal(directory_set_quota(fixture->store, SLICE("alice@example.test"), message.len * 2, 0), STATUS_OK);
	fixture_deliver(fixture, fixture->alice, message);
	fixture_deliver(fixture, fixture->alice, message);
	assert_int_equal(fixture_try_deliver(fixture, fixture->alice, message, NULL), STATUS_LIMIT);
	assert_int_equal(store_append(fixture->store, &append, 1, &uid, &uid_validity), STATUS_LIMIT);
	assert_int_equal(mailbox_copy(fixture->store, &fixture->arena, fixture->alice, INBOX, copies, uids, 2, false, &source, &target,
				      &count, &uid_validity),
			 STATUS_LIMIT);
	assert_int_equal(count, 0);
	/* A move takes no more room. */
	assert_int_equal(mailbox_copy(fixture->store, &fixture->arena, fixture->alice, INBOX, copies, uids, 2, true, &source, &target,
				      &count, &uid_validity),
			 STATUS_OK);
	assert_int_equal(directory_set_quota(fixture->store, SLICE("alice@example.test"), 0, 2), STATUS_OK);
	assert_int_equal(fixture_try_deliver(fixture, fixture->alice, message, NULL), STATUS_LIMIT);
	assert_int_equal(fixture_try_deliver(fixture, fixture->bob, message, NULL), STATUS_OK);
	fixture_check_invariants(fixture);
}

/* ---- append ---- */

static void test_append(void **state)
{
	struct fixture *fixture = *state;
	int64_t drafts = fixture_mailbox(fixture, fixture->alice, "Drafts").id;
	struct email_facts facts[3];
	struct append_request requests[3];
	uint32_t uids[3], uid_validity;

	for (int i = 0; i < 3; i++) {
		email_facts(&fixture->arena, fixture_message(&fixture->arena, "draft", 500 + (size_t)i * 100), &facts[i]);
		requests[i] = (struct append_request){fixture->alice, drafts, &facts[i], FLAG_DRAFT | FLAG_SEEN, 1000 + i};
	}
	assert_int_equal(store_append(fixture->store, requests, 3, uids, &uid_validity), STATUS_OK);
	assert_int_equal(uids[0], 1);
	assert_int_equal(uids[2], 3);
	struct loaded loaded = load(fixture, drafts);

	assert_int_equal(uid_validity, loaded.mailbox.uid_validity);
	assert_int_equal(loaded.count, 3);
	assert_int_equal(loaded.entries[1].received_ms, 1001);
	assert_int_equal(loaded.entries[1].flags, FLAG_DRAFT | FLAG_SEEN);
	/* RFC 3502: all or none. */
	requests[2].mailbox = 999;
	assert_int_equal(store_append(fixture->store, requests, 3, uids, &uid_validity), STATUS_NOT_FOUND);
	assert_int_equal(load(fixture, drafts).count, 3);
	fixture_check_invariants(fixture);
}

/* RFC 5322 section 4.5.4: what stands in ids but is no part of them. */
static void test_ids(void **state)
{
	struct fixture *fixture = *state;
	struct email_facts facts;

	email_facts(&fixture->arena,
		    SLICE("Message-ID: <a (x (y)) @\r\n b>\r\nReferences: <\"c(d) e\"@f>\r\n <g\r\n @h> (<i@j>) "
			  "k@l\r\nIn-Reply-To: <m@n>\r\n\r\n"),
		    &facts);
	assert_true(slice_eq(facts.message_id, SLICE("a@b")));
	assert_true(slice_eq(facts.references, SLICE("\"c(d)e\"@f g@h i@j m@n")));
	email_facts(&fixture->arena, SLICE("Message-ID: a @b (c)\r\nReferences: <> < > <(>\r\n\r\n"), &facts);
	assert_true(slice_eq(facts.message_id, SLICE("a@b")));
	assert_int_equal(facts.references.len, 0);
}

/* ---- reading ---- */

static void check_size(struct fixture *fixture, size_t size)
{
	struct slice message = fixture_message(&fixture->arena, "sizes", size);
	uint32_t uid = fixture_deliver(fixture, fixture->alice, message);
	struct slice read = fixture_read(fixture, fixture->alice, INBOX, uid), piece;
	struct loaded inbox = load(fixture, INBOX);
	int64_t email = inbox.entries[inbox.count - 1].email;
	struct email_reader *reader;
	uint64_t offset = 0;

	if (message.len <= EMAIL_BYTES_MAX)
		assert_true(slice_eq(read, message));
	else
		assert_null(read.data);
	assert_int_equal(email_open(fixture->store, &fixture->arena, fixture->alice, email, &reader), STATUS_OK);
	assert_int_equal(email_reader_size(reader), message.len);
	while (email_read(reader, offset, &piece) == STATUS_OK && piece.len > 0) {
		assert_true(slice_eq(piece, slice_sub(message, offset, offset + piece.len)));
		offset += piece.len;
	}
	assert_int_equal(offset, message.len);
	/* Anywhere, backwards. */
	for (uint64_t at = message.len; at > 0; at -= at < 100000 ? at : 100000) {
		assert_int_equal(email_read(reader, at - 1, &piece), STATUS_OK);
		assert_int_equal(piece.data[0], message.data[at - 1]);
	}
	email_close(reader);
}

static void test_sizes(void **state)
{
	struct fixture *fixture = *state;
	static const size_t sizes[] = {0,	   5000,	  8000,		 9000,	 BLOB_CHUNK - 40, BLOB_CHUNK + 50, BLOB_CHUNK * 2,
				       1000000, EMAIL_BYTES_MAX + 100, 3000000};

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		check_size(fixture, sizes[i]);
	fixture_check_invariants(fixture);
}

/* What doesn't compress is stored as it is. */
static void test_incompressible(void **state)
{
	struct fixture *fixture = *state;
	struct buf text;
	uint64_t x = 88172645463325252;

	buf_init(&text, &fixture->arena, 0);
	buf_add_literal(&text, "Subject: noise\r\n\r\n");
	for (int i = 0; i < 200000; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		buf_add(&text, slice_of((const char *)&x, sizeof x));
	}
	struct slice message = slice_sub(buf_slice(&text), 0, 900000);
	uint32_t uid = fixture_deliver(fixture, fixture->alice, message);

	assert_true(slice_eq(fixture_read(fixture, fixture->alice, INBOX, uid), message));
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM blob WHERE encoding <> 0"), 0);
}

static bool has_whole_header(void *context, const struct email *email)
{
	*(bool *)context = slice_find(email->bytes, SLICE("\r\n\r\n")) != SLICE_NOT_FOUND;
	return true;
}

static void test_header_only(void **state)
{
	struct fixture *fixture = *state;
	struct buf text;
	uint32_t uids[2];

	uids[0] = fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "large", 3000000));
	buf_init(&text, &fixture->arena, 0);
	for (int i = 0; i < 6000; i++)
		buf_printf(&text, "X-Field-%d: a header that is longer than the first chunk of the message\r\n", i);
	buf_add_literal(&text, "\r\nBody.\r\n");
	uids[1] = fixture_deliver(fixture, fixture->alice, buf_slice(&text));
	for (int i = 0; i < 2; i++) {
		bool whole = false;

		assert_int_equal(email_scan(fixture->store, fixture->alice, INBOX, &uids[i], 1, EMAIL_HEADER, has_whole_header, &whole),
				 STATUS_OK);
		assert_true(whole);
	}
}

struct seen {
	uint32_t uids[300];
	size_t count, stop_after;
};

static bool note_uid(void *context, const struct email *email)
{
	struct seen *seen = context;

	seen->uids[seen->count++] = email->uid;
	return seen->count != seen->stop_after;
}

/* Whatever the pattern of uids asked for and there, each that is both comes once, in order. */
static void test_scan_patterns(void **state)
{
	struct fixture *fixture = *state;
	static const unsigned wanted[] = {0, EMAIL_ENVELOPE, EMAIL_BYTES, EMAIL_BYTES | EMAIL_STRUCTURE};
	uint32_t uids[200], *expunged;
	size_t count;

	deliver_many(fixture, 150);
	for (uint32_t i = 0; i < 50; i++)
		uids[i] = i * 3 + 1;
	assert_int_equal(set_flags(fixture, INBOX, uids, 50, FLAGS_ADD, FLAG_DELETED), STATUS_OK);
	assert_int_equal(mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, INBOX, NULL, 0, &expunged, &count), STATUS_OK);
	assert_int_equal(count, 50);
	for (uint32_t step = 1; step < 40; step += 3)
		for (size_t w = 0; w < 4; w++) {
			struct seen seen = {0};
			size_t asked = 0, expected = 0;

			for (uint32_t uid = 1; uid <= 160; uid += step)
				uids[asked++] = uid;
			assert_int_equal(email_scan(fixture->store, fixture->alice, INBOX, uids, asked, wanted[w], note_uid, &seen),
					 STATUS_OK);
			for (size_t i = 0; i < asked; i++)
				if (uids[i] <= 150 && uids[i] % 3 != 1)
					assert_int_equal(seen.uids[expected++], uids[i]);
			assert_int_equal(seen.count, expected);
		}
	struct seen stopped = {.stop_after = 3};

	assert_int_equal(email_scan(fixture->store, fixture->alice, INBOX, uids, 2, 0, note_uid, &stopped), STATUS_OK);
	for (uint32_t i = 0; i < 150; i++)
		uids[i] = i + 1;
	stopped.count = 0;
	assert_int_equal(email_scan(fixture->store, fixture->alice, INBOX, uids, 150, EMAIL_BYTES, note_uid, &stopped), STATUS_OK);
	assert_int_equal(stopped.count, 3);
}

/* ---- flags ---- */

static void test_flags(void **state)
{
	struct fixture *fixture = *state;
	uint32_t uids[] = {1, 2, 4, 99};
	uint64_t modseq;

	deliver_many(fixture, 5);
	assert_int_equal(set_flags(fixture, INBOX, uids, 4, FLAGS_ADD, FLAG_SEEN | FLAG_FLAGGED), STATUS_OK);
	struct loaded inbox = load(fixture, INBOX);

	assert_int_equal(inbox.mailbox.unseen, 2);
	assert_int_equal(inbox.entries[0].flags, FLAG_SEEN | FLAG_FLAGGED);
	assert_int_equal(inbox.entries[2].flags, 0);
	assert_int_equal(inbox.entries[0].modseq, inbox.mailbox.highest_modseq);
	assert_int_equal(inbox.entries[3].modseq, inbox.mailbox.highest_modseq);
	/* Nothing changes: nothing is raised. */
	struct flag_request again = {uids, 4, FLAGS_ADD, FLAG_SEEN, UINT64_MAX};

	assert_int_equal(mailbox_change_flags(fixture->store, &fixture->arena, fixture->alice, INBOX, &again, NULL, NULL, &modseq), 0);
	assert_int_equal(modseq, 0);
	assert_int_equal(modseq_of(fixture, INBOX), inbox.mailbox.highest_modseq);
	assert_int_equal(set_flags(fixture, INBOX, uids, 1, FLAGS_REMOVE, FLAG_SEEN), STATUS_OK);
	assert_int_equal(set_flags(fixture, INBOX, uids + 1, 1, FLAGS_REPLACE, FLAG_DELETED | 1ULL << FLAG_KEYWORD_LAST), STATUS_OK);
	inbox = load(fixture, INBOX);
	assert_int_equal(inbox.entries[0].flags, FLAG_FLAGGED);
	assert_true(inbox.entries[1].flags == (FLAG_DELETED | 1ULL << FLAG_KEYWORD_LAST));
	assert_int_equal(inbox.mailbox.deleted, 1);
	assert_int_equal(inbox.mailbox.unseen, 4);
	assert_int_equal(set_flags(fixture, 999, uids, 1, FLAGS_ADD, FLAG_SEEN), STATUS_NOT_FOUND);
	fixture_check_invariants(fixture);
}

/* RFC 7162 section 3.1.3. */
static void test_unchanged_since(void **state)
{
	struct fixture *fixture = *state;
	uint32_t uids[] = {1, 2, 3}, *modified;
	size_t count;
	uint64_t modseq, since;

	deliver_many(fixture, 3);
	since = modseq_of(fixture, INBOX);
	assert_int_equal(set_flags(fixture, INBOX, uids + 1, 1, FLAGS_ADD, FLAG_ANSWERED), STATUS_OK);
	struct flag_request request = {uids, 3, FLAGS_ADD, FLAG_SEEN, since};

	assert_int_equal(mailbox_change_flags(fixture->store, &fixture->arena, fixture->alice, INBOX, &request, &modified, &count,
					      &modseq),
			 STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(modified[0], 2);
	assert_true(modseq > since);
	struct loaded inbox = load(fixture, INBOX);

	assert_int_equal(inbox.entries[0].flags, FLAG_SEEN);
	assert_int_equal(inbox.entries[1].flags, FLAG_ANSWERED);
}

/* ---- expunge, copy, move ---- */

static void test_expunge(void **state)
{
	struct fixture *fixture = *state;
	uint32_t uids[] = {2, 3, 5}, some[] = {1, 3}, *expunged;
	size_t count;

	deliver_many(fixture, 5);
	assert_int_equal(set_flags(fixture, INBOX, uids, 3, FLAGS_ADD, FLAG_DELETED), STATUS_OK);
	assert_int_equal(mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, INBOX, some, 2, &expunged, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(expunged[0], 3);
	assert_int_equal(mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, INBOX, NULL, 0, &expunged, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(expunged[1], 5);
	/* A uid is never given out again, not even the highest. */
	assert_int_equal(fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "next", 500)), 6);
	fixture_reopen(fixture);
	assert_int_equal(fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "next", 500)), 7);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM email"), 4);
	fixture_check_invariants(fixture);
}

static void test_copy_shares_the_body(void **state)
{
	struct fixture *fixture = *state;
	int64_t copies = create(fixture, "Copies");
	uint32_t uids[] = {1, 2, 77}, *source, *target, *expunged, uid_validity;
	size_t count;

	deliver_many(fixture, 3);
	assert_int_equal(set_flags(fixture, INBOX, uids, 1, FLAGS_ADD, FLAG_FLAGGED), STATUS_OK);
	assert_int_equal(mailbox_copy(fixture->store, &fixture->arena, fixture->alice, INBOX, copies, uids, 3, false, &source, &target,
				      &count, &uid_validity),
			 STATUS_OK);
	assert_int_equal(count, 2);
	assert_int_equal(source[1], 2);
	assert_int_equal(target[1], 2);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM email"), 3);
	assert_int_equal(load(fixture, copies).entries[0].flags, FLAG_FLAGGED);
	assert_int_equal(load(fixture, copies).mailbox.uid_validity, uid_validity);
	/* The original goes, the copy stays, and takes the body with it. */
	assert_int_equal(set_flags(fixture, INBOX, uids, 2, FLAGS_ADD, FLAG_DELETED), STATUS_OK);
	assert_int_equal(mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, INBOX, NULL, 0, &expunged, &count), 0);
	assert_true(fixture_read(fixture, fixture->alice, copies, 1).len > 0);
	fixture_check_invariants(fixture);
	assert_int_equal(set_flags(fixture, copies, uids, 2, FLAGS_ADD, FLAG_DELETED), STATUS_OK);
	assert_int_equal(mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, copies, NULL, 0, &expunged, &count), 0);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM email"), 1);
	fixture_check_invariants(fixture);
}

static void test_move(void **state)
{
	struct fixture *fixture = *state;
	int64_t archive = fixture_mailbox(fixture, fixture->alice, "Archive").id;
	uint32_t uids[] = {1, 3}, *source, *target, uid_validity;
	size_t count;

	deliver_many(fixture, 3);
	assert_int_equal(mailbox_copy(fixture->store, &fixture->arena, fixture->alice, INBOX, archive, uids, 2, true, &source, &target,
				      &count, &uid_validity),
			 STATUS_OK);
	assert_int_equal(load(fixture, INBOX).count, 1);
	assert_int_equal(load(fixture, archive).count, 2);
	/* Within one mailbox: new uids. */
	assert_int_equal(mailbox_copy(fixture->store, &fixture->arena, fixture->alice, archive, archive, target, 2, true, &source,
				      &target, &count, &uid_validity),
			 STATUS_OK);
	assert_int_equal(target[0], 3);
	assert_int_equal(load(fixture, archive).count, 2);
	assert_int_equal(mailbox_copy(fixture->store, &fixture->arena, fixture->alice, INBOX, 999, uids, 2, true, &source, &target,
				      &count, &uid_validity),
			 STATUS_NOT_FOUND);
	fixture_check_invariants(fixture);
}

/* ---- following ---- */

static struct mailbox_changes changes_since(struct fixture *fixture, int64_t mailbox, uint64_t modseq)
{
	struct mailbox_changes changes;

	assert_int_equal(mailbox_changes_since(fixture->store, &fixture->arena, fixture->alice, mailbox, modseq, &changes), STATUS_OK);
	return changes;
}

static void test_changes(void **state)
{
	struct fixture *fixture = *state;
	uint32_t uids[] = {2, 3, 4}, *expunged;
	size_t count;

	deliver_many(fixture, 5);
	uint64_t start = modseq_of(fixture, INBOX);

	assert_int_equal(changes_since(fixture, INBOX, start).changed_count, 0);
	assert_int_equal(changes_since(fixture, INBOX, 0).changed_count, 5);
	assert_int_equal(set_flags(fixture, INBOX, uids, 3, FLAGS_ADD, FLAG_DELETED), STATUS_OK);
	assert_int_equal(mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, INBOX, uids, 2, &expunged, &count), 0);
	fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "six", 500));
	struct mailbox_changes changes = changes_since(fixture, INBOX, start);

	assert_false(changes.too_old);
	assert_int_equal(changes.changed_count, 2);
	assert_int_equal(changes.changed[0].uid, 4);
	assert_int_equal(changes.changed[0].flags, FLAG_DELETED);
	assert_int_equal(changes.changed[1].uid, 6);
	assert_int_equal(changes.expunged_count, 2);
	assert_int_equal(changes.expunged[0], 2);
	assert_int_equal(changes.expunged[1], 3);
	assert_int_equal(changes.mailbox.messages, 4);
	/* Other mailboxes' changes are not this one's. */
	assert_int_equal(changes_since(fixture, fixture_mailbox(fixture, fixture->alice, "Sent").id, start).changed_count, 0);
	assert_int_equal(mailbox_changes_since(fixture->store, &fixture->arena, fixture->alice, 999, 0, &changes), STATUS_NOT_FOUND);
}

/* Whatever happens, a view kept up to date from the log equals one loaded anew. */
static void follow(struct fixture *fixture, struct loaded *view)
{
	struct mailbox_changes changes = changes_since(fixture, INBOX, view->mailbox.highest_modseq);
	struct mailbox_entry *next = ARENA_ARRAY(&fixture->arena, struct mailbox_entry, view->count + changes.changed_count);
	size_t count = 0, changed = 0;

	for (size_t i = 0; i < view->count; i++) {
		bool gone = false;

		for (size_t j = 0; j < changes.expunged_count; j++)
			gone = gone || changes.expunged[j] == view->entries[i].uid;
		if (gone)
			continue;
		if (changed < changes.changed_count && changes.changed[changed].uid == view->entries[i].uid)
			next[count++] = changes.changed[changed++];
		else
			next[count++] = view->entries[i];
	}
	while (changed < changes.changed_count)
		next[count++] = changes.changed[changed++];
	view->entries = next;
	view->count = count;
	view->mailbox = changes.mailbox;
}

static void act_at_random(struct fixture *fixture, int64_t other, unsigned *seed)
{
	uint32_t uids[8], *list, *target, uid_validity;
	size_t count, n = 0;

	for (uint32_t uid = 1 + (uint32_t)rand_r(seed) % 10; n < 8; uid += 1 + (uint32_t)rand_r(seed) % 9)
		uids[n++] = uid;
	switch (rand_r(seed) % 6) {
	case 0:
	case 1:
		deliver_many(fixture, 1 + (unsigned)rand_r(seed) % 3);
		break;
	case 2:
		assert_int_equal(set_flags(fixture, INBOX, uids, n, FLAGS_ADD, FLAG_DELETED | FLAG_SEEN), STATUS_OK);
		break;
	case 3:
		assert_int_equal(set_flags(fixture, INBOX, uids, n, FLAGS_REMOVE, FLAG_SEEN), STATUS_OK);
		break;
	case 4:
		assert_int_equal(mailbox_expunge(fixture->store, &fixture->arena, fixture->alice, INBOX, uids, n, &list, &count), 0);
		break;
	default:
		assert_int_equal(mailbox_copy(fixture->store, &fixture->arena, fixture->alice, rand_r(seed) % 2 ? INBOX : other, INBOX,
					      uids, n, rand_r(seed) % 2, &list, &target, &count, &uid_validity),
				 STATUS_OK);
	}
}

static void test_view_follows(void **state)
{
	struct fixture *fixture = *state;
	int64_t other = create(fixture, "Other");
	struct loaded view = load(fixture, INBOX);
	unsigned seed = 4711;

	for (int i = 0; i < 120; i++) {
		for (int n = rand_r(&seed) % 4; n >= 0; n--)
			act_at_random(fixture, other, &seed);
		follow(fixture, &view);
		struct loaded anew = load(fixture, INBOX);

		assert_int_equal(view.count, anew.count);
		assert_int_equal(view.mailbox.highest_modseq, anew.mailbox.highest_modseq);
		for (size_t j = 0; j < anew.count; j++)
			assert_memory_equal(&view.entries[j], &anew.entries[j], sizeof view.entries[j]);
	}
	fixture_check_invariants(fixture);
}

static void test_trim(void **state)
{
	struct fixture *fixture = *state;
	size_t removed;

	deliver_many(fixture, 10);
	uint64_t old = modseq_of(fixture, INBOX);

	assert_int_equal(change_log_trim(fixture->store, 1000, 100, &removed), STATUS_OK);
	assert_int_equal(removed, 0);
	assert_int_equal(change_log_trim(fixture->store, clock_wall_ms() + 1000, 4, &removed), STATUS_OK);
	assert_true(removed >= 4);
	while (removed > 0)
		assert_int_equal(change_log_trim(fixture->store, clock_wall_ms() + 1000, 100, &removed), STATUS_OK);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM change"), 0);
	fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "new", 500));
	assert_true(changes_since(fixture, INBOX, 1).too_old);
	assert_false(changes_since(fixture, INBOX, old).too_old);
	assert_int_equal(changes_since(fixture, INBOX, old).changed_count, 1);
}

struct found_email {
	struct arena *arena;
	int64_t id;
	uint64_t size;
	struct slice structure;
};

static bool take_structure(void *context, const struct email *email)
{
	struct found_email *found = context;

	found->id = email->id;
	found->size = email->size;
	found->structure = slice_dup(found->arena, email->structure);
	return true;
}

static bool find_words(void *context, struct slice text, enum message_text_place place)
{
	(void)place;
	return slice_find(text, slice_from_cstr(context)) != SLICE_NOT_FOUND;
}

static bool has(struct fixture *fixture, const struct email_texts *texts, const char *words)
{
	char copy[40];

	snprintf(copy, sizeof(copy), "%s", words);
	return message_texts(&fixture->arena, texts->message, find_words, copy);
}

/* Of a large message the texts are read, wherever they stand, and what is between them isn't. */
static void test_texts_of_large(void **state)
{
	struct fixture *fixture = *state;
	struct found_email found = {.arena = &fixture->arena};
	struct email_texts texts;
	struct buf message;

	buf_init(&message, &fixture->arena, 0);
	buf_add_literal(&message, "Subject: first words\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsome text\r\n--b\r\n"
				  "Content-Type: application/octet-stream\r\n\r\n");
	for (int i = 0; i < 100000; i++)
		buf_printf(&message, "nothing to be read %d\r\n", i);
	buf_add_literal(&message, "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inside\r\n\r\nlast words\r\n--b--\r\n");
	uint32_t uid = fixture_deliver(fixture, fixture->alice, buf_slice(&message));

	assert_int_equal(email_scan(fixture->store, fixture->alice, INBOX, &uid, 1, EMAIL_STRUCTURE, take_structure, &found), STATUS_OK);
	assert_int_equal(email_texts_open(fixture->store, &fixture->arena, fixture->alice, found.id, found.size, found.structure, 1000,
					  &texts),
			 STATUS_OK);
	assert_int_equal(texts.bytes.len, found.size);
	assert_true(texts.read < 500);
	assert_true(has(fixture, &texts, "first words"));
	assert_true(has(fixture, &texts, "some text"));
	assert_true(has(fixture, &texts, "inside"));
	assert_true(has(fixture, &texts, "last words"));
	assert_false(has(fixture, &texts, "nothing to be read"));
	email_texts_close(&texts);
	/* more than one wants to read; a structure that can't be used */
	assert_int_equal(email_texts_open(fixture->store, &fixture->arena, fixture->alice, found.id, found.size, found.structure, 100,
					  &texts),
			 STATUS_LIMIT);
	assert_int_equal(email_texts_open(fixture->store, &fixture->arena, fixture->alice, found.id, found.size, SLICE("x"),
					  UINT64_MAX, &texts),
			 STATUS_OK);
	assert_int_equal(texts.read, found.size);
	assert_true(has(fixture, &texts, "last words"));
	email_texts_close(&texts);
	assert_int_equal(email_texts_open(fixture->store, &fixture->arena, fixture->alice, found.id + 10000, found.size,
					  found.structure, 1000, &texts),
			 STATUS_NOT_FOUND);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_deliver_one),
		FIXTURE_TEST(test_headers_of_targets),
		FIXTURE_TEST(test_deliver_to_mailboxes),
		FIXTURE_TEST(test_quota),
		FIXTURE_TEST(test_append),
		FIXTURE_TEST(test_ids),
		FIXTURE_TEST(test_sizes),
		FIXTURE_TEST(test_incompressible),
		FIXTURE_TEST(test_header_only),
		FIXTURE_TEST(test_scan_patterns),
		FIXTURE_TEST(test_flags),
		FIXTURE_TEST(test_unchanged_since),
		FIXTURE_TEST(test_expunge),
		FIXTURE_TEST(test_copy_shares_the_body),
		FIXTURE_TEST(test_move),
		FIXTURE_TEST(test_changes),
		FIXTURE_TEST(test_view_follows),
		FIXTURE_TEST(test_trim),
		FIXTURE_TEST(test_texts_of_large),
	};

	return FIXTURE_MAIN(argc, argv, "store/messages", tests);
}
