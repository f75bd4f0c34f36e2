#include "mime/lexer.h"

enum { SPACE = 1, ATOM = 2, TOKEN = 4 };

#define LETTER (ATOM | TOKEN)
/* clang-format off */
static const unsigned char classes[256] = {
	[' '] = SPACE, ['\t'] = SPACE, ['\r'] = SPACE, ['\n'] = SPACE, ['\0'] = SPACE,
	['0' ... '9'] = LETTER, ['A' ... 'Z'] = LETTER, ['a' ... 'z'] = LETTER, [0x80 ... 0xff] = LETTER,
	['!'] = LETTER, ['#'] = LETTER, ['$'] = LETTER, ['%'] = LETTER, ['&'] = LETTER, ['\''] = LETTER, ['*'] = LETTER, ['+'] = LETTER,
	['-'] = LETTER, ['^'] = LETTER, ['_'] = LETTER, ['`'] = LETTER, ['{'] = LETTER, ['|'] = LETTER, ['}'] = LETTER, ['~'] = LETTER,
	['.'] = TOKEN,
	['/'] = ATOM, ['='] = ATOM, ['?'] = ATOM,
};
/* clang-format on */

static bool is(char c, unsigned char class)
{
	return classes[(unsigned char)c] & class;
}

static struct slice run(struct lexer *lexer, unsigned char class)
{
	const char *start = lexer->at;

	while (lexer->at < lexer->end && is(*lexer->at, class))
		lexer->at++;
	return slice_of(start, (size_t)(lexer->at - start));
}

/* Without escapes and line ends (RFC 5322 section 3.2.4: the CRLF of folding is no part of the content). */
static struct slice unescape(struct arena *arena, struct slice text)
{
	char *start, *to;
	size_t i = 0;

	while (i < text.len && text.data[i] != '\\' && text.data[i] != '\r' && text.data[i] != '\n' && text.data[i] != '\0')
		i++;
	if (i == text.len)
		return text;
	to = start = arena_alloc(arena, text.len);
	for (i = 0; i < text.len; i++) {
		if (text.data[i] == '\\' && i + 1 < text.len)
			i++;
		if (text.data[i] != '\r' && text.data[i] != '\n' && text.data[i] != '\0')
			*to++ = text.data[i];
	}
	return slice_of(start, (size_t)(to - start));
}

/* At a '(': passes over the comment with those inside it and returns its content as it stands. */
static struct slice skip_comment(struct lexer *lexer)
{
	const char *start = lexer->at + 1;
	size_t depth = 0;

	for (; lexer->at < lexer->end; lexer->at++) {
		if (*lexer->at == '\\' && lexer->at + 1 < lexer->end)
			lexer->at++;
		else if (*lexer->at == '(')
			depth++;
		else if (*lexer->at == ')' && --depth == 0)
			break;
	}
	struct slice content = slice_of(start, lexer->at > start ? (size_t)(lexer->at - start) : 0);

	if (lexer->at < lexer->end)
		lexer->at++;
	return content;
}

void lexer_skip_space_keep(struct lexer *lexer, struct slice *comment)
{
	while (lexer->at < lexer->end) {
		if (is(*lexer->at, SPACE)) {
			lexer->at++;
		} else if (*lexer->at == '(') {
			struct slice content = slice_trim(unescape(lexer->arena, skip_comment(lexer)));

			if (content.len > 0)
				*comment = content;
		} else {
			return;
		}
	}
}

void lexer_skip_space(struct lexer *lexer)
{
	while (lexer->at < lexer->end) {
		if (is(*lexer->at, SPACE))
			lexer->at++;
		else if (*lexer->at == '(')
			skip_comment(lexer);
		else
			return;
	}
}

struct slice lexer_token(struct lexer *lexer)
{
	return run(lexer, TOKEN);
}

struct slice lexer_atom(struct lexer *lexer)
{
	return run(lexer, ATOM);
}

struct slice lexer_quoted(struct lexer *lexer)
{
	const char *start = ++lexer->at;

	while (lexer->at < lexer->end && *lexer->at != '"')
		lexer->at += *lexer->at == '\\' && lexer->at + 1 < lexer->end ? 2 : 1;
	struct slice content = slice_of(start, (size_t)(lexer->at - start));

	if (lexer->at < lexer->end)
		lexer->at++;
	return unescape(lexer->arena, content);
}
