#include "relay/tls_rua.h"

#include "mime/address.h"

#define VERSION SLICE("v=TLSRPTv1")

/* RFC 8460 section 3: the version comes first, then semicolons part the fields. */
static bool is_record(struct slice text)
{
	struct slice rest = text;

	return slice_eq(slice_trim(slice_cut(&rest, ';')), VERSION);
}

/* RFC 3986 section 2.1. False: it is cut off, or stands for a NUL. */
static bool decode(struct arena *arena, struct slice text, struct slice *decoded)
{
	struct buf out;

	buf_init(&out, arena, 0);
	for (size_t i = 0; i < text.len; i++) {
		uint64_t byte = (unsigned char)text.data[i];

		if (byte == '%') {
			if (i + 2 >= text.len || !slice_hex_to_u64(slice_sub(text, i + 1, i + 3), &byte) || byte == 0)
				return false;
			i += 2;
		}
		buf_add_byte(&out, (char)byte);
	}
	*decoded = buf_slice(&out);
	return buf_ok(&out);
}

/* RFC 6068: header fields behind a question mark are none of ours. */
static bool take_mail(struct arena *arena, struct slice uri, struct tls_rua *place)
{
	struct slice address = slice_cut(&uri, '?'), decoded;
	struct email_address parsed;
	struct buf out;

	if (!decode(arena, address, &decoded) || !email_address_parse(arena, decoded, &parsed))
		return false;
	buf_init(&out, arena, 0);
	email_address_format(&out, &parsed);
	*place = (struct tls_rua){.is_mail = true, .address = buf_slice(&out)};
	return buf_ok(&out);
}

static bool is_uri(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] >= 0x7f || strchr("\"<>\\^`{|}#", text.data[i]))
			return false;
	return text.len <= 1000;
}

/* A name, no address and no port of its own: a stranger doesn't choose what we connect to beyond that. */
static bool take_https(struct arena *arena, struct slice uri, struct tls_rua *place)
{
	size_t end = slice_find_byte(uri, '/');
	struct slice host = slice_sub(uri, 0, end), path = slice_skip(uri, host.len);

	if (slice_ends_with(host, SLICE(":443")))
		host = slice_sub(host, 0, host.len - 4);
	if (!is_uri(path) || !domain_parse(arena, host, &host) || slice_find_byte(host, '.') == SLICE_NOT_FOUND ||
	    ascii_is_digit(host.data[host.len - 1]))
		return false;
	*place = (struct tls_rua){.host = host, .path = path.len > 0 ? path : SLICE("/")};
	return true;
}

static bool take_uri(struct arena *arena, struct slice uri, struct tls_rua *place)
{
	if (slice_starts_with_nocase(uri, SLICE("mailto:")))
		return take_mail(arena, slice_skip(uri, 7), place);
	return slice_starts_with_nocase(uri, SLICE("https://")) && take_https(arena, slice_skip(uri, 8), place);
}

static void take_uris(struct arena *arena, struct slice list, struct tls_rua *places, size_t *count)
{
	while (list.len > 0 && *count < TLS_RUA_MAX)
		*count += take_uri(arena, slice_trim(slice_cut(&list, ',')), &places[*count]);
}

enum status tls_rua_find(struct arena *arena, const struct slice *texts, size_t count, struct tls_rua *places, size_t *place_count)
{
	struct slice record = SLICE_EMPTY, field;
	size_t records = 0;

	*place_count = 0;
	for (size_t i = 0; i < count; i++)
		if (is_record(texts[i])) {
			record = texts[i];
			records++;
		}
	if (records != 1)
		return STATUS_NOT_FOUND;
	while (record.len > 0) {
		field = slice_trim(slice_cut(&record, ';'));
		if (slice_starts_with(field, SLICE("rua=")) && *place_count == 0)
			take_uris(arena, slice_skip(field, 4), places, place_count);
	}
	return *place_count > 0 ? STATUS_OK : STATUS_NOT_FOUND;
}
