#include "base/clock.h"

#include <time.h>

#include "base/buf.h"

#define MS_PER_DAY (INT64_C(86400) * 1000)

static int64_t read_ms(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int64_t clock_monotonic_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

static char *put_digits(char *to, int value, int count)
{
	for (int i = count - 1; i >= 0; i--, value /= 10)
		to[i] = (char)('0' + value % 10);
	return to + count;
}

void clock_format_rfc3339(struct buf *out, int64_t wall_ms)
{
	struct civil_time t = clock_civil(wall_ms, 0);
	char *to = buf_reserve(out, 24);

	if (!to)
		return;
	to = put_digits(to, t.year, 4);
	*to++ = '-';
	to = put_digits(to, t.month, 2);
	*to++ = '-';
	to = put_digits(to, t.day, 2);
	*to++ = 'T';
	to = put_digits(to, t.hour, 2);
	*to++ = ':';
	to = put_digits(to, t.minute, 2);
	*to++ = ':';
	to = put_digits(to, t.second, 2);
	*to++ = '.';
	to = put_digits(to, (int)((wall_ms % 1000 + 1000) % 1000), 3);
	*to = 'Z';
	buf_advance(out, 24);
}

static int64_t floor_divide(int64_t value, int64_t by)
{
	return value / by - (value % by < 0);
}

/* Days since 1970 to a date. Years are counted from March, so that the leap day is a year's last, in eras of 400 years. */
static void date_of_day(int64_t day, struct civil_time *t)
{
	int64_t since = day + 719468; /* since 1 March of the year 0 */
	int64_t era = floor_divide(since, 146097);
	int day_of_era = (int)(since - era * 146097);
	int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int month = (5 * day_of_year + 2) / 153; /* 0 = March */

	t->day = day_of_year - (153 * month + 2) / 5 + 1;
	t->month = month < 10 ? month + 3 : month - 9;
	t->year = (int)(year_of_era + era * 400) + (t->month <= 2);
}

static int64_t day_of_date(const struct civil_time *t)
{
	int64_t year = (int64_t)t->year - (t->month <= 2);
	int64_t era = floor_divide(year, 400);
	int64_t year_of_era = year - era * 400;
	int month = t->month > 2 ? t->month - 3 : t->month + 9;
	int64_t day_of_year = (153 * month + 2) / 5 + t->day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

struct civil_time clock_civil(int64_t wall_ms, int zone_minutes)
{
	int64_t local = wall_ms + (int64_t)zone_minutes * 60000;
	int64_t day = floor_divide(local, MS_PER_DAY);
	int second = (int)((local - day * MS_PER_DAY) / 1000);
	struct civil_time t = {
		.hour = second / 3600,
		.minute = second / 60 % 60,
		.second = second % 60,
		.weekday = (int)(((day + 4) % 7 + 7) % 7), /* 1 January 1970 was a Thursday */
		.zone_minutes = zone_minutes,
	};

	date_of_day(day, &t);
	return t;
}

int64_t clock_from_civil(const struct civil_time *t)
{
	int64_t seconds = (int64_t)t->hour * 3600 + t->minute * 60 + t->second - (int64_t)t->zone_minutes * 60;

	return day_of_date(t) * MS_PER_DAY + seconds * 1000;
}

int clock_local_zone_minutes(int64_t wall_ms)
{
	time_t seconds = (time_t)floor_divide(wall_ms, 1000);
	struct tm local;

	return localtime_r(&seconds, &local) ? (int)(local.tm_gmtoff / 60) : 0;
}

/* ---- RFC 3339 ---- */

/* So many digits, and what follows them. */
static bool take_number(struct slice *rest, size_t digits, int least, int most, int *number)
{
	struct slice text = slice_sub(*rest, 0, digits);
	uint32_t value;

	if (text.len != digits || !slice_to_u32(text, (uint32_t)most, &value) || (int)value < least)
		return false;
	*number = (int)value;
	*rest = slice_skip(*rest, digits);
	return true;
}

static bool take_one_of(struct slice *rest, const char *bytes)
{
	if (rest->len == 0 || !strchr(bytes, rest->data[0]) || rest->data[0] == '\0')
		return false;
	*rest = slice_skip(*rest, 1);
	return true;
}

static bool take_fraction(struct slice *rest)
{
	size_t digits = 0;

	if (rest->len == 0 || rest->data[0] != '.')
		return true;
	*rest = slice_skip(*rest, 1);
	while (digits < rest->len && ascii_is_digit(rest->data[digits]))
		digits++;
	*rest = slice_skip(*rest, digits);
	return digits > 0;
}

/* "Z", "+01:00" */
static bool take_zone(struct slice *rest, int *minutes)
{
	int hours, rest_minutes;
	bool is_west;

	*minutes = 0;
	if (take_one_of(rest, "Zz"))
		return true;
	is_west = rest->len > 0 && rest->data[0] == '-';
	if (!take_one_of(rest, "+-") || !take_number(rest, 2, 0, 23, &hours) || !take_one_of(rest, ":") ||
	    !take_number(rest, 2, 0, 59, &rest_minutes))
		return false;
	*minutes = (hours * 60 + rest_minutes) * (is_west ? -1 : 1);
	return true;
}

static int days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap);
}

bool clock_parse_rfc3339(struct slice text, int64_t *wall_ms)
{
	struct civil_time t = {0};

	if (!take_number(&text, 4, 1970, 9999, &t.year) || !take_one_of(&text, "-") ||
	    !take_number(&text, 2, 1, 12, &t.month) || !take_one_of(&text, "-") ||
	    !take_number(&text, 2, 1, days_of(t.year, t.month), &t.day) || !take_one_of(&text, "Tt") ||
	    !take_number(&text, 2, 0, 23, &t.hour) || !take_one_of(&text, ":") || !take_number(&text, 2, 0, 59, &t.minute) ||
	    !take_one_of(&text, ":") || !take_number(&text, 2, 0, 60, &t.second) || !take_fraction(&text) ||
	    !take_zone(&text, &t.zone_minutes))
		return false;
	*wall_ms = clock_from_civil(&t);
	return text.len == 0;
}
