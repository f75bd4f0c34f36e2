/* Durations and sizes. */
#include "config/config.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* "12" and "ab" of "12ab"; blanks between them are allowed. */
static bool split(struct slice text, uint64_t *number, struct slice *unit)
{
	size_t digits = 0;

	while (digits < text.len && ascii_is_digit(text.data[digits]))
		digits++;
	*unit = slice_trim(slice_skip(text, digits));
	return slice_to_u64(slice_sub(text, 0, digits), UINT64_MAX, number);
}

static bool multiply(struct slice text, const struct unit *units, size_t count, uint64_t max, uint64_t *value)
{
	struct slice unit;
	uint64_t number;

	if (!split(text, &number, &unit))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (slice_eq_nocase(unit, slice_from_cstr(units[i].name)))
			return !__builtin_mul_overflow(number, units[i].factor, value) && *value <= max;
	}
	return false;
}

bool config_duration(struct slice text, int64_t *ms)
{
	static const struct unit units[] = {{"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};
	uint64_t value;

	if (!multiply(slice_trim(text), units, sizeof(units) / sizeof(units[0]), INT64_MAX, &value))
		return false;
	*ms = (int64_t)value;
	return true;
}

bool config_next_duration(struct slice *rest, int64_t *ms)
{
	return rest->len > 0 && config_duration(slice_cut(rest, ','), ms);
}

bool config_size(struct slice text, uint64_t *bytes)
{
	static const struct unit units[] = {
		{"", 1},         {"B", 1},       {"K", 1 << 10},  {"KB", 1 << 10},          {"M", 1 << 20},
		{"MB", 1 << 20}, {"G", 1 << 30}, {"GB", 1 << 30}, {"T", UINT64_C(1) << 40}, {"TB", UINT64_C(1) << 40},
	};

	return multiply(slice_trim(text), units, sizeof(units) / sizeof(units[0]), INT64_MAX, bytes);
}
