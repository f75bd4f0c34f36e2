/* outcome: what is done with a parcel that comes back: which rows are finished, which come again and when, and of whom the sender
 * is told (RFC 5321 section 4.5.4.1, RFC 3461 section 5.2). Pure. */
#pragma once

#include "mime/dsn.h"
#include "relay/scheduler.h"

struct outcome_policy {
	const int64_t *retry_ms;
	size_t retry_count;
	int64_t expire_ms;
	int64_t warn_after_ms; /* negative: never */
	bool double_bounces;   /* somebody is told of what fails that has no sender */
};
/* The envelope id of what he is told: if that fails too nobody is. */
#define DOUBLE_BOUNCE_ID SLICE("double-bounce")

struct settlement { /* in the parcel's arena */
	struct queue_result *results;
	size_t count;
	struct dsn_recipient *reports; /* none: no notification */
	size_t report_count;
	bool has_failed_report; /* only then may the whole message be returned (RFC 3461 section 4.3) */
	unsigned delivered, deferred, failed;
};

/* Whoever is neither delivered nor failed is deferred. */
void outcome_settle(const struct outcome_policy *policy, struct parcel *parcel, int64_t now_ms, struct settlement *settlement);
/* A recipient whose hop is known to be dead: must its sender be told something now, of a delay or of the end? */
bool outcome_is_urgent(const struct outcome_policy *policy, const struct queue_item *item, int64_t now_ms);
/* When it is due again if its hop is dead until `until_ms`: not after the time when its sender is to be told something. */
int64_t outcome_put_off(const struct outcome_policy *policy, const struct queue_item *item, int64_t until_ms);
