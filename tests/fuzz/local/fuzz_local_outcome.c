/* What the agent writes is a user's process's word: it is read to the byte, or not at all; and letters of any bytes are written. */
#include <stdint.h>
#include <stdlib.h>

#include "local/job.h"
#include "local/letter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice frame = slice_of((const char *)data, size);
	struct arena arena SCOPED_ARENA;
	struct local_outcome outcome;
	struct local_job job;
	struct buf out;

	arena_init(&arena, 0);
	buf_init(&out, &arena, 0);
	if (local_outcome_unpack(&arena, frame, &outcome)) {
		local_outcome_pack(&out, &outcome);
		check(slice_eq(buf_slice(&out), frame));
	}
	(void)local_job_unpack(frame, &job);
	const struct local_request request = {.sender = frame, .recipient = frame, .original_recipient = frame};

	buf_clear(&out);
	letter_write(&out, &request, 0, LETTER_FROM | LETTER_QUOTED, frame);
	(void)letter_was_here(frame, SLICE("a@b"));
	check(slice_find_byte(buf_slice(&out), '\n') != SLICE_NOT_FOUND);
	return 0;
}
