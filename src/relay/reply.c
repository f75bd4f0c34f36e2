#include "relay/reply.h"

bool reply_line_parse(struct slice line, struct reply_line *parsed)
{
	/* Lenient: a line of the code alone is taken (RFC 5321 section 4.2 lets servers leave out text). */
	if (line.len < 3 || !ascii_is_digit(line.data[1]) || !ascii_is_digit(line.data[2]))
		return false;
	if (line.data[0] < '2' || line.data[0] > '5')
		return false;
	if (line.len > 3 && line.data[3] != ' ' && line.data[3] != '-')
		return false;
	parsed->code =
		(unsigned)(line.data[0] - '0') * 100 + (unsigned)(line.data[1] - '0') * 10 + (unsigned)(line.data[2] - '0');
	parsed->is_last = line.len == 3 || line.data[3] == ' ';
	parsed->text = slice_skip(line, 4);
	return true;
}

/* RFC 3463 section 2: up to three digits. */
static bool take_number(struct slice s, size_t *at)
{
	size_t start = *at;

	while (*at < s.len && *at - start < 3 && ascii_is_digit(s.data[*at]))
		(*at)++;
	return *at > start;
}

struct slice reply_take_enhanced(struct slice *text, unsigned code)
{
	struct slice found;
	size_t at = 2;

	/* RFC 2034 section 4: the class is that of the reply code. */
	if (text->len < 5 || text->data[0] != (char)('0' + code / 100) || text->data[1] != '.')
		return SLICE_EMPTY;
	if (!take_number(*text, &at) || at >= text->len || text->data[at++] != '.' || !take_number(*text, &at))
		return SLICE_EMPTY;
	if (at < text->len && text->data[at] != ' ')
		return SLICE_EMPTY;
	found = slice_sub(*text, 0, at);
	*text = slice_skip(*text, at + 1);
	return found;
}

void reply_begin(struct reply_builder *builder, struct arena *arena)
{
	*builder = (struct reply_builder){.arena = arena};
	buf_init(&builder->text, arena, 0);
}

enum status reply_add_line(struct reply_builder *builder, struct slice line)
{
	struct reply *reply = &builder->reply;
	struct reply_line parsed;

	if (builder->lines >= REPLY_LINES_MAX || !reply_line_parse(line, &parsed))
		return STATUS_PEER;
	if (builder->lines == 0) {
		struct slice text = parsed.text;

		reply->code = parsed.code;
		reply->enhanced = slice_dup(builder->arena, reply_take_enhanced(&text, parsed.code));
	} else if (parsed.code != reply->code) {
		return STATUS_PEER;
	}
	if (builder->lines++ > 0 && builder->text.len < REPLY_TEXT_MAX)
		buf_add_byte(&builder->text, '\n');
	if (builder->text.len < REPLY_TEXT_MAX)
		buf_add(&builder->text, slice_sub(line, 0, REPLY_TEXT_MAX - builder->text.len));
	if (!parsed.is_last)
		return STATUS_NEED_MORE;
	reply->text = buf_slice(&builder->text);
	return STATUS_OK;
}

struct reply reply_ours(struct arena *arena, unsigned code, const char *enhanced, const char *format, ...)
{
	struct buf text;
	va_list args;

	buf_init(&text, arena, REPLY_TEXT_MAX);
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	return (struct reply){code, slice_from_cstr(enhanced), reply_one_line(arena, buf_slice(&text)), true};
}

struct slice reply_status(struct arena *arena, const struct reply *reply)
{
	struct buf status;

	if (reply->enhanced.len > 0)
		return reply->enhanced;
	buf_init(&status, arena, 0);
	buf_printf(&status, "%u.0.0", reply->code / 100);
	return buf_slice(&status);
}

struct slice reply_one_line(struct arena *arena, struct slice text)
{
	char *copy = arena_alloc(arena, text.len + 1);

	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];

		copy[i] = byte < ' ' || byte == 0x7f ? ' ' : (char)byte;
	}
	return slice_of(copy, text.len);
}

struct reply reply_dup(struct arena *arena, const struct reply *reply)
{
	struct reply copy = *reply;

	copy.enhanced = slice_dup(arena, reply->enhanced);
	copy.text = slice_dup(arena, reply->text);
	return copy;
}
