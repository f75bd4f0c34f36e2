#include "smtp/parse.h"

#include "mime/address.h"
#include "store/email.h"

#define HOST_MAX        255
#define PATH_MAX_LENGTH 1024 /* with a source route; what it leads to is held to 254 by its validator */
#define ENVID_MAX       100  /* RFC 3461 section 4.4 */
#define ORCPT_MAX       500  /* RFC 3461 section 4.2 */
#define XTEXT_MAX       1024 /* of any parameter */
#define PARAMETERS_MAX  16

struct smtp_line smtp_parse_line(struct slice line)
{
	struct slice rest = line, verb = slice_cut(&rest, ' ');

	return (struct smtp_line){verb, slice_trim(rest)};
}

bool smtp_parse_host(struct slice argument, struct slice *host)
{
	if (argument.len == 0 || argument.len > HOST_MAX || !slice_is_utf8(argument))
		return false;
	for (size_t i = 0; i < argument.len; i++) {
		unsigned char c = (unsigned char)argument.data[i];

		/* Lenient: hosts call themselves many things; what would break a comment of the Received field is no name. */
		if (c <= ' ' || c == 127 || memchr("()<>\\\",;", c, 8))
			return false;
	}
	*host = argument;
	return true;
}

/* ---- paths ---- */

/* The index behind the '>' that ends the path begun by '<'; quoted strings may hold one. */
static size_t path_end(struct slice text)
{
	bool quoted = false;

	for (size_t i = 1; i < text.len; i++) {
		if (quoted && text.data[i] == '\\')
			i++;
		else if (text.data[i] == '"')
			quoted = !quoted;
		else if (text.data[i] == '>' && !quoted)
			return i + 1;
	}
	return 0;
}

/* Takes the path off *rest. Lenient: angle brackets may be missing, as old clients forget them. */
static bool cut_path(struct slice *rest, struct slice *path)
{
	size_t end;

	*rest = slice_trim(*rest);
	if (rest->len == 0)
		return false;
	if (rest->data[0] != '<') {
		*path = slice_cut(rest, ' ');
		return path->len <= PATH_MAX_LENGTH;
	}
	end = path_end(*rest);
	if (end == 0 || end > PATH_MAX_LENGTH || (end < rest->len && rest->data[end] != ' '))
		return false;
	*path = slice_trim(slice_sub(*rest, 1, end - 1));
	*rest = slice_skip(*rest, end);
	return true;
}

/* RFC 5321 section 4.1.1.3: a source route is to be ignored. */
static struct slice without_route(struct slice path)
{
	size_t colon;

	if (!slice_starts_with(path, SLICE("@")))
		return path;
	colon = slice_find_byte(path, ':');
	return colon == SLICE_NOT_FOUND ? path : slice_skip(path, colon + 1);
}

static bool parse_path(struct arena *arena, struct slice text, struct smtp_path *path)
{
	struct email_address address;
	struct buf out;

	text = without_route(text);
	path->needs_utf8 = !slice_is_ascii(text);
	if (!email_address_parse(arena, text, &address))
		return false;
	buf_init(&out, arena, 0);
	buf_reserve(&out, address.local.len + address.domain.len + 3);
	email_address_format(&out, &address);
	path->address = buf_slice(&out);
	return buf_ok(&out);
}

/* ---- parameters ---- */

static bool is_hex(char c)
{
	return ascii_is_digit(c) || (c >= 'A' && c <= 'F');
}

static int hex_value(char c)
{
	return ascii_is_digit(c) ? c - '0' : c - 'A' + 10;
}

/* What it encodes goes to `decoded`, text.len bytes at most. 0: it isn't xtext, or has controls. */
static size_t decode_xtext(struct slice text, char *decoded)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		int c = (unsigned char)text.data[i];

		if (c == '+') {
			if (i + 2 >= text.len || !is_hex(text.data[i + 1]) || !is_hex(text.data[i + 2]))
				return 0;
			c = hex_value(text.data[i + 1]) * 16 + hex_value(text.data[i + 2]);
			i += 2;
		} else if (c == '=' || c == ' ' || c > '~') {
			return 0;
		}
		if (c < ' ' || c == 0x7f)
			return 0;
		decoded[len++] = (char)c;
	}
	return len;
}

bool smtp_is_xtext(struct slice text, size_t max)
{
	char decoded[XTEXT_MAX];
	size_t len = text.len <= max && text.len <= sizeof(decoded) ? decode_xtext(text, decoded) : 0;

	return len > 0 && slice_is_ascii(slice_of(decoded, len));
}

/* Lenient: Postfix writes addresses that need SMTPUTF8 as xtext of type rfc822, too. */
static bool is_xtext_of_utf8(struct slice text)
{
	char decoded[ORCPT_MAX];
	size_t len = text.len <= sizeof(decoded) ? decode_xtext(text, decoded) : 0;

	return len > 0 && slice_is_utf8(slice_of(decoded, len));
}

struct parameter {
	struct slice name, value;
	bool has_value;
};

/* RFC 5321 section 4.1.2 esmtp-param. */
static bool parameter_is_well_formed(const struct parameter *p)
{
	if (p->name.len == 0 || !ascii_is_alnum(p->name.data[0]) || (p->has_value && p->value.len == 0))
		return false;
	for (size_t i = 0; i < p->name.len; i++)
		if (!ascii_is_alnum(p->name.data[i]) && p->name.data[i] != '-')
			return false;
	for (size_t i = 0; i < p->value.len; i++)
		if ((unsigned char)p->value.data[i] <= ' ' || p->value.data[i] == 127)
			return false;
	return true;
}

/* False at the end. */
static bool next_parameter(struct slice *rest, struct parameter *parameter)
{
	struct slice word;
	size_t equals;

	*rest = slice_trim(*rest);
	if (rest->len == 0)
		return false;
	word = slice_cut(rest, ' ');
	equals = slice_find_byte(word, '=');
	parameter->has_value = equals != SLICE_NOT_FOUND;
	parameter->name = slice_sub(word, 0, equals);
	parameter->value = parameter->has_value ? slice_skip(word, equals + 1) : SLICE_EMPTY;
	return true;
}

/* A parameter that is known: its name and what takes its value. False: not a value that it may have. */
struct known_parameter {
	const char *name;
	bool (*take)(void *into, const struct parameter *parameter);
};

static enum reply_id take_parameters(struct slice rest, const struct known_parameter *known, size_t known_count, void *into)
{
	struct parameter parameter;
	unsigned seen = 0, count = 0;
	size_t i;

	while (next_parameter(&rest, &parameter)) {
		if (!parameter_is_well_formed(&parameter) || ++count > PARAMETERS_MAX)
			return REPLY_PARAMETER_VALUE;
		for (i = 0; i < known_count; i++)
			if (slice_eq_nocase(parameter.name, slice_from_cstr(known[i].name)))
				break;
		if (i == known_count)
			return REPLY_PARAMETER_UNKNOWN;
		if ((seen & 1u << i) || !known[i].take(into, &parameter))
			return REPLY_PARAMETER_VALUE;
		seen |= 1u << i;
	}
	return REPLY_NONE;
}

/* RFC 1870 section 4: up to 20 digits; what is more than we can count is more than we take. */
static bool take_size(void *into, const struct parameter *p)
{
	struct smtp_mail *mail = into;

	if (p->value.len > 20)
		return false;
	for (size_t i = 0; i < p->value.len; i++)
		if (!ascii_is_digit(p->value.data[i]))
			return false;
	if (!slice_to_u64(p->value, UINT64_MAX, &mail->size))
		mail->size = UINT64_MAX;
	return p->has_value;
}

/* RFC 6152 section 2, RFC 3030 section 3. */
static bool take_body(void *into, const struct parameter *p)
{
	struct smtp_mail *mail = into;

	mail->body_8bit = slice_eq_nocase(p->value, SLICE("8BITMIME"));
	mail->body_binary = slice_eq_nocase(p->value, SLICE("BINARYMIME"));
	return mail->body_8bit || mail->body_binary || slice_eq_nocase(p->value, SLICE("7BIT"));
}

static bool take_smtputf8(void *into, const struct parameter *p)
{
	struct smtp_mail *mail = into;

	mail->smtputf8 = true;
	return !p->has_value;
}

/* RFC 3461 section 4.3 */
static bool take_ret(void *into, const struct parameter *p)
{
	struct smtp_mail *mail = into;

	mail->dsn_return = slice_eq_nocase(p->value, SLICE("FULL"))   ? DSN_RETURN_FULL
			   : slice_eq_nocase(p->value, SLICE("HDRS")) ? DSN_RETURN_HEADERS
								      : DSN_RETURN_UNSAID;
	return mail->dsn_return != DSN_RETURN_UNSAID;
}

static bool take_envid(void *into, const struct parameter *p)
{
	struct smtp_mail *mail = into;

	mail->envelope_id = p->value;
	return smtp_is_xtext(p->value, ENVID_MAX);
}

/* RFC 8689 section 2. Whether it may be asked for here is the caller's to know. */
static bool take_requiretls(void *into, const struct parameter *p)
{
	struct smtp_mail *mail = into;

	mail->requires_tls = true;
	return !p->has_value;
}

static bool take_hold_for(void *into, const struct parameter *p)
{
	return timing_take_hold_for(&((struct smtp_mail *)into)->timing, p->value);
}

static bool take_hold_until(void *into, const struct parameter *p)
{
	return timing_take_hold_until(&((struct smtp_mail *)into)->timing, p->value);
}

static bool take_by(void *into, const struct parameter *p)
{
	return timing_take_by(&((struct smtp_mail *)into)->timing, p->value);
}

static bool take_priority(void *into, const struct parameter *p)
{
	return timing_take_priority(&((struct smtp_mail *)into)->timing, p->value);
}

static bool take_verp(void *into, const struct parameter *p)
{
	return timing_take_verp(&((struct smtp_mail *)into)->timing, p->has_value, p->value);
}

/* RFC 4954 section 5: who submitted it first, as the peer says. Nobody here believes it. */
static bool take_auth(void *into, const struct parameter *p)
{
	(void)into;
	return slice_eq(p->value, SLICE("<>")) || smtp_is_xtext(p->value, ORCPT_MAX);
}

/* RFC 3461 section 4.1: NEVER, or any of the others separated by commas. */
static bool take_notify(void *into, const struct parameter *p)
{
	static const struct {
		const char *name;
		unsigned bit;
	} names[] = {
		{"NEVER", NOTIFY_NEVER}, {"SUCCESS", NOTIFY_SUCCESS}, {"FAILURE", NOTIFY_FAILURE}, {"DELAY", NOTIFY_DELAY}};
	struct smtp_rcpt *rcpt = into;
	struct slice rest = p->value;

	while (rest.len > 0) {
		struct slice word = slice_cut(&rest, ',');
		unsigned bit = 0;

		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (slice_eq_nocase(word, slice_from_cstr(names[i].name)))
				bit = names[i].bit;
		if (bit == 0)
			return false;
		rcpt->notify |= bit;
	}
	return rcpt->notify != 0 && (!(rcpt->notify & NOTIFY_NEVER) || rcpt->notify == NOTIFY_NEVER) &&
	       p->value.data[p->value.len - 1] != ',';
}

/* RFC 3461 section 4.2: addr-type ";" xtext. RFC 6533 section 3: type utf-8 may hold UTF-8 itself. */
static bool take_orcpt(void *into, const struct parameter *p)
{
	struct smtp_rcpt *rcpt = into;
	struct slice address = p->value, type = slice_cut(&address, ';');

	if (type.len == 0 || type.len == p->value.len || p->value.len > ORCPT_MAX)
		return false;
	for (size_t i = 0; i < type.len; i++)
		if (!ascii_is_alnum(type.data[i]) && type.data[i] != '-' && type.data[i] != '.')
			return false;
	rcpt->original = p->value;
	if (slice_eq_nocase(type, SLICE("utf-8")))
		return address.len > 0 && slice_is_utf8(address);
	return is_xtext_of_utf8(address);
}

/* ---- commands ---- */

/* Takes "FROM:" or "TO:" off. Lenient: spaces around the colon. */
static bool cut_keyword(struct slice *rest, struct slice keyword)
{
	if (!slice_starts_with_nocase(*rest, keyword))
		return false;
	*rest = slice_trim(slice_skip(*rest, keyword.len));
	if (rest->len == 0 || rest->data[0] != ':')
		return false;
	*rest = slice_skip(*rest, 1);
	return true;
}

enum reply_id smtp_parse_mail(struct arena *arena, struct slice argument, struct smtp_mail *mail)
{
	static const struct known_parameter known[] = {{"SIZE", take_size}, {"BODY", take_body},   {"SMTPUTF8", take_smtputf8},
						       {"RET", take_ret},   {"ENVID", take_envid}, {"AUTH", take_auth},
						       {"REQUIRETLS", take_requiretls}, {"HOLDFOR", take_hold_for},
						       {"HOLDUNTIL", take_hold_until}, {"BY", take_by},
						       {"MT-PRIORITY", take_priority}, {"XVERP", take_verp}};
	struct slice text;
	enum reply_id fault;

	*mail = (struct smtp_mail){.path.address = SLICE_EMPTY, .envelope_id = SLICE_EMPTY};
	if (!cut_keyword(&argument, SLICE("FROM")) || !cut_path(&argument, &text))
		return REPLY_SYNTAX_MAIL;
	fault = take_parameters(argument, known, sizeof(known) / sizeof(*known), mail);
	if (fault != REPLY_NONE)
		return fault;
	if (text.len == 0)
		return REPLY_NONE;
	if (!parse_path(arena, text, &mail->path))
		return REPLY_BAD_SENDER;
	/* RFC 6531 section 3.4 */
	return mail->path.needs_utf8 && !mail->smtputf8 ? REPLY_NEEDS_SMTPUTF8 : REPLY_NONE;
}

enum reply_id smtp_parse_rcpt(struct arena *arena, struct slice argument, struct smtp_rcpt *rcpt)
{
	static const struct known_parameter known[] = {{"NOTIFY", take_notify}, {"ORCPT", take_orcpt}};
	struct slice text;
	enum reply_id fault;

	*rcpt = (struct smtp_rcpt){.path.address = SLICE_EMPTY, .original = SLICE_EMPTY};
	if (!cut_keyword(&argument, SLICE("TO")) || !cut_path(&argument, &text) || text.len == 0)
		return REPLY_SYNTAX_RCPT;
	fault = take_parameters(argument, known, sizeof(known) / sizeof(*known), rcpt);
	if (fault != REPLY_NONE)
		return fault;
	/* RFC 5321 section 4.5.1: the one name that needs no domain. */
	if (slice_eq_nocase(text, SLICE("postmaster"))) {
		rcpt->path.address = SLICE("postmaster");
		return REPLY_NONE;
	}
	return parse_path(arena, text, &rcpt->path) ? REPLY_NONE : REPLY_BAD_RECIPIENT;
}

bool smtp_parse_bdat(struct slice argument, uint64_t *size, bool *last)
{
	struct slice rest = argument, number = slice_cut(&rest, ' ');

	rest = slice_trim(rest);
	*last = slice_eq_nocase(rest, SLICE("LAST"));
	return slice_to_u64(number, UINT64_MAX, size) && (*last || rest.len == 0);
}
