/* relay_internal: what relay.c (life, feeder) and worker.c share. */
#pragma once

#include <pthread.h>

#include "relay/client.h"
#include "relay/local.h"
#include "relay/record.h"
#include "relay/relay.h"
#include "relay/route.h"
#include "relay/scheduler.h"
#include "relay/security.h"
#include "relay/sts.h"
#include "relay/tls_counts.h"

#define THREAD_STACK_WORKER (256 * 1024)
#define THREAD_STACK_STORE  (512 * 1024) /* runs SQL and parses messages */

struct worker {
	struct relay *relay;
	pthread_cond_t wake;
	struct parcel *parcel;   /* its next work, given by workers_dispatch */
	struct hop *lingers_for; /* an open connection to this hop waits for work */
	bool is_released;        /* lingering is over: somebody needs the thread */
	int fd;                  /* of its connection; -1 */
	struct slice domain;     /* whose mail hosts it talks to, while it does; empty: no domain's */
	struct sender *works_for; /* whose parcel it has; NULL: none */
	struct record_gate *gate;
	struct worker *prev, *next;           /* in relay->workers */
	struct worker *list_prev, *list_next; /* in relay->idle or relay->lingering */
};

#define ASKED_MAX    32
#define DOMAIN_BYTES 256

struct asked_domain {
	char bytes[DOMAIN_BYTES];
	size_t len; /* 0: none */
	int64_t asked_ms;
	bool is_waiting; /* for the feeder */
};

struct relay {
	struct arena arena; /* the options' texts */
	struct relay_options options;
	struct relay_environment environment;
	struct route_options route;
	struct client_options client;
	struct outcome_policy policy;
	struct recorder *recorder;
	struct sts *sts;    /* NULL: no MTA-STS */
	struct tls_counts *tls_counts;
	struct keeper *keeper;
	struct local *local; /* NULL before the start */
	struct reporter *reporter; /* NULL: no reports are sent */
	struct slice smarthost; /* lower case; empty: none */

	pthread_mutex_t lock; /* guards all below */
	struct scheduler *scheduler;
	struct worker *workers, *idle, *lingering;
	unsigned worker_count;
	pthread_cond_t worker_gone;
	pthread_cond_t feed;
	pthread_t feeder;
	int64_t feeder_waits_until_ms; /* monotonic; 0: it doesn't */
	bool feeder_runs; /* there is a thread to join */
	bool is_stopped;
	bool stopping;       /* no new work */
	bool breaking;       /* work that runs is broken off */
	bool woken;          /* something new may be in the queue */
	struct asked_domain asked[ASKED_MAX]; /* by ETRN */
	bool is_asked_to_retry; /* all of the queue is to be looked at again */
	int64_t next_due_ms; /* wall clock: when to look again */
	uint64_t connections, transactions;
	uint64_t put_off; /* recipients, without having been in hand */
};

/* The entry of the settings for a next hop's host; NULL: there is none. */
const struct relay_destination *relay_destination_of(const struct relay *relay, struct slice host);
/* With the lock held: gives what waits to lingering and idle workers, and starts workers as long as there may be more. */
void workers_dispatch(struct relay *relay);
/* With the lock held, after so many parcels on end for a hop: do hops that nobody works for wait, while all threads are taken? */
bool workers_must_give_way(const struct relay *relay, unsigned sent);
/* With the lock held: wakes all, so that they see `stopping`. */
void workers_wake(struct relay *relay);
/* With the lock held: ends what they have on the wire. */
void workers_break(struct relay *relay);
/* Without the lock. Records the list as deferred: each put off with the reply it was given. */
void relay_defer_list(struct relay *relay, struct parcel *parcels);
