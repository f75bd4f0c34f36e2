/* search_text: everything of a message that SEARCH's TEXT and BODY look into (RFC 9051 section 6.4.4), decoded: fields, also of parts and of
 * messages inside, names of attachments, texts (HTML as what is read of it; reports too). TEXT looks into all of it, BODY into no field,
 * wherever it stands. The full-text index holds the same, so that it never misses what a search finds: what is added here needs a
 * migration that empties it. */
#pragma once

#include "mime/message.h"

enum message_text_place { MESSAGE_TEXT_HEADER, MESSAGE_TEXT_BODY };
/* UTF-8, valid during the call. True: enough. */
typedef bool (*message_text_each)(void *context, struct slice text, enum message_text_place place);
/* True: `each` had enough. What was looked for can't stretch over two texts. */
bool message_texts(struct arena *arena, const struct message *message, message_text_each each, void *context);

/* The bytes that message_texts looks at, whatever they are: [start, end) of the message. For who doesn't want to read the others. */
typedef void (*message_range_each)(void *context, uint64_t start, uint64_t end);
void message_text_ranges(const struct message *message, message_range_each each, void *context);

/* What a reader sees of HTML in UTF-8: tags, comments, scripts and styles taken off, entities decoded, white space collapsed; blocks begin
 * on a new line. Tolerant, linear. */
void html_to_text(struct buf *out, struct slice html);
