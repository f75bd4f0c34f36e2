/* A server's response: every value must lie in the input or the arena (the sanitizer looks). */
#include "import/imap_response.h"

static void touch(struct slice s)
{
	volatile char sum = 0;

	for (size_t i = 0; i < s.len; i++)
		sum = (char)(sum + s.data[i]);
}

static void touch_all(const struct imap_value *value)
{
	for (; value; value = value->next) {
		touch(value->text.data ? value->text : SLICE_EMPTY);
		touch_all(value->values);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct slice input = slice_of((const char *)data, size);
	struct imap_response response;
	uint64_t literal;
	int64_t ms;

	(void)imap_line_announces(input, &literal);
	if (!imap_date_parse(input, &ms))
		ms = 0;
	if (!imap_response_parse(&arena, input, &response))
		return 0;
	touch(response.code);
	touch(response.text);
	touch_all(response.values);
	if (response.values)
		(void)imap_value_find(response.values->values, SLICE("BODY[]"));
	return 0;
}
