/* What GETMETADATA and LIST have in common, and news of annotations: RFC 5464, RFC 9590. */
#include "imap/metadata.h"

#include "base/clock.h"
#include "imap/name.h"
#include "imap/notify.h"
#include "imap/write.h"

#define NEWS_MAX 1000
/* A command that isn't about news has the store asked for them if it wasn't for so long. */
#define NEWS_MS 500

bool metadata_may_see(unsigned rights)
{
	return rights & RIGHT_LOOKUP && rights & (RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_POST);
}

/* ---- words ---- */

bool metadata_at_options(const struct imap_parser *p)
{
	struct imap_parser ahead = *p;
	struct slice word;

	return imap_accept(&ahead, '(') && imap_parse_word(&ahead, &word) &&
	       (slice_eq_nocase(word, SLICE("MAXSIZE")) || slice_eq_nocase(word, SLICE("DEPTH")));
}

static bool parse_depth(struct imap_parser *p, enum metadata_depth *depth)
{
	if (imap_accept_word(p, SLICE("0")))
		*depth = DEPTH_ENTRY;
	else if (imap_accept_word(p, SLICE("1")))
		*depth = DEPTH_CHILDREN;
	else if (imap_accept_word(p, SLICE("infinity")))
		*depth = DEPTH_ALL;
	else
		return imap_fault(p, SLICE("the depth is 0, 1 or infinity"));
	return true;
}

bool metadata_parse_options(struct imap_parser *p, struct metadata_request *request)
{
	if (!imap_parse_byte(p, '('))
		return false;
	do {
		if (imap_accept_word(p, SLICE("MAXSIZE"))) {
			if (!imap_parse_space(p) || !imap_parse_u64(p, &request->max_size))
				return false;
		} else if (!imap_accept_word(p, SLICE("DEPTH"))) {
			return imap_fault(p, SLICE("there is no such option"));
		} else if (!imap_parse_space(p) || !parse_depth(p, &request->depth)) {
			return false;
		}
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')');
}

/* RFC 5464 section 3.2; with a depth, also a bare "/private" or "/shared". */
static bool is_entry(struct slice entry)
{
	if (entry.len > ANNOTATION_ENTRY_MAX || slice_ends_with(entry, SLICE("/")) ||
	    slice_find(entry, SLICE("//")) != SLICE_NOT_FOUND)
		return false;
	for (size_t i = 0; i < entry.len; i++) {
		if (entry.data[i] < 0x20 || entry.data[i] == 0x7f || entry.data[i] == '*' || entry.data[i] == '%')
			return false;
	}
	return slice_eq(entry, SLICE("/private")) || slice_eq(entry, SLICE("/shared")) ||
	       slice_starts_with(entry, SLICE("/private/")) || slice_starts_with(entry, SLICE("/shared/"));
}

bool imap_parse_entry(struct imap_parser *p, struct slice *entry)
{
	struct slice raw;

	if (!imap_parse_astring(p, &raw))
		return false;
	*entry = slice_lower(p->arena, raw);
	return is_entry(*entry) || imap_fault(p, SLICE("that can't be the name of an entry"));
}

static bool add_entry(struct imap_parser *p, struct metadata_request *request)
{
	if (request->entry_count == METADATA_ENTRIES_MAX)
		return imap_fault(p, SLICE("too many entries"));
	return imap_parse_entry(p, &request->entries[request->entry_count++]);
}

bool metadata_parse_entries(struct imap_parser *p, struct metadata_request *request)
{
	if (!imap_accept(p, '('))
		return add_entry(p, request);
	do {
		if (!add_entry(p, request))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')');
}

/* ---- values ---- */

/* RFC 5464 section 4.2.2. */
static bool is_asked_for(const struct metadata_request *request, struct slice entry)
{
	for (size_t i = 0; i < request->entry_count; i++) {
		struct slice asked = request->entries[i];

		if (slice_eq(entry, asked))
			return true;
		if (request->depth == DEPTH_ENTRY || !imap_name_is_below(entry, asked))
			continue;
		if (request->depth == DEPTH_ALL || slice_find_byte(slice_skip(entry, asked.len + 1), '/') == SLICE_NOT_FOUND)
			return true;
	}
	return false;
}

static void put_value(struct buf *out, struct slice value)
{
	if (!value.data) {
		buf_add_literal(out, "NIL");
	} else if (slice_find_byte(value, '\0') != SLICE_NOT_FOUND) {
		buf_printf(out, "~{%zu}\r\n", value.len);
		buf_add(out, value);
	} else {
		imap_put_string(out, value, false);
	}
}

/* One response, begun when there is something to put into it. */
struct response {
	struct imap_session *s;
	struct slice name;
	bool begun;
};

static void put_pair(struct response *response, struct slice entry, struct slice value)
{
	struct buf *out = imap_output(response->s);

	if (!response->begun) {
		buf_add_literal(out, "* METADATA ");
		imap_put_mailbox(out, response->name, imap_utf8_names(response->s));
		buf_add_literal(out, " (");
	} else {
		buf_add_byte(out, ' ');
	}
	response->begun = true;
	imap_put_string(out, entry, false);
	buf_add_byte(out, ' ');
	put_value(out, value);
}

static bool is_there(const struct annotation *annotations, size_t count, struct slice entry)
{
	for (size_t i = 0; i < count; i++) {
		if (slice_eq(annotations[i].entry, entry))
			return true;
	}
	return false;
}

/* The server's shared ones (RFC 5464 section 3.2.1.1) are settings. */
static size_t server_annotations(struct imap_session *s, struct annotation *annotations)
{
	const struct imap_options *options = &s->context->options;
	size_t count = 0;

	if (options->comment.len)
		annotations[count++] = (struct annotation){SLICE("/shared/comment"), options->comment};
	if (options->admin.len)
		annotations[count++] = (struct annotation){SLICE("/shared/admin"), options->admin};
	return count;
}

static void put_annotations(struct response *response, struct metadata_request *request, const struct annotation *annotations,
			    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!is_asked_for(request, annotations[i].entry))
			continue;
		if (annotations[i].value.len <= request->max_size)
			put_pair(response, annotations[i].entry, annotations[i].value);
		else if (annotations[i].value.len > request->longest)
			request->longest = annotations[i].value.len;
	}
}

enum status metadata_put(struct imap_session *s, int64_t account, int64_t mailbox, struct slice name,
			 struct metadata_request *request)
{
	struct arena arena SCOPED_ARENA;
	struct response response = {s, name, false};
	struct annotation server[2], *annotations = NULL;
	size_t count = 0, server_count = mailbox == ANNOTATION_SERVER ? server_annotations(s, server) : 0;
	enum status status = annotation_list(imap_store(s), &arena, account, mailbox, s->account, &annotations, &count);

	if (status != STATUS_OK)
		return status;
	put_annotations(&response, request, server, server_count);
	put_annotations(&response, request, annotations, count);
	/* RFC 9590 section 4: what isn't there is told as NIL. */
	for (size_t i = 0; i < request->entry_count; i++) {
		if (!is_there(annotations, count, request->entries[i]) &&
		    !is_there(server, server_count, request->entries[i]) && request->depth == DEPTH_ENTRY)
			put_pair(&response, request->entries[i], slice_of(NULL, 0));
	}
	if (response.begun)
		buf_add_literal(imap_output(s), ")\r\n");
	conn_flush_if_high(imap_conn(s));
	return STATUS_OK;
}

struct slice metadata_long_entries(struct imap_session *s, const struct metadata_request *request)
{
	struct buf code;

	buf_init(&code, imap_arena(s), 0);
	buf_printf(&code, "METADATA LONGENTRIES %llu", (unsigned long long)request->longest);
	return buf_slice(&code);
}

/* ---- news: RFC 5464 section 4.4.2 ---- */

/* As the session calls the mailbox; empty: the server. */
static struct slice changed_name(struct imap_session *s, const struct annotation_change *change)
{
	if (change->account == s->account)
		return change->name;
	return imap_foreign_name(s, change->address, change->is_shared, change->name);
}

/* With NOTIFY, what it is set to; else, what ENABLE asked for: all that the session may see. */
static bool may_be_told(struct imap_session *s, const struct annotation_change *change, struct slice name)
{
	unsigned rights;

	if (s->notify && !imap_notify_wants_metadata(s, name, change->account != s->account))
		return false;
	if (change->mailbox == ANNOTATION_SERVER)
		return change->account == s->account;
	return rights_of(imap_store(s), s->account, change->account, change->mailbox, &rights) == STATUS_OK &&
	       metadata_may_see(rights);
}

static void put_change(struct imap_session *s, struct slice name, const struct annotation_change *change)
{
	struct buf *out = imap_output(s);

	buf_add_literal(out, "* METADATA ");
	imap_put_mailbox(out, name, imap_utf8_names(s));
	buf_add_byte(out, ' ');
	imap_put_string(out, change->entry, false);
	buf_add_literal(out, "\r\n");
}

void imap_tell_metadata(struct imap_session *s, bool fresh, int64_t own)
{
	struct annotation_change *changes;
	int64_t now_ms = clock_monotonic_ms();
	size_t count = 0;

	if (!(s->metadata || s->notify) || !s->metadata_watched || (!fresh && now_ms - s->metadata_ms <= NEWS_MS))
		return;
	s->metadata_ms = now_ms;
	if (annotation_changes(imap_store(s), imap_arena(s), s->account, s->metadata_number, NEWS_MAX, &changes, &count) !=
	    STATUS_OK)
		return;
	for (size_t i = 0; i < count; i++) {
		struct slice name = changed_name(s, &changes[i]);

		s->metadata_number = changes[i].number;
		if (changes[i].number != own && may_be_told(s, &changes[i], name))
			put_change(s, name, &changes[i]);
	}
}

void imap_watch_metadata(struct imap_session *s)
{
	if (!s->metadata_watched)
		s->metadata_watched = annotation_latest(imap_store(s), &s->metadata_number) == STATUS_OK;
}
