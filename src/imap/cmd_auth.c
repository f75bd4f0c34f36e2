/* STARTTLS, AUTHENTICATE, LOGIN: RFC 9051 section 6.2, RFC 4959 (initial response), RFC 5802 (SCRAM). */
#include "base/metrics.h"
#include "imap/session.h"

#include "auth/dialogue.h"

#define LOGIN_FAILURES_MAX 5

/* RFC 9051 section 6.2.1: nothing that came in plain text is used afterwards. */
enum next imap_starttls(struct imap_session *s, struct imap_command *command)
{
	if (!imap_may_start_tls(s))
		return imap_bad(s, command, SLICE("TLS is not to be had here"));
	(void)imap_ok(s, command, SLICE("Begin TLS"));
	if (!conn_flush(imap_conn(s)))
		return NEXT_CLOSE;
	conn_discard_input(imap_conn(s));
	return conn_start_tls_server(imap_conn(s), s->env->listener->tls) ? NEXT_PARK : NEXT_CLOSE;
}

/* ---- the outcome, for both commands ---- */

/* RFC 5530 section 3. */
static enum next too_many(struct imap_session *s, struct imap_command *command, struct slice address)
{
	LOG_WARNING(s->context->log, "imap.too_many_sessions", LOG_INT("session", s->env->id), LOG_STR("user", address));
	return imap_no(s, command, SLICE("LIMIT"), SLICE("This account has too many sessions open; close some of them"));
}

static enum next accepted(struct imap_session *s, struct imap_command *command, const struct auth_reply *reply,
			  struct slice mechanism)
{
	struct slice address = slice_dup(s->env->session_arena, reply->address);
	struct buf code, from;

	if (!engine_set_user(s->env, address))
		return too_many(s, command, address);
	s->state = IMAP_AUTHENTICATED;
	s->account = reply->account;
	s->address = address;
	buf_init(&from, imap_arena(s), 0);
	net_address_format(&from, conn_peer(imap_conn(s)));
	METRIC_ADD(s->context->log, METRIC_IMAP_LOGINS, 0, 1);
	LOG_INFO(s->context->log, "imap.login", LOG_INT("session", s->env->id), LOG_STR("peer", buf_slice(&from)),
		 LOG_STR("user", s->address), LOG_STR("mechanism", mechanism), LOG_STR("tls", conn_tls_version(imap_conn(s))));
	buf_init(&code, imap_arena(s), 0);
	buf_add_literal(&code, "CAPABILITY");
	imap_put_capabilities(s, &code);
	return imap_ok_code(s, command, buf_slice(&code), SLICE("Logged in"));
}

static enum next failed(struct imap_session *s, struct imap_command *command, struct slice code, struct slice text)
{
	unsigned max = s->context->options.max_login_failures ? s->context->options.max_login_failures : LOGIN_FAILURES_MAX;

	(void)imap_no(s, command, code, text);
	if (++s->login_failures >= max)
		return imap_bye(s, SLICE_EMPTY, SLICE("Too many failures"));
	return NEXT_PARK;
}

/* RFC 5530. */
static enum next conclude(struct imap_session *s, struct imap_command *command, const struct auth_reply *reply,
			  struct slice mechanism)
{
	switch (reply->outcome) {
	case AUTH_ACCEPTED:
		return accepted(s, command, reply, mechanism);
	case AUTH_MALFORMED:
		return imap_bad(s, command, SLICE("That isn't a message of this mechanism"));
	case AUTH_LOCKED_OUT:
		return failed(s, command, SLICE("UNAVAILABLE"), SLICE("Too many failures, try again later"));
	case AUTH_UNAVAILABLE:
		return imap_no(s, command, SLICE("UNAVAILABLE"), SLICE("Not possible at the moment, try again later"));
	case AUTH_CONTINUE:
	case AUTH_REFUSED:
		break;
	}
	return failed(s, command, SLICE("AUTHENTICATIONFAILED"), SLICE("Wrong user or password"));
}

enum next imap_login(struct imap_session *s, struct imap_command *command)
{
	struct auth_peer peer = auth_peer_of(imap_conn(s), SLICE("imap"), false, imap_arena(s));
	struct slice user, password;

	if (!imap_parse_space(&command->args) || !imap_parse_astring(&command->args, &user) ||
	    !imap_parse_space(&command->args) || !imap_parse_astring(&command->args, &password) ||
	    !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	if (!imap_plaintext_allowed(s))
		return imap_no(s, command, SLICE("PRIVACYREQUIRED"), SLICE("Passwords are taken over TLS only"));
	struct auth_reply reply = auth_password(s->context->ipc, imap_arena(s), &peer, user, password);

	return conclude(s, command, &reply, SLICE("LOGIN"));
}

/* ---- AUTHENTICATE ---- */

static bool ask(void *context, struct slice challenge, struct slice *line)
{
	imap_continue(context, challenge);
	return imap_read_line(context, line);
}

/* RFC 4959 section 3: "=" is an empty response; none at all is something else. */
static bool parse_initial(struct imap_session *s, struct imap_parser *p, struct slice *storage, struct slice **initial)
{
	struct slice encoded;

	*initial = NULL;
	if (!imap_accept(p, ' '))
		return imap_parse_end(p);
	encoded = p->rest;
	p->rest = SLICE_EMPTY;
	if (!auth_decode_initial(imap_arena(s), encoded, storage))
		return imap_fault(p, SLICE("that isn't base64"));
	*initial = storage;
	return true;
}

enum next imap_authenticate(struct imap_session *s, struct imap_command *command)
{
	struct auth_dialogue dialogue = {.ipc = s->context->ipc, .arena = imap_arena(s), .ask = ask, .context = s};
	struct slice mechanism, response = SLICE_EMPTY, *initial;
	struct auth_reply reply;

	if (!imap_parse_space(&command->args) || !imap_parse_atom(&command->args, &mechanism) ||
	    !parse_initial(s, &command->args, &response, &initial))
		return imap_bad_arguments(s, command);
	struct auth_offer offer = imap_auth_offer(s);

	if (!auth_mechanism_is_offered(mechanism, &offer))
		return imap_no(s, command, SLICE("CANNOT"), SLICE("That mechanism isn't offered here"));
	struct auth_peer peer = auth_peer_of(imap_conn(s), SLICE("imap"), true, imap_arena(s));

	switch (auth_dialogue_run(&dialogue, &peer, mechanism, initial, &reply)) {
	case AUTH_DIALOGUE_ANSWERED:
		return conclude(s, command, &reply, mechanism);
	case AUTH_DIALOGUE_CANCELLED:
		return imap_bad(s, command, SLICE("Cancelled"));
	case AUTH_DIALOGUE_NOT_BASE64:
		return imap_bad(s, command, SLICE("That isn't base64"));
	case AUTH_DIALOGUE_TOO_LONG:
		return imap_bad(s, command, SLICE("Too many steps"));
	case AUTH_DIALOGUE_CLOSED:
		break;
	}
	return NEXT_CLOSE;
}
