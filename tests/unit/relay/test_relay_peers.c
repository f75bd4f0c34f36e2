/* The relay and peers that misbehave, or that know less than others. */
#include "relay_fixture.h"

static void try_again(struct relay_fixture *f)
{
	const struct queue_filter all = {.state = -1};
	size_t count;

	assert_int_equal(queue_retry(f->store->store, &all, &count), STATUS_OK);
	relay_retry(f->relay);
}

/* ---- trouble at each stage of the first connection; the second one is good ---- */

struct trouble {
	struct script_line lines[3];
	const char *reply; /* part of what the queue remembers */
};

static const struct trouble TROUBLES[] = {
	/* the connection is lost */
	{{{AT_GREETING, NULL, 0, ANSWER_DROP}}, "connection closed by the peer from remote.example [127.0.0.1] at greeting"},
	{{{AT_EHLO, NULL, 0, ANSWER_DROP}}, "at EHLO"},
	{{{AT_MAIL, NULL, 0, ANSWER_DROP}}, "at MAIL FROM"},
	{{{AT_RCPT, NULL, 0, ANSWER_DROP}}, "at RCPT TO"},
	{{{AT_DATA, NULL, 0, ANSWER_DROP}}, "at DATA"},
	{{{AT_BODY, NULL, 0, ANSWER_DROP}}, "at end of data"},
	{{{AT_END, NULL, 0, ANSWER_DROP}}, "at end of data"},
	/* nothing comes */
	{{{AT_GREETING, NULL, 0, ANSWER_HANG}}, "time-out"},
	{{{AT_EHLO, NULL, 0, ANSWER_HANG}}, "time-out"},
	{{{AT_MAIL, NULL, 0, ANSWER_HANG}}, "time-out"},
	{{{AT_RCPT, NULL, 0, ANSWER_HANG}}, "time-out"},
	{{{AT_DATA, NULL, 0, ANSWER_HANG}}, "time-out"},
	{{{AT_BODY, NULL, 0, ANSWER_HANG}}, "time-out"},
	{{{AT_END, NULL, 0, ANSWER_HANG}}, "time-out"},
	/* what is no reply */
	{{{AT_GREETING, NULL, 0, "SSH-2.0-OpenSSH_9.2\r\n"}}, "garbled reply"},
	{{{AT_EHLO, NULL, 0, "\x16\x03\x01\r\n"}}, "garbled reply"},
	{{{AT_MAIL, NULL, 0, "+OK\r\n"}}, "garbled reply"},
	{{{AT_RCPT, NULL, 0, "250-a\r\n550 b\r\n"}}, "garbled reply"},
	{{{AT_DATA, NULL, 0, "2500 x\r\n"}}, "garbled reply"},
	{{{AT_END, NULL, 0, "OK\r\n"}}, "garbled reply"},
	/* refusals before any mail are the peer's trouble, not the message's */
	{{{AT_GREETING, NULL, 0, "554 5.7.1 no service\r\n"}}, "554 5.7.1 no service"},
	{{{AT_GREETING, NULL, 0, "421-4.3.2 busy\r\n421 4.3.2 come later\r\n"}}, "421-4.3.2 busy\n421 4.3.2 come later"},
	{{{AT_EHLO, NULL, 0, "550 no\r\n"}, {AT_HELO, NULL, 0, "550 5.7.1 not you\r\n"}}, "550 5.7.1 not you"},
	/* refusals of mail that pass */
	{{{AT_MAIL, NULL, 0, "421 4.3.2 closing\r\n"}}, "421 4.3.2 closing"},
	{{{AT_MAIL, NULL, 0, "451 4.3.0 later\r\n"}}, "451 4.3.0 later"},
	{{{AT_DATA, NULL, 0, "451-4.3.0 much\r\n451-4.3.0 later\r\n451 4.3.0 again\r\n"}},
	 "451-4.3.0 much\n451-4.3.0 later\n451 4.3.0 again"},
	{{{AT_END, NULL, 0, "452 4.3.1 disk full\r\n"}}, "452 4.3.1 disk full"},
};

static void check_trouble(struct relay_fixture *f, const struct trouble *trouble, const char *ehlo)
{
	struct fake_server server = {.answer = scripted, .context = (void *)trouble->lines, .ehlo = ehlo};
	struct queue_items left;

	fake_server_start(&server);
	/* Short only where it is waited for: the machine may be busy. */
	int limit_ms = strcmp(trouble->reply, "time-out") == 0 ? 1000 : 20000;

	f->options.timeouts = (struct relay_timeouts){20000, limit_ms, limit_ms, limit_ms, limit_ms, limit_ms, 200, -1};
	relay_fixture_queue(f, &(struct letter){.recipients = {"x@remote.example", "y@remote.example"}, .size = 20000});
	relay_fixture_start(f, server.port);
	assert_true(relay_fixture_wait(f, 0, 2, 0));
	left = relay_fixture_items(f);
	assert_int_equal(left.count, 2);
	if (!has(left.items[1].last_reply, trouble->reply))
		fail_msg("%.*s, not %s", SLICE_ARG(left.items[1].last_reply), trouble->reply);
	assert_int_equal(server.count, 0);
	try_again(f);
	assert_true(relay_fixture_wait(f, 2, 2, 0));
	assert_int_equal(server.count, 1);
	assert_string_equal(server.messages[0].recipients, "x@remote.example y@remote.example ");
	assert_int_equal(relay_fixture_items(f).count, 0);
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

static void trouble(void **state)
{
	for (size_t i = 0; i < sizeof(TROUBLES) / sizeof(TROUBLES[0]); i++)
		print_message("trouble %zu\n", i), check_trouble(*state, &TROUBLES[i], NULL);
	assert_int_equal(relay_fixture_inbox(*state, ((struct relay_fixture *)*state)->store->alice, NULL), 0);
}

static void trouble_stepwise(void **state)
{
	for (size_t i = 2; i < sizeof(TROUBLES) / sizeof(TROUBLES[0]); i += 2)
		check_trouble(*state, &TROUBLES[i], "250 peer.example\r\n");
}

/* Permanent refusals: a bounce, with all lines of what was said. */
static void refusals(void **state)
{
	static const struct {
		struct script_line lines[2];
		const char *text;
	} TABLE[] = {
		{{{AT_MAIL, NULL, -1, "550 5.7.1 not from there\r\n"}}, "5.7.1"},
		{{{AT_RCPT, NULL, -1, "550-5.1.1 no\r\n550 5.1.1 such user\r\n"}}, "such user"},
		{{{AT_DATA, NULL, -1, "554 5.5.1 no\r\n"}}, "5.5.1"},
		{{{AT_END, NULL, -1, "554-5.7.1 spam\r\n554 5.7.1 see http://peer.example/\r\n"}}, "http://peer.example/"},
	};
	struct relay_fixture *f = *state;

	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct fake_server server = {.answer = scripted, .context = (void *)TABLE[i].lines};
		struct slice text;

		fake_server_start(&server);
		relay_fixture_queue_to(f, "x@remote.example");
		relay_fixture_start(f, server.port);
		assert_true(relay_fixture_wait(f, 0, 0, 1));
		assert_int_equal(relay_fixture_inbox(f, f->store->alice, &text), i + 1);
		assert_true(has(text, TABLE[i].text));
		assert_int_equal(relay_fixture_items(f).count, 0);
		relay_fixture_stop(f);
		fake_server_stop(&server);
	}
}

/* ---- what peers offer ---- */

struct ability {
	const char *ehlo;
	struct letter letter;
	const char *mail_line, *rcpt_lines; /* NULL: it is bounced */
	const char *status;
};

static void check_ability(struct relay_fixture *f, const struct ability *ability)
{
	struct fake_server server = {.ehlo = ability->ehlo};
	bool sent = ability->mail_line != NULL;
	struct slice text = SLICE_EMPTY;

	fake_server_start(&server);
	relay_fixture_queue(f, &ability->letter);
	relay_fixture_start(f, server.port);
	assert_true(relay_fixture_wait(f, sent, 0, !sent));
	relay_fixture_stop(f);
	assert_int_equal(server.count, sent);
	if (sent) {
		assert_string_equal(server.messages[0].mail_line, ability->mail_line);
		assert_string_equal(server.messages[0].rcpt_lines, ability->rcpt_lines);
	}
	(void)relay_fixture_inbox(f, f->store->alice, &text);
	if (ability->status)
		assert_true(has(text, ability->status));
	fake_server_stop(&server);
}

static void abilities(void **state)
{
	static const char DSN[] = "250-peer.example\r\n250-PIPELINING\r\n250 DSN\r\n", BARE[] = "250 peer.example\r\n",
			  SMALL[] = "250-peer.example\r\n250 SIZE 200\r\n",
			  EIGHT[] = "250-peer.example\r\n250-8bitmime\r\n250 SmtpUtf8\r\n";
	static const struct ability TABLE[] = {
		{DSN,
		 {.recipients = {"x@remote.example"},
		  .envelope_id = "QQ+2B1",
		  .original_recipient = "rfc822;o@else.example",
		  .notify = NOTIFY_SUCCESS | NOTIFY_DELAY,
		  .dsn_return = DSN_RETURN_FULL},
		 "MAIL FROM:<alice@example.test> RET=FULL ENVID=QQ+2B1",
		 "RCPT TO:<x@remote.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o@else.example\n",
		 NULL},
		{BARE,
		 {.recipients = {"x@remote.example"}, .body_8bit = true, .dsn_return = DSN_RETURN_FULL},
		 "MAIL FROM:<alice@example.test>",
		 "RCPT TO:<x@remote.example>\n",
		 NULL},
		{EIGHT,
		 {.recipients = {"x@remote.example"}, .body_8bit = true, .needs_utf8 = true},
		 "MAIL FROM:<alice@example.test> BODY=8BITMIME SMTPUTF8",
		 "RCPT TO:<x@remote.example>\n",
		 NULL},
		{BARE, {.recipients = {"x@remote.example"}, .needs_utf8 = true}, NULL, NULL, "5.6.7"},
		{SMALL, {.recipients = {"x@remote.example"}, .size = 1000}, NULL, NULL, "5.3.4"},
		/* RFC 3461 section 6.1: the peer knows no DSN, so it is we who tell of the success. */
		{BARE,
		 {.recipients = {"x@remote.example"}, .notify = NOTIFY_SUCCESS},
		 "MAIL FROM:<alice@example.test>",
		 "RCPT TO:<x@remote.example>\n",
		 "Action: relayed"},
	};

	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++)
		check_ability(*state, &TABLE[i]);
}

/* Pipelining: the envelope comes in one go; without it each command waits for its reply. Seen by a server that thinks before each
 * answer. */
static void pipelining(void **state)
{
	static const char *const EHLO[] = {"250-peer.example\r\n250 PIPELINING\r\n", "250 peer.example\r\n"};
	struct relay_fixture *f = *state;

	for (size_t i = 0; i < 2; i++) {
		struct fake_server server = {.ehlo = EHLO[i]};

		fake_server_start(&server);
		relay_fixture_queue(f, &(struct letter){.recipients = {"x@remote.example", "y@remote.example"}});
		relay_fixture_start(f, server.port);
		assert_true(relay_fixture_wait(f, 2, 0, 0));
		relay_fixture_stop(f);
		fake_server_stop(&server);
		assert_int_equal(server.commands_at_once, i == 0 ? 4 : 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {RELAY_TEST(trouble), RELAY_TEST(trouble_stepwise), RELAY_TEST(refusals),
					   RELAY_TEST(abilities), RELAY_TEST(pipelining)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
