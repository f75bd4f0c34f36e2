#include "milter/policy_wire.h"

unsigned policy_stage_parse(struct slice name)
{
	static const char *const names[] = {"connect", "helo", "mail", "rcpt", "data", "end-of-message"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (slice_eq(name, slice_from_cstr(names[i])))
			return 1u << i;
	return 0;
}

void policy_put(struct buf *out, const char *name, struct slice value)
{
	buf_add(out, slice_from_cstr(name));
	buf_add_byte(out, '=');
	for (size_t i = 0; i < value.len; i++)
		buf_add_byte(out,
			     value.data[i] == '\n' || value.data[i] == '\r' || value.data[i] == '\0' ? '?' : value.data[i]);
	buf_add_byte(out, '\n');
}

void policy_put_number(struct buf *out, const char *name, uint64_t value)
{
	buf_add(out, slice_from_cstr(name));
	buf_add_byte(out, '=');
	buf_add_u64(out, value);
	buf_add_byte(out, '\n');
}

bool policy_parse_line(struct slice line, struct slice *action)
{
	if (!slice_starts_with(line, SLICE("action=")))
		return false;
	*action = slice_trim(slice_skip(line, sizeof("action=") - 1));
	return true;
}

/* ---- actions ---- */

/* "4.7.1 text": an enhanced code (RFC 3463 section 2) of that class, or the usual one. */
static struct slice take_enhanced(struct slice *text, char class, struct slice usual)
{
	struct slice rest = *text, word = slice_cut(&rest, ' '), numbers = word;
	struct slice first = slice_cut(&numbers, '.'), subject = slice_cut(&numbers, '.');
	uint32_t number;

	if (first.len != 1 || first.data[0] != class || !slice_to_u32(subject, 999, &number) ||
	    !slice_to_u32(numbers, 999, &number))
		return usual;
	*text = slice_trim(rest);
	return word;
}

static struct policy_verdict refuse(enum policy_action action, unsigned code, struct slice text, struct slice usual_text)
{
	struct policy_verdict verdict = {.action = action, .code = code};

	verdict.enhanced = take_enhanced(&text, code < 500 ? '4' : '5', code < 500 ? SLICE("4.7.1") : SLICE("5.7.1"));
	verdict.text = text.len > 0 ? text : usual_text;
	return verdict;
}

static bool all_digits(struct slice word)
{
	for (size_t i = 0; i < word.len; i++)
		if (!ascii_is_digit(word.data[i]))
			return false;
	return word.len > 0;
}

static bool has_field_name(struct slice text)
{
	size_t colon = slice_find_byte(text, ':');

	for (size_t i = 0; i < colon && i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	return colon != SLICE_NOT_FOUND && colon > 0 && colon <= 200;
}

static const struct {
	const char *word;
	enum policy_action action;
} actions[] = {
	{"DUNNO", POLICY_DUNNO},     {"OK", POLICY_OK},           {"RELAY", POLICY_OK},          {"HOLD", POLICY_HOLD},
	{"DISCARD", POLICY_DISCARD}, {"PREPEND", POLICY_PREPEND}, {"REDIRECT", POLICY_REDIRECT}, {"BCC", POLICY_BCC},
	{"WARN", POLICY_NOTE},       {"INFO", POLICY_NOTE},
};

static struct policy_verdict plain(struct slice word, struct slice text)
{
	struct policy_verdict verdict = {.action = POLICY_MISTAKEN, .enhanced = SLICE_EMPTY, .text = text};

	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (slice_eq_nocase(word, slice_from_cstr(actions[i].word)))
			verdict.action = actions[i].action;
	if (verdict.action == POLICY_PREPEND && !has_field_name(text))
		verdict.action = POLICY_MISTAKEN;
	if ((verdict.action == POLICY_REDIRECT || verdict.action == POLICY_BCC) &&
	    slice_find_byte(text, '@') == SLICE_NOT_FOUND)
		verdict.action = POLICY_MISTAKEN;
	return verdict;
}

struct policy_verdict policy_parse_action(struct slice whole)
{
	struct slice text = slice_trim(whole), word = slice_cut(&text, ' ');
	uint32_t code;

	text = slice_trim(text);
	if (slice_eq_nocase(word, SLICE("REJECT")))
		return refuse(POLICY_REFUSE, 554, text, SLICE("Access denied"));
	if (slice_eq_nocase(word, SLICE("DEFER")))
		return refuse(POLICY_REFUSE, 450, text, SLICE("Access denied"));
	if (slice_eq_nocase(word, SLICE("DEFER_IF_PERMIT")))
		return refuse(POLICY_DEFER_IF_PERMIT, 450, text, SLICE("Service unavailable"));
	if (slice_eq_nocase(word, SLICE("DEFER_IF_REJECT")))
		return refuse(POLICY_DEFER_IF_REJECT, 450, text, SLICE("Service unavailable"));
	if (word.len == 3 && text.len > 0 && slice_to_u32(word, 599, &code) && code >= 400)
		return refuse(POLICY_REFUSE, code, text, SLICE("Access denied"));
	/* A number is "yes" to Postfix: a time of authentication, for instance. */
	if (all_digits(slice_trim(whole)))
		return (struct policy_verdict){.action = POLICY_OK, .enhanced = SLICE_EMPTY, .text = SLICE_EMPTY};
	return plain(word, text);
}
