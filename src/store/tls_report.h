/* tls_report: how attempts at TLS with other hosts ended, counted by day (RFC 8460 section 4). */
#pragma once

#include "store/store.h"

/* A row: what it is about, and how often. Texts are cut at TLS_COUNT_TEXT_MAX bytes, the policy at TLS_COUNT_POLICY_MAX. */
#define TLS_COUNT_TEXT_MAX   255
#define TLS_COUNT_POLICY_MAX 4096
struct tls_count {
	int64_t day; /* since 1970, UTC */
	struct slice domain;
	struct slice policy_type;   /* "tlsa", "sts", "no-policy-found" */
	struct slice policy;        /* lines */
	struct slice result;        /* empty: success; the rest is then empty, save for the host */
	struct slice receiving_host;
	struct slice receiving_ip, receiving_helo, sending_ip, reason;
	uint64_t sessions;
};

/* Adds the sessions to what is there; the policy of the day is the last one. */
MUST_CHECK enum status tls_count_add(struct store *store, const struct tls_count *counts, size_t count);
/* In order: day, domain, policy type, successes first. An empty domain, or a day of -1, stands for all. */
MUST_CHECK enum status tls_count_list(struct store *store, struct arena *arena, int64_t day, struct slice domain,
				      struct tls_count **counts, size_t *count);
/* Clean-up by jobs: of the days that were over by then the oldest, whole; *removed rows. Called again it goes on. */
MUST_CHECK enum status tls_count_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed);

/* ---- reports to the domains (RFC 8460 section 5) ---- */

/* A day's report to a domain: in hand of whoever took it until its lease ends. */
struct tls_report {
	int64_t day;
	struct slice domain;
	unsigned tries; /* before this one */
	uint64_t done;  /* bits: places that have it */
};
/* The reports of a day that is over become due then, each once: who calls again changes nothing. */
MUST_CHECK enum status tls_report_plan(struct store *store, int64_t day, int64_t due_ms);
/* Takes one that is due; it is due again after lease_ms. NOT_FOUND: there is none. */
MUST_CHECK enum status tls_report_take(struct store *store, struct arena *arena, int64_t now_ms, int64_t lease_ms, struct tls_report *report);
/* again_ms 0: never again; else one more try was made, and the next is due then. */
MUST_CHECK enum status tls_report_put(struct store *store, const struct tls_report *report, int64_t again_ms);
