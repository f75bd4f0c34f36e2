/* lexer: the tokens that structured header fields are made of (RFC 5322 section 3.2, RFC 2045 section 5.1), read leniently: 8-bit
 * bytes are letters (RFC 6532), line ends are white space, what is left open is closed by the end. Private to mime/.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"

struct lexer {
	const char *at, *end;
	struct arena *arena;
};

static inline struct lexer lexer_of(struct arena *arena, struct slice text)
{
	return (struct lexer){text.data, text.data + text.len, arena};
}
static inline bool lexer_is_at(const struct lexer *lexer, char c)
{
	return lexer->at < lexer->end && *lexer->at == c;
}

/* Passes over white space and comments. */
void lexer_skip_space(struct lexer *lexer);
/* Likewise; *comment becomes the content of the last comment that has some, unescaped (untouched if there is none). */
void lexer_skip_space_keep(struct lexer *lexer, struct slice *comment);
/* RFC 2045 section 5.1; empty if there is none. */
struct slice lexer_token(struct lexer *lexer);
/* RFC 5322 section 3.2.3, a run of atext; empty if there is none. */
struct slice lexer_atom(struct lexer *lexer);
/* At a '"': what is between the quotes, escapes and line ends taken off. */
struct slice lexer_quoted(struct lexer *lexer);

/* The value of a hexadecimal digit, or -1. */
static inline int hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
