/* reply: what a server answers (RFC 5321 section 4.2): one or more lines "250-text", the last one "250 text", with an enhanced
 * status code (RFC 3463) in front of the text where there is one. Pure.
 *
 * Hostile input: a line may have REPLY_LINE_MAX bytes (RFC 5321 section 4.5.3.1.5 asks for 512), a reply REPLY_LINES_MAX
 * lines; of the text the first REPLY_TEXT_MAX bytes are kept.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

#define REPLY_LINE_MAX  4096
#define REPLY_LINES_MAX 500
#define REPLY_TEXT_MAX  4000

struct reply {
	unsigned code;         /* 200 .. 599 */
	struct slice enhanced; /* "5.1.1"; empty: none given */
	struct slice text;     /* as the peer sent it, codes and all, lines separated by LF; or our own words */
	bool is_ours;          /* no peer said so: we could not even ask */
};

static inline bool reply_is_positive(const struct reply *reply)
{
	return reply->code >= 200 && reply->code < 400;
}
static inline bool reply_is_permanent(const struct reply *reply)
{
	return reply->code >= 500;
}

/* One line of a reply, without its line end. False if it is none. */
struct reply_line {
	unsigned code;
	bool is_last;
	struct slice text; /* behind "250 " or "250-" */
};
MUST_CHECK bool reply_line_parse(struct slice line, struct reply_line *parsed);
/* "5.1.1 text": the code taken off *text if one of that class stands there (RFC 2034 section 4), else empty. */
struct slice reply_take_enhanced(struct slice *text, unsigned code);

/* Puts lines together. */
struct reply_builder {
	struct arena *arena;
	struct buf text;
	struct reply reply;
	unsigned lines;
};
void reply_begin(struct reply_builder *builder, struct arena *arena);
/* NEED_MORE: another line follows; OK: builder->reply is complete; PEER: not a reply (wrong form, too many lines, another code
 * than the first line's). */
MUST_CHECK enum status reply_add_line(struct reply_builder *builder, struct slice line);

/* Our own: why we could not ask, or what we found. `enhanced` is a literal. */
__attribute__((format(printf, 4, 5))) struct reply reply_ours(struct arena *arena, unsigned code, const char *enhanced,
							      const char *format, ...);
/* The status for a DSN (RFC 3463): the enhanced code, or one made of the class ("4.0.0"). */
struct slice reply_status(struct arena *arena, const struct reply *reply);
/* Text as it may stand in a log line or a header field: LF and other control characters become a space. */
struct slice reply_one_line(struct arena *arena, struct slice text);
struct reply reply_dup(struct arena *arena, const struct reply *reply);
