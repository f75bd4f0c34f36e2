#include "relay/sts_policy.h"

#define ID_MAX 32

/* ---- the record ---- */

static bool is_id(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_alnum(text.data[i]))
			return false;
	return text.len >= 1 && text.len <= ID_MAX;
}

/* RFC 8461 section 3.1: what doesn't begin with the version is some other record. */
static bool is_sts_record(struct slice text)
{
	return slice_starts_with(text, SLICE("v=STSv1")) && slice_eq(slice_trim(slice_cut(&text, ';')), SLICE("v=STSv1"));
}

static bool record_id(struct slice text, struct slice *id)
{
	slice_cut(&text, ';');
	while (text.len > 0) {
		struct slice field = slice_trim(slice_cut(&text, ';'));

		if (slice_starts_with(field, SLICE("id="))) {
			*id = slice_skip(field, 3);
			return is_id(*id);
		}
	}
	return false;
}

bool sts_record_find(const struct slice *texts, size_t count, struct slice *id)
{
	const struct slice *found = NULL;

	for (size_t i = 0; i < count; i++)
		if (is_sts_record(texts[i])) {
			if (found)
				return false;
			found = &texts[i];
		}
	return found && record_id(*found, id);
}

/* ---- the policy ---- */

enum { SEEN_VERSION = 1, SEEN_MODE = 2, SEEN_MAX_AGE = 4 };

static bool mode_parse(struct slice text, enum sts_mode *mode)
{
	static const struct slice NAMES[] = {SLICE("none"), SLICE("testing"), SLICE("enforce")};

	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		if (slice_eq(text, NAMES[i])) {
			*mode = (enum sts_mode)i;
			return true;
		}
	return false;
}

static bool max_age_parse(struct slice text, int64_t *seconds)
{
	uint64_t number;

	if (text.len > 10 || !slice_to_u64(text, UINT64_MAX, &number))
		return false;
	*seconds = number > STS_MAX_AGE_S ? STS_MAX_AGE_S : (int64_t)number;
	return true;
}

static bool is_host(struct slice text)
{
	if (slice_starts_with(text, SLICE("*.")))
		text = slice_skip(text, 2);
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_alnum(text.data[i]) && text.data[i] != '-' && text.data[i] != '.' && text.data[i] != '_')
			return false;
	return text.len > 0 && text.len <= 253;
}

static bool add_host(struct arena *arena, struct sts_policy *policy, struct slice text)
{
	if (slice_ends_with(text, SLICE(".")))
		text.len--;
	if (!is_host(text) || policy->host_count == STS_HOSTS_MAX)
		return false;
	policy->hosts[policy->host_count++] = slice_lower(arena, text);
	return true;
}

/* RFC 8461 section 3.2: of a field that stands twice the first counts; unknown ones are passed over. */
static bool take_field(struct arena *arena, struct sts_policy *policy, unsigned *seen, struct slice line)
{
	struct slice value = line, name = slice_trim(slice_cut(&value, ':'));
	unsigned bit = slice_eq(name, SLICE("version")) ? SEEN_VERSION
		       : slice_eq(name, SLICE("mode"))	? SEEN_MODE
		       : slice_eq(name, SLICE("max_age")) ? SEEN_MAX_AGE
							  : 0;
	bool again = (*seen & bit) != 0;

	value = slice_trim(value);
	*seen |= bit;
	if (slice_find_byte(line, ':') == SLICE_NOT_FOUND)
		return false;
	if (slice_eq(name, SLICE("mx")))
		return add_host(arena, policy, value);
	if (bit == 0 || again)
		return true;
	if (bit == SEEN_VERSION)
		return slice_eq(value, SLICE("STSv1"));
	return bit == SEEN_MODE ? mode_parse(value, &policy->mode) : max_age_parse(value, &policy->max_age_s);
}

bool sts_policy_parse(struct arena *arena, struct slice text, struct sts_policy *policy)
{
	struct slice rest = text;
	unsigned seen = 0;

	*policy = (struct sts_policy){.text = text, .hosts = ARENA_ARRAY(arena, struct slice, STS_HOSTS_MAX)};
	if (text.len > STS_POLICY_BYTES_MAX)
		return false;
	while (rest.len > 0) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));

		if (line.len > 0 && !take_field(arena, policy, &seen, line))
			return false;
	}
	return seen == (SEEN_VERSION | SEEN_MODE | SEEN_MAX_AGE) && (policy->host_count > 0 || policy->mode == STS_NONE);
}

static bool host_fits(struct slice pattern, struct slice host)
{
	size_t dot;

	if (!slice_starts_with(pattern, SLICE("*.")))
		return slice_eq_nocase(pattern, host);
	dot = slice_find_byte(host, '.');
	return dot != SLICE_NOT_FOUND && dot > 0 && slice_eq_nocase(slice_skip(pattern, 1), slice_skip(host, dot));
}

bool sts_policy_names(const struct sts_policy *policy, struct slice host)
{
	for (size_t i = 0; i < policy->host_count; i++)
		if (host_fits(policy->hosts[i], host))
			return true;
	return false;
}
