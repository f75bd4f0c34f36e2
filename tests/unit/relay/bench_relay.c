/* What relaying costs: mail from the queue of a real store to a sink on loopback, CPU time per message of this process alone.
 * Not a test: run bench/smtpsink.c first, then  bench_relay PORT [MESSAGES [DOMAINS]]. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "relay/relay.h"
#include "store/queue.h"

#define THREADS 20

static struct log quiet;

struct usage {
	double user, system, wall;
};

static struct usage usage_now(void)
{
	struct rusage usage;
	struct timespec now;

	getrusage(RUSAGE_SELF, &usage);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (struct usage){
		(double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6,
		(double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6,
		(double)now.tv_sec + (double)now.tv_nsec / 1e9,
	};
}

static enum status no_mx(void *context, struct arena *arena, struct slice domain, struct dns_mx **records, size_t *count,
			 bool *secure, bool *exists)
{
	(void)context;
	(void)arena;
	(void)domain;
	(void)records;
	*count = 0;
	*exists = true;
	*secure = false;
	return STATUS_NOT_FOUND;
}

static enum status loopback(void *context, struct arena *arena, struct slice name, struct dns_host *host)
{
	(void)context;
	(void)name;
	*host = (struct dns_host){.addresses = ARENA_NEW(arena, struct net_address), .count = 1, .canonical = SLICE_EMPTY};
	*host->addresses = (struct net_address){.family = AF_INET, .bytes = {127, 0, 0, 1}};
	return STATUS_OK;
}

struct filler {
	struct store *store;
	unsigned count, domains;
};

static void fill_one(struct filler *filler, struct arena *arena, unsigned number)
{
	struct buf text, domain;
	struct queue_target target = {0};
	struct delivery delivery = {
		.queue_id = random_queue_id(arena),
		.sender = SLICE("alice@example.test"),
		.received_ms = 1,
		.expires_ms = INT64_MAX,
		.queue = &target,
		.queue_count = 1,
		.trace_from = SLICE("bench"),
	};

	buf_init(&text, arena, 0);
	buf_printf(&text, "From: <alice@example.test>\r\nSubject: number %u\r\nMessage-ID: <%u@example.test>\r\n\r\n", number,
		   number);
	while (text.len < 4096 - 72)
		buf_printf(&text, "%08x the quick brown fox jumps over the lazy dog, line by line\r\n",
			   number + (unsigned)text.len);
	buf_init(&domain, arena, 0);
	buf_printf(&domain, "someone@dest-%u.example", number % filler->domains);
	target.recipient = buf_slice(&domain);
	target.next_hop = slice_skip(target.recipient, 8);
	delivery.bytes = buf_slice(&text);
	if (store_deliver(filler->store, &delivery) != STATUS_OK)
		abort();
}

static void *fill(void *context)
{
	struct filler *filler = context;
	struct arena arena SCOPED_ARENA;

	for (unsigned i = 0; i < filler->count; i++) {
		fill_one(filler, &arena, i);
		arena_reset(&arena);
	}
	return NULL;
}

static void fill_queue(struct store *store, unsigned messages, unsigned domains)
{
	struct filler filler = {store, messages / THREADS, domains};
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, fill, &filler);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void run(struct store *store, uint16_t port, unsigned messages)
{
	const struct relay_options options = {
		.hostname = SLICE("me.example.test"), .port = port, .expire_ms = INT64_MAX / 2, .warn_after_ms = -1};
	const struct relay_environment environment = {.store = store, .resolver = {.mx = no_mx, .host = loopback}, .log = &quiet};
	struct usage before = usage_now(), after;
	struct relay *relay = relay_new(&options, &environment);
	struct relay_counts counts;

	relay_start(relay);
	do {
		usleep(2000);
		counts = relay_counts(relay);
	} while (counts.delivered + counts.failed + counts.deferred < messages);
	after = usage_now();
	printf("%u messages: %.0f us CPU each (%.0f user, %.0f system), %.0f a second; %llu connections, %llu deferred\n",
	       messages, (after.user + after.system - before.user - before.system) * 1e6 / messages,
	       (after.user - before.user) * 1e6 / messages, (after.system - before.system) * 1e6 / messages,
	       messages / (after.wall - before.wall), (unsigned long long)counts.connections,
	       (unsigned long long)counts.deferred);
	relay_stop(relay, 1000);
	relay_free(relay);
}

int main(int argc, char **argv)
{
	uint32_t port = 0, messages = 10000, domains = 1;
	struct arena arena SCOPED_ARENA;
	char folder[] = "/tmp/bench-relay-XXXXXX", command[64];
	struct error error = {0};
	struct buf url;

	if (argc < 2 || !slice_to_u32(slice_from_cstr(argv[1]), 65535, &port) ||
	    (argc > 2 && !slice_to_u32(slice_from_cstr(argv[2]), 10000000, &messages)) ||
	    (argc > 3 && !slice_to_u32(slice_from_cstr(argv[3]), 10000, &domains)) || domains == 0 || !mkdtemp(folder)) {
		fprintf(stderr, "usage: bench_relay PORT [MESSAGES [DOMAINS]]\n");
		return 2;
	}
	messages = messages / THREADS * THREADS;
	log_init(&quiet, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO, SLICE("bench"));
	buf_init(&url, &arena, 0);
	buf_printf(&url, "sqlite:%s/posthorn.db", folder);
	struct store_options options = {.url = buf_slice(&url)};
	struct store *store = store_open(&options, true, &quiet, &arena, &error);

	if (!store)
		abort();
	fill_queue(store, messages, domains);
	run(store, (uint16_t)port, messages);
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command) != 0;
}
