/* What the store costs: deliveries per second of CPU time, loads, scans, look-ups. Not a test:
 *
 *     bench_store [DIRECTORY | URL [MESSAGES [one | hundred]]]
 *
 * prints a table; with the last argument only that of deliveries into one account or into a hundred, for a profile. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "store/directory.h"
#include "store/email.h"
#include "store/invariants.h"
#include "store/mailbox.h"
#include "store/queue.h"

#define THREADS  20
#define ACCOUNTS 100
#define LARGE    34000

static struct log bench_log;

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void check(enum status status, const char *doing)
{
	if (status == STATUS_OK)
		return;
	fprintf(stderr, "%s: %.*s\n", doing, SLICE_ARG(status_name(status)));
	exit(1);
}

static struct slice make_message(struct arena *arena, unsigned number)
{
	struct buf text;

	buf_init(&text, arena, 0);
	buf_printf(
		&text,
		"Received: from client.example.org (client.example.org [192.0.2.1])\r\n\tby mx.example.test with ESMTP id %u;"
		" Tue, 24 Nov 2026 15:00:00 +0000\r\n"
		"Date: Tue, 24 Nov 2026 15:00:00 +0000\r\nFrom: A Sender <sender@example.org>\r\nTo: alice@example.test\r\n"
		"Subject: message number %u of the bench\r\nMessage-ID: <%u.bench@example.org>\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=us-ascii\r\n\r\n",
		number, number, number);
	while (text.len < 4096 - 78)
		buf_printf(&text, "%08x the quick brown fox jumps over the lazy dog and back again, line by line\r\n",
			   number * 2654435761u + (unsigned)text.len);
	return buf_slice(&text);
}

struct sender {
	struct store *store;
	int64_t *accounts;
	size_t account_count;
	unsigned first, count;
	bool to_queue;
};

static void *send_all(void *context)
{
	struct sender *sender = context;
	struct arena arena SCOPED_ARENA;

	for (unsigned i = 0; i < sender->count; i++) {
		unsigned number = sender->first + i;
		struct queue_target queue = {.recipient = SLICE("someone@remote.example"), .next_hop = SLICE("remote.example")};
		struct delivery_target target = {
			.account = sender->accounts[number * 7919u % sender->account_count],
			.headers = SLICE("Return-Path: <sender@example.org>\r\nDelivered-To: alice@example.test\r\n"),
		};
		struct delivery delivery = {
			.sender = SLICE("sender@example.org"),
			.received_ms = 1795532400000 + number,
			.targets = &target,
			.target_count = !sender->to_queue,
			.queue = &queue,
			.queue_count = sender->to_queue,
			.trace_from = SLICE("smtp 192.0.2.1 client.example.org"),
			.all_or_nothing = true,
		};
		struct buf id;

		arena_reset(&arena);
		buf_init(&id, &arena, 0);
		buf_printf(&id, "0QUEUE%010u", number);
		delivery.queue_id = buf_slice(&id);
		delivery.bytes = make_message(&arena, number);
		check(store_deliver(sender->store, &delivery), "deliver");
	}
	return NULL;
}

static void bench_deliver(struct store *store, const char *name, int64_t *accounts, size_t account_count, unsigned first,
			  unsigned count, bool to_queue)
{
	pthread_t threads[THREADS];
	struct sender senders[THREADS];
	double cpu = cpu_seconds(), start = now_seconds();

	for (unsigned i = 0; i < THREADS; i++) {
		senders[i] = (struct sender){store,           accounts, account_count, first + i * (count / THREADS),
					     count / THREADS, to_queue};
		pthread_create(&threads[i], NULL, send_all, &senders[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cpu = cpu_seconds() - cpu;
	start = now_seconds() - start;
	printf("%-40s %8.0f per CPU second %8.0f per second  %5.0f us CPU each\n", name, count / cpu, count / start,
	       cpu / count * 1e6);
}

struct scan_sum {
	size_t messages, bytes;
};

static bool add_up(void *context, const struct email *email)
{
	struct scan_sum *sum = context;

	sum->messages++;
	sum->bytes += email->envelope.len + email->body_structure.len + email->bytes.len + email->structure.len;
	return true;
}

static void bench_scan(struct store *store, const char *name, int64_t account, const uint32_t *uids, size_t count,
		       unsigned wanted)
{
	double best = 1e9;
	struct scan_sum sum = {0};

	for (int i = 0; i < 5; i++) {
		double start = now_seconds();

		sum = (struct scan_sum){0};
		check(email_scan(store, account, 1, uids, count, wanted, add_up, &sum), "scan");
		start = now_seconds() - start;
		best = start < best ? start : best;
	}
	printf("%-40s %8.1f ms (%zu messages, %.1f MB)\n", name, best * 1e3, sum.messages, sum.bytes / 1e6);
}

static void bench_reads(struct store *store, int64_t account)
{
	struct arena arena SCOPED_ARENA;
	struct mailbox mailbox;
	struct mailbox_entry *entries = NULL;
	struct mailbox_changes changes;
	size_t count = 0;
	uint64_t modseq;
	double best = 1e9;

	for (int i = 0; i < 5; i++) {
		double start = now_seconds();

		free(entries);
		check(mailbox_load(store, &arena, account, 1, &mailbox, &entries, &count), "load");
		start = now_seconds() - start;
		best = start < best ? start : best;
	}
	printf("%-40s %8.1f ms (%zu entries)\n", "mailbox_load", best * 1e3, count);
	uint32_t *uids = ARENA_ARRAY(&arena, uint32_t, count);

	for (size_t i = 0; i < count; i++)
		uids[i] = entries[i].uid;
	free(entries);
	bench_scan(store, "email_scan ENVELOPE BODY_STRUCTURE", account, uids, count, EMAIL_ENVELOPE | EMAIL_BODY_STRUCTURE);
	bench_scan(store, "email_scan BYTES", account, uids, count, EMAIL_BYTES);
	bench_scan(store, "email_scan HEADER STRUCTURE", account, uids, count, EMAIL_HEADER | EMAIL_STRUCTURE);
	double start = now_seconds();

	for (int i = 0; i < 20000; i++)
		check(mailbox_highest_modseq(store, account, 1, &modseq), "modseq");
	printf("%-40s %8.1f us\n", "mailbox_highest_modseq", (now_seconds() - start) / 20000 * 1e6);
	start = now_seconds();
	for (int i = 0; i < 20000; i++) {
		arena_reset(&arena);
		check(mailbox_changes_since(store, &arena, account, 1, modseq - 1, &changes), "changes");
	}
	printf("%-40s %8.1f us (%zu changed)\n", "mailbox_changes_since", (now_seconds() - start) / 20000 * 1e6,
	       changes.changed_count);
}

static void bench_look_up(struct store *store, const char *name, struct slice address)
{
	struct arena arena SCOPED_ARENA;
	struct directory_entry entry;
	double start = now_seconds();

	for (int i = 0; i < 20000; i++) {
		arena_reset(&arena);
		check(directory_look_up(store, &arena, address, '+', &entry), "look-up");
	}
	printf("%-40s %8.1f us (kind %d)\n", name, (now_seconds() - start) / 20000 * 1e6, entry.kind);
}

static void bench_flags(struct store *store, int64_t account, uint32_t count)
{
	struct arena arena SCOPED_ARENA;
	uint32_t *uids = ARENA_ARRAY(&arena, uint32_t, count), *source, *target, target_validity;
	struct flag_request request = {uids, count, FLAGS_ADD, FLAG_SEEN, UINT64_MAX};
	int64_t archive;
	size_t copied;

	for (uint32_t i = 0; i < count; i++)
		uids[i] = i + 1;
	double start = now_seconds();

	check(mailbox_change_flags(store, &arena, account, 1, &request, NULL, NULL, NULL), "flags");
	printf("%-40s %8.1f ms\n", "flags of all", (now_seconds() - start) * 1e3);
	check(mailbox_create(store, account, SLICE("Copies"), SLICE_EMPTY, &archive), "create");
	start = now_seconds();
	check(mailbox_copy(store, &arena, account, 1, archive, uids, count, false, &source, &target, &copied, &target_validity),
	      "copy");
	printf("%-40s %8.1f ms (%zu)\n", "copy of all", (now_seconds() - start) * 1e3, copied);
	start = now_seconds();
	check(mailbox_delete(store, account, archive), "delete");
	printf("%-40s %8.1f ms\n", "delete of the copies", (now_seconds() - start) * 1e3);
}

static void bench_relay(struct store *store)
{
	struct arena arena SCOPED_ARENA;
	struct queue_item *items;
	size_t count, done = 0;
	double cpu = cpu_seconds(), start = now_seconds();

	do {
		arena_reset(&arena);
		check(queue_take_due(store, &arena, INT64_MAX / 2, 600000, SLICE("node"), 200, &items, &count), "take");
		for (size_t i = 0; i < count; i += 20) {
			struct queue_result results[20];
			size_t n = count - i < 20 ? count - i : 20;

			for (size_t j = 0; j < n; j++)
				results[j] = (struct queue_result){.id = items[i + j].id,
								   .message = items[i + j].message,
								   .outcome = QUEUE_DELIVERED,
								   .reply = SLICE("250 2.0.0 Ok"),
								   .remote = SLICE("mx.remote.example [192.0.2.2]")};
			check(queue_finish(store, results, n, NULL), "finish");
			done += n;
		}
	} while (count > 0 && done < 5000);
	cpu = cpu_seconds() - cpu;
	printf("%-40s %8.0f per CPU second %8.0f per second\n", "queue: take 200, finish 20 at a time", done / cpu,
	       done / (now_seconds() - start));
}

static void bench_check(struct store *store)
{
	struct arena arena SCOPED_ARENA;
	struct store_violation *violations;
	size_t count;
	double start = now_seconds();

	check(store_check_invariants(store, &arena, &violations, &count), "invariants");
	printf("%-40s %8.1f ms (%zu violated)\n", "store_check_invariants", (now_seconds() - start) * 1e3, count);
}

static void bench_all(struct store *store, int64_t *accounts, unsigned count)
{
	bench_deliver(store, "deliver into one account", accounts, 1, 0, count, false);
	bench_deliver(store, "deliver into 100 accounts", accounts, ACCOUNTS, 1000000, 10000, false);
	bench_deliver(store, "deliver into the queue", accounts, 1, 2000000, 5000, true);
	bench_relay(store);
	bench_reads(store, accounts[0]);
	bench_look_up(store, "directory_look_up account", SLICE("user7@example.test"));
	bench_look_up(store, "directory_look_up unknown", SLICE("nobody@example.test"));
	bench_flags(store, accounts[0], count);
	bench_check(store);
}

int main(int argc, char **argv)
{
	struct arena arena SCOPED_ARENA;
	struct error error = {0};
	char url[256], directory[] = "/var/tmp/bench-store-XXXXXX";
	int64_t accounts[ACCOUNTS];
	unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : LARGE;

	if (argc > 1 && strstr(argv[1], "://"))
		snprintf(url, sizeof url, "%s", argv[1]);
	else
		snprintf(url, sizeof url, "sqlite:%s/posthorn.db", argc > 1 ? argv[1] : mkdtemp(directory));
	log_init(&bench_log, 2, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO, SLICE("bench"));
	struct store_options options = {.url = slice_from_cstr(url)};
	struct store *store = store_open(&options, true, &bench_log, &arena, &error);

	if (!store) {
		fprintf(stderr, "%.*s\n", SLICE_ARG(error.text));
		return 1;
	}
	check(directory_add_domain(store, SLICE("example.test")), "domain");
	for (int i = 0; i < ACCOUNTS; i++) {
		char address[64];

		snprintf(address, sizeof address, "user%d@example.test", i);
		check(directory_add_account(store, slice_from_cstr(address), SLICE("A User"), 0, &accounts[i]), "account");
	}
	printf("%s, %d threads, messages of 4 KB\n", url, THREADS);
	if (argc > 3)
		bench_deliver(store, argv[3], accounts, strcmp(argv[3], "one") == 0 ? 1 : ACCOUNTS, 0, count, false);
	else
		bench_all(store, accounts, count);
	store_close(store);
	return 0;
}
