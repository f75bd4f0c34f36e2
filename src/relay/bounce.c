#include "relay/bounce.h"

#include "base/clock.h"
#include "base/random.h"
#include "deliver/srs.h"
#include "relay/route.h"
#include "mime/xtext.h"
#include "store/routing.h"

#define ALIAS_DEPTH_MAX 5
#define TARGETS_MAX     100
#define HEADER_MAX      (64 * 1024)  /* of the message's header as it is returned */
#define WHOLE_MAX       (512 * 1024) /* larger messages are returned as their header, RET=FULL or not */

struct making {
	const struct bounce_options *options;
	struct store *store;
	struct arena *arena;
	struct delivery *delivery;
};

/* Whoever sends a notification is a stranger to the sender's folders. */
static enum status add_account(struct making *m, const struct account *account, struct slice address)
{
	struct delivery *delivery = m->delivery;
	struct slice folder;
	struct buf headers;
	enum status status;

	for (size_t i = 0; i < delivery->target_count; i++)
		if (delivery->targets[i].account == account->id)
			return STATUS_OK;
	if (delivery->target_count == TARGETS_MAX)
		return STATUS_OK;
	status = detail_folder(m->store, m->arena, &m->options->details, account, address, 0, &folder);
	if (status != STATUS_OK)
		return status;
	buf_init(&headers, m->arena, 0);
	buf_printf(&headers, "Return-Path: <>\r\nDelivered-To: %.*s\r\n", SLICE_ARG(reply_one_line(m->arena, address)));
	delivery->targets[delivery->target_count++] =
		(struct delivery_target){.account = account->id, .mailbox = folder, .headers = buf_slice(&headers)};
	return STATUS_OK;
}

static enum status add_remote(struct making *m, struct slice address)
{
	struct delivery *delivery = m->delivery;
	struct slice next_hop;
	enum status status = routing_next_hop(m->store, m->arena, SLICE_EMPTY, address, &next_hop);

	if (status == STATUS_NOT_FOUND)
		next_hop = m->options->smarthost.len > 0 ? m->options->smarthost : route_domain_of(m->arena, address);
	else if (status != STATUS_OK)
		return status;

	if (delivery->queue_count < TARGETS_MAX && next_hop.len > 0)
		delivery->queue[delivery->queue_count++] =
			(struct queue_target){.recipient = slice_dup(m->arena, address), .next_hop = next_hop};
	return STATUS_OK;
}

/* A hop of this machine: the administrator's command, or a Unix user. */
static void add_local(struct making *m, struct slice address, struct slice hop)
{
	struct delivery *delivery = m->delivery;

	if (delivery->queue_count < TARGETS_MAX)
		delivery->queue[delivery->queue_count++] =
			(struct queue_target){.recipient = slice_dup(m->arena, address), .next_hop = hop};
}

/* Somebody whom the directory doesn't know, or knows by a catch-all, may be a Unix user: the local role will tell. */
static bool add_unix_user(struct making *m, struct slice address, const struct directory_entry *entry)
{
	bool is_open = entry->kind == DIRECTORY_UNKNOWN || entry->kind == DIRECTORY_NOT_LOCAL ||
		       (entry->kind == DIRECTORY_ALIAS && entry->is_catch_all);
	struct slice user;

	if (!is_open || !local_user_at(&m->options->unix_domains, m->arena, address, &user))
		return false;
	add_local(m, address, slice_join(m->arena, (const struct slice[]){HOP_UNIX, user}, 2));
	return true;
}

/* Who forwarded mail came from, behind the address that it went out under (srs.h). */
static enum status original_sender(struct making *m, struct slice address, struct slice *original)
{
	struct slice secret;
	enum status status =
		srs_is_rewritten(address) ? routing_secret(m->store, m->arena, SLICE("srs"), &secret) : STATUS_NOT_FOUND;

	if (status != STATUS_OK)
		return status;
	return srs_reverse(m->arena, secret, clock_wall_ms(), address, original) ? STATUS_OK : STATUS_NOT_FOUND;
}

/* Whose the sender's address is: an account, or somebody behind an alias. */
static enum status add_targets(struct making *m, struct slice address, unsigned depth)
{
	struct directory_entry entry;
	struct slice original;
	enum status status = original_sender(m, address, &original);

	if (status == STATUS_OK)
		return add_remote(m, original);
	if (status == STATUS_NOT_FOUND)
		status = directory_look_up(m->store, m->arena, address, m->options->details.separator, &entry);
	if (status != STATUS_OK)
		return status;
	if (add_unix_user(m, address, &entry))
		return STATUS_OK;
	if (entry.kind == DIRECTORY_ACCOUNT)
		status = add_account(m, &entry.account, address);
	else if (entry.kind == DIRECTORY_NOT_LOCAL || entry.kind == DIRECTORY_RELAY)
		status = add_remote(m, address);
	for (size_t i = 0; entry.kind == DIRECTORY_ALIAS && i < entry.target_count && status == STATUS_OK; i++) {
		if (hop_is_local(entry.targets[i]))
			add_local(m, address, entry.targets[i]);
		else if (depth < ALIAS_DEPTH_MAX)
			status = add_targets(m, entry.targets[i], depth + 1);
	}
	return status;
}

/* The end of the header, with its blank line; the whole if there is none. */
static size_t header_end(struct slice bytes)
{
	size_t at = slice_find(bytes, SLICE("\r\n\r\n"));

	return at == SLICE_NOT_FOUND ? bytes.len : at + 4;
}

/* The first bytes of the message, as many as are wanted. A message that is gone leaves nothing. */
static enum status read_original(struct making *m, int64_t message, size_t wanted, struct slice *bytes)
{
	struct email_reader *reader;
	enum status status = queue_open(m->store, m->arena, message, &reader);
	struct buf copy;

	*bytes = SLICE_EMPTY;
	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	buf_init(&copy, m->arena, 0);
	while (copy.len < wanted) {
		struct slice piece;

		status = email_read(reader, copy.len, &piece);
		if (status != STATUS_OK || piece.len == 0)
			break;
		buf_add(&copy, slice_sub(piece, 0, wanted - copy.len));
	}
	email_close(reader);
	*bytes = buf_slice(&copy);
	return status;
}

static enum status write_notification(struct making *m, const struct parcel *parcel, const struct settlement *settlement,
				      struct slice to, int64_t now_ms)
{
	const struct queue_item *item = &parcel->recipients->item;
	bool whole = item->dsn_return == DSN_RETURN_FULL && item->tls_wish != TLS_WISH_REQUIRED && settlement->has_failed_report && item->size <= WHOLE_MAX;
	struct dsn dsn = {
		.reporting_mta = m->options->hostname,
		.to = to,
		.token = random_token(m->arena, 26),
		.queue_id = item->queue_id,
		.envelope_id = xtext_decode(m->arena, item->envelope_id),
		.arrival_ms = item->created_ms,
		.deliver_by_ms = item->timing.by_mode != 0 ? item->timing.by_ms : 0,
		.future_release = item->timing.release_request,
		.now_ms = now_ms,
		.recipients = settlement->reports,
		.recipient_count = settlement->report_count,
		.original_is_whole = whole,
	};
	enum status status = read_original(m, parcel->message, whole ? WHOLE_MAX : HEADER_MAX, &dsn.original);
	struct buf bytes;

	if (status != STATUS_OK)
		return status;
	if (!whole)
		dsn.original = slice_sub(dsn.original, 0, header_end(dsn.original));
	buf_init(&bytes, m->arena, 0);
	dsn_write(&bytes, &dsn);
	m->delivery->bytes = buf_slice(&bytes);
	/* RFC 8689 section 5 */
	m->delivery->tls_wish = item->tls_wish == TLS_WISH_REQUIRED ? TLS_WISH_REQUIRED : TLS_WISH_NONE;
	m->delivery->timing.priority = item->timing.priority; /* RFC 6710 section 4.6 */
	m->delivery->needs_utf8 = dsn_needs_utf8(&dsn);
	m->delivery->body_8bit = !slice_is_ascii(m->delivery->bytes);
	return STATUS_OK;
}

static struct delivery *delivery_new(struct arena *arena, struct slice hostname, int64_t now_ms)
{
	struct delivery *delivery = ARENA_NEW(arena, struct delivery);
	const struct slice from[] = {SLICE("bounce "), hostname};

	*delivery = (struct delivery){
		.queue_id = random_queue_id(arena),
		.sender = SLICE_EMPTY, /* RFC 5321 section 4.5.5 */
		.received_ms = now_ms,
		.targets = ARENA_ARRAY(arena, struct delivery_target, TARGETS_MAX),
		.queue = ARENA_ARRAY(arena, struct queue_target, TARGETS_MAX),
		.trace_from = slice_join(arena, from, 2),
	};
	return delivery;
}

static bool has_nobody(const struct making *m)
{
	return m->delivery->target_count == 0 && m->delivery->queue_count == 0;
}

/* The sender; or, where there is none, or none any more, who looks after the host. */
static enum status choose_targets(struct making *m, const struct queue_item *item, struct slice *to)
{
	enum status status = STATUS_OK;

	*to = item->sender;
	if (item->sender.len > 0)
		status = add_targets(m, item->sender, 0);
	if (status != STATUS_OK || !has_nobody(m) || m->options->double_bounce_to.len == 0)
		return status;
	*to = m->options->double_bounce_to;
	m->delivery->envelope_id = DOUBLE_BOUNCE_ID;
	return add_targets(m, *to, 0);
}

enum status bounce_make(const struct bounce_options *options, struct store *store, const struct log *log, struct parcel *parcel,
			const struct settlement *settlement, int64_t now_ms, struct delivery **bounce)
{
	const struct queue_item *item = &parcel->recipients->item;
	struct making m = {options, store, &parcel->arena, NULL};
	struct slice to;

	*bounce = NULL;
	if (settlement->report_count == 0)
		return STATUS_OK;
	m.delivery = delivery_new(m.arena, options->hostname, now_ms);
	if (choose_targets(&m, item, &to) != STATUS_OK)
		return STATUS_TEMPORARY;
	if (has_nobody(&m)) {
		LOG_WARNING(log, "relay.bounce_dropped", LOG_STR("id", item->queue_id), LOG_STR("sender", item->sender),
			    LOG_CSTR("reason", "the sender does not exist"));
		return STATUS_OK;
	}
	if (write_notification(&m, parcel, settlement, to, now_ms) != STATUS_OK)
		return STATUS_TEMPORARY;
	*bounce = m.delivery;
	return STATUS_OK;
}
