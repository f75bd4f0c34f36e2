#include "imap/url_auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "store/directory.h"
#include "store/url_key.h"

/* RFC 4467 section 2.4.1: a byte in front of the token tells how it was made. */
#define TOKEN_VERSION 1
#define TOKEN_BYTES   (1 + 32)
#define TOKEN_DIGITS  ((size_t)2 * TOKEN_BYTES)

static void make_token(const unsigned char key[URL_KEY_BYTES], struct slice rump, char digits[TOKEN_DIGITS])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char token[1 + EVP_MAX_MD_SIZE] = {TOKEN_VERSION};
	unsigned length = 0;

	/* Else it would be one that can be guessed. */
	if (!HMAC(EVP_sha256(), key, URL_KEY_BYTES, (const unsigned char *)rump.data, rump.len, token + 1, &length) ||
	    length != TOKEN_BYTES - 1)
		abort();
	for (size_t i = 0; i < TOKEN_BYTES; i++) {
		digits[2 * i] = hex[token[i] >> 4];
		digits[2 * i + 1] = hex[token[i] & 15];
	}
}

static bool is_expired(const struct imap_url *url)
{
	return url->has_expire && clock_wall_ms() > url->expire_ms;
}

/* ---- making ---- */

static bool has_readable_place(const struct imap_url *url, const struct imap_place *place)
{
	return place->mailbox.selectable && (!url->has_uid_validity || url->uid_validity == place->mailbox.uid_validity);
}

enum status url_may_generate(struct imap_session *s, const struct imap_url *url, struct imap_place *place)
{
	enum status status;

	if (!url->is_absolute || !url->mailbox.data || url->access == IMAP_URL_OPEN || url->mechanism.len || is_expired(url) ||
	    !slice_eq_nocase(url->user, s->address))
		return STATUS_NOT_FOUND;
	status = imap_find_place(s, url->mailbox, RIGHT_READ, place);
	if (status == STATUS_REFUSED || (status == STATUS_OK && !has_readable_place(url, place)))
		status = STATUS_NOT_FOUND;
	return status;
}

enum status url_put_token(struct imap_session *s, const struct imap_url *url, const struct imap_place *place, struct buf *out)
{
	unsigned char key[URL_KEY_BYTES];
	char digits[TOKEN_DIGITS];
	enum status status = url_key_make(imap_store(s), s->account, place->account, place->mailbox.id, key);

	if (status != STATUS_OK)
		return status;
	make_token(key, url->rump, digits);
	OPENSSL_cleanse(key, sizeof(key));
	buf_add_literal(out, ":INTERNAL:");
	buf_add(out, slice_of(digits, sizeof(digits)));
	return STATUS_OK;
}

/* ---- obeying ---- */

/* RFC 4467 section 3. Nobody logs in without a name here. */
static bool is_for_session(struct imap_session *s, const struct imap_url *url)
{
	switch (url->access) {
	case IMAP_URL_SUBMIT:
		if (s->acts_for_user)
			return slice_eq_nocase(s->address, url->access_user);
		return s->context->options.submitter.len && slice_eq_nocase(s->address, s->context->options.submitter);
	case IMAP_URL_USER:
		return slice_eq_nocase(s->address, url->access_user);
	case IMAP_URL_AUTHUSER:
	case IMAP_URL_ANONYMOUS:
		return true;
	case IMAP_URL_OPEN:
		break;
	}
	return false;
}

static bool token_matches(const unsigned char key[URL_KEY_BYTES], const struct imap_url *url)
{
	char digits[TOKEN_DIGITS], given[TOKEN_DIGITS];

	make_token(key, url->rump, digits);
	for (size_t i = 0; i < TOKEN_DIGITS; i++)
		given[i] = i < url->token.len ? ascii_lower(url->token.data[i]) : '\0';
	return (url->token.len == TOKEN_DIGITS) & (CRYPTO_memcmp(digits, given, TOKEN_DIGITS) == 0);
}

/* Notes that there is no such thing, or that the store can't say. */
static bool is_there(enum status found, enum status *status)
{
	if (found == STATUS_TEMPORARY || found == STATUS_BUG)
		*status = found;
	else if (found != STATUS_OK && *status == STATUS_OK)
		*status = STATUS_NOT_FOUND;
	return found == STATUS_OK;
}

/* RFC 4467 section 6: what isn't there is looked for with another's eyes and checked with a key of chance, as long as what is. */
enum status url_authorize(struct imap_session *s, const struct imap_url *url, struct imap_place *place)
{
	struct account owner = {0};
	unsigned char key[URL_KEY_BYTES], found_key[URL_KEY_BYTES];
	enum status status = STATUS_OK;
	bool matches;

	*place = (struct imap_place){0};
	if (!url->is_absolute || !url->mailbox.data || !slice_eq_nocase(url->mechanism, SLICE("INTERNAL")))
		return STATUS_NOT_FOUND;
	if (!is_there(directory_find_account(imap_store(s), imap_arena(s), url->user, &owner), &status) || !owner.enabled)
		owner.id = 0;
	if (!is_there(imap_find_place_as(s, owner.id, url->mailbox, RIGHT_READ, place), &status))
		place->account = place->mailbox.id = 0;
	random_bytes(key, sizeof(key));
	if (is_there(url_key_find(imap_store(s), owner.id, place->account, place->mailbox.id, found_key), &status))
		memcpy(key, found_key, sizeof(key));
	matches = token_matches(key, url) && owner.id != 0 && has_readable_place(url, place) && is_for_session(s, url) &&
		  !is_expired(url);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(found_key, sizeof(found_key));
	return status == STATUS_OK && !matches ? STATUS_NOT_FOUND : status;
}

/* ---- URLMECH ---- */

void url_put_mechanisms(struct imap_session *s)
{
	s->url_resets = url_key_resets(imap_store(s));
	s->url_told_ms = clock_wall_ms();
	if (imap_plaintext_allowed(s))
		buf_add_literal(imap_output(s), "* OK [URLMECH INTERNAL] Mechanisms of authorised URLs\r\n");
}

void url_tell_reset(struct imap_session *s)
{
	uint64_t resets = url_key_resets(imap_store(s));
	struct mailbox_view_state state;
	int64_t reset_ms;

	if (!mailbox_viewer_is_open(&s->viewer))
		return;
	if (s->url_resets == resets && (!s->url_stale || !url_keys_exist(imap_store(s))))
		return;
	state = mailbox_viewer_state(&s->viewer);
	if (url_key_reset_time(imap_store(s), s->account, state.account, state.mailbox, &reset_ms) != STATUS_OK)
		return;
	s->url_stale = false;
	if (reset_ms >= s->url_told_ms) {
		url_put_mechanisms(s);
		s->url_told_ms = reset_ms + 1;
	}
	s->url_resets = resets;
}
