#include "milter/wire.h"

/* What the versions 3, 4 and 6 brought; 5 was never used. */
#define STEPS_V2 0x7fu
#define STEPS_V3 (STEPS_V2 | MILTER_NO_UNKNOWN)
#define STEPS_V4 (STEPS_V3 | MILTER_NO_DATA)

uint32_t milter_steps_of_version(uint32_t version)
{
	if (version >= MILTER_VERSION)
		return MILTER_STEPS;
	/* Version 2 asks for no replies to header fields already. */
	return (version >= 4 ? STEPS_V4 : version == 3 ? STEPS_V3 : STEPS_V2) | MILTER_QUIET_HEADER;
}

/* ---- asking ---- */

size_t milter_packet_begin(struct buf *out, enum milter_command command)
{
	size_t begun = out->len;

	milter_put_u32(out, 0);
	buf_add_byte(out, (char)command);
	return begun;
}

static void put_big_endian(char *to, uint32_t value)
{
	to[0] = (char)(value >> 24);
	to[1] = (char)(value >> 16);
	to[2] = (char)(value >> 8);
	to[3] = (char)value;
}

void milter_packet_end(struct buf *out, size_t begun)
{
	if (buf_ok(out))
		put_big_endian(out->data + begun, (uint32_t)(out->len - begun - MILTER_HEAD));
}

void milter_put_text(struct buf *out, struct slice text)
{
	buf_add(out, slice_sub(text, 0, slice_find_byte(text, '\0')));
	buf_add_byte(out, '\0');
}

void milter_put_u32(struct buf *out, uint32_t value)
{
	char bytes[4];

	put_big_endian(bytes, value);
	buf_add(out, slice_of(bytes, sizeof(bytes)));
}

void milter_put_u16(struct buf *out, uint16_t value)
{
	buf_add_byte(out, (char)(value >> 8));
	buf_add_byte(out, (char)value);
}

/* ---- answers ---- */

static bool take_u32(struct slice *rest, uint32_t *value)
{
	const unsigned char *from = (const unsigned char *)rest->data;

	if (rest->len < 4)
		return false;
	*value = (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
	*rest = slice_skip(*rest, 4);
	return true;
}

static bool take_text(struct slice *rest, struct slice *text)
{
	size_t end = slice_find_byte(*rest, '\0');

	if (end == SLICE_NOT_FOUND)
		return false;
	*text = slice_sub(*rest, 0, end);
	*rest = slice_skip(*rest, end + 1);
	return true;
}

/* "5.7.1" of a code 5xx. */
static bool is_enhanced(struct slice word, char class)
{
	struct slice rest = word;
	uint32_t number;

	if (word.len < 5 || word.data[0] != class || word.data[1] != '.')
		return false;
	rest = slice_skip(rest, 2);
	struct slice subject = slice_cut(&rest, '.');

	return slice_to_u32(subject, 999, &number) && slice_to_u32(rest, 999, &number);
}

static bool is_code(struct slice line, unsigned code)
{
	uint32_t number;

	return line.len >= 3 && slice_to_u32(slice_sub(line, 0, 3), 599, &number) && number == code &&
	       (line.len == 3 || line.data[3] == ' ' || line.data[3] == '-');
}

/* libmilter doubles '%', as Sendmail reads the text as a format; one that stands alone is nothing. */
static void add_unescaped(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '%' && ++i >= text.len)
			return;
		buf_add_byte(out, text.data[i]);
	}
}

static struct slice without_enhanced(struct slice line, char class, struct slice *enhanced)
{
	struct slice rest = line, word = slice_cut(&rest, ' ');

	if (!is_enhanced(word, class))
		return line;
	*enhanced = word;
	return rest;
}

#define REPLY_LINES_MAX 32

/* "550-5.7.1 first\r\n550 5.7.1 second": the same code in all lines. The enhanced code of the first counts. */
static enum status parse_code(struct arena *arena, struct slice text, struct milter_reply *reply)
{
	struct slice rest = text, line, enhanced = SLICE_EMPTY;
	uint32_t code;
	struct buf out;

	if (!slice_to_u32(slice_sub(text, 0, 3), 599, &code) || code < 400)
		return STATUS_PEER;
	reply->code = code;
	buf_init(&out, arena, 0);
	for (unsigned i = 0; i < REPLY_LINES_MAX && rest.len > 0; i++) {
		line = slice_trim(slice_cut(&rest, '\n'));
		if (!is_code(line, code))
			return STATUS_PEER;
		if (i > 0)
			buf_add_byte(&out, '\n');
		enhanced = SLICE_EMPTY;
		add_unescaped(&out, without_enhanced(slice_skip(line, 4), text.data[0], &enhanced));
		if (i == 0)
			reply->enhanced = enhanced;
	}
	reply->text = buf_slice(&out);
	return rest.len == 0 && buf_ok(&out) ? STATUS_OK : STATUS_PEER;
}

static bool parse_reply_code(struct arena *arena, struct slice data, struct milter_reply *reply)
{
	struct slice text;

	return take_text(&data, &text) && data.len == 0 && parse_code(arena, text, reply) == STATUS_OK;
}

static bool parse_negotiation(struct slice data, struct milter_reply *reply)
{
	if (!take_u32(&data, &reply->version) || !take_u32(&data, &reply->rights) || !take_u32(&data, &reply->steps))
		return false;
	reply->macros = data;
	return true;
}

/* A field's name as RFC 5322 section 3.6.8 has it. */
static bool is_field_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] <= ' ' || name.data[i] > '~' || name.data[i] == ':')
			return false;
	return name.len > 0 && name.len <= 200;
}

static bool parse_header(struct slice data, bool has_index, struct milter_reply *reply)
{
	if (has_index && !take_u32(&data, &reply->index))
		return false;
	return take_text(&data, &reply->name) && take_text(&data, &reply->value) && data.len == 0 &&
	       reply->index <= INT32_MAX && is_field_name(reply->name);
}

/* An address, and arguments if they are there. */
static bool parse_address(struct slice data, bool may_have_arguments, struct milter_reply *reply)
{
	if (!take_text(&data, &reply->name))
		return false;
	if (data.len > 0 && may_have_arguments && !take_text(&data, &reply->value))
		return false;
	return data.len == 0;
}

static bool parse_quarantine(struct slice data, struct milter_reply *reply)
{
	return take_text(&data, &reply->text) && data.len == 0;
}

/* Those that have nothing to say but what they are. */
static bool parse_plain(char kind, struct milter_reply *reply)
{
	static const struct {
		char kind;
		enum milter_reply_kind reply;
	} plain[] = {
		{'c', MILTER_REPLY_CONTINUE}, {'a', MILTER_REPLY_ACCEPT},    {'r', MILTER_REPLY_REJECT},
		{'t', MILTER_REPLY_TEMPFAIL}, {'d', MILTER_REPLY_DISCARD},   {'4', MILTER_REPLY_SHUTDOWN},
		{'s', MILTER_REPLY_SKIP},     {'f', MILTER_REPLY_CONN_FAIL}, {'p', MILTER_REPLY_PROGRESS},
	};

	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		if (plain[i].kind == kind) {
			reply->kind = plain[i].reply;
			return true;
		}
	}
	return false;
}

static bool parse_data(struct arena *arena, char kind, struct slice data, struct milter_reply *reply)
{
	switch (kind) {
	case 'y':
		reply->kind = MILTER_REPLY_CODE;
		return parse_reply_code(arena, data, reply);
	case 'O':
		reply->kind = MILTER_REPLY_NEGOTIATE;
		return parse_negotiation(data, reply);
	case 'h':
		reply->kind = MILTER_REPLY_ADD_HEADER;
		return parse_header(data, false, reply);
	case 'i':
		reply->kind = MILTER_REPLY_INSERT_HEADER;
		return parse_header(data, true, reply);
	case 'm':
		reply->kind = MILTER_REPLY_CHANGE_HEADER;
		return parse_header(data, true, reply);
	case 'b':
		reply->kind = MILTER_REPLY_BODY;
		reply->text = data;
		return true;
	case '+':
		reply->kind = MILTER_REPLY_ADD_RCPT;
		return parse_address(data, false, reply);
	case '2':
		reply->kind = MILTER_REPLY_ADD_RCPT;
		return parse_address(data, true, reply);
	case '-':
		reply->kind = MILTER_REPLY_DELETE_RCPT;
		return parse_address(data, false, reply);
	case 'e':
		reply->kind = MILTER_REPLY_CHANGE_FROM;
		return parse_address(data, true, reply);
	case 'q':
		reply->kind = MILTER_REPLY_QUARANTINE;
		return parse_quarantine(data, reply);
	}
	return parse_plain(kind, reply) && data.len == 0;
}

enum status milter_parse_reply(struct arena *arena, char kind, struct slice data, struct milter_reply *reply)
{
	*reply = (struct milter_reply){
		.enhanced = SLICE_EMPTY, .text = SLICE_EMPTY, .name = SLICE_EMPTY, .value = SLICE_EMPTY, .macros = SLICE_EMPTY};
	return parse_data(arena, kind, data, reply) ? STATUS_OK : STATUS_PEER;
}

bool milter_next_macros(struct slice *rest, uint32_t *step, struct slice *names)
{
	return take_u32(rest, step) && take_text(rest, names);
}
