/* "charset LF bytes": UTF-8 comes out, whatever goes in; likewise for transfer encodings. */
#include <stdlib.h>

#include "mime/message.h"
#include "mime/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice rest = slice_of((const char *)data, size), charset = slice_cut(&rest, '\n');
	struct buf out;

	buf_init(&out, &arena, 0);
	if (charset_to_utf8(&out, charset, rest) != (charset_is_known(charset) || slice_trim(charset).len == 0) &&
	    charset.len > 0)
		abort();
	if (!slice_is_utf8(buf_slice(&out)))
		abort();
	buf_clear(&out);
	message_decode_body(&out, rest, SLICE("quoted-printable"));
	message_decode_body(&out, rest, SLICE("base64"));
	return 0;
}
