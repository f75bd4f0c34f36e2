/* AUTHORIZATION: USER and PASS (RFC 1939 section 7), AUTH (RFC 5034), STLS (RFC 2595 section 4), with the codes of RFC 3206. */
#include "pop3/session.h"

#include "auth/dialogue.h"
#include "base/clock.h"
#include "pop3/login_delay.h"

#define LOGIN_FAILURES_MAX 5

/* What came in plain text is not used afterwards: neither commands nor the name that USER gave nor UTF8. */
enum next pop3_stls(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	(void)arguments;
	if (!pop3_may_start_tls(s))
		return pop3_bad(s, SLICE("TLS is not to be had here"));
	(void)pop3_ok(s, SLICE("Begin TLS"));
	if (!conn_flush(pop3_conn(s)))
		return NEXT_CLOSE;
	conn_discard_input(pop3_conn(s));
	s->user_len = 0;
	s->utf8 = false;
	return conn_start_tls_server(pop3_conn(s), s->env->listener->tls) ? NEXT_PARK : NEXT_CLOSE;
}

/* ---- the outcome, for both ways ---- */

static void log_login(struct pop3_session *s, struct slice mechanism)
{
	struct buf from;

	buf_init(&from, pop3_arena(s), 0);
	net_address_format(&from, conn_peer(pop3_conn(s)));
	LOG_INFO(s->context->log, "pop3.login", LOG_INT("session", s->env->id), LOG_STR("peer", buf_slice(&from)),
		 LOG_STR("user", s->address), LOG_STR("mechanism", mechanism), LOG_STR("tls", conn_tls_version(pop3_conn(s))));
}

static enum next accepted(struct pop3_session *s, const struct auth_reply *reply, struct slice mechanism)
{
	int64_t now_ms = clock_monotonic_ms();

	/* RFC 2449 section 8.1.1: only who has shown the password is told so. */
	if (!pop3_may_log_in(s->context->logins, reply->account, s->context->options.login_delay_s, now_ms))
		return pop3_err(s, SLICE("LOGIN-DELAY"), SLICE("It is too soon to look for mail again"));
	struct slice address = slice_dup(s->env->session_arena, reply->address);

	/* RFC 3206 section 4 */
	if (!engine_set_user(s->env, address)) {
		LOG_WARNING(s->context->log, "pop3.too_many_sessions", LOG_INT("session", s->env->id), LOG_STR("user", address));
		return pop3_err(s, SLICE("SYS/TEMP"), SLICE("This account has too many sessions open; close some of them"));
	}
	s->account = reply->account;
	enum status status = pop3_open_maildrop(s);

	if (status != STATUS_OK) {
		(void)engine_set_user(s->env, SLICE_EMPTY);
		LOG_WARNING(s->context->log, "pop3.no_maildrop", LOG_INT("session", s->env->id),
			    LOG_STR("user", reply->address), LOG_STR("status", status_name(status)));
		return pop3_fail(s, status == STATUS_NOT_FOUND ? STATUS_BUG : status);
	}
	pop3_note_login(s->context->logins, reply->account, now_ms);
	s->state = POP3_TRANSACTION;
	s->address = address;
	log_login(s, mechanism);
	return pop3_okf(s, "Logged in: %u messages, %llu octets", s->messages, (unsigned long long)s->octets);
}

static enum next failed(struct pop3_session *s, struct slice code, struct slice text)
{
	unsigned max = s->context->options.max_login_failures ? s->context->options.max_login_failures : LOGIN_FAILURES_MAX;

	(void)pop3_err(s, code, text);
	return ++s->login_failures >= max ? NEXT_CLOSE : NEXT_PARK;
}

static enum next conclude(struct pop3_session *s, const struct auth_reply *reply, struct slice mechanism)
{
	switch (reply->outcome) {
	case AUTH_ACCEPTED:
		return accepted(s, reply, mechanism);
	case AUTH_MALFORMED:
		return pop3_bad(s, SLICE("That isn't a message of this mechanism"));
	case AUTH_LOCKED_OUT:
		return failed(s, SLICE("SYS/TEMP"), SLICE("Too many failures, try again later"));
	case AUTH_UNAVAILABLE:
		return pop3_fail(s, STATUS_TEMPORARY);
	case AUTH_CONTINUE:
	case AUTH_REFUSED:
		break;
	}
	return failed(s, SLICE("AUTH"), SLICE("Wrong user or password"));
}

/* ---- USER and PASS ---- */

/* Whether there is such a user isn't told here. */
enum next pop3_user(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	if (!pop3_plaintext_allowed(s))
		return pop3_bad(s, SLICE("Passwords are taken over TLS only"));
	if (arguments->text.len > sizeof(s->user))
		return pop3_bad(s, SLICE("That name is too long"));
	memcpy(s->user, arguments->text.data, arguments->text.len);
	s->user_len = arguments->text.len;
	return pop3_ok(s, SLICE("And the password?"));
}

enum next pop3_pass(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	struct slice user = slice_of(s->user, s->user_len);
	struct auth_peer peer = auth_peer_of(pop3_conn(s), SLICE("pop3"), false, pop3_arena(s));

	if (user.len == 0)
		return pop3_bad(s, SLICE("USER comes first"));
	s->user_len = 0;
	struct auth_reply reply = auth_password(s->context->ipc, pop3_arena(s), &peer, user, arguments->text);

	return conclude(s, &reply, SLICE("USER"));
}

/* ---- AUTH ---- */

static bool ask(void *context, struct slice challenge, struct slice *line)
{
	struct pop3_session *s = context;
	struct buf *out = pop3_output(s);

	buf_add_literal(out, "+ ");
	buf_add(out, challenge);
	buf_add_literal(out, "\r\n");
	return conn_flush(pop3_conn(s)) && pop3_read_line(s, line);
}

static enum next run(struct pop3_session *s, struct slice mechanism, const struct slice *initial)
{
	struct auth_dialogue dialogue = {.ipc = s->context->ipc, .arena = pop3_arena(s), .ask = ask, .context = s};
	struct auth_peer peer = auth_peer_of(pop3_conn(s), SLICE("pop3"), true, pop3_arena(s));
	struct auth_reply reply;

	switch (auth_dialogue_run(&dialogue, &peer, mechanism, initial, &reply)) {
	case AUTH_DIALOGUE_ANSWERED:
		return conclude(s, &reply, mechanism);
	case AUTH_DIALOGUE_CANCELLED:
		return pop3_bad(s, SLICE("Cancelled"));
	case AUTH_DIALOGUE_NOT_BASE64:
		return pop3_bad(s, SLICE("That isn't base64"));
	case AUTH_DIALOGUE_TOO_LONG:
		return pop3_bad(s, SLICE("Too many steps"));
	case AUTH_DIALOGUE_CLOSED:
		break;
	}
	return NEXT_CLOSE;
}

/* Lenient: without a mechanism they are listed, as clients did before there was CAPA. */
static enum next list_mechanisms(struct pop3_session *s)
{
	struct auth_offer offer = pop3_auth_offer(s);
	struct slice mechanisms = auth_mechanisms(pop3_arena(s), &offer);

	(void)pop3_ok(s, SLICE("Mechanisms follow"));
	while (mechanisms.len > 0) {
		buf_add(pop3_output(s), slice_cut(&mechanisms, ' '));
		buf_add_literal(pop3_output(s), "\r\n");
	}
	return pop3_end_list(s);
}

enum next pop3_auth(struct pop3_session *s, const struct pop3_arguments *arguments)
{
	struct slice rest = slice_trim(arguments->text), mechanism = slice_cut(&rest, ' '), initial = SLICE_EMPTY;
	struct auth_offer offer = pop3_auth_offer(s);
	bool has_initial = rest.len > 0;

	if (mechanism.len == 0)
		return list_mechanisms(s);
	if (!auth_mechanism_is_offered(mechanism, &offer))
		return pop3_bad(s, SLICE("That mechanism isn't offered here"));
	if (has_initial && !auth_decode_initial(pop3_arena(s), slice_trim(rest), &initial))
		return pop3_bad(s, SLICE("That isn't base64"));
	return run(s, mechanism, has_initial ? &initial : NULL);
}
