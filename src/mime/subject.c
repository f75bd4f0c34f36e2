#include "mime/subject.h"

#include "base/buf.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* Step 1: tabs, line ends and runs of spaces are one space each. Lenient: so are spaces that don't break, which French programs put
 * before colons. */
static struct slice collapse(struct arena *arena, struct slice text)
{
	struct buf out;

	if (text.len > SUBJECT_LENGTH_MAX)
		text.len = SUBJECT_LENGTH_MAX;
	/* Not inside of a character. */
	while (text.len > SUBJECT_LENGTH_MAX - 4 && !slice_is_utf8(text))
		text.len--;
	buf_init(&out, arena, 0);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i] == '\r' || text.data[i] == '\n' || text.data[i] == '\t' ? ' ' : text.data[i];

		if (slice_starts_with(slice_skip(text, i), SLICE("\u00a0"))) {
			c = ' ';
			i++;
		}
		if (c != ' ' || out.len == 0 || out.data[out.len - 1] != ' ')
			buf_add_byte(&out, c);
	}
	return buf_slice(&out);
}

/* Step 2: subj-trailer. */
static struct slice strip_trailers(struct slice s, bool *is_reply)
{
	for (;;) {
		if (s.len && is_space(s.data[s.len - 1])) {
			s.len--;
		} else if (slice_ends_with_nocase(s, SLICE("(fwd)"))) {
			s.len -= 5;
			*is_reply = true;
		} else {
			return s;
		}
	}
}

static struct slice skip_spaces(struct slice s)
{
	while (s.len && is_space(s.data[0]))
		s = slice_skip(s, 1);
	return s;
}

/* subj-blob: "[" without brackets in it "]", and spaces. */
static bool take_blob(struct slice *s)
{
	for (size_t i = 1; s->len && s->data[0] == '[' && i < s->len && s->data[i] != '['; i++) {
		if (s->data[i] != ']')
			continue;
		*s = skip_spaces(slice_skip(*s, i + 1));
		return true;
	}
	return false;
}

/* subj-refwd: "re", "fw" or "fwd", perhaps a blob, ":". */
static bool take_refwd(struct slice *s)
{
	struct slice rest;

	if (slice_starts_with_nocase(*s, SLICE("fwd")))
		rest = slice_skip(*s, 3);
	else if (slice_starts_with_nocase(*s, SLICE("re")) || slice_starts_with_nocase(*s, SLICE("fw")))
		rest = slice_skip(*s, 2);
	else
		return false;
	rest = skip_spaces(rest);
	take_blob(&rest);
	if (!rest.len || rest.data[0] != ':')
		return false;
	*s = slice_skip(rest, 1);
	return true;
}

/* subj-leader: a space, or any number of blobs in front of a subj-refwd. The blobs are passed over once, however many there are. */
static bool take_leader(struct slice *s, bool *is_reply)
{
	struct slice rest = *s;

	if (rest.len && is_space(rest.data[0])) {
		*s = skip_spaces(rest);
		return true;
	}
	while (take_blob(&rest))
		;
	if (!take_refwd(&rest))
		return false;
	*is_reply = true;
	*s = rest;
	return true;
}

/* Steps 3 to 5. What stands behind blobs that step 4 takes off is no subj-leader, or step 3 would have taken it with them; so nothing has
 * to be tried again. */
static struct slice strip_leaders(struct slice s, bool *is_reply)
{
	struct slice rest;

	while (take_leader(&s, is_reply))
		;
	rest = s;
	while (take_blob(&rest) && rest.len)
		s = rest;
	return s;
}

struct slice subject_base(struct arena *arena, struct slice decoded, bool *is_reply)
{
	struct slice s = collapse(arena, decoded);
	bool unused;

	if (!is_reply)
		is_reply = &unused;
	*is_reply = false;
	for (;;) {
		s = strip_leaders(strip_trailers(s, is_reply), is_reply);
		/* Step 6. */
		if (!slice_starts_with_nocase(s, SLICE("[fwd:")) || !slice_ends_with(s, SLICE("]")))
			return s;
		*is_reply = true;
		s = slice_sub(s, 5, s.len - 1);
	}
}
