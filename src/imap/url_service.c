#include "imap/url_service.h"

#include "base/write.h"
#include "imap/url_auth.h"
#include "imap/url_message.h"
#include "ipc/pack.h"
#include "ipc/urls.h"

/* The value of a section on its way to a file descriptor; the head of its literal stays here. */
struct giving {
	struct buf *out;
	int fd;
	bool has_begun, failed;
	uint64_t size, max;
};

static void give(void *context)
{
	struct giving *giving = context;
	struct slice bytes = buf_slice(giving->out);
	size_t head = giving->has_begun ? 0 : slice_find(bytes, SLICE("\r\n")) + 2;

	giving->has_begun = true;
	bytes = slice_skip(bytes, head);
	giving->size += bytes.len;
	if (giving->size <= giving->max && !giving->failed)
		giving->failed = !write_all(giving->fd, bytes);
	buf_clear(giving->out);
}

static enum status give_section(struct url_message *m, struct arena *arena, struct giving *giving)
{
	struct fetch_sink sink = {.out = giving->out, .flush = give, .context = giving};
	enum fetch_outcome outcome;

	m->section.label = SLICE_EMPTY;
	outcome = fetch_put_section(&m->section, m->message, &m->source, arena, &sink);
	if (outcome == FETCH_ABSENT || outcome == FETCH_UNKNOWN_ENCODING)
		return STATUS_NOT_FOUND;
	if (outcome != FETCH_SENT || !buf_ok(giving->out) || giving->failed)
		return STATUS_TEMPORARY;
	return giving->size > giving->max ? STATUS_LIMIT : STATUS_OK;
}

static enum status serve(struct imap_session *s, struct arena *arena, const struct url_request *wanted, struct giving *giving)
{
	struct url_message m = {0};
	struct imap_place place;
	struct imap_url url;
	enum status status;

	if (!imap_url_parse(arena, wanted->url, &url))
		return STATUS_NOT_FOUND;
	status = url_authorize(s, &url, &place);
	if (status == STATUS_OK)
		status = url_message_open(s, arena, place.account, place.mailbox.id, &url, &m);
	if (status == STATUS_OK)
		status = give_section(&m, arena, giving);
	url_message_close(&m);
	return status;
}

/* No session is there: what looks at URLs needs no more of one than who it is for. */
enum status imap_url_serve(const struct imap_context *context, struct ipc_request *request, struct arena *arena,
			   struct buf *reply)
{
	struct session_env env = {.command_arena = arena};
	struct imap_session s = {.env = &env, .context = context, .acts_for_user = true};
	struct buf out SCOPED_BUF;
	struct giving giving = {.out = &out, .fd = request->fd};
	struct url_request wanted;
	enum status status;

	if (request->from != ROLE_SMTP || request->fd < 0 || !url_request_unpack(request->payload, &wanted) ||
	    wanted.account == 0)
		return STATUS_PEER;
	buf_init(&out, NULL, 0);
	s.account = wanted.account;
	s.address = wanted.address;
	giving.max = wanted.max;
	status = serve(&s, arena, &wanted, &giving);
	pack_u64(reply, giving.size);
	return status;
}
