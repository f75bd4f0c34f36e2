#include "relay/tls_counts.h"

#include <pthread.h>
#include <stdlib.h>
#include <uthash.h>

#include "base/clock.h"

#define DAY_MS        (24 * 60 * 60 * 1000LL)
#define FLUSH_AT_ONCE 500

struct row {
	struct arena arena;
	struct tls_count count;
	struct slice key;
	UT_hash_handle hh;
};

struct tls_counts {
	pthread_mutex_t lock;
	struct row *rows;
};

struct tls_counts *tls_counts_new(void)
{
	struct tls_counts *counts = calloc(1, sizeof(*counts));

	if (!counts)
		abort();
	pthread_mutex_init(&counts->lock, NULL);
	return counts;
}

static void row_free(struct row *row)
{
	arena_free(&row->arena);
	free(row);
}

static void rows_free(struct row *rows)
{
	struct row *row, *next;

	HASH_ITER(hh, rows, row, next)
	{
		HASH_DEL(rows, row);
		row_free(row);
	}
}

void tls_counts_free(struct tls_counts *counts)
{
	if (!counts)
		return;
	rows_free(counts->rows);
	pthread_mutex_destroy(&counts->lock);
	free(counts);
}

/* All that tells a row from another. */
static struct slice key_of(struct arena *arena, const struct tls_count *count)
{
	const struct slice parts[] = {count->domain,	   SLICE("\n"), count->policy_type,    SLICE("\n"), count->result,
				      SLICE("\n"),	   count->receiving_host, SLICE("\n"), count->receiving_ip, SLICE("\n"),
				      count->receiving_helo, SLICE("\n"), count->sending_ip,   SLICE("\n"), count->reason};
	struct buf key;

	buf_init(&key, arena, 0);
	buf_printf(&key, "%lld\n", (long long)count->day);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		buf_add(&key, parts[i].data ? parts[i] : SLICE_EMPTY);
	return buf_slice(&key);
}

static struct slice copy(struct arena *arena, struct slice text)
{
	return text.data ? slice_dup(arena, text) : SLICE_EMPTY;
}

static struct row *row_new(const struct tls_count *count)
{
	struct row *row = calloc(1, sizeof(*row));

	if (!row)
		abort();
	arena_init(&row->arena, 0);
	row->count = (struct tls_count){
		.day = count->day,
		.domain = copy(&row->arena, count->domain),
		.policy_type = copy(&row->arena, count->policy_type),
		.policy = copy(&row->arena, count->policy),
		.result = copy(&row->arena, count->result),
		.receiving_host = copy(&row->arena, count->receiving_host),
		.receiving_ip = copy(&row->arena, count->receiving_ip),
		.receiving_helo = copy(&row->arena, count->receiving_helo),
		.sending_ip = copy(&row->arena, count->sending_ip),
		.reason = copy(&row->arena, count->reason),
	};
	row->key = key_of(&row->arena, &row->count);
	return row;
}

/* With the lock held. */
static void add_sessions(struct tls_counts *counts, struct slice key, const struct tls_count *count, uint64_t sessions)
{
	struct row *row;

	HASH_FIND(hh, counts->rows, key.data, key.len, row);
	if (!row && HASH_COUNT(counts->rows) >= TLS_COUNTS_MAX)
		return;
	if (!row) {
		row = row_new(count);
		HASH_ADD_KEYPTR(hh, counts->rows, row->key.data, row->key.len, row);
	}
	row->count.sessions += sessions;
}

void tls_counts_add(struct tls_counts *counts, const struct tls_count *given)
{
	struct arena arena SCOPED_ARENA;
	struct tls_count count = *given;
	struct slice key;

	count.day = clock_wall_ms() / DAY_MS;
	key = key_of(&arena, &count);
	pthread_mutex_lock(&counts->lock);
	add_sessions(counts, key, &count, 1);
	pthread_mutex_unlock(&counts->lock);
}

/* The store is away: they count again. */
static void put_back(struct tls_counts *counts, struct row *rows)
{
	pthread_mutex_lock(&counts->lock);
	for (struct row *row = rows; row; row = row->hh.next)
		add_sessions(counts, row->key, &row->count, row->count.sessions);
	pthread_mutex_unlock(&counts->lock);
}

enum status tls_counts_flush(struct tls_counts *counts, struct store *store)
{
	struct tls_count batch[FLUSH_AT_ONCE];
	enum status status = STATUS_OK;
	struct row *rows, *row, *next;

	pthread_mutex_lock(&counts->lock);
	rows = counts->rows;
	counts->rows = NULL;
	pthread_mutex_unlock(&counts->lock);
	while (rows && status == STATUS_OK) {
		size_t count = 0;

		for (row = rows; row && count < FLUSH_AT_ONCE; row = row->hh.next)
			batch[count++] = row->count;
		status = tls_count_add(store, batch, count);
		if (status != STATUS_OK)
			break;
		HASH_ITER(hh, rows, row, next)
		{
			if (count-- == 0)
				break;
			HASH_DEL(rows, row);
			row_free(row);
		}
	}
	put_back(counts, rows);
	rows_free(rows);
	return status;
}

/* ---- what a session counts as ---- */

/* RFC 8460 section 4.4: TLSA records as they stand in a zone. */
static struct slice tlsa_text(struct arena *arena, const struct security *security)
{
	static const char digits[] = "0123456789abcdef";
	struct buf out;

	buf_init(&out, arena, TLS_COUNT_POLICY_MAX);
	for (size_t i = 0; i < security->tlsa_count; i++) {
		const struct dns_tlsa *tlsa = &security->tlsa[i];

		buf_printf(&out, "%s%u %u %u ", i > 0 ? "\n" : "", tlsa->usage, tlsa->selector, tlsa->matching);
		for (size_t j = 0; j < tlsa->data.len; j++) {
			buf_add_byte(&out, digits[(uint8_t)tlsa->data.data[j] >> 4]);
			buf_add_byte(&out, digits[(uint8_t)tlsa->data.data[j] & 15]);
		}
	}
	return buf_slice(&out);
}

void tls_counts_describe(struct arena *arena, const struct route_host *host, struct slice domain, struct tls_count *count)
{
	*count = (struct tls_count){.domain = domain, .receiving_host = host->name, .policy_type = SLICE("no-policy-found")};
	if (host->security.policy == SECURITY_POLICY_TLSA) {
		count->policy_type = SLICE("tlsa");
		count->policy = tlsa_text(arena, &host->security);
	} else if (host->security.policy == SECURITY_POLICY_STS) {
		count->policy_type = SLICE("sts");
		count->policy = host->security.policy_text;
	}
}
