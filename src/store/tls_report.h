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
