#include "cli/when.h"

#include "base/clock.h"

/* So many digits. */
static bool take_number(struct slice *rest, size_t digits, int least, int most, int *number)
{
	uint32_t value;

	if (rest->len < digits || !slice_to_u32(slice_sub(*rest, 0, digits), (uint32_t)most, &value) || value < (uint32_t)least)
		return false;
	*number = (int)value;
	*rest = slice_skip(*rest, digits);
	return true;
}

static bool take_byte(struct slice *rest, char byte)
{
	if (rest->len == 0 || rest->data[0] != byte)
		return false;
	*rest = slice_skip(*rest, 1);
	return true;
}

static bool take_date(struct slice *rest, struct civil_time *civil)
{
	return take_number(rest, 4, 1970, 9999, &civil->year) && take_byte(rest, '-') && take_number(rest, 2, 1, 12, &civil->month) &&
	       take_byte(rest, '-') && take_number(rest, 2, 1, 31, &civil->day);
}

/* "10:53", "10:53:14", "10:53:14.123" */
static bool take_time(struct slice *rest, struct civil_time *civil, int *ms)
{
	if (!take_number(rest, 2, 0, 23, &civil->hour) || !take_byte(rest, ':') || !take_number(rest, 2, 0, 59, &civil->minute))
		return false;
	if (!take_byte(rest, ':'))
		return true;
	if (!take_number(rest, 2, 0, 60, &civil->second))
		return false;
	return !take_byte(rest, '.') || take_number(rest, 3, 0, 999, ms);
}

bool when_parse(struct slice text, int64_t now_ms, int64_t *at_ms)
{
	struct civil_time civil = {0};
	int64_t ago_ms;
	int ms = 0;

	if (config_duration(text, &ago_ms)) {
		*at_ms = now_ms - ago_ms;
		return true;
	}
	if (!take_date(&text, &civil) || ((take_byte(&text, 'T') || take_byte(&text, ' ')) && !take_time(&text, &civil, &ms)))
		return false;
	(void)take_byte(&text, 'Z');
	*at_ms = clock_from_civil(&civil) + ms;
	return text.len == 0;
}

bool when_parse_ahead(struct slice text, int64_t now_ms, int64_t *at_ms)
{
	int64_t ahead_ms;

	*at_ms = now_ms;
	if (slice_eq(text, SLICE("now")))
		return true;
	if (!config_duration(text, &ahead_ms))
		return when_parse(text, now_ms, at_ms);
	*at_ms = now_ms + ahead_ms;
	return true;
}

bool cli_when(struct cli *cli, const char *name, int64_t *at_ms)
{
	const char *text = cli_option(cli, name);

	if (!text || when_parse(slice_from_cstr(text), clock_wall_ms(), at_ms))
		return true;
	cli_fail(cli, EXIT_USAGE, "%s wants how long ago, as 90s, 30m, 2h, 5d, or a time as 2026-11-25T10:53 (UTC)", name);
	return false;
}
