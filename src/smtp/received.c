#include "smtp/received.h"

#include "smtp/header.h"

struct slice received_protocol(const struct received *received)
{
	static const char *const names[4][4] = {
		{"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"},
		{"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"},
		{"LMTP", "LMTPS", "LMTPA", "LMTPSA"},
		{"UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA"},
	};

	if (!received->extended)
		return SLICE("SMTP");
	return slice_from_cstr(
		names[received->smtputf8 + 2 * received->lmtp][(received->tls_version.len > 0) + 2 * received->authenticated]);
}

/* A name in UTF-8 would make the header one that only SMTPUTF8 may carry (RFC 6531 section 3.7.1 asks for A-labels). */
static void write_helo(struct buf *out, const struct received *received)
{
	struct slice helo = received->helo.len > 0 ? received->helo : SLICE("unknown");

	for (size_t i = 0; i < helo.len; i++)
		buf_add_byte(out, received->smtputf8 || !(helo.data[i] & 0x80) ? helo.data[i] : '?');
}

/* RFC 5321 section 4.4, TCP-info */
static void write_peer(struct buf *out, const struct received *received)
{
	if (received->client_name.len > 0 && slice_is_ascii(received->client_name)) {
		buf_add(out, received->client_name);
		buf_add_byte(out, ' ');
	}
	net_address_format_literal(out, &received->peer);
}

static void write_from(struct buf *out, const struct received *received)
{
	buf_add_literal(out, "Received: from ");
	write_helo(out, received);
	buf_add_literal(out, " (");
	if (received->local_peer.len > 0)
		buf_add(out, received->local_peer);
	else if (received->peer.family != 0 && !received->peer_is_unknown)
		write_peer(out, received);
	else
		buf_add_literal(out, "unknown");
	buf_add_byte(out, ')');
}

static void write_by(struct buf *out, const struct received *received)
{
	buf_add_literal(out, "\r\n\tby ");
	buf_add(out, received->hostname);
	buf_add_literal(out, " (Posthorn) with ");
	buf_add(out, received_protocol(received));
	if (received->tls_version.len > 0) {
		buf_add_literal(out, " (");
		buf_add(out, received->tls_version);
		buf_add_byte(out, ')');
	}
	buf_add_literal(out, "\r\n\tid ");
	buf_add(out, received->queue_id);
}

/* RFC 8314 section 4.3: the cipher in a clause of its own. */
void received_write(struct buf *out, const struct received *received)
{
	write_from(out, received);
	write_by(out, received);
	if (received->recipient.len > 0) {
		buf_add_literal(out, "\r\n\tfor <");
		buf_add(out, received->recipient);
		buf_add_byte(out, '>');
	}
	if (received->tls_cipher.len > 0) {
		buf_add_literal(out, "\r\n\ttls ");
		buf_add(out, received->tls_cipher);
	}
	if (received->has_priority) /* RFC 6710 section 4.1 */
		buf_printf(out, "\r\n\tPRIORITY %d", received->priority);
	buf_add_literal(out, ";\r\n\t");
	header_write_date(out, received->wall_ms);
	buf_add_literal(out, "\r\n");
}
