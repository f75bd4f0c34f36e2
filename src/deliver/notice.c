#include "deliver/notice.h"

#include <utlist.h>

#include "base/random.h"
#include "deliver/fill.h"
#include "mime/dsn.h"
#include "mime/verp.h"
#include "mime/xtext.h"

#define HEADER_MAX (64 * 1024) /* of the message's header as it is returned */

struct notice_report {
	struct dsn_recipient about;
	struct notice_report *prev, *next;
};

/* ---- what there is to tell ---- */

static void add_report(struct notices *n, const struct deliver_recipient *recipient, enum dsn_action action)
{
	struct notice_report *report = ARENA_NEW(n->arena, struct notice_report);

	report->about = (struct dsn_recipient){
		.final = recipient->address,
		.original = xtext_decode_original(n->arena, recipient->original),
		.action = action,
		.status = SLICE("2.0.0"),
		.remote_mta = SLICE_EMPTY,
		.diagnostic = SLICE_EMPTY,
	};
	DL_APPEND(n->reports, report);
	n->count++;
}

void notices_add(struct notices *n, struct deliver_recipient *recipient, size_t locals, size_t remotes)
{
	if (!(recipient->notify & NOTIFY_SUCCESS) || n->envelope->sender.address.len == 0 || n->waits)
		return;
	if (locals + remotes > 1) {
		/* RFC 3461 section 5.2.7 */
		add_report(n, recipient, DSN_EXPANDED);
		recipient->notify &= ~(unsigned)NOTIFY_SUCCESS;
		if (recipient->notify == 0)
			recipient->notify = NOTIFY_NEVER;
	} else if (locals == 1) {
		add_report(n, recipient, DSN_DELIVERED);
	}
}

/* ---- the notification ---- */

/* The header, with its blank line; none that is longer than is worth returning. */
static struct slice header_of(struct slice bytes)
{
	size_t end = slice_find(slice_sub(bytes, 0, HEADER_MAX), SLICE("\r\n\r\n"));

	return slice_sub(bytes, 0, end == SLICE_NOT_FOUND ? 0 : end + 4);
}

static void write_message(const struct notices *n, const struct delivery *about, struct slice to,
			  const struct dsn_recipient *recipients, size_t count, struct delivery *notice)
{
	struct buf bytes;
	const struct dsn dsn = {
		.reporting_mta = n->hostname,
		.to = to,
		.token = random_token(n->arena, 26),
		.queue_id = about->queue_id,
		.envelope_id = xtext_decode(n->arena, about->envelope_id),
		.arrival_ms = about->received_ms,
		.now_ms = about->received_ms,
		.deliver_by_ms = about->timing.by_mode != 0 ? about->timing.by_ms : 0,
		.future_release = about->timing.release_request,
		.recipients = recipients,
		.recipient_count = count,
		.original = header_of(n->bytes),
	};

	buf_init(&bytes, n->arena, 0);
	dsn_write(&bytes, &dsn);
	notice->bytes = buf_slice(&bytes);
	notice->needs_utf8 = dsn_needs_utf8(&dsn);
	notice->body_8bit = !slice_is_ascii(notice->bytes);
}

/* STATUS_NOT_FOUND: there is nobody of that address. */
static enum status address_to(const struct notices *n, struct slice address, struct delivery *notice)
{
	struct expansion expansion SCOPED_EXPANSION;
	struct deliver_recipient *to = ARENA_NEW(n->arena, struct deliver_recipient);
	const struct fill fill = {n->policy, n->arena, &expansion};

	expansion_init(&expansion, n->arena, n->look_up, n->context);
	expansion.may_relay = true;
	*to = (struct deliver_recipient){.address = address, .original = SLICE_EMPTY, .notify = NOTIFY_NEVER};
	switch (expand(&expansion, to)) {
	case EXPAND_OK:
		break;
	case EXPAND_TEMPORARY:
		return STATUS_TEMPORARY;
	default:
		return STATUS_NOT_FOUND;
	}
	fill_targets(&fill, SLICE_EMPTY, notice);
	return fill_queue(&fill, notice);
}

static enum status make_one(const struct notices *n, struct delivery *about, struct slice to,
			    const struct dsn_recipient *recipients, size_t count)
{
	struct delivery *notice = ARENA_NEW(n->arena, struct delivery);
	const struct slice from[] = {SLICE("bounce "), n->hostname};

	*notice = (struct delivery){
		.queue_id = random_queue_id(n->arena),
		.sender = SLICE_EMPTY, /* RFC 5321 section 4.5.5 */
		.tls_wish = about->tls_wish == TLS_WISH_REQUIRED ? TLS_WISH_REQUIRED : TLS_WISH_NONE, /* RFC 8689 section 5 */
		.received_ms = about->received_ms,
		.timing = {.priority = about->timing.priority}, /* RFC 6710 section 4.6 */
		.trace_from = slice_join(n->arena, from, 2),
	};
	enum status status = address_to(n, to, notice);

	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	write_message(n, about, to, recipients, count, notice);
	notice->notice = about->notice;
	about->notice = notice;
	return STATUS_OK;
}

/* Where each recipient has a sender of its own, each notification goes there. */
static enum status make_each(const struct notices *n, struct delivery *delivery)
{
	enum status status = STATUS_OK;

	for (const struct notice_report *at = n->reports; at && status == STATUS_OK; at = at->next)
		status = make_one(n, delivery, verp_sender(n->arena, delivery->sender, delivery->timing.verp, at->about.final),
				  &at->about, 1);
	return status;
}

enum status notices_make(const struct notices *n, struct delivery *delivery)
{
	struct dsn_recipient *all;
	size_t count = 0;

	if (n->count == 0)
		return STATUS_OK;
	if (delivery->timing.verp.len > 0)
		return make_each(n, delivery);
	all = ARENA_ARRAY(n->arena, struct dsn_recipient, n->count);
	for (const struct notice_report *at = n->reports; at; at = at->next)
		all[count++] = at->about;
	return make_one(n, delivery, delivery->sender, all, count);
}
