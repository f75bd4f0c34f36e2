/* EHLO, HELO and STARTTLS: who we are to each other. */
#include "base/clock.h"
#include "smtp/filter.h"

void smtp_take_hello(struct smtp_session *s, struct slice host)
{
	memcpy(s->helo_bytes, host.data, host.len);
	s->helo = slice_of(s->helo_bytes, host.len);
	s->state = STATE_READY;
	smtp_transaction_end(s);
	smtp_door_hello(s);
}

/* RFC 5321 section 4.1.4: a new greeting is a reset too. */
static bool greet(struct smtp_session *s, struct slice argument)
{
	struct slice host;

	if (!smtp_parse_host(argument, &host) || host.len > sizeof(s->helo_bytes))
		return false;
	smtp_take_hello(s, host);
	return true;
}

static bool has_tls(const struct smtp_session *s)
{
	return s->env->listener->tls && s->policy.tls != SMTP_TLS_OFF && !((s->is_lmtp || s->is_local) && s->is_unix);
}

static bool may_start_tls(const struct smtp_session *s)
{
	return has_tls(s) && !conn_is_tls(s->conn);
}

/* RFC 4954 section 4: not before TLS where TLS must be, and not again. */
static struct slice offered_mechanisms(const struct smtp_session *s)
{
	if (s->policy.auth == SMTP_AUTH_OFF || smtp_needs_tls(s) || s->account != 0 || !smtp_may_send_password(s))
		return SLICE_EMPTY;
	struct auth_offer offer = smtp_auth_offer(s);

	return auth_mechanisms(s->env->command_arena, &offer);
}

static enum next greet_with_offers(struct smtp_session *s, struct slice argument)
{
	struct reply_offer offer = {
		.max_message_size = s->options.max_message_size,
		.max_recipients = s->options.max_recipients,
		.starttls = may_start_tls(s),
		.requiretls = conn_is_tls(s->conn),
		.auth = offered_mechanisms(s),
		.etrn = smtp_may_etrn(s),
		.burl = smtp_may_burl(s),
		.xclient = s->may_xclient ? CLIENT_OF_XCLIENT : 0,
		.xforward = s->may_xforward ? CLIENT_OF_XFORWARD : 0,
		.deliver_by = !s->is_lmtp,
		.deliver_by_min_s = s->options.deliver_by_min_s,
		.verp = smtp_may_verp(s),
		.future_release_ms = s->is_submission ? s->options.future_release_ms : 0,
		.now_ms = clock_wall_ms(),
	};
	enum next next;

	if (!greet(s, argument))
		return smtp_answer(s, REPLY_SYNTAX_HELLO);
	s->is_extended = true;
	if (!smtp_filter_hello(s, &next))
		return next;
	reply_write_ehlo(conn_output(s->conn), s->options.hostname, &offer);
	return NEXT_PARK;
}

/* RFC 2033 section 4.1: LHLO there, and nothing else; elsewhere it is unknown. */
enum next cmd_lhlo(struct smtp_session *s, struct slice argument)
{
	return s->is_lmtp ? greet_with_offers(s, argument) : smtp_answer(s, REPLY_UNKNOWN_COMMAND);
}

enum next cmd_ehlo(struct smtp_session *s, struct slice argument)
{
	return s->is_lmtp ? smtp_answer(s, REPLY_UNKNOWN_COMMAND) : greet_with_offers(s, argument);
}

enum next cmd_helo(struct smtp_session *s, struct slice argument)
{
	enum next next;

	if (s->is_lmtp)
		return smtp_answer(s, REPLY_UNKNOWN_COMMAND);
	if (!greet(s, argument))
		return smtp_answer(s, REPLY_SYNTAX_HELLO);
	s->is_extended = false;
	if (!smtp_filter_hello(s, &next))
		return next;
	reply_write_helo(conn_output(s->conn), s->options.hostname);
	return NEXT_PARK;
}

/* RFC 3207 section 4.2: nothing that was said in plain is remembered, and nothing that came before the handshake is read after it. */
enum next cmd_starttls(struct smtp_session *s, struct slice argument)
{
	(void)argument;
	if (!has_tls(s))
		return smtp_answer(s, REPLY_NO_TLS);
	if (conn_is_tls(s->conn))
		return smtp_answer(s, REPLY_TLS_ALREADY);
	smtp_answer(s, REPLY_START_TLS);
	conn_discard_input(s->conn);
	if (!conn_flush(s->conn) || !conn_start_tls_server(s->conn, s->env->listener->tls)) {
		LOG_INFO(s->log, "smtp.tls_failed", LOG_STR("peer", s->peer), LOG_STR("reason", conn_tls_error(s->conn)));
		return NEXT_CLOSE;
	}
	s->state = STATE_START;
	s->helo = SLICE_EMPTY;
	s->account = 0;
	s->login = s->mechanism = SLICE_EMPTY;
	engine_set_user(s->env, SLICE_EMPTY);
	return NEXT_PARK;
}
