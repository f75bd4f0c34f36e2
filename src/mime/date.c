/* RFC 5322 section 3.3 with the obsolete forms of section 4.3. Lenient: the weekday is not checked, the zone may be missing, and
 * the order of asctime(3) ("Tue Nov 24 15:00:00 2026") is understood. */
#include "base/clock.h"
#include "mime/lexer.h"
#include "mime/words.h"

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static const struct {
	struct slice name;
	int minutes;
} zones[] = {
	{{"UT", 2}, 0},     {{"GMT", 3}, 0},    {{"UTC", 3}, 0},    {{"EST", 3}, -300}, {{"EDT", 3}, -240}, {{"CST", 3}, -360},
	{{"CDT", 3}, -300}, {{"MST", 3}, -420}, {{"MDT", 3}, -360}, {{"PST", 3}, -480}, {{"PDT", 3}, -420}, {{"BST", 3}, 60},
	{{"CET", 3}, 60},   {{"CEST", 4}, 120}, {{"MET", 3}, 60},   {{"MEST", 4}, 120}, {{"EET", 3}, 120},  {{"EEST", 4}, 180},
};

static struct slice letters(struct lexer *lexer)
{
	const char *start = lexer->at;

	while (lexer->at < lexer->end && ascii_is_alpha(*lexer->at))
		lexer->at++;
	return slice_of(start, (size_t)(lexer->at - start));
}

/* A run of digits of at most `max_digits`. */
static bool number(struct lexer *lexer, unsigned max_digits, int *value, unsigned *digits)
{
	*value = 0;
	for (*digits = 0; lexer->at < lexer->end && ascii_is_digit(*lexer->at); ++*digits) {
		if (*digits == max_digits)
			return false;
		*value = *value * 10 + (*lexer->at++ - '0');
	}
	return *digits > 0;
}

static bool pass(struct lexer *lexer, char c)
{
	if (!lexer_is_at(lexer, c))
		return false;
	lexer->at++;
	return true;
}

static bool month_of(struct slice name, int *month)
{
	for (int i = 0; i < 12; i++) {
		if (name.len >= 3 && slice_eq_nocase(slice_sub(name, 0, 3), slice_of(months[i], 3))) {
			*month = i + 1;
			return true;
		}
	}
	return false;
}

static bool read_day(struct lexer *lexer, struct civil_time *civil)
{
	unsigned digits;

	lexer_skip_space(lexer);
	return number(lexer, 2, &civil->day, &digits);
}

static bool read_year(struct lexer *lexer, struct civil_time *civil)
{
	unsigned digits;

	lexer_skip_space(lexer);
	if (!number(lexer, 4, &civil->year, &digits))
		return false;
	/* RFC 5322 section 4.3 */
	if (digits == 3 || (digits == 2 && civil->year >= 50))
		civil->year += 1900;
	else if (digits < 3)
		civil->year += 2000;
	return true;
}

static bool read_time(struct lexer *lexer, struct civil_time *civil)
{
	unsigned digits;
	int fraction;

	lexer_skip_space(lexer);
	if (!number(lexer, 2, &civil->hour, &digits))
		return false;
	lexer_skip_space(lexer);
	if (!pass(lexer, ':') && !pass(lexer, '.'))
		return false;
	lexer_skip_space(lexer);
	if (!number(lexer, 2, &civil->minute, &digits))
		return false;
	lexer_skip_space(lexer);
	if (!pass(lexer, ':') && !pass(lexer, '.'))
		return true;
	lexer_skip_space(lexer);
	return number(lexer, 2, &civil->second, &digits) && (!pass(lexer, '.') || number(lexer, 9, &fraction, &digits));
}

/* "+0100"; east of UTC. */
static bool read_offset(struct lexer *lexer, int *minutes)
{
	int sign = lexer_is_at(lexer, '-') ? -1 : 1, value;
	unsigned digits;

	if (!pass(lexer, '+') && !pass(lexer, '-'))
		return false;
	if (!number(lexer, 4, &value, &digits))
		return false;
	if (digits <= 2 && pass(lexer, ':')) {
		int rest;

		if (!number(lexer, 2, &rest, &digits))
			return false;
		value = value * 100 + rest;
	} else if (digits <= 2) {
		value *= 100;
	}
	if (value / 100 > 23 || value % 100 > 59)
		return false;
	*minutes = sign * (value / 100 * 60 + value % 100);
	return true;
}

/* RFC 5322 section 4.3: unknown names, and single letters, mean nothing but -0000. */
static int read_zone(struct lexer *lexer)
{
	struct slice name;
	int minutes = 0;

	lexer_skip_space(lexer);
	name = letters(lexer);
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		if (slice_eq_nocase(name, zones[i].name))
			minutes = zones[i].minutes;
	}
	/* "GMT+0100" too */
	return read_offset(lexer, &minutes) ? minutes : name.len ? minutes : 0;
}

static bool is_real(struct civil_time *civil)
{
	static const signed char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = (civil->year % 4 == 0 && civil->year % 100 != 0) || civil->year % 400 == 0;
	int last = days[civil->month - 1] + (civil->month == 2 && is_leap);

	if (civil->second == 60) /* a leap second */
		civil->second = 59;
	return civil->year >= 1900 && civil->day >= 1 && civil->day <= last && civil->hour <= 23 && civil->minute <= 59 &&
	       civil->second <= 59;
}

/* The month's name has been read. */
static bool read_asctime(struct lexer *lexer, struct civil_time *civil)
{
	if (!read_day(lexer, civil))
		return false;
	pass(lexer, ',');
	if (!read_time(lexer, civil))
		return false;
	lexer_skip_space(lexer);
	if (lexer->at < lexer->end && !ascii_is_digit(*lexer->at))
		civil->zone_minutes = read_zone(lexer);
	return read_year(lexer, civil);
}

static bool read_date(struct lexer *lexer, struct civil_time *civil)
{
	if (!read_day(lexer, civil))
		return false;
	lexer_skip_space(lexer);
	pass(lexer, '-'); /* 24-Nov-2026 */
	if (!month_of(letters(lexer), &civil->month))
		return false;
	pass(lexer, '-');
	pass(lexer, '.');
	if (!read_year(lexer, civil) || !read_time(lexer, civil))
		return false;
	civil->zone_minutes = read_zone(lexer);
	return true;
}

bool date_parse(struct slice value, int64_t *wall_ms, int *zone_minutes)
{
	struct arena arena SCOPED_ARENA;
	struct lexer lexer = lexer_of(&arena, value);
	struct civil_time civil = {0};
	struct slice word;
	bool found;

	arena_init(&arena, 0);
	lexer_skip_space(&lexer);
	word = letters(&lexer);
	if (word.len > 0 && !month_of(word, &civil.month)) {
		pass(&lexer, '.');
		lexer_skip_space(&lexer);
		pass(&lexer, ',');
		lexer_skip_space(&lexer);
		word = letters(&lexer);
	}
	found = word.len == 0 ? read_date(&lexer, &civil) : month_of(word, &civil.month) && read_asctime(&lexer, &civil);
	if (!found || !is_real(&civil))
		return false;
	*wall_ms = clock_from_civil(&civil);
	*zone_minutes = civil.zone_minutes;
	return true;
}

void date_format(struct buf *out, int64_t wall_ms, int zone_minutes)
{
	struct civil_time civil = clock_civil(wall_ms, zone_minutes);
	int zone = zone_minutes < 0 ? -zone_minutes : zone_minutes;

	buf_printf(out, "%s, %d %s %04d %02d:%02d:%02d %c%02d%02d", weekdays[civil.weekday], civil.day, months[civil.month - 1],
		   civil.year, civil.hour, civil.minute, civil.second, zone_minutes < 0 ? '-' : '+', zone / 60, zone % 60);
}
