/* The SMTP client against a server that misbehaves at each stage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fake_server.h"
#include "relay/client.h"

/* ---- a body, and a parcel ---- */

struct text_body {
	struct slice text;
	size_t piece;
	enum status status; /* at the end */
};

static enum status read_text(void *context, uint64_t offset, struct slice *bytes)
{
	struct text_body *body = context;

	if (offset >= body->text.len && body->status != STATUS_OK)
		return body->status;
	*bytes = slice_sub(body->text, offset, offset + body->piece);
	return STATUS_OK;
}

struct setting {
	struct arena arena;
	struct parcel parcel;
	struct recipient recipients[10];
	struct client_options options;
	struct text_body body;
};

static void set_up(struct setting *s, unsigned recipients)
{
	static const struct slice ADDRESSES[] = {
		SLICE("r0@example.net"), SLICE("r1@example.net"), SLICE("r2@example.net"), SLICE("r3@example.net"),
		SLICE("r4@example.net"), SLICE("r5@example.net"), SLICE("r6@example.net"), SLICE("r7@example.net"),
	};

	*s = (struct setting){
		.options = {.hostname = SLICE("me.example"),
			    .tls = RELAY_TLS_NONE,
			    .timeouts = {1000, 1000, 1000, 1000, 1000, 1000, 200, 0}},
		.body = {SLICE("Subject: x\r\n\r\nHello\r\n"), 7, STATUS_OK},
		.parcel = {.count = recipients},
	};
	for (unsigned i = 0; i < recipients; i++) {
		s->recipients[i].item = (struct queue_item){.id = i + 1,
							    .sender = SLICE("a@example.org"),
							    .recipient = ADDRESSES[i],
							    .original_recipient = SLICE_EMPTY,
							    .envelope_id = SLICE_EMPTY,
							    .size = s->body.text.len};
		s->recipients[i].next = i + 1 < recipients ? &s->recipients[i + 1] : NULL;
	}
	s->parcel.recipients = s->recipients;
}

static void tear_down(struct setting *s)
{
	arena_free(&s->parcel.arena);
	arena_free(&s->arena);
}

static struct client *open_client(struct setting *s, struct fake_server *server, struct reply *failure)
{
	struct route_host host = {SLICE("peer.example"), fake_server_address(server)};

	return client_open(&s->options, &s->arena, &host, failure);
}

static enum status send_once(struct setting *s, struct client *client)
{
	struct body_source source = {&s->body, read_text};

	return client_send(client, &s->parcel, &source);
}

/* Opens, sends, closes. */
static void run(struct setting *s, struct fake_server *server)
{
	struct reply failure;
	struct client *client = open_client(s, server, &failure);

	assert_non_null(client);
	assert_int_equal(send_once(s, client), STATUS_OK);
	client_close(client);
}

static const char EHLO_BARE[] = "250 peer.example\r\n";

/* ---- the good way ---- */

static void delivers(void **state)
{
	for (int pipelining = 0; pipelining < 2; pipelining++) {
		struct fake_server server = {.ehlo = pipelining ? NULL : EHLO_BARE};
		struct setting s;

		(void)state;
		fake_server_start(&server);
		set_up(&s, 3);
		s.body.text = SLICE("Subject: x\r\n\r\n.dot\r\n..two\r\na.b\r\n.\r\nlast without end");
		run(&s, &server);
		assert_int_equal(server.count, 1);
		assert_string_equal(server.messages[0].sender, "a@example.org");
		assert_string_equal(server.messages[0].recipients, "r0@example.net r1@example.net r2@example.net ");
		assert_string_equal(server.messages[0].body,
				    "Subject: x\r\n\r\n.dot\r\n..two\r\na.b\r\n.\r\nlast without end\r\n");
		for (int i = 0; i < 3; i++) {
			assert_int_equal(s.recipients[i].state, RECIPIENT_DELIVERED);
			assert_true(slice_eq(s.recipients[i].reply.text, SLICE("250 2.0.0 taken")));
			assert_true(slice_eq(s.recipients[i].reply.enhanced, SLICE("2.0.0")));
			assert_true(slice_eq(s.recipients[i].remote, SLICE("peer.example [127.0.0.1]")));
			assert_int_equal(s.recipients[i].relayed_plainly, !pipelining);
		}
		tear_down(&s);
		fake_server_stop(&server);
	}
}

static void passes_parameters(void **state)
{
	struct fake_server server = {0};
	struct setting s;

	(void)state;
	fake_server_start(&server);
	set_up(&s, 2);
	s.recipients[0].item.needs_utf8 = s.recipients[0].item.body_8bit = true;
	s.recipients[0].item.dsn_return = DSN_RETURN_HEADERS;
	s.recipients[0].item.envelope_id = SLICE("QQ+2B1");
	s.recipients[0].item.notify = NOTIFY_SUCCESS | NOTIFY_FAILURE;
	s.recipients[0].item.original_recipient = SLICE("rfc822;x+2By@example.net");
	s.recipients[1].item.notify = NOTIFY_NEVER;
	run(&s, &server);
	assert_int_equal(server.count, 1);
	assert_string_equal(server.messages[0].mail_line,
			    "MAIL FROM:<a@example.org> SIZE=21 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B1");
	assert_string_equal(server.messages[0].rcpt_lines,
			    "RCPT TO:<r0@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+2By@example.net\n"
			    "RCPT TO:<r1@example.net> NOTIFY=NEVER\n");
	tear_down(&s);
	fake_server_stop(&server);
}

static void omits_what_is_not_offered(void **state)
{
	struct fake_server server = {.ehlo = EHLO_BARE};
	struct setting s;

	(void)state;
	fake_server_start(&server);
	set_up(&s, 1);
	s.recipients[0].item.body_8bit = true;
	s.recipients[0].item.dsn_return = DSN_RETURN_FULL;
	s.recipients[0].item.envelope_id = SLICE("QQ");
	s.recipients[0].item.notify = NOTIFY_SUCCESS;
	run(&s, &server);
	assert_string_equal(server.messages[0].mail_line, "MAIL FROM:<a@example.org>");
	assert_string_equal(server.messages[0].rcpt_lines, "RCPT TO:<r0@example.net>\n");
	tear_down(&s);
	fake_server_stop(&server);
}

static void reuses_the_connection(void **state)
{
	struct fake_server server = {0};
	struct reply failure;
	struct client *client;
	struct setting s;

	(void)state;
	fake_server_start(&server);
	set_up(&s, 1);
	client = open_client(&s, &server, &failure);
	assert_non_null(client);
	for (int i = 0; i < 3; i++) {
		s.recipients[0].state = RECIPIENT_WAITING;
		assert_int_equal(send_once(&s, client), STATUS_OK);
		assert_int_equal(s.recipients[0].state, RECIPIENT_DELIVERED);
	}
	client_close(client);
	assert_int_equal(server.count, 3);
	assert_int_equal(server.connections, 1);
	assert_null(strstr(server.commands, "RSET")); /* a transaction that ended needs none */
	assert_non_null(strstr(server.commands, "QUIT"));
	tear_down(&s);
	fake_server_stop(&server);
}

/* ---- refusals: the stage, the answer, and what becomes of two recipients ---- */

struct refusal {
	enum stage stage;
	const char *text;
	const char *of; /* only when the line has this; NULL: always */
	enum recipient_state first, second;
	bool broken;
	const char *reply;
};

static const char *refuse(struct fake_server *server, enum stage stage, const char *line, int connection, int count)
{
	const struct refusal *refusal = server->context;

	(void)connection;
	(void)count;
	if (stage != refusal->stage || (refusal->of && !strstr(line, refusal->of)))
		return ANSWER_DEFAULT;
	return refusal->text;
}

#define DELIVERED RECIPIENT_DELIVERED
#define DEFERRED  RECIPIENT_DEFERRED
#define FAILED    RECIPIENT_FAILED
#define WAITING   RECIPIENT_WAITING

static const struct refusal REFUSALS[] = {
	{AT_MAIL, "550 5.7.1 not you\r\n", NULL, FAILED, FAILED, false, "550 5.7.1 not you"},
	{AT_MAIL, "451 4.3.0 later\r\n", NULL, DEFERRED, DEFERRED, false, "451 4.3.0 later"},
	{AT_MAIL, ANSWER_DROP, NULL, WAITING, WAITING, true, NULL},
	{AT_MAIL, ANSWER_HANG, NULL, WAITING, WAITING, true, NULL},
	{AT_MAIL, "421 4.3.2 closing\r\n", NULL, WAITING, WAITING, true, NULL},
	{AT_MAIL, "nonsense\r\n", NULL, WAITING, WAITING, true, NULL},
	{AT_RCPT, "550-5.1.1 no\r\n550 5.1.1 such user\r\n", "r0@", FAILED, DELIVERED, false,
	 "550-5.1.1 no\n550 5.1.1 such user"},
	{AT_RCPT, "450 4.2.0 greylisted\r\n", "r0@", DEFERRED, DELIVERED, false, "450 4.2.0 greylisted"},
	{AT_RCPT, "550 5.1.1 nobody\r\n", NULL, FAILED, FAILED, false, "550 5.1.1 nobody"},
	{AT_RCPT, "421 4.7.0 enough\r\n", NULL, DEFERRED, DEFERRED, true, "421 4.7.0 enough"},
	{AT_RCPT, ANSWER_DROP, "r1@", DEFERRED, DEFERRED, true, NULL},
	{AT_RCPT, "999 x\r\n", NULL, DEFERRED, DEFERRED, true, NULL},
	{AT_RCPT, "354 what\r\n", NULL, DEFERRED, DEFERRED, false, "354 what"},
	{AT_RCPT, "552 5.2.2 full\r\n", "r0@", DEFERRED, DELIVERED, false, "552 5.2.2 full"},
	{AT_DATA, "554 5.5.1 no\r\n", NULL, FAILED, FAILED, false, "554 5.5.1 no"},
	{AT_DATA, "451 4.3.0 no\r\n", NULL, DEFERRED, DEFERRED, false, "451 4.3.0 no"},
	{AT_DATA, "250 ok\r\n", NULL, DEFERRED, DEFERRED, false, "250 ok"},
	{AT_DATA, ANSWER_DROP, NULL, DEFERRED, DEFERRED, true, NULL},
	{AT_DATA, ANSWER_HANG, NULL, DEFERRED, DEFERRED, true, NULL},
	{AT_END, "554 5.7.1 spam\r\n", NULL, FAILED, FAILED, false, "554 5.7.1 spam"},
	{AT_END, "452 4.3.1 disk full\r\n", NULL, DEFERRED, DEFERRED, false, "452 4.3.1 disk full"},
	{AT_END, ANSWER_DROP, NULL, DEFERRED, DEFERRED, true, NULL},
	{AT_END, ANSWER_HANG, NULL, DEFERRED, DEFERRED, true, NULL},
	{AT_END, "\r\n", NULL, DEFERRED, DEFERRED, true, NULL},
	{AT_END, "250-a\r\n551 b\r\n", NULL, DEFERRED, DEFERRED, true, NULL},
};

static void check_refusal(const struct refusal *refusal, const char *ehlo)
{
	struct fake_server server = {.answer = refuse, .context = (void *)refusal, .ehlo = ehlo};
	struct reply failure;
	struct client *client;
	struct setting s;

	fake_server_start(&server);
	set_up(&s, 2);
	s.options.timeouts.command_ms = s.options.timeouts.data_ms = s.options.timeouts.end_of_data_ms = 200;
	client = open_client(&s, &server, &failure);
	assert_non_null(client);
	assert_int_equal(send_once(&s, client), STATUS_OK);
	assert_int_equal(s.recipients[0].state, refusal->first);
	assert_int_equal(s.recipients[1].state, refusal->second);
	assert_int_equal(client->broken, refusal->broken);
	if (refusal->reply)
		assert_true(slice_eq(s.recipients[0].reply.text, slice_from_cstr(refusal->reply)));
	else if (refusal->first != WAITING)
		assert_true(s.recipients[0].reply.is_ours);
	if (refusal->broken)
		assert_int_not_equal(client->trouble.code, 0);
	client_close(client);
	tear_down(&s);
	fake_server_stop(&server);
}

static void refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(REFUSALS) / sizeof(REFUSALS[0]); i++) {
		print_message("refusal %zu\n", i);
		check_refusal(&REFUSALS[i], NULL);
		check_refusal(&REFUSALS[i], EHLO_BARE);
	}
}

/* After a transaction that came to nothing the next one begins with RSET, and works. */
static void resets_after_refusal(void **state)
{
	static const struct refusal REFUSAL = {AT_RCPT, "550 5.1.1 no\r\n", "r0@", 0, 0, false, NULL};

	for (int pipelining = 0; pipelining < 2; pipelining++) {
		struct fake_server server = {
			.answer = refuse, .context = (void *)&REFUSAL, .ehlo = pipelining ? NULL : EHLO_BARE};
		struct reply failure;
		struct client *client;
		struct setting s;

		(void)state;
		fake_server_start(&server);
		set_up(&s, 1);
		client = open_client(&s, &server, &failure);
		assert_int_equal(send_once(&s, client), STATUS_OK);
		assert_int_equal(s.recipients[0].state, FAILED);
		s.recipients[0].state = WAITING;
		s.recipients[0].item.recipient = SLICE("other@example.net");
		assert_int_equal(send_once(&s, client), STATUS_OK);
		assert_int_equal(s.recipients[0].state, DELIVERED);
		client_close(client);
		assert_non_null(strstr(server.commands, "RSET\nMAIL"));
		assert_string_equal(server.messages[0].recipients, "other@example.net ");
		tear_down(&s);
		fake_server_stop(&server);
	}
}

/* RFC 2920 section 3.1: DATA is answered with 354 though nobody was accepted. */
static const char *eager_data(struct fake_server *server, enum stage stage, const char *line, int connection, int count)
{
	(void)server;
	(void)line;
	(void)connection;
	(void)count;
	if (stage == AT_RCPT)
		return "550 5.1.1 no\r\n";
	if (stage == AT_DATA)
		return "354 go on\r\n";
	if (stage == AT_END)
		return "554 5.5.1 no recipients\r\n";
	return ANSWER_DEFAULT;
}

static void data_without_recipients(void **state)
{
	struct fake_server server = {.answer = eager_data};
	struct setting s;

	(void)state;
	fake_server_start(&server);
	set_up(&s, 2);
	run(&s, &server);
	assert_int_equal(s.recipients[0].state, FAILED);
	assert_true(slice_eq(s.recipients[0].reply.text, SLICE("550 5.1.1 no")));
	assert_int_equal(server.count, 0);
	assert_non_null(strstr(server.commands, "QUIT"));
	tear_down(&s);
	fake_server_stop(&server);
}

static const char *three_at_most(struct fake_server *server, enum stage stage, const char *line, int connection, int count)
{
	(void)server;
	(void)line;
	(void)connection;
	return stage == AT_RCPT && count >= 3 ? "452 4.5.3 too many recipients\r\n" : ANSWER_DEFAULT;
}

static void too_many_recipients(void **state)
{
	struct fake_server server = {.answer = three_at_most};
	struct setting s;

	(void)state;
	fake_server_start(&server);
	set_up(&s, 5);
	run(&s, &server);
	assert_int_equal(s.recipients[2].state, DELIVERED);
	assert_int_equal(s.recipients[3].state, RECIPIENT_CROWDED);
	assert_int_equal(s.recipients[4].state, RECIPIENT_CROWDED);
	tear_down(&s);
	fake_server_stop(&server);
}

/* ---- what isn't even offered ---- */

static void not_offered(void **state)
{
	struct fake_server server = {.ehlo = "250-peer.example\r\n250 SIZE 1000\r\n"};
	struct setting s;

	(void)state;
	fake_server_start(&server);
	set_up(&s, 1);
	s.recipients[0].item.needs_utf8 = true;
	run(&s, &server);
	assert_int_equal(s.recipients[0].state, FAILED);
	assert_true(slice_eq(s.recipients[0].reply.enhanced, SLICE("5.6.7")));

	s.recipients[0].item.needs_utf8 = false;
	s.recipients[0].item.size = 1001;
	s.recipients[0].state = WAITING;
	run(&s, &server);
	assert_int_equal(s.recipients[0].state, FAILED);
	assert_true(slice_eq(s.recipients[0].reply.enhanced, SLICE("5.3.4")));

	s.recipients[0].item.size = 100;
	s.recipients[0].item.recipient = SLICE("x@example.net>\r\nRCPT TO:<y@example.net");
	s.recipients[0].state = WAITING;
	run(&s, &server);
	assert_int_equal(s.recipients[0].state, FAILED);
	assert_true(slice_eq(s.recipients[0].reply.enhanced, SLICE("5.1.3")));
	assert_null(strstr(server.commands, "MAIL"));
	tear_down(&s);
	fake_server_stop(&server);
}

/* ---- our side breaks off ---- */

static bool never(void *context)
{
	(void)context;
	return false;
}

static void breaks_off(void **state)
{
	struct fake_server server = {0};
	struct reply failure;
	struct client *client;
	struct setting s;

	(void)state;
	fake_server_start(&server);
	set_up(&s, 1);
	s.options.hooks.before_end = never;
	client = open_client(&s, &server, &failure);
	assert_int_equal(send_once(&s, client), STATUS_OK);
	assert_int_equal(s.recipients[0].state, WAITING);
	assert_true(client->broken);
	assert_int_equal(client->trouble.code, 0);
	client_close(client);

	s.options.hooks.before_end = NULL;
	s.body.status = STATUS_TEMPORARY;
	client = open_client(&s, &server, &failure);
	assert_int_equal(send_once(&s, client), STATUS_TEMPORARY);
	assert_int_equal(s.recipients[0].state, WAITING);
	client_close(client);
	tear_down(&s);
	fake_server_stop(&server);
	assert_int_equal(server.count, 0); /* half a message is none */
}

/* ---- opening ---- */

static void failing_to_open(void **state)
{
	static const struct {
		struct refusal refusal;
		const char *enhanced, *text;
	} TABLE[] = {
		{{AT_GREETING, "554 5.7.1 go away\r\n", NULL, 0, 0, 0, 0}, "5.7.1", "554 5.7.1 go away"},
		{{AT_GREETING, "421 4.3.2 busy\r\n", NULL, 0, 0, 0, 0}, "4.3.2", "421 4.3.2 busy"},
		{{AT_GREETING, "354 ?\r\n", NULL, 0, 0, 0, 0}, "", "354 ?"},
		{{AT_GREETING, ANSWER_HANG, NULL, 0, 0, 0, 0}, "4.4.2", NULL},
		{{AT_GREETING, ANSWER_DROP, NULL, 0, 0, 0, 0}, "4.4.2", NULL},
		{{AT_GREETING, "SSH-2.0-OpenSSH_9.2\r\n", NULL, 0, 0, 0, 0}, "4.5.0", NULL},
		{{AT_GREETING, "220 me.example ESMTP\r\n", NULL, 0, 0, 0, 0}, "5.4.6", NULL},
		{{AT_EHLO, "250 ME.example\r\n", NULL, 0, 0, 0, 0}, "5.4.6", NULL},
		{{AT_EHLO, "421 4.7.0 no\r\n", NULL, 0, 0, 0, 0}, "4.7.0", "421 4.7.0 no"},
		{{AT_EHLO, "450 4.7.0 wait\r\n", NULL, 0, 0, 0, 0}, "4.7.0", "450 4.7.0 wait"},
		{{AT_EHLO, ANSWER_DROP, NULL, 0, 0, 0, 0}, "4.4.2", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct fake_server server = {.answer = refuse, .context = (void *)&TABLE[i].refusal};
		struct reply failure = {0};
		struct setting s;

		fake_server_start(&server);
		set_up(&s, 1);
		s.options.timeouts.greeting_ms = s.options.timeouts.command_ms = 200;
		assert_null(open_client(&s, &server, &failure));
		assert_true(slice_eq(failure.enhanced, slice_from_cstr(TABLE[i].enhanced)));
		if (TABLE[i].text)
			assert_true(slice_eq(failure.text, slice_from_cstr(TABLE[i].text)));
		tear_down(&s);
		fake_server_stop(&server);
	}
}

static void nobody_listens(void **state)
{
	struct fake_server server = {0};
	struct route_host host;
	struct reply failure;
	struct setting s;

	(void)state;
	fake_server_start(&server);
	fake_server_stop(&server);
	set_up(&s, 1);
	host = (struct route_host){SLICE("peer.example"), fake_server_address(&server)};
	assert_null(client_open(&s.options, &s.arena, &host, &failure));
	assert_true(slice_eq(failure.enhanced, SLICE("4.4.1")));
	assert_true(failure.is_ours);
	tear_down(&s);
}

static void falls_back_to_helo(void **state)
{
	static const struct refusal REFUSAL = {AT_EHLO, "502 5.5.1 what?\r\n", NULL, 0, 0, 0, 0};
	struct fake_server server = {.answer = refuse, .context = (void *)&REFUSAL};
	struct setting s;

	(void)state;
	fake_server_start(&server);
	set_up(&s, 1);
	run(&s, &server);
	assert_int_equal(s.recipients[0].state, DELIVERED);
	assert_non_null(strstr(server.commands, "EHLO me.example\nHELO me.example\n"));
	tear_down(&s);
	fake_server_stop(&server);
}

/* ---- TLS ---- */

static const char EHLO_TLS[] = "250-peer.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n";

static void opportunistic_tls(void **state)
{
	struct fake_server server = {.ehlo = EHLO_TLS};
	struct slice certificate;
	struct setting s;

	(void)state;
	set_up(&s, 1);
	server.tls = fake_tls_server("peer.example", &s.arena, &certificate);
	s.options.tls_opportunistic = tls_client_new(SLICE_EMPTY);
	s.options.tls = RELAY_TLS_OPPORTUNISTIC;
	fake_server_start(&server);
	run(&s, &server);
	assert_int_equal(server.count, 1);
	assert_true(server.messages[0].over_tls);
	assert_int_equal(server.connections, 1);
	fake_server_stop(&server);

	/* The handshake breaks: plain, on a second connection. */
	tls_context_free(server.tls);
	server = (struct fake_server){.ehlo = EHLO_TLS, .break_tls = true};
	fake_server_start(&server);
	s.recipients[0].state = WAITING;
	run(&s, &server);
	assert_int_equal(server.count, 1);
	assert_false(server.messages[0].over_tls);
	assert_int_equal(server.connections, 2);
	fake_server_stop(&server);
	tls_context_free(s.options.tls_opportunistic);
	tear_down(&s);
}

static void required_tls(void **state)
{
	struct fake_server server = {.ehlo = EHLO_TLS};
	struct tls_context *server_tls;
	struct slice certificate;
	struct reply failure;
	struct setting s;

	(void)state;
	set_up(&s, 1);
	server_tls = server.tls = fake_tls_server("peer.example", &s.arena, &certificate);
	s.options.tls_verified = tls_client_new(certificate);
	s.options.tls = RELAY_TLS_REQUIRED;
	fake_server_start(&server);
	run(&s, &server);
	assert_true(server.count == 1 && server.messages[0].over_tls);
	tls_context_free(s.options.tls_verified);

	/* A certificate that nobody vouches for; then one for another name; then no TLS at all. */
	s.options.tls_verified = tls_client_new(SLICE_EMPTY);
	assert_null(open_client(&s, &server, &failure));
	assert_true(slice_eq(failure.enhanced, SLICE("4.7.5")));
	fake_server_stop(&server);
	tls_context_free(s.options.tls_verified);
	tls_context_free(server_tls);

	server = (struct fake_server){.ehlo = EHLO_TLS};
	server_tls = server.tls = fake_tls_server("other.example", &s.arena, &certificate);
	s.options.tls_verified = tls_client_new(certificate);
	fake_server_start(&server);
	assert_null(open_client(&s, &server, &failure));
	assert_true(slice_eq(failure.enhanced, SLICE("4.7.5")));
	assert_int_equal(server.connections, 1);
	fake_server_stop(&server);

	server = (struct fake_server){.ehlo = EHLO_BARE};
	fake_server_start(&server);
	assert_null(open_client(&s, &server, &failure));
	assert_true(slice_eq(failure.enhanced, SLICE("4.7.10")));
	fake_server_stop(&server);
	tls_context_free(s.options.tls_verified);
	tls_context_free(server_tls);
	tear_down(&s);
}

/* ---- AUTH ---- */

static const char *take_auth(struct fake_server *server, enum stage stage, const char *line, int connection, int count)
{
	(void)connection;
	(void)count;
	if (stage == AT_AUTH && !strcmp(line, "AUTH PLAIN AHVzZXIAcGVuY2ls"))
		return "235 2.7.0 welcome\r\n";
	if (stage == AT_AUTH && !strcmp(line, "AUTH LOGIN"))
		return "334 VXNlcm5hbWU6\r\n";
	if (stage == AT_OTHER && !strcmp(line, "dXNlcg=="))
		return "334 UGFzc3dvcmQ6\r\n";
	if (stage == AT_OTHER && !strcmp(line, "cGVuY2ls"))
		return "235 2.7.0 welcome\r\n";
	(void)server;
	return ANSWER_DEFAULT;
}

static void authenticates(void **state)
{
	static const char *const EHLO[] = {"250-peer.example\r\n250 AUTH LOGIN PLAIN\r\n",
					   "250-peer.example\r\n250 AUTH LOGIN\r\n"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fake_server server = {.answer = take_auth, .ehlo = EHLO[i]};
		struct reply failure;
		struct setting s;

		fake_server_start(&server);
		set_up(&s, 1);
		s.options.user = SLICE("user");
		s.options.password = SLICE("pencil");
		run(&s, &server);
		assert_int_equal(server.count, 1);

		s.options.password = SLICE("wrong");
		assert_null(open_client(&s, &server, &failure));
		assert_int_equal(failure.code, i == 0 ? 535 : 500);
		tear_down(&s);
		fake_server_stop(&server);
	}
}

static void no_mechanism(void **state)
{
	struct fake_server server = {0};
	struct reply failure;
	struct setting s;

	(void)state;
	fake_server_start(&server);
	set_up(&s, 1);
	s.options.user = SLICE("user");
	assert_null(open_client(&s, &server, &failure));
	assert_int_equal(failure.code, 454);
	tear_down(&s);
	fake_server_stop(&server);
}

/* ---- dots, at every cut ---- */

static void dots(void **state)
{
	static const char TEXT[] = ".a\r\n..b\r\n.\r\n\r\nc.d\r\n.e";

	(void)state;
	for (size_t cut = 0; cut < sizeof(TEXT); cut++) {
		struct buf out SCOPED_BUF;
		bool at_line_start = true;

		buf_init(&out, NULL, 0);
		client_stuff_dots(&out, slice_of(TEXT, cut), &at_line_start);
		client_stuff_dots(&out, slice_of(TEXT + cut, sizeof(TEXT) - 1 - cut), &at_line_start);
		assert_true(slice_eq(buf_slice(&out), SLICE("..a\r\n...b\r\n..\r\n\r\nc.d\r\n..e")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dots),
		cmocka_unit_test(delivers),
		cmocka_unit_test(passes_parameters),
		cmocka_unit_test(omits_what_is_not_offered),
		cmocka_unit_test(reuses_the_connection),
		cmocka_unit_test(refusals),
		cmocka_unit_test(resets_after_refusal),
		cmocka_unit_test(data_without_recipients),
		cmocka_unit_test(too_many_recipients),
		cmocka_unit_test(not_offered),
		cmocka_unit_test(breaks_off),
		cmocka_unit_test(failing_to_open),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(falls_back_to_helo),
		cmocka_unit_test(opportunistic_tls),
		cmocka_unit_test(required_tls),
		cmocka_unit_test(authenticates),
		cmocka_unit_test(no_mechanism),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
