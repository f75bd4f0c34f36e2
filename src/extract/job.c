#include "extract/job.h"

#include "base/arena.h"
#include "ipc/pack.h"

void convert_job_pack(struct buf *out, const struct convert_job *job)
{
	pack_slice(out, job->command);
	pack_u64(out, job->memory);
	pack_u32(out, job->time_s);
	pack_u32(out, job->parent);
}

bool convert_job_unpack(struct slice frame, struct convert_job *job)
{
	struct unpack in = unpack_begin(frame);

	job->command = unpack_slice(&in);
	job->memory = unpack_u64(&in);
	job->time_s = unpack_u32(&in);
	job->parent = unpack_u32(&in);
	return unpack_ok(&in);
}

char **convert_job_words(struct arena *arena, struct slice command)
{
	char **words = ARENA_ARRAY(arena, char *, CONVERT_WORDS_MAX + 1);
	size_t count = 0;

	while (command.len > 0) {
		struct slice word = slice_cut(&command, ' ');

		if (word.len == 0)
			continue;
		if (count == CONVERT_WORDS_MAX)
			return NULL;
		words[count++] = slice_cstr(arena, word);
	}
	return count > 0 ? words : NULL;
}
