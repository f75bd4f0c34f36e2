/* outflow: how much each authenticated account may submit in an hour, so that a stolen password sends no million messages. The count
 * is kept in memory and brought into the store every few seconds by outflow_flush, in one transaction for all accounts, which also brings
 * in what other nodes have counted: so it outlives a restart and holds for a whole cluster, and costs no message a write. What a node
 * that dies has not brought in (a few seconds' worth) is forgotten, and nodes may together go over the limit by as much.
 *
 * The hour slides: what was sent in the hour of the clock before counts by the part of it that is still less than an hour ago.
 * Any thread may call; time is the caller's (wall clock).
 */
#pragma once

#include "base/log.h"
#include "store/sending.h"

struct outflow;

/* 0: no limit. */
struct outflow_limits {
	uint64_t messages_per_hour, recipients_per_hour;
};

enum outflow_outcome {
	OUTFLOW_OK,
	OUTFLOW_REFUSED,
	OUTFLOW_ALARM,   /* refused, and nobody has been told in a day */
	OUTFLOW_UNKNOWN, /* the store is in trouble: come again */
};

struct outflow *outflow_new(const struct outflow_limits *limits, struct store *store, const struct log *log);
void outflow_free(struct outflow *outflow);
/* One message to so many recipients. Counted if OUTFLOW_OK. */
enum outflow_outcome outflow_spend(struct outflow *outflow, int64_t account, uint64_t recipients, int64_t now_ms);
void outflow_flush(struct outflow *outflow, int64_t now_ms);
