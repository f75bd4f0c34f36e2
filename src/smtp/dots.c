#include "smtp/dots.h"

/* From behind a CR: by one byte, if it is the LF. */
static const char *after_cr(struct dots *dots, const char *at)
{
	if (*at == '\n') {
		dots->state = DOTS_START;
		return at + 1;
	}
	dots->has_bare = true;
	dots->state = DOTS_LINE;
	return at;
}

/* From inside a line to behind its end, or as far as it goes. */
static const char *through_line(struct dots *dots, const char *at, const char *end)
{
	const char *lf = memchr(at, '\n', (size_t)(end - at)), *stop = lf ? lf : end;
	/* When a bare one was found already, further ones don't matter: only the last byte before the LF does. */
	const char *cr =
		dots->has_bare ? (stop > at && stop[-1] == '\r' ? stop - 1 : NULL) : memchr(at, '\r', (size_t)(stop - at));

	if (cr && cr + 1 < stop) {
		dots->has_bare = true;
		return cr + 1;
	}
	if (!lf) {
		dots->state = cr ? DOTS_CR : DOTS_LINE;
		return end;
	}
	if (cr)
		dots->state = DOTS_START;
	else
		dots->has_bare = true;
	return lf + 1;
}

static const char *step(struct dots *dots, const char *at, const char *end)
{
	if (dots->state == DOTS_CR)
		return after_cr(dots, at);
	dots->state = DOTS_LINE;
	return through_line(dots, at, end);
}

/* The longest run that stands in the input as it stands in the message: to the next dot that begins a line. */
static struct slice take_run(struct dots *dots, struct slice *in)
{
	const char *at = in->data, *end = in->data + in->len;
	size_t len;

	while (at < end && !(dots->state == DOTS_START && *at == '.'))
		at = step(dots, at, end);
	len = (size_t)(at - in->data);
	struct slice run = slice_sub(*in, 0, len);

	*in = slice_skip(*in, len);
	return run;
}

bool dots_next(struct dots *dots, struct slice *in, struct slice *run)
{
	while (in->len > 0 && !dots->ended) {
		char c = in->data[0];

		if (dots->state == DOTS_START && c == '.') {
			dots->state = DOTS_DOT; /* one dot too many, or the end */
			*in = slice_skip(*in, 1);
		} else if (dots->state == DOTS_DOT && c == '\r') {
			dots->state = DOTS_DOT_CR;
			*in = slice_skip(*in, 1);
		} else if (dots->state == DOTS_DOT_CR && c == '\n') {
			dots->ended = true;
			*in = slice_skip(*in, 1);
		} else if (dots->state == DOTS_DOT_CR) {
			dots->has_bare = true;
			dots->state = DOTS_LINE;
			*run = SLICE("\r");
			return true;
		} else {
			if (dots->state == DOTS_DOT)
				dots->state = DOTS_LINE;
			*run = take_run(dots, in);
			return true;
		}
	}
	return false;
}

void dots_check(struct dots *dots, struct slice bytes)
{
	const char *at = bytes.data, *end = bytes.data + bytes.len;

	while (at < end)
		at = step(dots, at, end);
}
