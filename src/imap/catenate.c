/* URLs of CATENATE: RFC 4469 section 3, RFC 5092 section 6. Only those of the account's own messages, from the root ("/INBOX/;UID=20") or
 * from the selected mailbox (";UID=20/;SECTION=1.2"). */
#include "imap/fetch.h"
#include "imap/incoming.h"
#include "imap/name.h"

struct url {
	struct slice mailbox; /* data NULL: the selected one */
	bool has_uid_validity;
	uint32_t uid_validity, uid;
	struct slice section, partial; /* "1.2", "0.500" */
};

static int hex_digit(char c)
{
	size_t at = slice_find_byte(SLICE("0123456789abcdef"), ascii_is_alpha(c) ? (char)(c | 0x20) : c);

	return at == SLICE_NOT_FOUND ? -1 : (int)at;
}

static bool percent_decode(struct arena *arena, struct slice raw, struct slice *text)
{
	char *out = arena_alloc(arena, raw.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < raw.len; i++) {
		if (raw.data[i] != '%') {
			out[len++] = raw.data[i];
			continue;
		}
		if (i + 2 >= raw.len || hex_digit(raw.data[i + 1]) < 0 || hex_digit(raw.data[i + 2]) < 0)
			return false;
		out[len++] = (char)(hex_digit(raw.data[i + 1]) << 4 | hex_digit(raw.data[i + 2]));
		i += 2;
	}
	*text = slice_of(out, len);
	return true;
}

static bool take_prefix(struct slice *rest, struct slice prefix)
{
	if (!slice_starts_with_nocase(*rest, prefix))
		return false;
	*rest = slice_skip(*rest, prefix.len);
	return true;
}

/* "name[;UIDVALIDITY=n]" */
static bool parse_mailbox(struct arena *arena, struct slice raw, struct url *url)
{
	struct slice name = slice_cut(&raw, ';');

	if (raw.len > 0) {
		if (!take_prefix(&raw, SLICE("UIDVALIDITY=")) || !slice_to_u32(raw, UINT32_MAX, &url->uid_validity))
			return false;
		url->has_uid_validity = true;
	}
	return percent_decode(arena, name, &url->mailbox) && imap_name_is_valid(url->mailbox);
}

static bool parse_url(struct arena *arena, struct slice text, struct url *url)
{
	struct slice rest, uid;

	*url = (struct url){0};
	if (take_prefix(&text, SLICE("/"))) {
		size_t end = slice_find(text, SLICE("/;"));

		if (end == SLICE_NOT_FOUND || !parse_mailbox(arena, slice_sub(text, 0, end), url))
			return false;
		text = slice_skip(text, end + 1);
	}
	rest = text;
	uid = slice_cut(&rest, '/');
	if (!take_prefix(&uid, SLICE(";UID=")) || !slice_to_u32(uid, UINT32_MAX, &url->uid))
		return false;
	while (rest.len > 0) {
		struct slice item = slice_cut(&rest, '/');

		if (take_prefix(&item, SLICE(";SECTION=")) && url->section.len == 0) {
			if (!percent_decode(arena, item, &url->section))
				return false;
		} else if (take_prefix(&item, SLICE(";PARTIAL=")) && url->partial.len == 0) {
			url->partial = item;
		} else {
			return false;
		}
	}
	return true;
}

/* The section in the words of FETCH, which knows all there is to know about them. */
static bool parse_section(struct arena *arena, const struct url *url, struct fetch_request *request)
{
	struct imap_parser p;
	struct buf words;

	buf_init(&words, arena, 0);
	buf_add_literal(&words, "BODY.PEEK[");
	buf_add(&words, url->section);
	buf_add_byte(&words, ']');
	if (url->partial.len) {
		buf_add_byte(&words, '<');
		buf_add(&words, url->partial);
		if (slice_find_byte(url->partial, '.') == SLICE_NOT_FOUND)
			buf_add_literal(&words, ".9223372036854775807");
		buf_add_byte(&words, '>');
	}
	imap_parser_init(&p, arena, buf_slice(&words), true);
	return imap_parse_fetch(&p, request) && imap_parse_end(&p) && request->section_count == 1;
}

/* ---- the message ---- */

struct wanted {
	struct imap_session *s;
	const struct fetch_request *request;
	uint64_t max;
	struct buf *out;
	int64_t account, email;
	uint64_t size;
	struct slice structure;
	bool found, is_large, put;
};

/* The value alone: its label and the head of its literal are taken off again. */
static void put_value(struct wanted *wanted, struct fetch_source *source, struct slice structure)
{
	const struct fetch_section *section = wanted->request->sections;
	struct fetch_sink sink = {.out = wanted->out};
	struct arena *arena = imap_arena(wanted->s);
	const struct message *message = NULL;
	size_t start = wanted->out->len, head;
	struct slice added;

	if (wanted->request->wanted & EMAIL_STRUCTURE)
		message = message_unpack(arena, structure, source->bytes);
	if (fetch_put_section(section, message, source, arena, &sink) != FETCH_SENT || !buf_ok(wanted->out)) {
		wanted->out->len = start;
		return;
	}
	added = slice_skip(buf_slice(wanted->out), start);
	head = slice_find(slice_skip(added, section->label.len), SLICE("\r\n")) + section->label.len + 2;
	memmove(wanted->out->data + start, added.data + head, added.len - head);
	wanted->out->len -= head;
	wanted->put = wanted->out->len - start <= wanted->max;
}

static bool each_email(void *context, const struct email *email)
{
	struct wanted *wanted = context;

	wanted->found = true;
	if (wanted->request->wanted & EMAIL_BYTES && email->bytes.len < email->size) {
		wanted->is_large = true;
		wanted->email = email->id;
		wanted->size = email->size;
		wanted->structure = slice_dup(imap_arena(wanted->s), email->structure);
		return false;
	}
	put_value(wanted, &(struct fetch_source){.bytes = email->bytes, .size = email->bytes.len}, email->structure);
	return false;
}

static void put_large(struct wanted *wanted)
{
	struct fetch_source source = {.size = wanted->size};

	if (wanted->size > wanted->max || email_open(imap_store(wanted->s), imap_arena(wanted->s), wanted->account,
						     wanted->email, &source.reader) != STATUS_OK)
		return;
	put_value(wanted, &source, wanted->structure);
	email_close(source.reader);
}

static bool find_mailbox(struct imap_session *s, const struct url *url, int64_t *account, int64_t *id)
{
	struct imap_place place;

	if (!url->mailbox.data) {
		*account = s->selected_account;
		*id = mailbox_viewer_is_open(&s->viewer) ? mailbox_viewer_state(&s->viewer).mailbox : 0;
		return *id != 0;
	}
	if (imap_find_place(s, imap_name_canonical(imap_arena(s), url->mailbox), RIGHT_READ, &place) != STATUS_OK)
		return false;
	*account = place.account;
	*id = place.mailbox.id;
	return !url->has_uid_validity || url->uid_validity == place.mailbox.uid_validity;
}

bool imap_catenate_url(struct imap_session *s, struct slice text, uint64_t max, struct buf *out)
{
	struct fetch_request request;
	struct wanted wanted = {.s = s, .request = &request, .max = max, .out = out};
	struct url url;
	int64_t mailbox;

	if (!parse_url(imap_arena(s), text, &url) || !parse_section(imap_arena(s), &url, &request) ||
	    !find_mailbox(s, &url, &wanted.account, &mailbox))
		return false;
	if (email_scan(imap_store(s), wanted.account, mailbox, &url.uid, 1, request.wanted, each_email, &wanted) != STATUS_OK)
		return false;
	if (wanted.is_large)
		put_large(&wanted);
	return wanted.found && wanted.put;
}
