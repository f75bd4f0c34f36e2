#include "mime/transfer.h"

#include "base/base64.h"
#include "mime/charset.h"
#include "mime/lexer.h"
#include "mime/parameters.h"
#include "mime/words.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Decodes the bytes between two "=", the first of which begins `in`; returns how many were used. */
static size_t decode_escape(char **to, struct slice in)
{
	int high = in.len > 2 ? hex_value(in.data[1]) : -1, low = high >= 0 ? hex_value(in.data[2]) : -1;

	/* Lenient: RFC 2045 section 6.7 suggests to leave what is no escape as it stands. */
	*(*to)++ = low >= 0 ? (char)(high << 4 | low) : '=';
	return low >= 0 ? 3 : 1;
}

static void decode_line(char **to, struct slice line)
{
	while (line.len > 0) {
		size_t plain = slice_find_byte(line, '=');

		if (plain > line.len)
			plain = line.len;
		memcpy(*to, line.data, plain);
		*to += plain;
		line = slice_skip(line, plain);
		if (line.len > 0)
			line = slice_skip(line, decode_escape(to, line));
	}
}

/* Takes the line end off *line and returns it. */
static struct slice split_line_end(struct slice *line)
{
	struct slice whole = *line;

	if (line->len > 0 && line->data[line->len - 1] == '\n')
		line->len--;
	if (line->len > 0 && line->len < whole.len && line->data[line->len - 1] == '\r')
		line->len--;
	return slice_skip(whole, line->len);
}

void quoted_printable_decode(struct buf *out, struct slice in)
{
	/* No line grows. */
	char *start = in.len ? buf_reserve(out, in.len) : NULL, *to = start;

	if (!start)
		return;
	while (in.len > 0) {
		size_t lf = slice_find_byte(in, '\n');
		struct slice line = slice_sub(in, 0, lf == SLICE_NOT_FOUND ? in.len : lf + 1), line_end;
		bool is_soft;

		in = slice_skip(in, line.len);
		line_end = split_line_end(&line);
		/* RFC 2045 section 6.7 rule 3: some relay added it. */
		while (line.len > 0 && is_blank(line.data[line.len - 1]))
			line.len--;
		is_soft = line.len > 0 && line.data[line.len - 1] == '=';
		decode_line(&to, slice_sub(line, 0, line.len - is_soft));
		if (!is_soft) {
			memcpy(to, line_end.data, line_end.len);
			to += line_end.len;
		}
	}
	buf_advance(out, (size_t)(to - start));
}

void message_decode_body(struct buf *out, struct slice body, struct slice encoding)
{
	if (slice_eq_nocase(encoding, SLICE("base64")))
		base64_decode_lenient(out, body);
	else if (slice_eq_nocase(encoding, SLICE("quoted-printable")))
		quoted_printable_decode(out, body);
	else
		buf_add(out, body);
}

struct slice message_part_text(struct arena *arena, const struct message *message, const struct message_part *part)
{
	const struct mime_parameter *charset = parameter_find(part->parameters, part->parameter_count, SLICE("charset"));
	struct slice body = message_body(message, part);
	bool is_encoded =
		slice_eq_nocase(part->encoding, SLICE("base64")) || slice_eq_nocase(part->encoding, SLICE("quoted-printable"));
	struct buf decoded, text;

	if (is_encoded) {
		buf_init(&decoded, arena, 0);
		message_decode_body(&decoded, body, part->encoding);
		body = buf_slice(&decoded);
	}
	if ((!charset || charset_is_ascii_superset(charset->value)) && slice_is_ascii(body))
		return body;
	buf_init(&text, arena, 0);
	charset_to_utf8(&text, charset ? charset->value : SLICE_EMPTY, body);
	return buf_slice(&text);
}
