/* message: one pass over an Internet message, without copying: where its headers and parts lie (RFC 5322, 2045, 2046).
 *
 * Everything is offsets into the message, so the result can be stored (`message_pack`) and used on the stored bytes without
 * parsing again. Tolerant as mail in the wild needs: bare LF line ends, missing boundaries, headers without a body. Never
 * fails on content: what passes a limit is taken as text (part depth, part count) or left out (header fields, parameters beyond
 * 50,000), and the `truncated` flag tells so. Pure; memory from the arena.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

struct message_limits {
	unsigned max_depth;         /* of nested multiparts and messages; 0: 99 */
	unsigned max_parts;         /* 0: 10,000 */
	unsigned max_header_bytes;  /* of one part's header: the field that passes it is the last, the rest is body; 0: 1 MB */
	unsigned max_header_fields; /* 0: 5,000 */
};

/* A header field: name without the colon, value as it stands (folded), without the final line end. */
struct header_field {
	struct slice name;
	struct slice value;
	struct slice whole; /* with its final line end */
};

/* RFC 2045 section 5.1. Continuations are joined (RFC 2231 section 3). The wire form is what IMAP sends (RFC 2231 section 6): case
 * kept, and where the value is in a charset the name has a "*" and the value is "utf-8'en'%e2%82%ac". */
struct mime_parameter {
	struct slice name;  /* lower case */
	struct slice value; /* UTF-8: RFC 2231 section 4 and, for those who put them there, encoded words taken off */
	struct slice wire_name, wire_value;
};

enum message_part_kind {
	MESSAGE_PART_LEAF,
	MESSAGE_PART_MULTIPART, /* with an empty text as its only child if the boundary was announced but never came */
	MESSAGE_PART_MESSAGE,   /* message/rfc822, message/global: has one child */
};

struct message_part {
	enum message_part_kind kind;
	/* offsets into the message */
	uint64_t header_start, body_start, body_end; /* header: [header_start, body_start) with the blank line */
	uint32_t body_lines;                         /* line ends in the body */
	/* As they stand; "text"/"plain" by default and where they are invalid, as a multipart without boundary (message/rfc822 in a digest). */
	struct slice type, subtype;
	struct mime_parameter *parameters;
	unsigned parameter_count;
	struct slice encoding;                               /* as it stands; empty: "7BIT" */
	struct slice content_id, description, md5, location; /* raw header values, trimmed; data NULL: absent */
	struct slice language;                               /* raw value; data NULL: absent */
	struct slice disposition;                            /* "attachment"; data NULL: absent */
	struct mime_parameter *disposition_parameters;
	unsigned disposition_parameter_count;
	/* multipart: its parts. message/rfc822 and message/global: one child, the message inside. */
	struct message_part *children; /* the first; linked by `next` */
	struct message_part *next;
	unsigned child_count;
};

struct message {
	struct slice bytes;
	struct message_part *root;
	unsigned part_count;
	bool truncated; /* a limit was passed */
	bool has_8bit;
};

struct message *message_parse(struct arena *arena, struct slice bytes, const struct message_limits *limits);

/* Iterates over a header block (as [header_start, body_start) of a part): false at its end. Malformed lines are passed over. */
bool header_next(struct slice *rest, struct header_field *field);
/* Likewise, but with the malformed lines, which have an empty name. */
bool header_next_line(struct slice *rest, struct header_field *field);
/* The value of the first field of that name (folded, as it stands); data NULL: absent. */
struct slice header_find(struct slice header, struct slice name);
/* Unfolded (RFC 5322 section 2.2.3), trimmed. */
struct slice header_unfold(struct arena *arena, struct slice value);
struct slice message_header(const struct message *message, const struct message_part *part);
struct slice message_body(const struct message *message, const struct message_part *part);

/* The part that an IMAP section number names ("1.2.3"; RFC 9051 section 6.4.5.1), or NULL. An empty path is the root.
 * `numbers` counted from 1. The message inside message/rfc822 part 2 is reached as 2.1 ... as the RFC says. */
const struct message_part *message_find_part(const struct message *message, const uint32_t *numbers, unsigned count);

/* What BODY[1.2.HEADER] and its likes mean (RFC 9051 section 6.4.5.1), as bytes [start, end) of the message; false where there is no
 * such section:
 *
 *   numbers        | BODY                      | MIME            | HEADER, TEXT
 *   none           | the whole message         | (none)          | header and body of the message
 *   a message part | the message inside, whole | header of part  | header and body of the message inside
 *   another part   | body of the part          | header of part  | (none)
 *
 * HEADER and MIME contain the blank line at their end, if there is one and it isn't the line end of a boundary. HEADER.FIELDS is chosen from HEADER by header_next. */
enum message_section { MESSAGE_SECTION_BODY, MESSAGE_SECTION_HEADER, MESSAGE_SECTION_TEXT, MESSAGE_SECTION_MIME };
__attribute__((warn_unused_result)) bool message_section_range(const struct message *message, const uint32_t *numbers,
							       unsigned count, enum message_section section, uint64_t *start,
							       uint64_t *end);

/* The body with its content transfer encoding taken off (RFC 2045 section 6), never failing: faults are passed over. */
void message_decode_body(struct buf *out, struct slice body, struct slice encoding);
/* A part's text in UTF-8: transfer encoding and charset taken off. */
struct slice message_part_text(struct arena *arena, const struct message *message, const struct message_part *part);

/* The structure as compact bytes, and back: `bytes` need only be there for those who read bodies.
 * NULL if `packed` is damaged. The message's slices point into `packed`. */
void message_pack(struct buf *out, const struct message *message);
struct message *message_unpack(struct arena *arena, struct slice packed, struct slice bytes);
/* has_8bit alone, at no cost. False if `packed` is damaged. */
bool message_packed_has_8bit(struct slice packed);
