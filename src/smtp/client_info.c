#include "smtp/client_info.h"

#include "smtp/parse.h"

#define NAME_MAX_LENGTH  255
#define LOGIN_MAX_LENGTH 320
#define IDENT_MAX_LENGTH 255
#define XTEXT_MAX        1024

/* ---- values ---- */

static int hex_value(char c)
{
	return ascii_is_digit(c) ? c - '0' : c - 'A' + 10;
}

/* What smtp_is_xtext has seen. */
static struct slice decode(struct arena *arena, struct slice xtext)
{
	char *to, *start = to = arena_alloc(arena, xtext.len);

	for (size_t i = 0; i < xtext.len; i++) {
		char c = xtext.data[i];

		if (c == '+') {
			c = (char)(hex_value(xtext.data[i + 1]) * 16 + hex_value(xtext.data[i + 2]));
			i += 2;
		}
		*to++ = c;
	}
	return slice_of(start, (size_t)(to - start));
}

static bool take_address(struct net_address *address, struct slice value)
{
	uint16_t port = address->port;

	if (slice_starts_with_nocase(value, SLICE("IPv6:")))
		value = slice_skip(value, 5);
	if (!net_address_parse(value, address))
		return false;
	address->port = port;
	return true;
}

static bool take_port(struct net_address *address, struct slice value)
{
	uint64_t port;

	if (!slice_to_u64(value, UINT16_MAX, &port))
		return false;
	address->port = (uint16_t)port;
	return true;
}

static bool take_word(bool *is_second, struct slice value, struct slice first, struct slice second)
{
	*is_second = slice_eq_nocase(value, second);
	return *is_second || slice_eq_nocase(value, first);
}

static bool take_text(struct slice *text, struct slice value, size_t max)
{
	*text = value;
	return value.len <= max;
}

static bool take_value(struct client_info *info, enum client_attribute attribute, struct slice value)
{
	switch (attribute) {
	case CLIENT_NAME:
		return smtp_parse_host(value, &info->name);
	case CLIENT_HELO:
		return smtp_parse_host(value, &info->helo);
	case CLIENT_ADDR:
		return take_address(&info->address, value);
	case CLIENT_PORT:
		return take_port(&info->address, value);
	case CLIENT_DESTADDR:
		return take_address(&info->destination, value);
	case CLIENT_DESTPORT:
		return take_port(&info->destination, value);
	case CLIENT_PROTO:
		return take_word(&info->is_extended, value, SLICE("SMTP"), SLICE("ESMTP"));
	case CLIENT_SOURCE:
		return take_word(&info->is_local, value, SLICE("REMOTE"), SLICE("LOCAL"));
	case CLIENT_LOGIN:
		return take_text(&info->login, value, LOGIN_MAX_LENGTH);
	case CLIENT_IDENT:
		return take_text(&info->ident, value, IDENT_MAX_LENGTH);
	}
	return false;
}

/* ---- attributes ---- */

static const struct {
	const char *name;
	enum client_attribute attribute;
} attributes[] = {
	{"NAME", CLIENT_NAME},   {"ADDR", CLIENT_ADDR},         {"PORT", CLIENT_PORT},         {"PROTO", CLIENT_PROTO},
	{"HELO", CLIENT_HELO},   {"LOGIN", CLIENT_LOGIN},       {"DESTADDR", CLIENT_DESTADDR}, {"DESTPORT", CLIENT_DESTPORT},
	{"IDENT", CLIENT_IDENT}, {"SOURCE", CLIENT_SOURCE},
};

#define ATTRIBUTE_COUNT (sizeof(attributes) / sizeof(*attributes))

/* 0: there is none of that name here. */
static unsigned attribute_named(struct slice name, unsigned allowed)
{
	for (size_t i = 0; i < ATTRIBUTE_COUNT; i++)
		if (slice_eq_nocase(name, slice_from_cstr(attributes[i].name)))
			return attributes[i].attribute & allowed;
	return 0;
}

/* It is not known: as if it had not been said. */
static void forget(struct client_info *info, unsigned attribute)
{
	info->known &= ~attribute;
	if (attribute == CLIENT_NAME)
		info->name = SLICE_EMPTY;
	if (attribute == CLIENT_HELO)
		info->helo = SLICE_EMPTY;
	if (attribute == CLIENT_LOGIN)
		info->login = SLICE_EMPTY;
	if (attribute == CLIENT_IDENT)
		info->ident = SLICE_EMPTY;
}

static bool take(struct arena *arena, struct client_info *info, struct slice word, unsigned allowed)
{
	struct slice value = word, name = slice_cut(&value, '=');
	unsigned attribute = attribute_named(name, allowed);
	bool is_late = slice_eq_nocase(value, SLICE("[TEMPUNAVAIL]"));

	if (attribute == 0 || name.len == word.len)
		return false;
	info->given |= attribute;
	if (attribute == CLIENT_NAME)
		info->name_is_late = is_late;
	if (is_late || slice_eq_nocase(value, SLICE("[UNAVAILABLE]"))) {
		forget(info, attribute);
		return true;
	}
	info->known |= attribute;
	return smtp_is_xtext(value, XTEXT_MAX) && take_value(info, (enum client_attribute)attribute, decode(arena, value));
}

enum reply_id client_info_parse(struct arena *arena, struct slice argument, unsigned allowed, struct client_info *info)
{
	if (argument.len == 0)
		return REPLY_ARGUMENT_MISSING;
	while (argument.len > 0) {
		struct slice word = slice_cut(&argument, ' ');

		argument = slice_trim(argument);
		if (!take(arena, info, word, allowed))
			return REPLY_ATTRIBUTE;
	}
	return REPLY_NONE;
}

void client_info_write_names(struct buf *out, unsigned allowed)
{
	bool first = true;

	for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
		if (!(attributes[i].attribute & allowed))
			continue;
		if (!first)
			buf_add_byte(out, ' ');
		buf_add(out, slice_from_cstr(attributes[i].name));
		first = false;
	}
}
