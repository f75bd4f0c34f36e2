/* metrics: what a process counts: one table (metrics.c) with names, help and labels, one cell a series, no locks.
 *
 *     METRIC_ADD(log, METRIC_SMTP_BYTES, 0, size);
 *
 * It is reached by the log that every module has. Without metrics (log->metrics NULL) nothing is counted and nothing costs anything; with
 * them an addition is one relaxed atomic instruction. Any thread.
 * A metric belongs to the roles that its row names; where there are several the role becomes a label. metrics_write makes the text of
 * all roles' cells in Prometheus' exposition format 0.0.4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

enum metric {
	/* every role */
	METRIC_ROLE_UP,
	METRIC_ROLE_RESTARTS,
	METRIC_ROLE_ANSWERED,
	METRIC_MEMORY,
	METRIC_CPU,
	/* roles with connections; label: listener */
	METRIC_CONNECTIONS,
	METRIC_CONNECTIONS_TOTAL,
	METRIC_CONNECTIONS_REFUSED,
	METRIC_COMMANDS,
	/* smtp */
	METRIC_SMTP_REPLIES,  /* code */
	METRIC_SMTP_MESSAGES, /* code */
	METRIC_SMTP_BYTES,
	METRIC_SMTP_RECIPIENTS,
	/* deliver */
	METRIC_DELIVER_REQUESTS, /* kind */
	METRIC_DELIVER_VERDICTS, /* verdict */
	METRIC_DELIVER_SECONDS,
	METRIC_DELIVER_BYTES,
	/* roles with the store */
	METRIC_STORE_COMMIT_SECONDS,
	METRIC_STORE_BATCH,
	METRIC_STORE_ERRORS, /* status */
	METRIC_STORE_NO_CONNECTION,
	/* relay */
	METRIC_RELAY_RECIPIENTS, /* outcome */
	METRIC_RELAY_BOUNCES,
	METRIC_RELAY_CONNECTIONS,
	METRIC_RELAY_TRANSACTIONS,
	METRIC_RELAY_IN_HAND,
	METRIC_RELAY_WORKERS,
	METRIC_RELAY_HOPS,
	METRIC_RELAY_HOP_CONNECTIONS, /* hop, dynamic */
	METRIC_RELAY_HOP_IN_HAND,     /* hop, dynamic */
	/* auth */
	METRIC_AUTH_ATTEMPTS, /* outcome */
	METRIC_AUTH_REMEMBERED,
	METRIC_AUTH_SECONDS,
	/* imap */
	METRIC_IMAP_LOGINS,
	METRIC_VIEW_HITS,
	METRIC_VIEW_LOADS,
	METRIC_VIEWS,
	METRIC_VIEW_BYTES,
	/* jobs */
	METRIC_QUEUE, /* state */
	/* convert */
	METRIC_CONVERTED, /* outcome */
	METRIC_CONVERT_SECONDS,
	METRIC_COUNT,
};

struct metrics;

/* Opens what tells the memory: before a sandbox. Never NULL. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* `label` is an index into the metric's values; metrics_label finds it: the last, "other", if the value isn't among them. NULL is
 * fine everywhere. */
void metrics_add(struct metrics *metrics, enum metric metric, unsigned label, int64_t by);
void metrics_set(struct metrics *metrics, enum metric metric, unsigned label, uint64_t value);
/* Histograms. Durations are in microseconds. */
void metrics_observe(struct metrics *metrics, enum metric metric, uint64_t value);
unsigned metrics_label(enum metric metric, struct slice value);
unsigned metrics_label_number(enum metric metric, unsigned value);
/* For durations; 0 without metrics. */
int64_t metrics_now_us(const struct metrics *metrics);

#define METRIC_ADD(log, metric, label, by)                              \
	do {                                                            \
		if ((log)->metrics)                                     \
			metrics_add((log)->metrics, (metric), (label), (by)); \
	} while (0)

/* ---- reading ---- */

/* Of one process: METRIC cells in order. Memory and CPU are brought up to date. */
size_t metrics_cell_count(void);
void metrics_read(struct metrics *metrics, uint64_t *cells);

/* One more series, whose label's value is known only while running. */
struct metric_extra {
	enum metric metric;
	struct slice label;
	uint64_t value;
};
struct metric_source {
	struct slice role;
	const uint64_t *cells; /* NULL: it didn't answer */
	const struct metric_extra *extras;
	size_t extra_count;
	bool is_known, is_up; /* what the supervisor says */
	uint64_t restarts;
};
/* The whole text. */
void metrics_write(struct buf *out, const struct metric_source *sources, size_t count);
