#include "imap/url.h"

#include "base/clock.h"
#include "imap/name.h"

static int hex_digit(char c)
{
	size_t at = slice_find_byte(SLICE("0123456789abcdef"), ascii_lower(c));

	return at == SLICE_NOT_FOUND ? -1 : (int)at;
}

/* No store keeps what isn't UTF-8 or has a NUL in it. */
static bool percent_decode(struct arena *arena, struct slice raw, struct slice *text)
{
	char *out = arena_alloc(arena, raw.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < raw.len; i++) {
		if (raw.data[i] != '%') {
			out[len++] = raw.data[i];
			continue;
		}
		if (i + 2 >= raw.len || hex_digit(raw.data[i + 1]) < 0 || hex_digit(raw.data[i + 2]) < 0)
			return false;
		out[len++] = (char)(hex_digit(raw.data[i + 1]) << 4 | hex_digit(raw.data[i + 2]));
		i += 2;
	}
	*text = slice_of(out, len);
	return slice_find_byte(*text, '\0') == SLICE_NOT_FOUND && slice_is_utf8(*text);
}

static bool take_prefix(struct slice *rest, struct slice prefix)
{
	if (!slice_starts_with_nocase(*rest, prefix))
		return false;
	*rest = slice_skip(*rest, prefix.len);
	return true;
}

/* ---- what it names ---- */

/* "name[;UIDVALIDITY=n]" */
static bool parse_mailbox(struct arena *arena, struct slice raw, struct imap_url *url)
{
	struct slice name = slice_cut(&raw, ';');

	if (raw.len > 0) {
		if (!take_prefix(&raw, SLICE("UIDVALIDITY=")) || !slice_to_u32(raw, UINT32_MAX, &url->uid_validity))
			return false;
		url->has_uid_validity = true;
	}
	if (!percent_decode(arena, name, &url->mailbox) || !imap_name_is_valid(url->mailbox))
		return false;
	url->mailbox = imap_name_canonical(arena, url->mailbox);
	return true;
}

/* RFC 5092 section 7: each at most once, and in this order. */
static bool parse_part(struct arena *arena, struct slice rest, struct imap_url *url)
{
	while (rest.len > 0) {
		struct slice item = slice_cut(&rest, '/');

		if (take_prefix(&item, SLICE(";SECTION=")) && url->section.len == 0 && url->partial.len == 0) {
			if (!percent_decode(arena, item, &url->section))
				return false;
		} else if (take_prefix(&item, SLICE(";PARTIAL=")) && url->partial.len == 0 && item.len > 0) {
			url->partial = item;
		} else {
			return false;
		}
	}
	return true;
}

/* From the root with a "/" in front, else from the selected mailbox. */
static bool parse_path(struct arena *arena, struct slice text, struct imap_url *url)
{
	struct slice rest, uid;

	if (take_prefix(&text, SLICE("/"))) {
		size_t end = slice_find(text, SLICE("/;"));

		if (end == SLICE_NOT_FOUND || !parse_mailbox(arena, slice_sub(text, 0, end), url))
			return false;
		text = slice_skip(text, end + 1);
	}
	rest = text;
	uid = slice_cut(&rest, '/');
	return take_prefix(&uid, SLICE(";UID=")) && slice_to_u32(uid, UINT32_MAX, &url->uid) && url->uid > 0 &&
	       parse_part(arena, rest, url);
}

/* "user[;AUTH=*]@host[:port]". The host is as the client knows us. Lenient: "alice@example.org" with nothing behind it is an address. */
static bool parse_server(struct arena *arena, struct slice server, struct imap_url *url)
{
	size_t at = slice_find_last_byte(server, '@');
	struct slice user = at == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_sub(server, 0, at);
	struct slice host = at == SLICE_NOT_FOUND ? server : slice_skip(server, at + 1);

	if (host.len == 0 || !percent_decode(arena, slice_cut(&user, ';'), &url->user) || !percent_decode(arena, host, &host))
		return false;
	if (url->user.len > 0 && slice_find_byte(url->user, '@') == SLICE_NOT_FOUND)
		url->user = slice_join(arena, (const struct slice[]){url->user, SLICE("@"), slice_cut(&host, ':')}, 3);
	return true;
}

/* ---- who may use it ---- */

static bool parse_access(struct arena *arena, struct slice access, struct imap_url *url)
{
	bool names_user = true;

	if (take_prefix(&access, SLICE("submit+")))
		url->access = IMAP_URL_SUBMIT;
	else if (take_prefix(&access, SLICE("user+")))
		url->access = IMAP_URL_USER;
	else
		names_user = false;
	if (names_user)
		return percent_decode(arena, access, &url->access_user) && url->access_user.len > 0;
	url->access = slice_eq_nocase(access, SLICE("authuser")) ? IMAP_URL_AUTHUSER : IMAP_URL_ANONYMOUS;
	return url->access == IMAP_URL_AUTHUSER || slice_eq_nocase(access, SLICE("anonymous"));
}

static bool is_hex(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (hex_digit(text.data[i]) < 0)
			return false;
	}
	return true;
}

/* "[;EXPIRE=date];URLAUTH=access[:mechanism:token]", cut off *text. */
static bool take_authorization(struct arena *arena, struct slice *text, struct imap_url *url)
{
	size_t at = slice_find_nocase(*text, SLICE(";URLAUTH=")), expire;
	struct slice rest, access, date;

	if (at == SLICE_NOT_FOUND)
		return true;
	rest = slice_skip(*text, at + SLICE(";URLAUTH=").len);
	access = slice_cut(&rest, ':');
	url->rump = slice_of(text->data, (size_t)(access.data + access.len - text->data));
	url->mechanism = slice_cut(&rest, ':');
	url->token = rest;
	if ((access.data + access.len < text->data + text->len && (url->mechanism.len == 0 || url->token.len == 0)) ||
	    !is_hex(url->token))
		return false;
	*text = slice_sub(*text, 0, at);
	expire = slice_find_nocase(*text, SLICE(";EXPIRE="));
	if (expire != SLICE_NOT_FOUND) {
		date = slice_skip(*text, expire + SLICE(";EXPIRE=").len);
		*text = slice_sub(*text, 0, expire);
		url->has_expire = true;
		if (!percent_decode(arena, date, &date) || !clock_parse_rfc3339(date, &url->expire_ms))
			return false;
	}
	return parse_access(arena, access, url);
}

bool imap_url_parse(struct arena *arena, struct slice text, struct imap_url *url)
{
	struct slice server;
	size_t root;

	*url = (struct imap_url){0};
	if (text.len > IMAP_URL_MAX || !take_authorization(arena, &text, url))
		return false;
	url->is_absolute = take_prefix(&text, SLICE("imap://"));
	if (!url->is_absolute)
		return !url->rump.len && parse_path(arena, text, url);
	root = slice_find_byte(text, '/');
	server = slice_sub(text, 0, root);
	return root != SLICE_NOT_FOUND && parse_server(arena, server, url) && parse_path(arena, slice_skip(text, root), url);
}
