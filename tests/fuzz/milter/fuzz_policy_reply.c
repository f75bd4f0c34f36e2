/* What a policy service says; and what it is told: a value never becomes a line of its own. */
#include <stdlib.h>

#include "milter/policy_wire.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size), action;
	struct policy_verdict verdict;
	struct buf out SCOPED_BUF;
	size_t end;

	if (size > 16384)
		return 0;
	verdict = policy_parse_action(text);
	if (verdict.action == POLICY_REFUSE)
		must(verdict.code >= 400 && verdict.code <= 599 &&
		     verdict.enhanced.data[0] == (char)('0' + verdict.code / 100));
	if (verdict.action == POLICY_PREPEND)
		must(slice_find_byte(verdict.text, ':') != SLICE_NOT_FOUND && verdict.text.data[0] != ':');
	if (policy_parse_line(text, &action))
		(void)policy_parse_action(action);
	buf_init(&out, NULL, 0);
	policy_put(&out, "name", text);
	end = slice_find_byte(buf_slice(&out), '\n');
	must(end == out.len - 1);
	return 0;
}
