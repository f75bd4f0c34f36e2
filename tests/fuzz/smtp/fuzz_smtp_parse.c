/* Commands: whatever is taken is within its limits, and what was made of an address is understood the same again. */
#include <stdlib.h>

#include "smtp/parse.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void must_be_tame(struct slice text, size_t max)
{
	must(text.len <= max);
	for (size_t i = 0; i < text.len; i++)
		must((unsigned char)text.data[i] >= ' ' && text.data[i] != 127);
}

static void check_mail(struct arena *arena, struct slice argument)
{
	struct smtp_mail mail, again;
	struct slice text;

	if (smtp_parse_mail(arena, argument, &mail) != REPLY_NONE)
		return;
	must_be_tame(mail.path.address, 320);
	must_be_tame(mail.envelope_id, 100);
	must(!mail.path.needs_utf8 || mail.smtputf8);
	must(mail.timing.priority >= PRIORITY_MIN && mail.timing.priority <= PRIORITY_MAX);
	must(mail.timing.verp.len == 0 || mail.timing.verp.len == 2);
	must(!(mail.timing.by_mode & BY_RETURN) || mail.timing.by_s > 0);
	must_be_tame(mail.timing.hold_value, 2000);
	text = slice_join(arena, (const struct slice[]){SLICE("FROM:<"), mail.path.address, SLICE("> SMTPUTF8")}, 3);
	must(smtp_parse_mail(arena, text, &again) == REPLY_NONE);
	must(slice_eq(again.path.address, mail.path.address));
}

static void check_rcpt(struct arena *arena, struct slice argument)
{
	struct smtp_rcpt rcpt, again;
	struct slice text;

	if (smtp_parse_rcpt(arena, argument, &rcpt) != REPLY_NONE)
		return;
	must(rcpt.path.address.len > 0);
	must_be_tame(rcpt.path.address, 320);
	must_be_tame(rcpt.original, 500);
	text = slice_join(arena, (const struct slice[]){SLICE("TO:<"), rcpt.path.address, SLICE(">")}, 3);
	must(smtp_parse_rcpt(arena, text, &again) == REPLY_NONE);
	must(slice_eq(again.path.address, rcpt.path.address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct smtp_line line = smtp_parse_line(slice_of((const char *)data, size));
	struct slice host;
	uint64_t number;
	bool last;

	must(line.verb.len + line.argument.len <= size);
	check_mail(&arena, line.argument);
	check_rcpt(&arena, line.argument);
	if (smtp_parse_host(line.argument, &host))
		must_be_tame(host, 255);
	(void)!smtp_parse_bdat(line.argument, &number, &last);
	if (smtp_is_xtext(line.argument, 100))
		must_be_tame(line.argument, 100);
	return 0;
}
