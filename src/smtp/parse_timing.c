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

bool timing_take_hold_until(struct smtp_timing *timing, struct slice value)
{
	timing->holds++;
	timing->hold_value = value;
	return clock_parse_rfc3339(value, &timing->hold_until_ms);
}
