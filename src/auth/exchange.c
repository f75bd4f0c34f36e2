#include "auth/exchange.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/random.h"

/* A SCRAM exchange keeps its messages: each at most SASL_MESSAGE_MAX. */
#define EXCHANGE_MEMORY_MAX (64 * 1024)

struct exchange_list {
	pthread_mutex_t mutex;
	struct exchange *exchanges; /* uthash walks it in the order of arrival: the oldest is the first */
	unsigned max;
};

struct exchange_list *exchange_list_new(unsigned max)
{
	struct exchange_list *list = calloc(1, sizeof *list);

	if (!list)
		abort();
	list->max = max;
	pthread_mutex_init(&list->mutex, NULL);
	return list;
}

struct exchange *exchange_new(int from, int64_t now_ms)
{
	struct exchange *exchange = calloc(1, sizeof *exchange);

	if (!exchange)
		abort();
	exchange->id = random_u64();
	exchange->from = from;
	exchange->expires_ms = now_ms + EXCHANGE_LIFE_MS;
	arena_init(&exchange->arena, EXCHANGE_MEMORY_MAX);
	return exchange;
}

void exchange_free(struct exchange *exchange)
{
	if (!exchange)
		return;
	if (exchange->sasl.password.len > 0)
		explicit_bzero((char *)exchange->sasl.password.data, exchange->sasl.password.len);
	arena_free(&exchange->arena);
	free(exchange);
}

static void drop(struct exchange_list *list, struct exchange *exchange)
{
	HASH_DEL(list->exchanges, exchange);
	exchange_free(exchange);
}

void exchange_list_free(struct exchange_list *list)
{
	if (!list)
		return;
	while (list->exchanges)
		drop(list, list->exchanges);
	pthread_mutex_destroy(&list->mutex);
	free(list);
}

unsigned exchange_list_count(struct exchange_list *list)
{
	pthread_mutex_lock(&list->mutex);
	unsigned count = HASH_COUNT(list->exchanges);

	pthread_mutex_unlock(&list->mutex);
	return count;
}

void exchange_put(struct exchange_list *list, struct exchange *exchange, int64_t now_ms)
{
	pthread_mutex_lock(&list->mutex);
	while (list->exchanges && (list->exchanges->expires_ms <= now_ms || HASH_COUNT(list->exchanges) >= list->max))
		drop(list, list->exchanges);
	HASH_ADD(hh, list->exchanges, id, sizeof exchange->id, exchange);
	pthread_mutex_unlock(&list->mutex);
}

struct exchange *exchange_take(struct exchange_list *list, uint64_t id, int from, int64_t now_ms)
{
	struct exchange *exchange;

	pthread_mutex_lock(&list->mutex);
	HASH_FIND(hh, list->exchanges, &id, sizeof id, exchange);
	if (exchange && exchange->from != from)
		exchange = NULL;
	if (exchange)
		HASH_DEL(list->exchanges, exchange);
	pthread_mutex_unlock(&list->mutex);
	if (exchange && exchange->expires_ms <= now_ms) {
		exchange_free(exchange);
		return NULL;
	}
	return exchange;
}
