/* parse_timing: MAIL's parameters of time and order. Pure. Each takes a value; false: it may not be that. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* As the client said it; zeroed: it said nothing. */
struct smtp_timing {
	unsigned holds; /* HOLDFOR and HOLDUNTIL that were given: one is allowed (RFC 4865 section 4.2) */
	uint32_t hold_for_s;
	int64_t hold_until_ms;
	struct slice hold_value;
	bool has_by, has_priority;
	int32_t by_s;
	unsigned by_mode; /* BY_* of store/email.h */
	int priority;
	struct slice verp; /* two delimiters; empty: not asked for */
};

/* RFC 4865 section 3: 1 to 999,999,999 seconds. */
bool timing_take_hold_for(struct smtp_timing *timing, struct slice value);
/* A date-time of RFC 3339 section 5.6. */
bool timing_take_hold_until(struct smtp_timing *timing, struct slice value);
/* RFC 2852 section 4: "120;R", "-5;NT" */
bool timing_take_by(struct smtp_timing *timing, struct slice value);
/* RFC 6710 section 3: -9 to 9 */
bool timing_take_priority(struct smtp_timing *timing, struct slice value);
/* Postfix's XVERP: nothing, or two delimiters. */
bool timing_take_verp(struct smtp_timing *timing, bool has_value, struct slice value);
