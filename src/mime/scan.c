/* By the compiler's vectors, which it makes of smaller steps where the processor has none. A comparison gives -1 for true: sums of at
 * most 127 of them are counts. */
#include "mime/scan.h"

#define STEP  64
#define STEPS 31 /* of four comparisons each */

typedef uint64_t pair __attribute__((vector_size(16)));
typedef signed char octets __attribute__((vector_size(16)));

struct block {
	octets part[4];
};

static octets all(char c)
{
	return (octets){c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c};
}

static octets load_part(const char *from)
{
	octets part;

	memcpy(&part, from, sizeof(part));
	return part;
}

static struct block load(const char *from)
{
	return (struct block){{load_part(from), load_part(from + 16), load_part(from + 32), load_part(from + 48)}};
}

static bool any(octets found)
{
	pair words = (pair)found;

	return words[0] | words[1];
}

static uint64_t count(octets sums)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < sizeof(sums); i++)
		total += (uint64_t)-sums[i];
	return total;
}

bool scan_has_8bit(struct slice text)
{
	size_t at = 0;

	for (; at + STEP <= text.len; at += STEP) {
		struct block block = load(text.data + at);

		if (any((block.part[0] | block.part[1] | block.part[2] | block.part[3]) & all('\x80')))
			return true;
	}
	return !slice_is_ascii(slice_skip(text, at));
}

static octets sum_of_lf(struct block block)
{
	const octets lf = all('\n');

	return (octets)(block.part[0] == lf) + (octets)(block.part[1] == lf) + (octets)(block.part[2] == lf) +
	       (octets)(block.part[3] == lf);
}

uint64_t scan_count_lf(struct slice text)
{
	uint64_t total = 0;
	size_t at = 0;

	while (text.len - at >= STEP) {
		octets sums = {0};

		for (unsigned i = 0; i < STEPS && text.len - at >= STEP; i++, at += STEP)
			sums += sum_of_lf(load(text.data + at));
		total += count(sums);
	}
	for (; at < text.len; at++)
		total += text.data[at] == '\n';
	return total;
}

static octets dashes_behind_lf(octets part, octets behind)
{
	return (octets)(part == all('\n')) & (octets)(behind == all('-'));
}

static bool has_dashed_line(struct block block, struct block behind)
{
	return any(dashes_behind_lf(block.part[0], behind.part[0]) | dashes_behind_lf(block.part[1], behind.part[1]) |
		   dashes_behind_lf(block.part[2], behind.part[2]) | dashes_behind_lf(block.part[3], behind.part[3]));
}

size_t scan_pass_undashed(struct slice text, uint64_t *lf_count)
{
	size_t at = 0;
	bool found = false;

	while (!found && text.len - at > STEP) {
		octets sums = {0};

		for (unsigned i = 0; i < STEPS && text.len - at > STEP; i++, at += STEP) {
			struct block block = load(text.data + at);

			found = has_dashed_line(block, load(text.data + at + 1));
			if (found)
				break;
			sums += sum_of_lf(block);
		}
		*lf_count += count(sums);
	}
	return at;
}
