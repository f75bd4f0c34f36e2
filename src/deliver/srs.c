#include "deliver/srs.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"
#include "base/buf.h"

#define HASH_LENGTH 6 /* of base64, compared without case: others may change that */
#define DAY_MS      86400000LL
#define DAYS        1024
#define MAX_AGE     21
#define PATH_LENGTH 254

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static bool split(struct slice address, struct slice *local, struct slice *domain)
{
	size_t at = slice_find_last_byte(address, '@');

	*local = slice_sub(address, 0, at);
	*domain = at == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(address, at + 1);
	return local->len > 0 && domain->len > 0;
}

/* "SRS0=" or "SRS1="; some write + or - for the first =. */
static bool has_tag(struct slice local, char number)
{
	return local.len > 5 && slice_starts_with_nocase(local, SLICE("SRS")) && local.data[3] == number &&
	       strchr("=+-", local.data[4]);
}

bool srs_is_rewritten(struct slice address)
{
	return has_tag(address, '0') || has_tag(address, '1');
}

static struct slice hash_of(struct arena *arena, struct slice secret, const struct slice *parts, size_t count)
{
	struct slice text = slice_lower(arena, slice_join(arena, parts, count));
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	struct buf out;

	if (!HMAC(EVP_sha256(), secret.data, (int)secret.len, (const unsigned char *)text.data, text.len, digest, &length))
		return SLICE_EMPTY;
	buf_init(&out, arena, 0);
	base64_encode(&out, slice_of((const char *)digest, length));
	return slice_sub(buf_slice(&out), 0, HASH_LENGTH);
}

static bool hash_is_good(struct slice given, struct slice ours)
{
	return ours.len == HASH_LENGTH && slice_eq_nocase(given, ours);
}

/* ---- the day, in two digits ---- */

static struct slice time_of(struct arena *arena, int64_t wall_ms)
{
	unsigned day = (unsigned)(wall_ms / DAY_MS % DAYS);
	const char text[2] = {digits[day / 32], digits[day % 32]};

	return slice_dup(arena, slice_of(text, sizeof(text)));
}

static int digit_value(char c)
{
	const char *found = strchr(digits, c >= 'a' && c <= 'z' ? c - 32 : c);

	return c != '\0' && found ? (int)(found - digits) : -1;
}

static bool time_is_good(struct slice text, int64_t wall_ms)
{
	int high = text.len == 2 ? digit_value(text.data[0]) : -1, low = text.len == 2 ? digit_value(text.data[1]) : -1;
	int today = (int)(wall_ms / DAY_MS % DAYS);

	return high >= 0 && low >= 0 && (today - (high * 32 + low) + DAYS) % DAYS <= MAX_AGE;
}

/* ---- there ---- */

static struct slice rewrite_first(struct arena *arena, struct slice secret, int64_t wall_ms, struct slice local,
				  struct slice domain)
{
	const struct slice rest[] = {time_of(arena, wall_ms), SLICE("="), domain, SLICE("="), local};
	const struct slice parts[] = {SLICE("SRS0="), hash_of(arena, secret, rest, 5), SLICE("="), slice_join(arena, rest, 5)};

	return slice_join(arena, parts, 4);
}

/* `first`: where the first forwarder is; `rest`: what stood behind SRS0 there, with its separator. */
static struct slice rewrite_next(struct arena *arena, struct slice secret, struct slice first, struct slice rest)
{
	const struct slice hashed[] = {first, rest};
	const struct slice parts[] = {SLICE("SRS1="), hash_of(arena, secret, hashed, 2), SLICE("="), first, SLICE("="), rest};

	return slice_join(arena, parts, 6);
}

bool srs_rewrite(struct arena *arena, struct slice secret, int64_t wall_ms, struct slice sender, struct slice domain,
		 struct slice *rewritten)
{
	struct slice local, from, text;

	/* A = in the domain, which no host name has, could not be told from the one behind it. */
	if (!split(sender, &local, &from) || slice_find_byte(from, '=') != SLICE_NOT_FOUND)
		return false;
	if (has_tag(local, '0')) {
		text = rewrite_next(arena, secret, from, slice_skip(local, 4));
	} else if (has_tag(local, '1')) {
		struct slice rest = slice_skip(local, 5);

		slice_cut(&rest, '=');
		from = slice_cut(&rest, '=');
		text = rewrite_next(arena, secret, from, rest);
	} else {
		text = rewrite_first(arena, secret, wall_ms, local, from);
	}
	/* Lenient: a longer local part than RFC 5321 section 4.5.3.1.1 has, as all forwarders make them; the path must hold it. */
	*rewritten = slice_join(arena, (const struct slice[]){text, SLICE("@"), domain}, 3);
	return rewritten->len <= PATH_LENGTH && slice_find_byte(local, '"') == SLICE_NOT_FOUND;
}

/* ---- and back ---- */

static bool reverse_first(struct arena *arena, struct slice secret, int64_t wall_ms, struct slice rest, struct slice *original)
{
	struct slice hash = slice_cut(&rest, '='), hashed = rest, time = slice_cut(&rest, '='), domain = slice_cut(&rest, '=');

	if (domain.len == 0 || rest.len == 0 || !hash_is_good(hash, hash_of(arena, secret, &hashed, 1)) ||
	    !time_is_good(time, wall_ms))
		return false;
	*original = slice_join(arena, (const struct slice[]){rest, SLICE("@"), domain}, 3);
	return true;
}

static bool reverse_next(struct arena *arena, struct slice secret, struct slice rest, struct slice *original)
{
	struct slice hash = slice_cut(&rest, '='), first = slice_cut(&rest, '=');
	const struct slice hashed[] = {first, rest};

	if (first.len == 0 || rest.len < 2 || !strchr("=+-", rest.data[0]) ||
	    !hash_is_good(hash, hash_of(arena, secret, hashed, 2)))
		return false;
	*original = slice_join(arena, (const struct slice[]){SLICE("SRS0"), rest, SLICE("@"), first}, 4);
	return true;
}

bool srs_reverse(struct arena *arena, struct slice secret, int64_t wall_ms, struct slice address, struct slice *original)
{
	struct slice local, domain;

	if (!split(address, &local, &domain))
		return false;
	if (has_tag(local, '0'))
		return reverse_first(arena, secret, wall_ms, slice_skip(local, 5), original);
	return has_tag(local, '1') && reverse_next(arena, secret, slice_skip(local, 5), original);
}
