/* sending: what accounts have submitted, by the hour, of all nodes together. */
#pragma once

#include "store/store.h"

#define SENDING_HOUR_MS INT64_C(3600000)

struct sending_count {
	uint64_t messages, recipients;
};

struct sending_change {
	int64_t account, hour; /* hours since 1970 */
	struct sending_count added;
	struct sending_count now; /* with what others have added: filled in */
};

/* Zero where nothing was submitted. */
MUST_CHECK enum status sending_read(struct store *store, int64_t account, int64_t hour, struct sending_count *count);
/* All in one transaction. */
MUST_CHECK enum status sending_add(struct store *store, struct sending_change *changes, size_t count);
/* EXISTS: somebody has raised the alarm for this account in the 24 hours before already. */
MUST_CHECK enum status sending_alert(struct store *store, int64_t account, int64_t hour);
MUST_CHECK enum status sending_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed);
