/* AUTH (RFC 4954): carries the exchange between the client and the auth role. */
#include "auth/dialogue.h"

#include "base/base64.h"
#include "smtp/session.h"

struct exchange {
	struct smtp_session *session;
	struct arena *arena; /* the command's */
	struct auth_peer peer;
	struct auth_reply reply;
	struct slice mechanism;
};

static bool decode(struct exchange *x, struct slice text, struct slice *raw)
{
	struct buf out;

	buf_init(&out, x->arena, LINE_MAX_AUTH);
	*raw = SLICE_EMPTY;
	if (!base64_decode(&out, text))
		return false;
	*raw = buf_slice(&out);
	return true;
}

/* Sends the challenge and reads the response. REPLY_NONE, or what ends the exchange; the connection may have failed. */
static enum reply_id challenge(struct exchange *x, struct slice *response)
{
	struct conn *conn = x->session->conn;
	struct slice line;

	reply_write_challenge(conn_output(conn), x->reply.challenge);
	conn_flush(conn);
	smtp_set_time_limit(x->session, LINE_TIMEOUT_MS);
	switch (conn_read_line(conn, LINE_MAX_AUTH, &line)) {
	case CONN_LINE_OK:
		if (slice_eq(line, SLICE("*")))
			return REPLY_AUTH_CANCELLED;
		return decode(x, line, response) ? REPLY_NONE : REPLY_AUTH_MALFORMED;
	case CONN_LINE_TOO_LONG:
		return REPLY_AUTH_TOO_LONG; /* RFC 4954 section 6 */
	default:
		return REPLY_BARE_LINE_END;
	}
}

static enum next refuse(struct exchange *x, enum reply_id id)
{
	struct smtp_session *s = x->session;
	struct reply reply = reply_make(id);

	LOG_INFO(s->log, "smtp.auth_refused", LOG_STR("peer", s->peer), LOG_INT("code", reply.code),
		 LOG_STR("reason", reply.text));
	return smtp_answer(s, id);
}

static enum next accept_login(struct exchange *x)
{
	struct smtp_session *s = x->session;
	struct slice nothing;
	enum reply_id fault;

	/* RFC 4954 section 4: data that comes with the success goes as a last challenge; the client may still not believe us. */
	if (x->reply.challenge.len > 0) {
		fault = challenge(x, &nothing);
		if (fault != REPLY_NONE)
			return refuse(x, fault);
	}
	s->account = x->reply.account;
	s->login = slice_dup(s->env->session_arena, x->reply.address);
	s->mechanism = slice_dup(s->env->session_arena, x->mechanism);
	(void)engine_set_user(s->env, s->login); /* there is no limit here */
	LOG_DEBUG(s->log, "smtp.authenticated", LOG_STR("peer", s->peer), LOG_STR("login", s->login));
	return smtp_answer(s, REPLY_AUTHENTICATED);
}

static enum next conclude(struct exchange *x)
{
	switch (x->reply.outcome) {
	case AUTH_ACCEPTED:
		return accept_login(x);
	case AUTH_REFUSED:
		return refuse(x, REPLY_AUTH_REFUSED);
	case AUTH_MALFORMED:
		return refuse(x, REPLY_AUTH_MALFORMED);
	case AUTH_LOCKED_OUT:
	case AUTH_UNAVAILABLE:
	case AUTH_CONTINUE:
		break;
	}
	return refuse(x, REPLY_AUTH_TEMPORARY);
}

static enum next exchange(struct exchange *x, struct slice mechanism, const struct slice *initial)
{
	struct slice response;
	enum reply_id fault;

	x->mechanism = mechanism;
	x->reply = auth_begin(x->session->ipc, x->arena, &x->peer, mechanism, initial);
	while (x->reply.outcome == AUTH_CONTINUE) {
		fault = challenge(x, &response);
		if (fault != REPLY_NONE) {
			auth_cancel(x->session->ipc, x->reply.exchange);
			return refuse(x, fault);
		}
		x->reply = auth_step(x->session->ipc, x->arena, x->reply.exchange, response);
	}
	return conclude(x);
}

enum next cmd_auth(struct smtp_session *s, struct slice argument)
{
	struct exchange x = {.session = s, .arena = s->env->command_arena};
	struct slice rest = argument, mechanism = slice_cut(&rest, ' '), initial = slice_trim(rest), raw = SLICE_EMPTY;

	if (s->policy.auth == SMTP_AUTH_OFF)
		return smtp_answer(s, REPLY_NO_AUTH);
	if (s->account != 0)
		return smtp_answer(s, REPLY_AUTH_ALREADY);
	if (!smtp_may_send_password(s))
		return smtp_answer(s, s->env->listener->tls ? REPLY_NEED_TLS : REPLY_NO_AUTH);
	if (mechanism.len == 0 || slice_find_byte(initial, ' ') != SLICE_NOT_FOUND)
		return smtp_answer(s, REPLY_SYNTAX_AUTH);
	struct auth_offer offer = smtp_auth_offer(s);

	if (!auth_mechanism_is_offered(mechanism, &offer))
		return smtp_answer(s, REPLY_AUTH_MECHANISM);
	/* RFC 4954 section 4: "=" is an initial response of no bytes. */
	if (initial.len > 0 && !slice_eq(initial, SLICE("=")) && !decode(&x, initial, &raw))
		return smtp_answer(s, REPLY_AUTH_MALFORMED);
	x.peer = auth_peer_of(s->conn, SLICE("smtp"), true, x.arena);
	return exchange(&x, mechanism, initial.len > 0 ? &raw : NULL);
}
