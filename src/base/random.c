#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/clock.h"

void random_bytes(void *out, size_t count)
{
	char *to = out;

	while (count) {
		ssize_t got = getrandom(to, count, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort(); /* never go on with bytes that can be guessed */
		to += got;
		count -= (size_t)got;
	}
}

uint64_t random_u64(void)
{
	uint64_t value;

	random_bytes(&value, sizeof(value));
	return value;
}

static void put_digits(char *to, size_t count, const char *digits, unsigned base, uint64_t value)
{
	for (size_t i = count; i-- > 0; value /= base)
		to[i] = digits[value % base];
}

struct slice random_queue_id(struct arena *arena)
{
	static const char digits[] =
		"0123456789BCDFGHJKMNPQRTVWXZ"; /* 28 to the power of 10 is just over 2 to the power of 48 */
	char *id = arena_alloc(arena, QUEUE_ID_LENGTH);

	put_digits(id, 10, digits, 28, (uint64_t)clock_wall_ms() & ((UINT64_C(1) << 48) - 1));
	put_digits(id + 10, QUEUE_ID_LENGTH - 10, digits, 28, random_u64());
	return slice_of(id, QUEUE_ID_LENGTH);
}

struct slice random_token(struct arena *arena, size_t count)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	char *token = arena_alloc(arena, count);

	random_bytes(token, count);
	for (size_t i = 0; i < count; i++)
		token[i] = digits[(unsigned char)token[i] % 32];
	return slice_of(token, count);
}

static uint64_t load_le64(const void *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap64(value);
}

static uint64_t rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

struct sip {
	uint64_t a, b, c, d;
};

static void sip_rounds(struct sip *s, int count)
{
	while (count--) {
		s->a += s->b;
		s->c += s->d;
		s->b = rotate(s->b, 13) ^ s->a;
		s->d = rotate(s->d, 16) ^ s->c;
		s->a = rotate(s->a, 32);
		s->c += s->b;
		s->a += s->d;
		s->b = rotate(s->b, 17) ^ s->c;
		s->d = rotate(s->d, 21) ^ s->a;
		s->c = rotate(s->c, 32);
	}
}

static void sip_word(struct sip *s, uint64_t word)
{
	s->d ^= word;
	sip_rounds(s, 2);
	s->a ^= word;
}

uint64_t siphash(const uint8_t key[16], struct slice text)
{
	uint64_t k0 = load_le64(key), k1 = load_le64(key + 8), last = (uint64_t)text.len << 56;
	struct sip s = {
		k0 ^ UINT64_C(0x736f6d6570736575),
		k1 ^ UINT64_C(0x646f72616e646f6d),
		k0 ^ UINT64_C(0x6c7967656e657261),
		k1 ^ UINT64_C(0x7465646279746573),
	};
	size_t at = 0;

	for (; at + 8 <= text.len; at += 8)
		sip_word(&s, load_le64(text.data + at));
	for (size_t i = 0; at + i < text.len; i++)
		last |= (uint64_t)(unsigned char)text.data[at + i] << (8 * i);
	sip_word(&s, last);
	s.c ^= 0xff;
	sip_rounds(&s, 4);
	return s.a ^ s.b ^ s.c ^ s.d;
}
