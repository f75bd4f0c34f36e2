#include "relay/capabilities.h"

static const struct {
	struct slice name;
	unsigned bit;
} KEYWORDS[] = {
	{SLICE("PIPELINING"), CAPABILITY_PIPELINING},
	{SLICE("SIZE"), CAPABILITY_SIZE},
	{SLICE("8BITMIME"), CAPABILITY_8BITMIME},
	{SLICE("SMTPUTF8"), CAPABILITY_SMTPUTF8},
	{SLICE("DSN"), CAPABILITY_DSN},
	{SLICE("STARTTLS"), CAPABILITY_STARTTLS},
	{SLICE("AUTH"), CAPABILITY_AUTH},
	{SLICE("REQUIRETLS"), CAPABILITY_REQUIRETLS},
	{SLICE("DELIVERBY"), CAPABILITY_DELIVERBY},
	{SLICE("MT-PRIORITY"), CAPABILITY_MT_PRIORITY},
};
static const struct {
	struct slice name;
	unsigned bit;
} MECHANISMS[] = {
	{SLICE("PLAIN"), MECHANISM_PLAIN},
	{SLICE("LOGIN"), MECHANISM_LOGIN},
	{SLICE("SCRAM-SHA-256"), MECHANISM_SCRAM_SHA_256},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static unsigned mechanisms_parse(struct slice words)
{
	unsigned found = 0;

	while (words.len > 0) {
		struct slice word = slice_cut(&words, ' ');

		for (size_t i = 0; i < COUNT(MECHANISMS); i++)
			if (slice_eq_nocase(word, MECHANISMS[i].name))
				found |= MECHANISMS[i].bit;
	}
	return found;
}

/* RFC 2852 section 2: the least number of seconds, perhaps with more behind a comma. */
static uint32_t deliver_by_parse(struct slice line)
{
	struct slice rest = slice_trim(line);
	uint32_t seconds = 0;

	return slice_to_u32(slice_cut(&rest, ','), 999999999, &seconds) ? seconds : 0;
}

static void line_parse(struct capabilities *capabilities, struct slice line)
{
	struct slice keyword;

	line = slice_trim(line);
	/* Lenient: "AUTH=PLAIN LOGIN" is what old clients wanted, and some servers still say that alone. */
	if (slice_starts_with_nocase(line, SLICE("AUTH="))) {
		capabilities->offered |= CAPABILITY_AUTH;
		capabilities->mechanisms |= mechanisms_parse(slice_skip(line, 5));
		return;
	}
	keyword = slice_cut(&line, ' ');
	for (size_t i = 0; i < COUNT(KEYWORDS); i++)
		if (slice_eq_nocase(keyword, KEYWORDS[i].name)) {
			capabilities->offered |= KEYWORDS[i].bit;
			if (KEYWORDS[i].bit == CAPABILITY_AUTH)
				capabilities->mechanisms |= mechanisms_parse(line);
			else if (KEYWORDS[i].bit == CAPABILITY_DELIVERBY)
				capabilities->deliver_by_min_s = deliver_by_parse(line);
			else if (KEYWORDS[i].bit == CAPABILITY_SIZE &&
				 !slice_to_u64(slice_trim(line), INT64_MAX, &capabilities->size_limit))
				capabilities->size_limit = 0;
		}
}

struct capabilities capabilities_parse(struct slice text)
{
	struct capabilities capabilities = {0};
	struct slice first = slice_skip(slice_cut(&text, '\n'), 4);

	capabilities.host = slice_cut(&first, ' ');
	while (text.len > 0)
		line_parse(&capabilities, slice_skip(slice_cut(&text, '\n'), 4));
	return capabilities;
}
