/* One mail transaction: MAIL, RCPT, DATA, the message, the final dot.
 *
 * Whoever is told "delivered" was in a RCPT answered with 2xx and the final dot was answered with 2xx. Everything else is
 * deferred or failed with the reply that said so. */
#include "base/clock.h"
#include "relay/client.h"

#define BY_MAX_S 999999999 /* RFC 2852 section 4 */

/* RFC 5321 section 4.2.1: 2xx done, 4xx try again, 5xx never. Whatever else stands where a final reply belongs is taken for
 * trouble of the moment. */
static enum recipient_state state_from(const struct reply *reply)
{
	switch (reply->code / 100) {
	case 2:
		return RECIPIENT_DELIVERED;
	case 5:
		return RECIPIENT_FAILED;
	default:
		return RECIPIENT_DEFERRED;
	}
}

static bool offers(const struct client *client, unsigned capability)
{
	return client->capabilities.offered & capability;
}

/* Handed over in time to a host that doesn't care for it: from there on nobody tells of a delay but by the DSN extension. */
static bool loses_deadline(const struct client *client, const struct queue_item *item)
{
	return (item->timing.by_mode & BY_NOTIFY) && !offers(client, CAPABILITY_DELIVERBY) && clock_wall_ms() < item->timing.by_ms;
}

/* RFC 2852 section 4.1.4, 4.1.4.2 */
static bool tells_relayed(const struct client *client, const struct queue_item *item)
{
	return (item->timing.by_mode & BY_TRACE) || loses_deadline(client, item);
}

/* RFC 2852 section 4.1.4.2: then a delay is to be told as well. */
static unsigned notify_of(const struct client *client, const struct queue_item *item)
{
	if (!loses_deadline(client, item) || (item->notify & NOTIFY_NEVER))
		return item->notify;
	return (item->notify != 0 ? item->notify : NOTIFY_FAILURE) | NOTIFY_DELAY;
}

/* All recipients in state `from` have this outcome. */
static void conclude(struct client *client, struct parcel *parcel, enum recipient_state from, enum recipient_state to,
		     const struct reply *reply)
{
	struct slice remote = slice_dup(&parcel->arena, client->remote_by_tls);

	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == from) {
			recipient->state = to;
			recipient->reply = *reply;
			recipient->remote = remote;
			recipient->relayed_plainly = !(client->capabilities.offered & CAPABILITY_DSN);
			recipient->tells_relayed = tells_relayed(client, &recipient->item);
		}
}

/* RFC 3461 section 4.1, 4.2; nothing of it if the peer knows no DSN. */
static void write_notify(struct buf *out, unsigned notify)
{
	static const struct {
		unsigned bit;
		struct slice name;
	} NAMES[] = {{NOTIFY_NEVER, SLICE("NEVER")},
		     {NOTIFY_SUCCESS, SLICE("SUCCESS")},
		     {NOTIFY_FAILURE, SLICE("FAILURE")},
		     {NOTIFY_DELAY, SLICE("DELAY")}};
	const char *separator = " NOTIFY=";

	for (size_t i = 0; i < 4; i++)
		if (notify & NAMES[i].bit) {
			buf_add(out, slice_from_cstr(separator));
			buf_add(out, NAMES[i].name);
			separator = ",";
			if (NAMES[i].bit == NOTIFY_NEVER)
				return;
		}
}

/* RFC 2852 section 4.1.4: what is left of the time, which may be less than nothing. */
static int64_t seconds_left(const struct queue_item *item)
{
	int64_t left = (item->timing.by_ms - clock_wall_ms()) / 1000;

	return left > BY_MAX_S ? BY_MAX_S : left < -BY_MAX_S ? -BY_MAX_S : left;
}

static void write_timing(const struct client *client, struct buf *out, const struct queue_item *item)
{
	const struct envelope_timing *timing = &item->timing;

	if (timing->by_mode != 0 && offers(client, CAPABILITY_DELIVERBY))
		buf_printf(out, " BY=%lld;%s%s", (long long)seconds_left(item), timing->by_mode & BY_RETURN ? "R" : "N",
			   timing->by_mode & BY_TRACE ? "T" : "");
	if (offers(client, CAPABILITY_MT_PRIORITY)) /* RFC 6710 section 4.2 */
		buf_printf(out, " MT-PRIORITY=%d", timing->priority);
}

static void write_mail(struct client *client, const struct queue_item *item)
{
	unsigned offered = client->capabilities.offered;
	struct buf *out = conn_output(client->conn);

	buf_add_literal(out, "MAIL FROM:<");
	buf_add(out, item->sender);
	buf_add_byte(out, '>');
	if (offered & CAPABILITY_SIZE) {
		buf_add_literal(out, " SIZE=");
		buf_add_u64(out, item->size);
	}
	/* Lenient: a peer without 8BITMIME gets 8-bit text all the same: everyone takes it, and rewriting breaks signatures. */
	if ((offered & CAPABILITY_8BITMIME) && item->body_8bit)
		buf_add_literal(out, " BODY=8BITMIME");
	if ((offered & CAPABILITY_SMTPUTF8) && item->needs_utf8)
		buf_add_literal(out, " SMTPUTF8");
	if (item->tls_wish == TLS_WISH_REQUIRED)
		buf_add_literal(out, " REQUIRETLS");
	write_timing(client, out, item);
	if (offered & CAPABILITY_DSN) {
		if (item->dsn_return == DSN_RETURN_FULL)
			buf_add_literal(out, " RET=FULL");
		else if (item->dsn_return == DSN_RETURN_HEADERS)
			buf_add_literal(out, " RET=HDRS");
		if (item->envelope_id.len > 0) {
			buf_add_literal(out, " ENVID=");
			buf_add(out, item->envelope_id);
		}
	}
	buf_add_literal(out, "\r\n");
}

static void write_rcpt(struct client *client, const struct queue_item *item)
{
	struct buf *out = conn_output(client->conn);

	buf_add_literal(out, "RCPT TO:<");
	buf_add(out, item->recipient);
	buf_add_byte(out, '>');
	if (client->capabilities.offered & CAPABILITY_DSN) {
		write_notify(out, notify_of(client, item));
		if (item->original_recipient.len > 0) {
			buf_add_literal(out, " ORCPT=");
			buf_add(out, item->original_recipient);
		}
	}
	buf_add_literal(out, "\r\n");
}

/* Who was `accepted` so far decides what "too many recipients" means: with some, the rest goes in a transaction of its own at
 * once. RFC 5321 section 4.5.3.1.10: 552 is taken for 452 here. */
static void hear_rcpt(struct client *client, struct parcel *parcel, struct recipient *recipient, const struct reply *reply,
		      unsigned *accepted)
{
	enum recipient_state state = state_from(reply);

	if (reply->code == 552)
		state = RECIPIENT_DEFERRED;
	if ((reply->code == 452 || reply->code == 552) && *accepted > 0)
		state = RECIPIENT_CROWDED;
	if (state == RECIPIENT_DELIVERED) {
		state = RECIPIENT_ACCEPTED;
		(*accepted)++;
	}
	recipient->state = state;
	recipient->reply = *reply;
	recipient->remote = slice_dup(&parcel->arena, client->remote_by_tls);
}

/* One command at a time, for peers without PIPELINING. True: 354. */
static bool offer_stepwise(struct client *client, struct parcel *parcel, unsigned *accepted)
{
	const struct relay_timeouts *timeouts = &client->options->timeouts;
	struct reply reply;

	if (client->needs_reset) {
		conn_write_literal(client->conn, "RSET\r\n");
		client_ask(client, &parcel->arena, "RSET", timeouts->command_ms, &reply);
	}
	write_mail(client, &parcel->recipients->item);
	client->needs_reset = true;
	client_ask(client, &parcel->arena, "MAIL FROM", timeouts->command_ms, &reply);
	if (client->broken)
		return false;
	if (reply.code / 100 != 2) {
		conclude(client, parcel, RECIPIENT_WAITING, state_from(&reply), &reply);
		return false;
	}
	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == RECIPIENT_WAITING) {
			write_rcpt(client, &recipient->item);
			client_ask(client, &parcel->arena, "RCPT TO", timeouts->command_ms, &reply);
			hear_rcpt(client, parcel, recipient, &reply, accepted);
		}
	if (*accepted == 0)
		return false;
	conn_write_literal(client->conn, "DATA\r\n");
	client_ask(client, &parcel->arena, "DATA", timeouts->data_ms, &reply);
	if (reply.code == 354)
		return true;
	conclude(client, parcel, RECIPIENT_ACCEPTED, reply.code >= 500 ? RECIPIENT_FAILED : RECIPIENT_DEFERRED, &reply);
	return false;
}

/* RFC 2920 section 3.1: all of it in one go, DATA last. */
static void write_pipelined(struct client *client, struct parcel *parcel)
{
	if (client->needs_reset)
		conn_write_literal(client->conn, "RSET\r\n");
	write_mail(client, &parcel->recipients->item);
	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == RECIPIENT_WAITING)
			write_rcpt(client, &recipient->item);
	conn_write_literal(client->conn, "DATA\r\n");
}

/* RFC 2920 section 3.1: DATA was answered with 354 though no recipient was taken: an empty message ends it. */
static void take_back_data(struct client *client, struct parcel *parcel)
{
	struct reply reply;

	conn_write_literal(client->conn, ".\r\n");
	client_ask(client, &parcel->arena, "end of nothing", client->options->timeouts.end_of_data_ms, &reply);
}

static bool offer_pipelined(struct client *client, struct parcel *parcel, unsigned *accepted)
{
	const struct relay_timeouts *timeouts = &client->options->timeouts;
	struct reply mail, reply;

	write_pipelined(client, parcel);
	if (client->needs_reset)
		client_ask(client, &parcel->arena, "RSET", timeouts->command_ms, &reply);
	client->needs_reset = true;
	client_ask(client, &parcel->arena, "MAIL FROM", timeouts->command_ms, &mail);
	if (client->broken)
		return false;
	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == RECIPIENT_WAITING) {
			client_read(client, &parcel->arena, "RCPT TO", timeouts->command_ms, &reply);
			if (mail.code / 100 != 2) { /* what MAIL said counts, not "503 need MAIL" */
				recipient->state = state_from(&mail);
				recipient->reply = mail;
				recipient->remote = slice_dup(&parcel->arena, client->remote_by_tls);
			} else {
				hear_rcpt(client, parcel, recipient, &reply, accepted);
			}
		}
	client_read(client, &parcel->arena, "DATA", timeouts->data_ms, &reply);
	if (*accepted > 0 && reply.code == 354)
		return true;
	if (reply.code == 354)
		take_back_data(client, parcel);
	conclude(client, parcel, RECIPIENT_ACCEPTED, reply.code >= 500 ? RECIPIENT_FAILED : RECIPIENT_DEFERRED, &reply);
	return false;
}

void client_stuff_dots(struct buf *out, struct slice bytes, bool *at_line_start)
{
	while (bytes.len > 0) {
		size_t line_end;

		if (*at_line_start && bytes.data[0] == '.')
			buf_add_byte(out, '.');
		/* As far as the next line that begins with a dot, in one piece. Behind a bare LF too: a peer that takes LF for
		 * a line end must not find an end of data there. */
		line_end = slice_find(bytes, SLICE("\n."));
		if (line_end == SLICE_NOT_FOUND) {
			buf_add(out, bytes);
			*at_line_start = bytes.data[bytes.len - 1] == '\n';
			return;
		}
		buf_add(out, slice_sub(bytes, 0, line_end + 1));
		bytes = slice_skip(bytes, line_end + 1);
		*at_line_start = true;
	}
}

#define SLOWEST_BYTES_PER_S 1024 /* a peer that takes a body more slowly than that is held to be stuck */

/* Everything but the final dot. */
static enum status write_body(struct client *client, struct parcel *parcel, const struct body_source *body)
{
	int64_t block_ms = client->options->timeouts.block_ms;
	int64_t allowed_ms = block_ms + (int64_t)(parcel->recipients->item.size / SLOWEST_BYTES_PER_S * 1000);
	struct slice piece;
	bool at_line_start = true;
	uint64_t offset = 0;
	char last_byte = '\n';

	conn_set_timeout(client->conn, (int)block_ms);
	conn_set_deadline(client->conn, clock_monotonic_ms() + allowed_ms);
	for (;;) {
		enum status status = body->read(body->context, offset, &piece);

		if (status != STATUS_OK)
			return status;
		if (piece.len == 0)
			break;
		client_stuff_dots(conn_output(client->conn), piece, &at_line_start);
		last_byte = piece.data[piece.len - 1];
		offset += piece.len;
		conn_flush_if_high(client->conn);
		if (conn_failed(client->conn))
			break;
	}
	if (last_byte != '\n')
		conn_write_literal(client->conn, "\r\n");
	return STATUS_OK;
}

/* Nobody is told a result: the message goes out again, later. */
static void break_off(struct client *client, struct parcel *parcel)
{
	client->broken = true;
	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == RECIPIENT_ACCEPTED)
			recipient->state = RECIPIENT_WAITING;
}

/* RFC 2033 section 4.2: an answer for each recipient that was accepted, in their order. `reply` is the first. */
static void conclude_each(struct client *client, struct parcel *parcel, struct reply reply)
{
	bool is_first = true;

	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next) {
		if (recipient->state != RECIPIENT_ACCEPTED)
			continue;
		if (!is_first)
			client_read(client, &parcel->arena, "end of data", client->options->timeouts.end_of_data_ms, &reply);
		is_first = false;
		recipient->state = state_from(&reply);
		recipient->reply = reply;
		recipient->remote = slice_dup(&parcel->arena, client->remote_by_tls);
		recipient->relayed_plainly = !(client->capabilities.offered & CAPABILITY_DSN);
	}
}

static enum status send_data(struct client *client, struct parcel *parcel, const struct body_source *body)
{
	const struct client_hooks *hooks = &client->options->hooks;
	enum status status = write_body(client, parcel, body);
	struct reply reply;

	if (status != STATUS_OK || (hooks->before_end && !hooks->before_end(hooks->context))) {
		break_off(client, parcel);
		return status;
	}
	conn_write_literal(client->conn, ".\r\n");
	client_ask(client, &parcel->arena, "end of data", client->options->timeouts.end_of_data_ms, &reply);
	client->needs_reset = false;
	if (client->options->is_lmtp)
		conclude_each(client, parcel, reply);
	else
		conclude(client, parcel, RECIPIENT_ACCEPTED, state_from(&reply), &reply);
	return STATUS_OK;
}

/* No line end may come out of an envelope: it would be a command of its own. */
static bool is_clean(struct slice text)
{
	return !memchr(text.data, '\r', text.len) && !memchr(text.data, '\n', text.len) && !memchr(text.data, '\0', text.len);
}

static void refuse_unclean(struct client *client, struct parcel *parcel)
{
	struct queue_item *shared = &parcel->recipients->item;
	struct reply reply = {553, SLICE("5.1.3"), SLICE("address with a control character"), true};
	bool shared_clean = is_clean(shared->sender) && is_clean(shared->envelope_id);

	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (!shared_clean || !is_clean(recipient->item.recipient) || !is_clean(recipient->item.original_recipient)) {
			recipient->state = RECIPIENT_FAILED;
			recipient->reply = reply;
			recipient->remote = slice_dup(&parcel->arena, client->remote_by_tls);
		}
}

/* RFC 2852 section 4.1.3, 4.1.4.1: what is to be returned isn't handed to who may be late. False: *reply tells why. */
static bool is_in_time(struct client *client, struct arena *arena, const struct queue_item *item, struct reply *reply)
{
	int64_t left = seconds_left(item);

	if (!(item->timing.by_mode & BY_RETURN))
		return true;
	if (left <= 0)
		*reply = reply_ours(arena, 554, "5.4.7", "the time within which it was to be delivered is over");
	else if (!offers(client, CAPABILITY_DELIVERBY))
		*reply = reply_ours(arena, 554, "5.3.3", "the message is to be delivered in time, and %.*s doesn't offer DELIVERBY",
				    SLICE_ARG(client->remote));
	else if (left < client->capabilities.deliver_by_min_s)
		*reply = reply_ours(arena, 554, "5.4.7", "%.*s wants %u seconds at least, and %lld are left", SLICE_ARG(client->remote),
				    client->capabilities.deliver_by_min_s, (long long)left);
	else
		return true;
	return false;
}

/* What the peer can't take isn't offered. */
static bool is_acceptable(struct client *client, struct parcel *parcel)
{
	const struct capabilities *peer = &client->capabilities;
	const struct queue_item *item = &parcel->recipients->item;
	struct reply reply;

	if (item->needs_utf8 && !(peer->offered & CAPABILITY_SMTPUTF8)) /* RFC 6531 section 3.2 */
		reply = reply_ours(&parcel->arena, 553, "5.6.7", "the message needs SMTPUTF8, which %.*s doesn't offer",
				   SLICE_ARG(client->remote));
	else if (peer->size_limit > 0 && item->size > peer->size_limit) /* RFC 1870 section 6.1 */
		reply = reply_ours(&parcel->arena, 552, "5.3.4", "%.*s takes messages of at most %llu bytes, this one has %llu",
				   SLICE_ARG(client->remote), (unsigned long long)peer->size_limit,
				   (unsigned long long)item->size);
	else if (is_in_time(client, &parcel->arena, item, &reply))
		return true;
	conclude(client, parcel, RECIPIENT_WAITING, RECIPIENT_FAILED, &reply);
	return false;
}

static bool has_waiting(const struct parcel *parcel)
{
	for (const struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == RECIPIENT_WAITING)
			return true;
	return false;
}

enum status client_send(struct client *client, struct parcel *parcel, const struct body_source *body)
{
	unsigned accepted = 0;

	refuse_unclean(client, parcel);
	if (!has_waiting(parcel) || !is_acceptable(client, parcel))
		return STATUS_OK;
	client->transactions++;
	if ((client->capabilities.offered & CAPABILITY_PIPELINING) ? !offer_pipelined(client, parcel, &accepted)
								   : !offer_stepwise(client, parcel, &accepted))
		return STATUS_OK;
	return send_data(client, parcel, body);
}
