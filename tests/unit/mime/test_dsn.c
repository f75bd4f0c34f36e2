#include "fixture.h"

#include "mime/dsn.h"
#include "mime/message.h"

static struct slice written(struct arena *arena, const struct dsn *dsn)
{
	struct buf out;

	buf_init(&out, arena, 0);
	dsn_write(&out, dsn);
	return buf_slice(&out);
}

static struct dsn example(const struct dsn_recipient *recipients, size_t count)
{
	return (struct dsn){
		.reporting_mta = SLICE("mx.example.org"),
		.to = SLICE("alice@example.org"),
		.token = SLICE("abcdefghijklmnopqrstuvwxyz"),
		.queue_id = SLICE("BCDFGHJKLMNPQRST"),
		.envelope_id = SLICE("QQ314159"),
		.arrival_ms = 1767225600000,
		.now_ms = 1767229200000,
		.recipients = recipients,
		.recipient_count = count,
		.original = SLICE("Subject: hello\r\n\r\n"),
	};
}

static void a_failure(void **state)
{
	static const struct dsn_recipient recipient = {
		.final = {"bob@example.net", 15},
		.original = {"rfc822;Bob@example.net", 22},
		.action = DSN_FAILED,
		.status = {"5.1.1", 5},
		.remote_mta = {"mx.example.net", 14},
		.diagnostic = {"550-5.1.1 no such\n550 5.1.1 user", 32},
		.last_attempt_ms = 1767229200000,
	};
	struct arena arena SCOPED_ARENA;
	struct dsn dsn = example(&recipient, 1);

	(void)state;
	assert_slice(&arena, written(&arena, &dsn),
		     "Date: Thu, 1 Jan 2026 01:00:00 +0000\r\n"
		     "From: Mail Delivery System <MAILER-DAEMON@mx.example.org>\r\n"
		     "To: <alice@example.org>\r\n"
		     "Subject: Undelivered mail returned to sender\r\n"
		     "Message-ID: <abcdefghijklmnopqrstuvwxyz@mx.example.org>\r\n"
		     "Auto-Submitted: auto-replied\r\n"
		     "MIME-Version: 1.0\r\n"
		     "Content-Type: multipart/report; report-type=delivery-status;\r\n"
		     "\tboundary=\"abcdefghijklmnopqrstuvwxyz\"\r\n"
		     "\r\n"
		     "This is a delivery status notification in MIME format (RFC 3464).\r\n"
		     "\r\n--abcdefghijklmnopqrstuvwxyz\r\n"
		     "Content-Type: text/plain; charset=us-ascii\r\n"
		     "\r\n"
		     "This is the mail system at mx.example.org.\r\n"
		     "\r\n"
		     "Your message could not be delivered to:\r\n"
		     "\r\n"
		     "  <bob@example.net>\r\n"
		     "    mx.example.net said:\r\n"
		     "    550-5.1.1 no such\r\n"
		     "    550 5.1.1 user\r\n"
		     "\r\n"
		     "It came here as BCDFGHJKLMNPQRST. Its header is below.\r\n"
		     "\r\n--abcdefghijklmnopqrstuvwxyz\r\n"
		     "Content-Type: message/delivery-status\r\n"
		     "\r\n"
		     "Original-Envelope-Id: QQ314159\r\n"
		     "Reporting-MTA: dns; mx.example.org\r\n"
		     "X-Posthorn-Queue-Id: BCDFGHJKLMNPQRST\r\n"
		     "Arrival-Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
		     "\r\n"
		     "Original-Recipient: rfc822;Bob@example.net\r\n"
		     "Final-Recipient: rfc822; bob@example.net\r\n"
		     "Action: failed\r\n"
		     "Status: 5.1.1\r\n"
		     "Remote-MTA: dns; mx.example.net\r\n"
		     "Diagnostic-Code: smtp; 550-5.1.1 no such 550 5.1.1 user\r\n"
		     "Last-Attempt-Date: Thu, 1 Jan 2026 01:00:00 +0000\r\n"
		     "\r\n--abcdefghijklmnopqrstuvwxyz\r\n"
		     "Content-Type: text/rfc822-headers\r\n"
		     "\r\n"
		     "Subject: hello\r\n"
		     "\r\n"
		     "\r\n--abcdefghijklmnopqrstuvwxyz--\r\n");
}

static bool holds(struct slice text, const char *what)
{
	return slice_find(text, slice_from_cstr(what)) != SLICE_NOT_FOUND;
}

static void actions(void **state)
{
	static const struct {
		enum dsn_action action;
		const char *subject, *people, *programs;
	} table[] = {
		{DSN_FAILED, "Subject: Undelivered mail returned to sender\r\n",
		 "could not be delivered to:", "Action: failed\r\n"},
		{DSN_DELAYED, "Subject: Delayed mail, still being tried\r\n", "need not send it again", "Action: delayed\r\n"},
		{DSN_DELIVERED, "Subject: Mail was delivered\r\n", "was delivered to:", "Action: delivered\r\n"},
		{DSN_RELAYED, "Subject: Mail was passed on\r\n", "gives no notice of delivery", "Action: relayed\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		struct dsn_recipient recipient = {.final = SLICE("b@c"), .action = table[i].action, .status = SLICE("2.0.0")};
		struct dsn dsn = example(&recipient, 1);
		struct slice text = written(&arena, &dsn);

		assert_true(holds(text, table[i].subject));
		assert_true(holds(text, table[i].people));
		assert_true(holds(text, table[i].programs));
		assert_false(holds(text, "Remote-MTA"));
		assert_false(holds(text, "Diagnostic-Code"));
		assert_false(holds(text, "Original-Recipient"));
		assert_false(holds(text, "Will-Retry-Until"));
	}
}

static void a_delay_of_ours(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct dsn_recipient recipient = {
		.final = SLICE("b@c"),
		.action = DSN_DELAYED,
		.status = SLICE("4.4.1"),
		.diagnostic = SLICE("no answer"),
		.diagnostic_is_ours = true,
		.remote_mta = SLICE("[192.0.2.1]"),
		.retry_until_ms = 1767225600000,
	};
	struct dsn dsn = example(&recipient, 1);
	struct slice text = written(&arena, &dsn);

	(void)state;
	assert_true(holds(text, "Diagnostic-Code: x-posthorn; no answer\r\n"));
	assert_true(holds(text, "Remote-MTA: dns; [192.0.2.1]\r\n"));
	assert_true(holds(text, "Will-Retry-Until: Thu, 1 Jan 2026 00:00:00 +0000\r\n"));
	assert_true(holds(text, "It is tried until Thu, 1 Jan 2026 00:00:00 +0000.\r\n"));
	assert_false(holds(text, "said:"));
}

/* RFC 6533 */
static void in_utf8(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct dsn_recipient recipient = {
		.final = SLICE("jörg@example.net"),
		.original = SLICE("utf-8;jörg@example.net"),
		.action = DSN_FAILED,
		.status = SLICE("5.1.1"),
		.remote_mta = SLICE("mx"),
		.diagnostic = SLICE("550 größer"),
	};
	struct dsn dsn = example(&recipient, 1);
	struct slice text;

	(void)state;
	assert_true(dsn_needs_utf8(&dsn));
	text = written(&arena, &dsn);
	assert_true(holds(text, "report-type=global-delivery-status;"));
	assert_true(holds(text, "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n"));
	assert_true(holds(text, "Content-Type: message/global-headers\r\n"));
	assert_true(holds(text, "Final-Recipient: utf-8; jörg@example.net\r\n"));
	assert_true(holds(text, "Original-Recipient: utf-8;jörg@example.net\r\n"));
	assert_true(holds(text, "Diagnostic-Code: smtp; 550 größer\r\n"));
	recipient.final = SLICE("bob@example.net");
	recipient.original = SLICE_EMPTY;
	dsn.original_is_whole = true;
	dsn.original = SLICE("Subject: x\n\ngrößer\n");
	assert_false(dsn_needs_utf8(&dsn));
	text = written(&arena, &dsn);
	assert_true(holds(text, "Diagnostic-Code: smtp; 550 gr????er\r\n"));
	/* RFC 2045 section 6.4: the whole says so too. */
	assert_true(holds(text, "wxyz\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"));
	assert_true(holds(
		text, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: x\r\n\r\ngrößer\r\n"));
	dsn.to = SLICE("ä@example.org");
	assert_true(dsn_needs_utf8(&dsn));
	assert_true(holds(written(&arena, &dsn), "Content-Type: message/global\r\n"));
}

/* A peer can't write fields, parts or lines of its own. */
static void hostile_texts(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct buf endless;
	struct dsn_recipient recipient = {
		.final = SLICE("b\r\nX-Evil: 1@c"),
		.original = SLICE("rfc822;\r\n\r\n--abcdefghijklmnopqrstuvwxyz--\r\n"),
		.action = DSN_FAILED,
		.status = SLICE("5.0.0"),
		.remote_mta = SLICE("mx\nX-Evil: 2"),
	};
	struct dsn dsn = example(&recipient, 1);
	struct slice text;

	(void)state;
	buf_init(&endless, &arena, 0);
	for (int i = 0; i < 3000; i++)
		buf_add_literal(&endless, "\xc3\xa4\r\0\x7f"
					  "a");
	for (int i = 0; i < 1000; i++)
		buf_add_literal(&endless, "\nX-Evil: 3");
	recipient.diagnostic = buf_slice(&endless);
	for (int utf8 = 0; utf8 < 2; utf8++) {
		dsn.to = utf8 ? SLICE("ä@b") : SLICE("a@b");
		text = written(&arena, &dsn);
		assert_false(holds(text, "\nX-Evil"));
		assert_int_equal(message_parse(&arena, text, NULL)->root->child_count, 3);
		assert_true(utf8 ? slice_is_utf8(text) : slice_is_ascii(text));
		assert_true(text.len < 8000);
		while (text.len > 0) {
			struct slice line = slice_cut(&text, '\n');

			assert_true(line.len <= 999 && line.data[line.len - 1] == '\r');
			assert_null(memchr(line.data, '\0', line.len));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure), cmocka_unit_test(actions),       cmocka_unit_test(a_delay_of_ours),
		cmocka_unit_test(in_utf8),   cmocka_unit_test(hostile_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
