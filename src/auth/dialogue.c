#include "auth/dialogue.h"

#include "base/base64.h"
#include "base/buf.h"

#define STEPS_MAX 10

static struct slice binding(struct conn *conn, struct slice type, struct arena *arena)
{
	struct buf out;

	buf_init(&out, arena, 0);
	return conn_is_tls(conn) && conn_channel_binding(conn, type, &out) ? buf_slice(&out) : SLICE_EMPTY;
}

struct auth_offer auth_offer_of(const struct conn *conn, bool plaintext_allowed, bool takes_tokens)
{
	return (struct auth_offer){.is_tls = conn_is_tls(conn),
				   .plaintext_allowed = plaintext_allowed,
				   .takes_tokens = takes_tokens,
				   .is_certified = conn_is_certified(conn)};
}

static struct slice certified(const struct conn *conn, struct arena *arena)
{
	struct buf out;

	buf_init(&out, arena, 0);
	conn_certified_addresses(conn, &out);
	return buf_slice(&out);
}

struct auth_peer auth_peer_of(struct conn *conn, struct slice protocol, bool with_bindings, struct arena *arena)
{
	struct auth_peer peer = {.protocol = protocol, .address = *conn_peer(conn), .is_tls = conn_is_tls(conn)};

	if (conn_is_certified(conn))
		peer.certified = certified(conn, arena);
	if (with_bindings) {
		peer.binding_exporter = binding(conn, SLICE("tls-exporter"), arena);
		peer.binding_unique = binding(conn, SLICE("tls-unique"), arena);
		peer.binding_end_point = binding(conn, SLICE("tls-server-end-point"), arena);
	}
	return peer;
}

bool auth_decode_initial(struct arena *arena, struct slice text, struct slice *initial)
{
	struct buf decoded;

	buf_init(&decoded, arena, 0);
	if (!slice_eq(text, SLICE("=")) && (text.len == 0 || !base64_decode(&decoded, text)))
		return false;
	*initial = buf_slice(&decoded);
	return true;
}

/* AUTH_DIALOGUE_ANSWERED: there is a response. */
static enum auth_dialogue_end exchange(const struct auth_dialogue *dialogue, struct slice challenge, struct slice *response)
{
	struct buf encoded, decoded;
	struct slice line;

	buf_init(&encoded, dialogue->arena, 0);
	buf_init(&decoded, dialogue->arena, 0);
	base64_encode(&encoded, challenge);
	if (!dialogue->ask(dialogue->context, buf_slice(&encoded), &line))
		return AUTH_DIALOGUE_CLOSED;
	if (slice_eq(line, SLICE("*")))
		return AUTH_DIALOGUE_CANCELLED;
	if (!base64_decode(&decoded, line))
		return AUTH_DIALOGUE_NOT_BASE64;
	*response = buf_slice(&decoded);
	return AUTH_DIALOGUE_ANSWERED;
}

enum auth_dialogue_end auth_dialogue_run(const struct auth_dialogue *dialogue, const struct auth_peer *peer,
					 struct slice mechanism, const struct slice *initial, struct auth_reply *reply)
{
	enum auth_dialogue_end end = AUTH_DIALOGUE_ANSWERED;
	struct slice response;

	*reply = auth_begin(dialogue->ipc, dialogue->arena, peer, mechanism, initial);
	for (int steps = 0; reply->outcome == AUTH_CONTINUE; steps++) {
		uint64_t id = reply->exchange;

		end = steps == STEPS_MAX ? AUTH_DIALOGUE_TOO_LONG : exchange(dialogue, reply->challenge, &response);
		if (end != AUTH_DIALOGUE_ANSWERED) {
			auth_cancel(dialogue->ipc, id);
			return end;
		}
		*reply = auth_step(dialogue->ipc, dialogue->arena, id, response);
	}
	/* Data that come with the success go as a challenge, to be answered by an empty line. */
	if (reply->outcome == AUTH_ACCEPTED && reply->challenge.len > 0)
		end = exchange(dialogue, reply->challenge, &response);
	return end;
}
