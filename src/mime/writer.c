#include "mime/writer.h"

#include "mime/words.h"

#define LINE_LENGTH 78 /* RFC 5322 section 2.1.1 */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What may not stand in a header field is a space. */
static void add_harmless(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_add_byte(out, text.data[i] == '\r' || text.data[i] == '\n' || text.data[i] == '\0' ? ' ' : text.data[i]);
}

/* The next word with the white space before it. */
static struct slice next_word(struct slice text)
{
	size_t end = 0;

	while (end < text.len && is_space(text.data[end]))
		end++;
	while (end < text.len && !is_space(text.data[end]))
		end++;
	return slice_sub(text, 0, end);
}

void header_write(struct buf *out, struct slice name, struct slice value)
{
	size_t column = name.len + 2;

	add_harmless(out, name);
	buf_add_literal(out, ": ");
	value = slice_trim(value);
	for (bool is_first = true; value.len > 0; is_first = false) {
		struct slice word = next_word(value);

		if (!is_first && column + word.len > LINE_LENGTH) {
			buf_add_literal(out, "\r\n");
			column = 0;
		}
		add_harmless(out, word);
		column += word.len;
		value = slice_skip(value, word.len);
	}
	buf_add_literal(out, "\r\n");
}

void header_write_text(struct buf *out, struct slice name, struct slice utf8)
{
	struct buf harmless SCOPED_BUF, encoded SCOPED_BUF;

	buf_init(&harmless, NULL, 0);
	buf_init(&encoded, NULL, 0);
	add_harmless(&harmless, utf8);
	words_encode(&encoded, buf_slice(&harmless));
	header_write(out, name, buf_slice(&encoded));
}
