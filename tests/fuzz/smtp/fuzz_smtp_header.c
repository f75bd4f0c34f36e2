/* The look at a header, and a message that comes in pieces: the same comes out as if it had come at once. */
#include <stdlib.h>

#include "smtp/incoming.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_prefixes(struct slice text)
{
	struct header_facts all = header_look(text);

	must(all.end <= text.len && all.has_blank <= all.is_whole);
	for (size_t len = 0; len < text.len; len += 1 + text.len / 16) {
		struct header_facts some = header_look(slice_sub(text, 0, len));

		must(some.end <= all.end && some.received <= all.received);
		must(some.has_date <= all.has_date && some.has_from <= all.has_from);
		must(!some.is_whole || (some.end == all.end && all.is_whole && some.received == all.received));
	}
}

static struct slice take(struct arena *arena, struct incoming *incoming, struct slice text, size_t piece, bool add_missing)
{
	struct incoming plan = {.limit = 1 << 20,
				.max_received = 3,
				.add_missing = add_missing,
				.origin = {0, SLICE("ID"), SLICE("mx.test"), SLICE("a@mx.test")}};

	incoming_begin(incoming, arena, &plan, SLICE("Received: us\r\n"));
	for (size_t at = 0; at < text.len; at += piece)
		incoming_add(incoming, slice_sub(text, at, at + piece));
	incoming_end(incoming);
	return buf_slice(&incoming->head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct incoming once, pieces;
	struct slice text, whole, joined;
	struct header_facts facts;

	if (size < 2 || size > 32768)
		return 0;
	text = slice_of((const char *)data + 2, size - 2);
	check_prefixes(text);
	whole = take(&arena, &once, text, size, data[0] & 1);
	joined = take(&arena, &pieces, text, (size_t)data[1] + 1, data[0] & 1);
	/* What is refused, such as a NUL, is so at once; how much of it was kept by then is no matter. */
	must(once.fault == pieces.fault && (once.fault != INCOMING_OK || slice_eq(whole, joined)));
	if (once.fault == INCOMING_NUL)
		return 0;
	must((once.fault == INCOMING_LOOP) == (once.facts.received > 3));
	/* It begins with our field, then with theirs; and a submission lacks nothing. */
	must(slice_starts_with(whole, SLICE("Received: us\r\n")));
	facts = header_look(slice_skip(whole, 14));
	/* A submission's NULs are left out. */
	must(slice_find_byte(text, '\0') != SLICE_NOT_FOUND || once.facts.end > text.len ||
	     slice_eq(slice_sub(whole, 14, 14 + once.facts.end), slice_sub(text, 0, once.facts.end)));
	must(!once.facts.is_whole || facts.has_blank);
	if (data[0] & 1)
		must(facts.has_date && facts.has_message_id && facts.has_from);
	return 0;
}
