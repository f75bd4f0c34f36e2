/* show_structure FILE: what IMAP would send of a message, each as "LABEL LENGTH" on a line and the bytes on the next: ENVELOPE, BODY,
 * BODYSTRUCTURE, and each section that is there. For comparisons with other servers. */
#include <stdio.h>
#include <stdlib.h>

#include "mime/imap_structure.h"

#define FILE_MAX (64 * 1024 * 1024)

static void show(const char *label, struct slice bytes)
{
	printf("%s %zu\n", label, bytes.len);
	fwrite(bytes.data, 1, bytes.len, stdout);
	putchar('\n');
}

static void show_section(const struct message *message, const uint32_t *numbers, unsigned count, enum message_section section)
{
	static const char *const names[] = {"", "HEADER", "TEXT", "MIME"};
	uint64_t start, end;
	struct buf label SCOPED_BUF;

	if (!message_section_range(message, numbers, count, section, &start, &end))
		return;
	buf_init(&label, NULL, 0);
	buf_add_literal(&label, "BODY[");
	for (unsigned i = 0; i < count; i++)
		buf_printf(&label, "%s%u", i ? "." : "", numbers[i]);
	buf_printf(&label, "%s%s]", count && section != MESSAGE_SECTION_BODY ? "." : "", names[section]);
	buf_add_byte(&label, '\0');
	show(label.data, slice_sub(message->bytes, start, end));
}

static void show_sections(const struct message *message, uint32_t *numbers, unsigned count)
{
	for (enum message_section section = MESSAGE_SECTION_BODY; section <= MESSAGE_SECTION_MIME; section++)
		show_section(message, numbers, count, section);
	if (count == 8)
		return;
	for (numbers[count] = 1; message_find_part(message, numbers, count + 1); numbers[count]++)
		show_sections(message, numbers, count + 1);
}

static struct slice read_file(struct arena *arena, const char *path)
{
	FILE *file = fopen(path, "rb");
	char *bytes = arena_alloc(arena, FILE_MAX);
	size_t len = file ? fread(bytes, 1, FILE_MAX, file) : 0;

	if (!file) {
		perror(path);
		exit(1);
	}
	fclose(file);
	return slice_of(bytes, len);
}

int main(int argc, char **argv)
{
	struct arena arena SCOPED_ARENA;
	struct buf out;
	uint32_t numbers[8];

	arena_init(&arena, 0);
	if (argc != 2) {
		fprintf(stderr, "usage: show_structure FILE\n");
		return 2;
	}
	struct message *message = message_parse(&arena, read_file(&arena, argv[1]), NULL);

	buf_init(&out, &arena, 0);
	imap_envelope(&out, &arena, message_header(message, message->root));
	show("ENVELOPE", buf_slice(&out));
	buf_clear(&out);
	imap_body(&out, &arena, message);
	show("BODY", buf_slice(&out));
	buf_clear(&out);
	imap_body_structure(&out, &arena, message);
	show("BODYSTRUCTURE", buf_slice(&out));
	show_sections(message, numbers, 0);
	return 0;
}
