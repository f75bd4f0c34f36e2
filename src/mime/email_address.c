#include <arpa/inet.h>
#include <idn2.h>
#include <stdlib.h>

#include "mime/address.h"

#define LOCAL_MADE_MAX 200
#define LOCAL_MAX      64  /* RFC 5321 section 4.5.3.1.1 */
#define ADDRESS_MAX    254 /* RFC 5321 section 4.5.3.1.3: a path of 256 with its brackets */
#define DOMAIN_MAX     253 /* RFC 1035 section 2.3.4, without the final dot */
#define LABEL_MAX      63

/* ---- domains ---- */

/* Letters, digits and hyphens (RFC 1123 section 2.1). Lenient: underscores are seen in names of hosts that send mail. */
static bool is_label(struct slice label)
{
	if (label.len == 0 || label.len > LABEL_MAX || label.data[0] == '-' || label.data[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		if (!ascii_is_alnum(label.data[i]) && label.data[i] != '-' && label.data[i] != '_')
			return false;
	}
	return true;
}

static bool is_domain(struct slice domain)
{
	if (domain.len == 0 || domain.len > DOMAIN_MAX || domain.data[domain.len - 1] == '.')
		return false;
	while (domain.len > 0) {
		if (!is_label(slice_cut(&domain, '.')))
			return false;
	}
	return true;
}

static void free_idn(char **text)
{
	idn2_free(*text);
}

/* RFC 5891 section 5. Lenient: capitals and full-width letters are mapped first, as RFC 5895 allows. */
static bool to_a_labels(struct arena *arena, struct slice text, struct slice *domain)
{
	__attribute__((cleanup(free_idn))) char *ascii = NULL;

	if (!slice_is_utf8(text) || memchr(text.data, '\0', text.len) || text.len > 4 * DOMAIN_MAX)
		return false;
	if (idn2_to_ascii_8z(slice_cstr(arena, text), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	*domain = slice_lower(arena, slice_from_cstr(ascii));
	return true;
}

bool domain_parse(struct arena *arena, struct slice text, struct slice *domain)
{
	struct slice lower;

	if (slice_is_ascii(text))
		lower = text.len <= DOMAIN_MAX ? slice_lower(arena, text) : SLICE_EMPTY;
	else if (!to_a_labels(arena, text, &lower))
		return false;
	if (!is_domain(lower))
		return false;
	*domain = lower;
	return true;
}

struct slice domain_to_unicode(struct arena *arena, struct slice domain)
{
	__attribute__((cleanup(free_idn))) char *unicode = NULL;

	if (memchr(domain.data, '\0', domain.len) || domain.len > DOMAIN_MAX || !slice_is_ascii(domain) ||
	    idn2_to_unicode_8z8z(slice_cstr(arena, domain), &unicode, IDN2_NONTRANSITIONAL) != IDN2_OK)
		return domain;
	return slice_dup(arena, slice_from_cstr(unicode));
}

/* RFC 5321 section 4.1.3: "[192.0.2.1]" and "[IPv6:2001:db8::1]". */
static bool is_address_literal(struct slice text)
{
	static const struct slice ipv6 = {"IPv6:", 5};
	struct slice inside = slice_sub(text, 1, text.len - 1);
	char address[INET6_ADDRSTRLEN];
	unsigned char binary[16];
	bool is_ipv6;

	if (text.len < 2 || text.data[0] != '[' || text.data[text.len - 1] != ']')
		return false;
	is_ipv6 = slice_starts_with_nocase(inside, ipv6);
	if (is_ipv6)
		inside = slice_skip(inside, ipv6.len);
	if (inside.len >= sizeof(address) || memchr(inside.data, '\0', inside.len))
		return false;
	memcpy(address, inside.data, inside.len);
	address[inside.len] = '\0';
	return inet_pton(is_ipv6 ? AF_INET6 : AF_INET, address, binary) == 1;
}

/* ---- local parts ---- */

/* RFC 5322 section 3.2.3 atext, or UTF-8 (RFC 6531 section 3.3). */
static bool is_atext(char c)
{
	return ascii_is_alnum(c) || (c & 0x80) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Atoms with a dot between each two. */
static bool is_dot_string(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		bool is_dot = text.data[i] == '.';

		if (!is_dot && !is_atext(text.data[i]))
			return false;
		if (is_dot && (i == 0 || i + 1 == text.len || text.data[i - 1] == '.'))
			return false;
	}
	return text.len > 0;
}

/* Lenient: dots anywhere. Mobile carriers gave such addresses to their customers; they are quoted when written. */
static bool is_atoms_and_dots(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] != '.' && !is_atext(text.data[i]))
			return false;
	}
	return text.len > 0;
}

/* The content of a quoted string, without its quotes: escapes are taken off. No control characters (RFC 5321 section 4.1.2). */
static bool unquote(struct arena *arena, struct slice content, struct slice *local)
{
	char *start = arena_alloc(arena, content.len + 1), *to = start;

	for (size_t i = 0; i < content.len; i++) {
		if (content.data[i] == '"')
			return false;
		if (content.data[i] == '\\' && ++i == content.len)
			return false;
		if ((unsigned char)content.data[i] < ' ' || content.data[i] == 0x7f)
			return false;
		*to++ = content.data[i];
	}
	*local = slice_of(start, (size_t)(to - start));
	return true;
}

static bool parse_local(struct arena *arena, struct slice text, struct slice *local)
{
	if (text.len > 2 && text.data[0] == '"' && text.data[text.len - 1] == '"') {
		if (!unquote(arena, slice_sub(text, 1, text.len - 1), local))
			return false;
	} else {
		*local = text;
		if (!is_atoms_and_dots(text))
			return false;
	}
	/* Lenient: the address that a forwarder makes of a sender's (SRS) has a local part as long as that whole. */
	bool is_made = slice_starts_with_nocase(*local, SLICE("SRS0")) || slice_starts_with_nocase(*local, SLICE("SRS1"));

	return local->len > 0 && local->len <= (is_made ? LOCAL_MADE_MAX : LOCAL_MAX) && slice_is_utf8(*local);
}

/* ---- whole addresses ---- */

bool email_address_parse(struct arena *arena, struct slice text, struct email_address *address)
{
	size_t at = slice_find_last_byte(text, '@');
	struct email_address parsed;
	struct slice domain;

	/* A U-label is shorter as an A-label only where it is folded; what is far too long is not worth a look. */
	if (at == SLICE_NOT_FOUND || text.len > 4 * ADDRESS_MAX)
		return false;
	if (!parse_local(arena, slice_sub(text, 0, at), &parsed.local))
		return false;
	domain = slice_skip(text, at + 1);
	if (is_address_literal(domain))
		parsed.domain = domain;
	else if (!domain_parse(arena, domain, &parsed.domain))
		return false;
	if (parsed.local.len + 1 + parsed.domain.len > ADDRESS_MAX)
		return false;
	parsed.is_utf8 = !slice_is_ascii(parsed.local);
	*address = parsed;
	return true;
}

void email_address_format(struct buf *out, const struct email_address *address)
{
	if (is_dot_string(address->local)) {
		buf_add(out, address->local);
	} else {
		buf_add_byte(out, '"');
		for (size_t i = 0; i < address->local.len; i++) {
			if (address->local.data[i] == '"' || address->local.data[i] == '\\')
				buf_add_byte(out, '\\');
			buf_add_byte(out, address->local.data[i]);
		}
		buf_add_byte(out, '"');
	}
	buf_add_byte(out, '@');
	buf_add(out, address->domain);
}
