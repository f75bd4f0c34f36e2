/* bench_smtp [KB]: what a message costs in smtp's own code: no system calls, the roles are played by a few lines. Prints nanoseconds per
 * message: the text after DATA alone, commands alone, and whole sessions. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fake_roles.h"
#include "memory_conn.h"
#include "smtp/dots.h"
#include "smtp/incoming.h"
#include "smtp/smtp.h"

#define ROUNDS   200000
#define ENVELOPE "MAIL FROM:<sender@elsewhere.test> SIZE=4096 BODY=8BITMIME\r\nRCPT TO:<ok@example.test>\r\n"
#define HEADER                                                                                                              \
	"Received: from a.elsewhere.test (a.elsewhere.test [192.0.2.5])\r\n\tby b.elsewhere.test (Postfix) with ESMTPS id " \
	"4Xy\r\n"                                                                                                           \
	"\tfor <ok@example.test>; Tue, 24 Nov 2026 16:00:00 +0000 (UTC)\r\nDKIM-Signature: v=1; a=rsa-sha256; "             \
	"c=relaxed/relaxed;\r\n"                                                                                            \
	"\td=elsewhere.test; s=s1; h=from:to:subject:date:message-id; bh=abc=; b=def=\r\nFrom: A Sender "                   \
	"<sender@elsewhere.test>\r\n"                                                                                       \
	"To: ok@example.test\r\nSubject: A letter of a few thousand bytes\r\nDate: Tue, 24 Nov 2026 16:00:00 +0000\r\n"     \
	"Message-ID: <1234@elsewhere.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"

/* Of the processor: what else runs on the machine matters less. */
static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct client {
	struct buf group; /* what is said again and again */
	unsigned left;
};

static void write_message(struct buf *out, size_t size)
{
	size_t until = out->len + size;

	buf_add_literal(out, HEADER);
	while (out->len < until)
		buf_add_literal(out, "Lines of ordinary length, as people and their programs write them to each other.\r\n");
	buf_add_literal(out, "..and a dot\r\n.\r\n");
}

static bool say_again(void *context, struct conn *conn)
{
	struct client *client = context;

	buf_clear(&conn->input);
	buf_clear(&conn->output);
	conn->at = conn->arrived = 0;
	if (client->left == 0)
		return false;
	client->left--;
	buf_add(&conn->input, buf_slice(&client->group));
	return true;
}

static int64_t sessions(struct client *client)
{
	struct log quiet = {.fd = -1, .level = LOG_LEVEL_ERROR};
	struct smtp_context context = {.options = {.hostname = SLICE("mx.example.test")}, .log = &quiet};
	struct listener listener = {.name = "smtp", .context = &context};
	struct conn conn;
	int64_t start_us = cpu_us();

	client->left = ROUNDS;
	memory_conn_init(&conn, say_again, client);
	buf_add_literal(&conn.input, "EHLO client.test\r\n");
	/* Not arrived yet: it is no early talker. */
	memory_conn_run(&conn, &smtp_protocol, &listener);
	memory_conn_free(&conn);
	return cpu_us() - start_us;
}

static void take(struct arena *arena, struct slice text)
{
	struct incoming plan = {.limit = 50 << 20, .max_received = 100}, incoming;
	struct dots dots = {.state = DOTS_START};
	struct slice run;

	arena_reset(arena);
	incoming_begin(&incoming, arena, &plan, SLICE("Received: us\r\n"));
	while (dots_next(&dots, &text, &run))
		incoming_add(&incoming, run);
	incoming_end(&incoming);
	if (!dots.ended || dots_has_bare(&dots) || incoming.fault != INCOMING_OK)
		abort();
}

static void report(const char *what, int64_t us)
{
	printf("%-28s %6lld ns\n", what, (long long)(us * 1000 / ROUNDS));
}

int main(int argc, char **argv)
{
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 4) * 1024;
	struct arena arena SCOPED_ARENA;
	struct buf message SCOPED_BUF;
	struct client client = {0};
	int64_t start_us;

	fake_roles.counts_only = true;
	write_message(&message, size);
	start_us = cpu_us();
	for (unsigned i = 0; i < ROUNDS; i++)
		take(&arena, buf_slice(&message));
	report("text and header", cpu_us() - start_us);
	buf_add_literal(&client.group, ENVELOPE "RSET\r\n");
	report("MAIL, RCPT, RSET", sessions(&client));
	buf_clear(&client.group);
	buf_add_literal(&client.group, ENVELOPE "DATA\r\n");
	buf_add(&client.group, buf_slice(&message));
	report("whole message", sessions(&client));
	buf_free(&client.group);
	return fake_roles.messages == ROUNDS ? 0 : 1;
}
