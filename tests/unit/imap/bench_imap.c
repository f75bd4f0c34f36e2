/* What FETCH of a whole mailbox costs, warm: 34,000 messages (or as many as the argument says) of 4 KB on SQLite, over a socket pair.
 * Prints wall time and the server thread's CPU time, the best of five; with commands as further arguments, of those only (for
 * profiles). Not a test: run it by hand. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "harness.h"
#include "store/email.h"
#include "store/mailbox.h"

#define BATCH 500

static double now_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static struct slice make_message(struct arena *arena, int number)
{
	struct buf message;

	buf_init(&message, arena, 0);
	buf_printf(&message,
		   "Return-Path: <sender%d@example.org>\r\nReceived: from mx.example.org (mx.example.org [192.0.2.1]) by "
		   "mail.example.test\r\n"
		   "Date: Tue, 24 Nov 2026 15:00:00 +0100\r\nFrom: \"Sender %d\" <sender%d@example.org>\r\nTo: "
		   "alice@example.test\r\n"
		   "Subject: Message number %d of the bench\r\nMessage-ID: <%d.bench@example.org>\r\nMIME-Version: 1.0\r\n"
		   "Content-Type: multipart/alternative; boundary=\"frontier\"\r\n\r\n--frontier\r\nContent-Type: text/plain; "
		   "charset=utf-8\r\n\r\n",
		   number % 97, number % 97, number % 97, number, number);
	while (message.len < 2000)
		buf_add_literal(&message, "The quick brown fox jumps over the lazy dog, and again.\r\n");
	buf_add_literal(&message, "--frontier\r\nContent-Type: text/html; charset=utf-8\r\n\r\n");
	while (message.len < 4000)
		buf_add_literal(&message, "<p>The quick brown fox jumps over the lazy dog.</p>\r\n");
	buf_add_literal(&message, "--frontier--\r\n");
	return buf_slice(&message);
}

static void fill(struct harness *h, int count)
{
	struct arena arena SCOPED_ARENA;
	struct mailbox inbox;
	static struct email_facts facts[BATCH];
	static struct append_request requests[BATCH];
	uint32_t uids[BATCH], uid_validity;

	if (mailbox_find(harness_store(h), &arena, harness_account(h), SLICE("INBOX"), &inbox) != STATUS_OK)
		abort();
	for (int done = 0; done < count; done += BATCH) {
		struct arena batch SCOPED_ARENA;

		for (int i = 0; i < BATCH; i++) {
			email_facts(&batch, make_message(&batch, done + i), &facts[i]);
			requests[i] = (struct append_request){harness_account(h), inbox.id, &facts[i], i % 3 ? FLAG_SEEN : 0,
							      INT64_C(1795518000000) + (done + i) * 1000};
		}
		if (store_append(harness_store(h), requests, BATCH, uids, &uid_validity) != STATUS_OK)
			abort();
	}
}

static void measure(struct harness *h, int rounds, const char *command)
{
	double best = 1e9, cpu = 0;
	size_t bytes = 0;

	for (int round = 0; round < rounds; round++) {
		struct buf line SCOPED_BUF;
		double wall_start = now_ms(CLOCK_MONOTONIC), cpu_start = now_ms(CLOCK_PROCESS_CPUTIME_ID), wall;

		buf_init(&line, NULL, 0);
		buf_printf(&line, "m %s\r\n", command);
		harness_send(h, 0, buf_slice(&line), false);
		bytes = harness_read_until(h, 0, SLICE("m "));
		wall = now_ms(CLOCK_MONOTONIC) - wall_start;
		if (wall < best) {
			best = wall;
			cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
		}
	}
	printf("%8.2f ms wall %8.2f ms CPU (client too) %10zu bytes  %s\n", best, cpu, bytes, command);
}

static void measure_logins(struct harness *h, int count)
{
	double start = now_ms(CLOCK_PROCESS_CPUTIME_ID), wall = now_ms(CLOCK_MONOTONIC);

	for (int i = 0; i < count; i++) {
		harness_connect(h, 1);
		harness_send(h, 1, SLICE("a LOGIN " HARNESS_USER " " HARNESS_PASSWORD "\r\nb SELECT INBOX\r\nc LOGOUT\r\n"),
			     false);
		harness_read_until(h, 1, SLICE("c "));
		harness_disconnect(h, 1);
	}
	printf("%8.1f us CPU (client too), %8.1f us wall per LOGIN, SELECT, LOGOUT\n",
	       (now_ms(CLOCK_PROCESS_CPUTIME_ID) - start) * 1e3 / count, (now_ms(CLOCK_MONOTONIC) - wall) * 1e3 / count);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 34000;
	struct harness *h = harness_new();
	double start = now_ms(CLOCK_MONOTONIC);

	fill(h, count);
	printf("%8.0f ms to append %d messages\n", now_ms(CLOCK_MONOTONIC) - start, count);
	harness_connect(h, 0);
	harness_send(h, 0, SLICE("a LOGIN " HARNESS_USER " " HARNESS_PASSWORD "\r\n"), false);
	harness_read_until(h, 0, SLICE("a OK"));
	measure(h, 5, "SELECT INBOX");
	for (int i = 2; i < argc; i++)
		measure(h, 20, argv[i]);
	if (argc > 2) {
		harness_free(h);
		return 0;
	}
	measure(h, 5, "UID FETCH 1:* (FLAGS)");
	measure(h, 5, "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)");
	measure(h, 5, "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)");
	measure(h, 5, "UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT)])");
	measure(h, 5, "UID FETCH 1:* (BODY.PEEK[])");
	measure(h, 5, "UID FETCH 1:* (BODY.PEEK[1])");
	measure(h, 5, "UID SEARCH UNSEEN");
	measure(h, 5, "UID SEARCH SUBJECT \"number 777 \"");
	measure(h, 5, "UID SEARCH BODY \"lazy cat\"");
	measure_logins(h, 2000);
	measure(h, 1, "UID STORE 1:* +FLAGS.SILENT (\\Deleted)");
	measure(h, 1, "UID STORE 1:* FLAGS (\\Deleted)");
	measure(h, 1, "EXPUNGE");
	harness_free(h);
	return 0;
}
