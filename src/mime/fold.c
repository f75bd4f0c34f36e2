/* RFC 5051, with ICU's NFKC_Casefold in its decomposed form. A run of non-ASCII is folded by itself: every ASCII character begins
 * anew for decomposition and ordering, so nothing is lost by cutting there. */
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

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

/* RFC 5051 section 2: title case as UnicodeData.txt has it, then the decomposition until nothing is left of it. Characters are not put
 * into another order. */
static void add_collated(struct buf *out, const UNormalizer2 *decomposer, UChar32 character)
{
	UChar wide[2], decomposed[EXPANSION];
	char utf8[3 * EXPANSION];
	UErrorCode error = U_ZERO_ERROR;
	int32_t len = 0;

	u_strFromUTF32(wide, 2, &len, &(UChar32){u_totitle(character)}, 1, &error);
	len = unorm2_normalize(decomposer, wide, len, decomposed, EXPANSION, &error);
	u_strToUTF8(utf8, sizeof(utf8), &len, decomposed, len, &error);
	if (U_SUCCESS(error))
		buf_add(out, slice_of(utf8, (size_t)len));
}

void text_collation_key(struct buf *out, struct slice utf8)
{
	const UNormalizer2 *decomposer = NULL;
	UErrorCode error = U_ZERO_ERROR;
	const uint8_t *bytes = (const uint8_t *)utf8.data;
	int32_t at = 0, len = utf8.len > INT32_MAX ? INT32_MAX : (int32_t)utf8.len;

	while (at < len) {
		UChar32 character;

		if (bytes[at] < 0x80) {
			buf_add_byte(out, ascii_upper((char)bytes[at++]));
			continue;
		}
		if (!decomposer) {
			charset_use_icu();
			decomposer = unorm2_getInstance(NULL, "nfkc", UNORM2_DECOMPOSE, &error);
			if (U_FAILURE(error))
				return;
		}
		U8_NEXT_OR_FFFD(bytes, at, len, character);
		add_collated(out, decomposer, character);
	}
}
