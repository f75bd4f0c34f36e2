/* What stands behind a command's name: the first byte chooses the grammar. What is taken must lie in the input or the arena (the
 * sanitizer looks), and a refusal must come with a fault. */
#include <stdlib.h>

#include "imap/envelope.h"
#include "imap/fetch.h"
#include "imap/parse.h"
#include "imap/parse_notify.h"
#include "imap/search.h"
#include "imap/sort.h"
#include "imap/write.h"

static void touch(struct slice s)
{
	volatile char sum = 0;

	for (size_t i = 0; i < s.len; i++)
		sum = (char)(sum + s.data[i]);
}

static bool fetch(struct imap_parser *p)
{
	struct fetch_request request;

	if (!imap_parse_fetch(p, &request))
		return false;
	if (request.section_count > FETCH_SECTIONS_MAX)
		abort();
	for (const struct fetch_section *section = request.sections; section; section = section->next)
		touch(section->label);
	return true;
}

static bool search(struct imap_parser *p)
{
	static const struct view_message message = {.uid = 3, .size = 100, .flags = FLAG_SEEN, .received_ms = 1};
	struct search_request request;

	if (!imap_parse_search(p, &request))
		return false;
	if (!request.unknown_charset) {
		(void)search_facts(request.key, &message);
		(void)search_needs(request.key);
	}
	return true;
}

static bool sort(struct imap_parser *p)
{
	struct sort_request request;
	struct email email = {.envelope = p->rest};
	static const struct view_message message;
	struct buf key;

	if (!imap_parse_sort(p, &request))
		return false;
	if (request.count == 0 || request.count > SORT_CRITERIA_MAX)
		abort();
	buf_init(&key, p->arena, 0);
	sort_key(&key, p->arena, &request, &message, &email, 0);
	touch(buf_slice(&key));
	return true;
}

static bool thread(struct imap_parser *p)
{
	struct thread_request request;

	return imap_parse_thread(p, &request);
}

static bool append(struct imap_parser *p)
{
	(void)imap_brings_message(p);
	return true;
}

static bool flags(struct imap_parser *p)
{
	struct imap_flags flags;

	return imap_parse_flags(p, true, &flags);
}

static bool dates(struct imap_parser *p)
{
	char text[IMAP_DATE_TIME_LEN];
	int64_t ms;

	if (!imap_parse_date_time(p, &ms))
		return imap_parse_date(p, &ms);
	if (imap_write_date_time(text, ms) - text != IMAP_DATE_TIME_LEN)
		abort();
	return true;
}

static bool strings(struct imap_parser *p)
{
	struct slice string = SLICE_EMPTY;

	do {
		if (!imap_parse_nstring(p, &string) && !imap_parse_astring(p, &string))
			return false;
		touch(string);
	} while (imap_accept(p, ' '));
	return true;
}

static bool envelope(struct imap_parser *p)
{
	for (enum envelope_item item = ENVELOPE_DATE; item <= ENVELOPE_MESSAGE_ID; item++)
		touch(envelope_text(p->arena, p->rest, item));
	touch(envelope_first_address(p->arena, p->rest, ENVELOPE_FROM).display);
	touch(envelope_first_address(p->arena, p->rest, ENVELOPE_BCC).mailbox);
	return true;
}

static bool notify(struct imap_parser *p)
{
	struct notify_request request;

	if (!imap_parse_notify(p, &request))
		return false;
	if (request.count > NOTIFY_GROUPS_MAX)
		abort();
	for (size_t i = 0; i < request.count; i++) {
		for (size_t j = 0; j < request.groups[i].filter.count; j++)
			touch(request.groups[i].filter.names[j]);
		(void)imap_filter_matches(&request.groups[i].filter, SLICE("a/b"), true);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool (*const grammars[])(struct imap_parser *) = {fetch,   search,   append, flags, dates,
								 strings, envelope, sort,   thread, notify};
	struct arena arena SCOPED_ARENA;
	struct imap_parser p;

	if (size == 0)
		return 0;
	imap_parser_init(&p, &arena, slice_of((const char *)data + 1, size - 1), data[0] & 0x80);
	if (!grammars[data[0] % (sizeof(grammars) / sizeof(grammars[0]))](&p) && p.fault.len == 0)
		abort();
	touch(p.rest);
	return 0;
}
