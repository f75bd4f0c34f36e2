/* RFC 5051, with ICU's NFKC_Casefold in its decomposed form. A run of non-ASCII is folded by itself: every ASCII character begins
 * anew for decomposition and ordering, so nothing is lost by cutting there. */
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include "mime/charset.h"
#include "mime/words.h"

#define PIECE     32 /* UTF-16 units */
#define EXPANSION 18 /* U+FDFA */
#define UTF8_SIZE (3 * PIECE * EXPANSION)

/* The end of a piece of non-ASCII that begins at `from`, not inside of a character. */
static size_t piece_end(struct slice text, size_t from)
{
	size_t end = from;

	while (end < text.len && (text.data[end] & 0x80) && end - from < PIECE)
		end++;
	while (end < text.len && end > from + 1 && ((unsigned char)text.data[end] & 0xc0) == 0x80)
		end--;
	return end;
}

static void fold_piece(struct buf *out, const UNormalizer2 *folder, struct slice piece)
{
	UChar wide[PIECE], folded[PIECE * EXPANSION];
	char utf8[UTF8_SIZE];
	UErrorCode error = U_ZERO_ERROR;
	int32_t len = 0;

	u_strFromUTF8WithSub(wide, PIECE, &len, piece.data, (int32_t)piece.len, 0xfffd, NULL, &error);
	len = unorm2_normalize(folder, wide, len, folded, PIECE * EXPANSION, &error);
	u_strToUTF8(utf8, UTF8_SIZE, &len, folded, len, &error);
	buf_add(out, U_SUCCESS(error) ? slice_of(utf8, (size_t)len) : piece);
}

static size_t add_ascii(struct buf *out, struct slice text, size_t from)
{
	size_t end = from;
	char *to;

	while (end < text.len && !(text.data[end] & 0x80))
		end++;
	to = end > from ? buf_reserve(out, end - from) : NULL;
	if (to) {
		for (size_t i = from; i < end; i++)
			*to++ = ascii_lower(text.data[i]);
		buf_advance(out, end - from);
	}
	return end;
}

void text_fold(struct buf *out, struct slice utf8)
{
	const UNormalizer2 *folder = NULL;
	UErrorCode error = U_ZERO_ERROR;

	for (size_t at = add_ascii(out, utf8, 0); at < utf8.len; at = add_ascii(out, utf8, at)) {
		size_t end = piece_end(utf8, at);

		if (!folder) {
			charset_use_icu();
			folder = unorm2_getInstance(NULL, "nfkc_cf", UNORM2_DECOMPOSE, &error);
		}
		if (U_SUCCESS(error))
			fold_piece(out, folder, slice_sub(utf8, at, end));
		else
			buf_add(out, slice_sub(utf8, at, end));
		at = end;
	}
}
