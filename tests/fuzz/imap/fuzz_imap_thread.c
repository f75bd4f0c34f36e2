/* Threads of messages that say anything: one a line, "id TAB references TAB subject"; each number has to be told once, in lists that are
 * closed. */
#include <stdlib.h>

#include "mime/subject.h"
#include "imap/thread.h"

#define MESSAGES_MAX 300

static enum status put_all(struct buf *out, struct arena *arena, enum thread_algorithm algorithm,
			   const struct thread_message *messages, size_t count)
{
	struct thread_builder *builder = thread_begin(arena, algorithm);
	bool goes_on = true;

	for (size_t i = 0; i < count && goes_on; i++)
		goes_on = thread_add(builder, &messages[i]);
	return goes_on ? thread_end(out, builder) : STATUS_LIMIT;
}

static struct thread_message parse(struct arena *arena, struct slice line, uint32_t number)
{
	struct thread_message message = {.number = number, .sequence = number, .received_ms = number};

	message.sent_ms = line.len ? (unsigned char)line.data[line.len - 1] : 0;
	message.id = slice_cut(&line, '\t');
	message.references = thread_references(slice_cut(&line, '\t'), line);
	message.subject = subject_base(arena, line, &message.is_reply);
	return message;
}

static void check(struct slice out, size_t count)
{
	bool told[MESSAGES_MAX + 1] = {0};
	size_t numbers = 0, depth = 0;

	for (size_t i = 0; i < out.len; i++) {
		size_t number = 0;

		if (out.data[i] == '(')
			depth++;
		else if (out.data[i] == ')' && depth-- == 0)
			abort();
		if (!ascii_is_digit(out.data[i]))
			continue;
		while (ascii_is_digit(out.data[i]))
			number = number * 10 + (size_t)(out.data[i++] - '0');
		i--;
		if (number == 0 || number > count || told[number])
			abort();
		told[number] = true;
		numbers++;
	}
	if (depth || numbers != count)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct thread_message messages[MESSAGES_MAX];
	struct slice rest = slice_of((const char *)data, size);
	size_t count = 0;

	for (enum thread_algorithm algorithm = THREAD_ORDEREDSUBJECT; algorithm <= THREAD_REFS; algorithm++) {
		struct arena arena SCOPED_ARENA;
		struct buf out SCOPED_BUF;

		for (count = 0, rest = slice_of((const char *)data, size); rest.len && count < MESSAGES_MAX; count++)
			messages[count] = parse(&arena, slice_cut(&rest, '\n'), (uint32_t)count + 1);
		if (put_all(&out, &arena, algorithm, messages, count) != STATUS_OK)
			abort();
		check(buf_slice(&out), count);
	}
	return 0;
}
