/* base64 and hex: what is decoded and encoded again is the same; the lenient decoder takes all that the strict one takes. */
#include <stdlib.h>

#include "base/base64.h"
#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef void (*encoder)(struct buf *out, struct slice in);
typedef bool (*decoder)(struct buf *out, struct slice in);

static void round_trip(encoder encode, decoder decode, struct slice in)
{
	struct buf text SCOPED_BUF;
	struct buf bytes SCOPED_BUF;

	encode(&text, in);
	if (!decode(&bytes, buf_slice(&text)) || !slice_eq(buf_slice(&bytes), in))
		abort();
	buf_clear(&bytes);
	buf_clear(&text);
	if (!decode(&bytes, in))
		return;
	encode(&text, buf_slice(&bytes));
	if (!slice_eq_nocase(buf_slice(&text), in))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of((const char *)data, size);
	struct buf strict SCOPED_BUF;
	struct buf lenient SCOPED_BUF;

	round_trip(base64_encode, base64_decode, in);
	round_trip(base64_imap_encode, base64_imap_decode, in);
	round_trip(hex_encode, hex_decode, in);
	base64_decode_lenient(&lenient, in);
	if (base64_decode(&strict, in) && !slice_eq(buf_slice(&strict), buf_slice(&lenient)))
		abort();
	return 0;
}
