/* simple_dots: the text after DATA, taken apart by RFC 5321 section 4.5.2 word by word on the whole text: too simple to be wrong, for
 * tests and fuzzing to compare with. */
#pragma once

#include "smtp/dots.h"

struct simple_text {
	char *bytes;
	size_t len, used; /* of the input, with the end of data if that is there */
	bool has_bare, ended;
};
/* `bytes` has room for as many as the text. */
struct simple_text simple_text_decode(struct slice text, char *bytes);
/* For chunks: is there a CR or LF that isn't one of a pair? */
bool simple_text_has_bare(struct slice text);
