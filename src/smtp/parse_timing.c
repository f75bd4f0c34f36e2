#include "smtp/parse_timing.h"

#include "base/clock.h"
#include "mime/verp.h"
#include "store/email.h"

#define DIGITS_MAX 9 /* of numbers of seconds */

static bool all_digits(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_digit(text.data[i]))
			return false;
	return text.len > 0;
}

bool timing_take_hold_for(struct smtp_timing *timing, struct slice value)
{
	timing->holds++;
	timing->hold_value = value;
	return value.len <= DIGITS_MAX && all_digits(value) && value.data[0] != '0' &&
	       slice_to_u32(value, UINT32_MAX, &timing->hold_for_s);
}

bool timing_take_by(struct smtp_timing *timing, struct slice value)
{
	struct slice mode = value, number = slice_cut(&mode, ';');
	bool is_negative = slice_starts_with(number, SLICE("-"));
	uint32_t seconds;

	if (is_negative || slice_starts_with(number, SLICE("+")))
		number = slice_skip(number, 1);
	if (number.len > DIGITS_MAX || !all_digits(number) || !slice_to_u32(number, UINT32_MAX, &seconds))
		return false;
	timing->has_by = true;
	timing->by_s = is_negative ? -(int32_t)seconds : (int32_t)seconds;
	timing->by_mode = slice_starts_with_nocase(mode, SLICE("R")) ? BY_RETURN : BY_NOTIFY;
	if (mode.len == 2 && slice_ends_with_nocase(mode, SLICE("T")))
		timing->by_mode |= BY_TRACE;
	else if (mode.len != 1)
		return false;
	/* What is to be returned when its time is over can't begin so. */
	return (timing->by_mode & BY_RETURN) ? timing->by_s > 0 : slice_starts_with_nocase(mode, SLICE("N"));
}

bool timing_take_priority(struct smtp_timing *timing, struct slice value)
{
	bool is_negative = slice_starts_with(value, SLICE("-"));

	if (is_negative)
		value = slice_skip(value, 1);
	if (value.len != 1 || !ascii_is_digit(value.data[0]) || (is_negative && value.data[0] == '0'))
		return false;
	timing->has_priority = true;
	timing->priority = is_negative ? '0' - value.data[0] : value.data[0] - '0';
	return true;
}

bool timing_take_verp(struct smtp_timing *timing, bool has_value, struct slice value)
{
	timing->verp = has_value ? value : VERP_DEFAULT;
	return verp_is_delimiters(timing->verp);
}

/* ---- dates ---- */

/* So many digits, and what follows them. */
static bool take_number(struct slice *rest, size_t digits, int least, int most, int *number)
{
	struct slice text = slice_sub(*rest, 0, digits);
	uint32_t value;

	if (text.len != digits || !all_digits(text) || !slice_to_u32(text, (uint32_t)most, &value) || (int)value < least)
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

bool timing_parse_date(struct slice text, int64_t *wall_ms)
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

bool timing_take_hold_until(struct smtp_timing *timing, struct slice value)
{
	timing->holds++;
	timing->hold_value = value;
	return timing_parse_date(value, &timing->hold_until_ms);
}
