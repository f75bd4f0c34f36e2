/* metrics: how the metrics role learns the numbers of the others (base/metrics.h): one kind of request, which ipc answers by itself in every
 * role. It is the only one that the metrics role may make: whoever took it over could ask for nothing else. */
#pragma once

#include "base/metrics.h"
#include "ipc/ipc.h"

#define IPC_METRICS            UINT32_MAX /* type of the request; no other has it */
#define IPC_METRICS_EXTRAS_MAX 200

/* A role's own say: it may set gauges, and add series whose label is known only now. On the channel's thread. */
struct metrics_report {
	struct metrics *metrics;
	struct buf extras;
	uint32_t extra_count;
};
void metrics_report_add(struct metrics_report *report, enum metric metric, struct slice label, uint64_t value);
typedef void (*metrics_reporter)(void *context, struct metrics_report *report);
/* Before ipc_start. */
void ipc_set_metrics_reporter(struct ipc *ipc, metrics_reporter reporter, void *context);

/* The answer; STATUS_NOT_FOUND where nothing is counted. */
enum status ipc_metrics_answer(struct ipc *ipc, struct buf *reply);

/* Asks. *source's cells and extras are in `arena`; cells NULL: no answer in time, or none that makes sense. */
void ipc_metrics_ask(struct ipc *ipc, enum role role, int timeout_ms, struct arena *arena, struct metric_source *source);
/* An answer's bytes, for ipc_metrics_ask and tests. */
MUST_CHECK bool ipc_metrics_unpack(struct arena *arena, struct slice frame, struct metric_source *source);
