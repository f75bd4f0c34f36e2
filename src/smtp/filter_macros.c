/* What milters are told beside the commands, by the names of milter/macros.h. What is of the session lives in its arena or in the session
 * itself, what is of a message in the transaction's. */
#include "smtp/filter.h"
#include "smtp/received.h"

#define SET(s, macro, value) ((s)->filter->macros.values[MACRO_##macro] = (value))

static struct slice number(struct arena *arena, uint64_t value)
{
	struct buf out;

	buf_init(&out, arena, 0);
	buf_add_u64(&out, value);
	return buf_slice(&out);
}

static struct slice address_text(struct arena *arena, const struct net_address *address)
{
	struct buf out;

	if (address->family == 0)
		return SLICE_EMPTY;
	buf_init(&out, arena, 0);
	net_address_format(&out, address);
	return buf_slice(&out);
}

/* "client.example.org [192.0.2.1]" */
static struct slice peer_with_name(struct arena *arena, const struct milter_peer *peer)
{
	return slice_join(arena,
			  (const struct slice[]){peer->name.len > 0 ? peer->name : SLICE("unknown"), SLICE(" ["), peer->address,
						 SLICE("]")},
			  4);
}

static struct slice certificate(const struct smtp_session *s, enum conn_certificate_part part)
{
	struct buf out;

	buf_init(&out, s->env->session_arena, 0);
	conn_certificate_part(s->conn, part, &out);
	return buf_slice(&out);
}

void filter_macros_connect(struct smtp_session *s)
{
	struct arena *arena = s->env->session_arena;
	const struct milter_peer *peer = &s->filter->peer;
	const struct net_address *local = conn_local(s->conn);

	milter_macros_clear(&s->filter->macros);
	SET(s, HOSTNAME, s->options.hostname);
	SET(s, PRODUCT, SLICE("Posthorn"));
	SET(s, PEER, peer_with_name(arena, peer));
	SET(s, DAEMON_NAME, slice_from_cstr(s->env->listener->name));
	SET(s, IF_NAME, s->options.hostname);
	if (local->family != 0) {
		SET(s, DAEMON_ADDR, address_text(arena, local));
		SET(s, DAEMON_PORT, number(arena, local->port));
		SET(s, IF_ADDR, address_text(arena, local));
	}
	SET(s, CLIENT_ADDR, peer->address);
	SET(s, CLIENT_PORT, number(arena, peer->port));
	SET(s, CLIENT_NAME, peer->name.len > 0 ? peer->name : SLICE("unknown"));
	SET(s, CLIENT_PTR, s->filter->client.ptr.len > 0 ? s->filter->client.ptr : SLICE("unknown"));
	SET(s, CLIENT_RESOLVE, s->filter->client.resolve);
	SET(s, PROTOCOL, SLICE("SMTP"));
	if (engine_connections_of_peer(s->env) > 0)
		SET(s, CLIENT_CONNECTIONS, number(arena, engine_connections_of_peer(s->env)));
}

/* Asked for again at each message: what has been said once isn't made anew. */
static void set_tls(struct smtp_session *s)
{
	if (!conn_is_tls(s->conn) || s->filter->macros.values[MACRO_TLS_VERSION].len > 0)
		return;
	SET(s, TLS_VERSION, conn_tls_version(s->conn));
	SET(s, CIPHER, conn_tls_cipher(s->conn));
	SET(s, CIPHER_BITS, number(s->env->session_arena, conn_tls_cipher_bits(s->conn)));
	SET(s, CERT_SUBJECT, certificate(s, CONN_CERTIFICATE_SUBJECT));
	SET(s, CERT_ISSUER, certificate(s, CONN_CERTIFICATE_ISSUER));
}

void filter_macros_hello(struct smtp_session *s)
{
	struct received received = {.extended = s->is_extended,
				    .lmtp = s->is_lmtp,
				    .tls_version = conn_tls_version(s->conn),
				    .authenticated = s->account != 0};

	SET(s, HELO, s->helo);
	SET(s, PROTOCOL, received_protocol(&received));
	set_tls(s);
}

static struct slice domain_of(struct slice address)
{
	size_t at = slice_find_last_byte(address, '@');

	return at == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(address, at + 1);
}

void filter_macros_sender(struct smtp_session *s)
{
	const struct deliver_envelope *envelope = &s->transaction.envelope;
	bool has_login = s->account != 0;

	SET(s, QUEUE_ID, envelope->queue_id);
	SET(s, AUTH_TYPE, has_login ? s->mechanism : SLICE_EMPTY);
	SET(s, AUTH_AUTHEN, s->login);
	SET(s, AUTH_AUTHOR, s->login);
	SET(s, AUTH_SSF, has_login ? SLICE("0") : SLICE_EMPTY); /* no mechanism of ours has a layer */
	SET(s, SENDER, envelope->sender.address);
	SET(s, MAIL_ADDR, envelope->sender.address);
	SET(s, MAIL_HOST, domain_of(envelope->sender.address));
	SET(s, MAIL_MAILER, has_login ? SLICE("local") : SLICE("smtp"));
}

void filter_macros_recipient(struct smtp_session *s, struct slice recipient)
{
	SET(s, RCPT_ADDR, recipient);
	SET(s, RCPT_HOST, domain_of(recipient));
	SET(s, RCPT_MAILER, s->transaction.envelope.sender.may_relay ? SLICE("smtp") : SLICE("local"));
}

/* As Postfix and Sendmail have it. */
void filter_macros_refused(struct smtp_session *s, const struct deliver_verdict *verdict)
{
	SET(s, RCPT_ADDR, verdict->text);
	SET(s, RCPT_HOST, verdict->enhanced);
	SET(s, RCPT_MAILER, SLICE("error"));
}

void filter_macros_message(struct smtp_session *s, const struct incoming *incoming)
{
	SET(s, NRCPTS, number(&s->arena, s->transaction.envelope.recipient_count));
	SET(s, NBYTES, number(&s->arena, incoming->size));
	SET(s, MSG_ID, incoming->facts.message_id);
}

void filter_macros_end(struct smtp_session *s)
{
	static const enum milter_macro of_message[] = {MACRO_QUEUE_ID,    MACRO_SENDER,    MACRO_MAIL_ADDR, MACRO_MAIL_HOST,
						       MACRO_MAIL_MAILER, MACRO_RCPT_ADDR, MACRO_RCPT_HOST, MACRO_RCPT_MAILER,
						       MACRO_NRCPTS,      MACRO_NBYTES,    MACRO_MSG_ID};

	for (size_t i = 0; i < sizeof(of_message) / sizeof(*of_message); i++)
		s->filter->macros.values[of_message[i]] = SLICE_EMPTY;
}
