/* converters: what reads which attachments: a table of the settings, search.converters. Pure. */
#pragma once

#include "mime/message.h"

struct converter {
	struct slice types;   /* "application/pdf .pdf" */
	struct slice command; /* "/usr/bin/pdftotext - -", "internal:office" */
};
struct converters {
	const struct converter *list;
	size_t count;
	uint64_t attachment_size, attachment_text; /* bytes: the largest that is read, what is kept of its text */
};
#define CONVERTERS_MAX     100
#define CONVERTER_INTERNAL SLICE("internal:")

/* The first that reads such a part, as its content type says; or as its file name does where that is another type of application/. */
#define CONVERTER_NONE SIZE_MAX
size_t converter_for(const struct converters *converters, const struct message_part *part);
/* Those parts of a message, in their order: the next one behind `last` (NULL: the first). */
const struct message_part *converter_next_part(const struct converters *converters, const struct message *message,
					       const struct message_part *last, size_t *converter);
/* The number of what these converters read (store/attachment_text.h), greater than 0: another where anything about them is another. */
int64_t converters_edition(const struct converters *converters);
/* The number of what this one makes of an attachment: the same in all editions that have it. */
uint64_t converter_number(const struct converters *converters, size_t converter);
/* A command's program: its first word. */
struct slice converter_program(struct slice command);
