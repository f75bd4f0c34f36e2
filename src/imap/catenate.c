/* URLs of CATENATE: RFC 4469 section 3. Those of the session's own view: from the root, or from the selected mailbox; or authorised ones. */
#include "imap/incoming.h"
#include "imap/url_auth.h"
#include "imap/url_message.h"

/* The value alone: the head of its literal is taken off again. */
static enum status put_value(struct url_message *m, struct arena *arena, uint64_t max, struct buf *out)
{
	struct fetch_sink sink = {.out = out};
	size_t start = out->len, limit = out->limit, head;
	enum fetch_outcome outcome;
	bool is_put;

	m->section.label = SLICE_EMPTY;
	out->limit = start + (size_t)max + 64;
	outcome = fetch_put_section(&m->section, m->message, &m->source, arena, &sink);
	is_put = outcome == FETCH_SENT && buf_ok(out);
	out->limit = limit;
	out->failed = false;
	head = is_put ? slice_find(slice_skip(buf_slice(out), start), SLICE("\r\n")) + 2 : 0;
	if (!is_put || out->len - start - head > max) {
		out->len = start;
		return outcome == FETCH_BROKEN || m->source.failed ? STATUS_TEMPORARY : STATUS_NOT_FOUND;
	}
	memmove(out->data + start, out->data + start + head, out->len - start - head);
	out->len -= head;
	return STATUS_OK;
}

static enum status find_mailbox(struct imap_session *s, const struct imap_url *url, int64_t *account, int64_t *id)
{
	struct imap_place place;
	enum status status;

	if (!url->mailbox.data) {
		*account = s->selected_account;
		*id = mailbox_viewer_is_open(&s->viewer) ? mailbox_viewer_state(&s->viewer).mailbox : 0;
		return *id != 0 ? STATUS_OK : STATUS_NOT_FOUND;
	}
	status = url->is_absolute ? url_authorize(s, url, &place) : imap_find_place(s, url->mailbox, RIGHT_READ, &place);
	*account = place.account;
	*id = place.mailbox.id;
	if (status == STATUS_OK && url->has_uid_validity && url->uid_validity != place.mailbox.uid_validity)
		status = STATUS_NOT_FOUND;
	return status;
}

enum status imap_catenate_url(struct imap_session *s, struct slice text, uint64_t max, struct buf *out)
{
	struct arena arena SCOPED_ARENA;
	struct url_message m = {0};
	struct imap_url url;
	int64_t account, mailbox;
	enum status status;

	if (!imap_url_parse(imap_arena(s), text, &url))
		return STATUS_NOT_FOUND;
	status = find_mailbox(s, &url, &account, &mailbox);
	if (status == STATUS_OK)
		status = url_message_open(s, &arena, account, mailbox, &url, &m);
	if (status == STATUS_OK)
		status = put_value(&m, &arena, max, out);
	url_message_close(&m);
	return status;
}
