/* exchange: the SASL exchanges that are under way, found again by a random number. Bounded in number and time: when there are
 * too many the oldest is given up. Who works on one takes it out of the table, so no two threads do. Any thread may call. */
#pragma once

/* The default is a mixer for keys that others choose; ours are random. */
#define HASH_FUNCTION(key, key_len, hash) HASH_FNV(key, key_len, hash)
#include <uthash.h>

#include "auth/lockout.h"
#include "auth/sasl.h"

#define EXCHANGE_LIFE_MS 120000

struct exchange_list;

struct exchange {
	uint64_t id;
	int from; /* the role that began it: no other may go on */
	int64_t expires_ms;
	struct arena arena; /* everything below lives in it */
	struct sasl sasl;
	struct slice protocol;
	struct net_address peer;
	struct slice certified; /* addresses of the client's certificate */
	struct lockout_keys keys;
	struct slice address; /* prepared; as typed if it isn't an address */
	int64_t account;
	uint64_t version;
	bool may_log_in;   /* known, enabled, with keys of its own */
	UT_hash_handle hh; /* private to the list; kept in the order of arrival */
};

struct exchange_list *exchange_list_new(unsigned max);
void exchange_list_free(struct exchange_list *list);
unsigned exchange_list_count(struct exchange_list *list);

struct exchange *exchange_new(int from, int64_t now_ms);
void exchange_free(struct exchange *exchange);
/* Puts it into the list, which owns it from now on. */
void exchange_put(struct exchange_list *list, struct exchange *exchange, int64_t now_ms);
/* Takes it out: the caller's from now on. NULL: unknown, too late, or somebody else's. */
struct exchange *exchange_take(struct exchange_list *list, uint64_t id, int from, int64_t now_ms);
