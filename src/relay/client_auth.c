/* AUTH to a smarthost (RFC 4954). A password goes in clear only over TLS, on loopback, or where the administrator chose
 * "none" as the policy. */
#include "base/base64.h"
#include "relay/client.h"
#include "relay/scram.h"

static struct slice encode(struct client *client, struct slice text)
{
	struct buf out;

	buf_init(&out, client->arena, 0);
	base64_encode(&out, text);
	return buf_slice(&out);
}

static void ask(struct client *client, const char *prefix, struct slice raw, struct reply *reply)
{
	conn_printf(client->conn, "%s%.*s\r\n", prefix, SLICE_ARG(encode(client, raw)));
	client_ask(client, client->arena, "AUTH", client->options->timeouts.command_ms, reply);
}

/* The bytes of a "334 challenge". */
static bool challenge(struct client *client, const struct reply *reply, struct slice *bytes)
{
	struct buf out;

	buf_init(&out, client->arena, 0);
	if (client->broken || reply->code != 334 || !base64_decode(&out, slice_trim(slice_skip(reply->text, 4))))
		return false;
	*bytes = buf_slice(&out);
	return true;
}

/* RFC 4616 */
static void authenticate_plain(struct client *client, struct reply *reply)
{
	struct buf message;

	buf_init(&message, client->arena, 0);
	buf_add_byte(&message, '\0');
	buf_add(&message, client->options->user);
	buf_add_byte(&message, '\0');
	buf_add(&message, client->options->password);
	ask(client, "AUTH PLAIN ", buf_slice(&message), reply);
}

static void authenticate_login(struct client *client, struct reply *reply)
{
	conn_write_literal(client->conn, "AUTH LOGIN\r\n");
	client_ask(client, client->arena, "AUTH", client->options->timeouts.command_ms, reply);
	if (client->broken || reply->code != 334)
		return;
	ask(client, "", client->options->user, reply);
	if (!client->broken && reply->code == 334)
		ask(client, "", client->options->password, reply);
}

static void authenticate_scram(struct client *client, struct reply *reply)
{
	struct slice message;
	struct scram scram;

	ask(client, "AUTH SCRAM-SHA-256 ", scram_first(&scram, client->arena, client->options->user, SLICE_EMPTY), reply);
	if (client->broken || reply->code != 334)
		return;
	if (challenge(client, reply, &message) && scram_final(&scram, message, client->options->password, &message)) {
		ask(client, "", message, reply);
		if (client->broken || reply->code != 334)
			return;
		if (challenge(client, reply, &message) && scram_verify(&scram, message)) {
			ask(client, "", SLICE_EMPTY, reply);
			return;
		}
	}
	client->broken = true; /* the server isn't who it should be: not one word more */
	*reply = reply_ours(client->arena, 454, "4.7.0", "%.*s failed the SCRAM exchange", SLICE_ARG(client->remote));
}

static bool may_send_password(const struct client *client)
{
	return conn_is_tls(client->conn) || client->options->tls == RELAY_TLS_NONE ||
	       net_address_is_loopback(conn_peer(client->conn));
}

bool client_authenticate(struct client *client, struct reply *failure)
{
	unsigned mechanisms = client->capabilities.mechanisms;
	struct reply reply = {0};

	/* PLAIN first where the host is proven: one round trip, no key derivation. */
	if ((mechanisms & MECHANISM_SCRAM_SHA_256) && client->options->tls != RELAY_TLS_REQUIRED)
		authenticate_scram(client, &reply);
	else if ((mechanisms & MECHANISM_PLAIN) && may_send_password(client))
		authenticate_plain(client, &reply);
	else if ((mechanisms & MECHANISM_LOGIN) && may_send_password(client))
		authenticate_login(client, &reply);
	else if (mechanisms & MECHANISM_SCRAM_SHA_256)
		authenticate_scram(client, &reply);
	else
		reply = reply_ours(client->arena, 454, "4.7.0", "%.*s offers no AUTH mechanism that may be used %s",
				   SLICE_ARG(client->remote), conn_is_tls(client->conn) ? "here" : "without TLS");
	*failure = reply;
	return !client->broken && reply.code / 100 == 2;
}
