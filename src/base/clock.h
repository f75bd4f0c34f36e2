/* clock: the two clocks. Wall time is milliseconds since 1970 UTC and is what is stored; monotonic time is for deadlines. */
#pragma once

#include <stdint.h>

#include "base/slice.h"

struct buf;

int64_t clock_wall_ms(void);
int64_t clock_monotonic_ms(void);
/* "2026-11-24T15:00:00.123Z" (RFC 3339), 24 bytes. */
void clock_format_rfc3339(struct buf *out, int64_t wall_ms);
/* A date-time of RFC 3339 section 5.6. False: it isn't one. */
__attribute__((warn_unused_result)) bool clock_parse_rfc3339(struct slice text, int64_t *wall_ms);

/* Civil date and time in a zone. Proleptic Gregorian; no leap seconds. */
struct civil_time {
	int year, month, day; /* month and day from 1 */
	int hour, minute, second;
	int weekday;          /* 0 = Sunday */
	int zone_minutes;     /* east of UTC */
};
struct civil_time clock_civil(int64_t wall_ms, int zone_minutes);
/* Back to milliseconds since 1970 UTC; fields in range are the caller's duty. */
int64_t clock_from_civil(const struct civil_time *civil);
/* The local zone's offset at that time, in minutes. Reads /etc/localtime on its first call: call once before a sandbox. */
int clock_local_zone_minutes(int64_t wall_ms);
