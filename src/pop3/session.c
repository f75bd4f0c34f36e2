/* Invariant: no lock of a view and no read snapshot of the store is held while bytes are read from or sent to the client. */
#include "pop3/session.h"

#include "auth/dialogue.h"
#include "base/clock.h"
#include "net/tls.h"

#define LOGIN_TIMEOUT_MS   180000
#define IDLE_TIMEOUT_MS    600000
#define COMMAND_TIMEOUT_MS 60000
#define LINE_DEADLINE_MS   60000 /* for a line that has begun: a thread waits for it */

static int or_default(int value, int otherwise)
{
	return value > 0 ? value : otherwise;
}

/* RFC 1939 section 3. Deviation: who hasn't logged in is given less than ten minutes. */
static int64_t deadline(const struct pop3_session *s)
{
	const struct pop3_options *options = &s->context->options;

	if (s->state == POP3_AUTHORIZATION)
		return s->opened_ms + or_default(options->login_timeout_ms, LOGIN_TIMEOUT_MS);
	return s->heard_ms + or_default(options->idle_timeout_ms, IDLE_TIMEOUT_MS);
}

static enum next park(struct pop3_session *s)
{
	conn_set_deadline(pop3_conn(s), 0);
	engine_set_deadline(s->env, deadline(s));
	return NEXT_PARK;
}

bool pop3_plaintext_allowed(struct pop3_session *s)
{
	switch (s->context->options.plaintext) {
	case POP3_PLAINTEXT_NEVER:
		break;
	case POP3_PLAINTEXT_LOOPBACK:
		return conn_is_tls(pop3_conn(s)) || net_address_is_loopback(conn_peer(pop3_conn(s)));
	case POP3_PLAINTEXT_ALWAYS:
		return true;
	}
	return conn_is_tls(pop3_conn(s));
}

struct auth_offer pop3_auth_offer(struct pop3_session *s)
{
	return auth_offer_of(pop3_conn(s), pop3_plaintext_allowed(s), s->context->options.takes_tokens);
}

bool pop3_may_start_tls(struct pop3_session *s)
{
	const struct listener *listener = s->env->listener;

	return s->state == POP3_AUTHORIZATION && !conn_is_tls(pop3_conn(s)) && listener && listener->tls &&
	       tls_context_has_certificate(listener->tls);
}

static void *session_open(struct session_env *env)
{
	struct pop3_session *s = ARENA_NEW(env->session_arena, struct pop3_session);
	struct buf *out = conn_output(env->conn);

	s->env = env;
	s->context = env->context;
	s->state = POP3_AUTHORIZATION;
	s->opened_ms = s->heard_ms = clock_monotonic_ms();
	buf_init(&s->marks, NULL, 0);
	buf_init(&s->surrogates, NULL, 0);
	conn_set_timeout(env->conn, or_default(s->context->options.command_timeout_ms, COMMAND_TIMEOUT_MS));
	buf_add_literal(out, "+OK ");
	buf_add(out, s->context->options.hostname);
	buf_add_literal(out, " POP3 ready\r\n");
	park(s);
	return s;
}

/* Lenient: a bare LF ends a line too; people type into POP3 by hand, and there is nothing that could be smuggled. */
static enum conn_line read_raw_line(struct pop3_session *s, struct slice *line)
{
	size_t limit = s->state == POP3_AUTHORIZATION ? POP3_SASL_MAX : POP3_LINE_MAX;

	conn_set_deadline(pop3_conn(s), clock_monotonic_ms() + LINE_DEADLINE_MS);
	enum conn_line result = conn_read_line(pop3_conn(s), limit, line);

	/* The client has had its time to say it; an answer may take as long as the client keeps reading. */
	conn_set_deadline(pop3_conn(s), 0);
	return result == CONN_LINE_BARE ? CONN_LINE_OK : result;
}

bool pop3_read_line(struct pop3_session *s, struct slice *line)
{
	struct slice raw;

	if (read_raw_line(s, &raw) != CONN_LINE_OK)
		return false;
	*line = slice_dup(pop3_arena(s), raw);
	return true;
}

static enum next dispatch(struct pop3_session *s, struct slice line)
{
	struct slice rest, keyword = pop3_cut_keyword(line, &rest);
	const struct pop3_command *command = pop3_command_find(slice_trim(keyword));
	struct pop3_arguments arguments;

	if (!command)
		return pop3_bad(s, SLICE("Unknown command"));
	if (!(command->states & s->state))
		return pop3_bad(s, s->state == POP3_AUTHORIZATION ? SLICE("Log in first") : SLICE("Not after log-in"));
	if (!pop3_parse_arguments(command->form, rest, &arguments))
		return pop3_bad(s, command->usage);
	return command->handler(s, &arguments);
}

static enum next session_command(void *session)
{
	struct pop3_session *s = session;
	struct slice line;
	enum next next = NEXT_CLOSE;

	s->heard_ms = clock_monotonic_ms();
	switch (read_raw_line(s, &line)) {
	case CONN_LINE_OK:
		next = dispatch(s, slice_dup(pop3_arena(s), line));
		break;
	case CONN_LINE_TOO_LONG:
		next = pop3_bad(s, SLICE("That line is too long"));
		break;
	default:
		break;
	}
	if (next == NEXT_CLOSE || conn_failed(pop3_conn(s)) || arena_is_full(pop3_arena(s)))
		return NEXT_CLOSE;
	if (s->ahead.count > 0 && !conn_has_input(pop3_conn(s)))
		pop3_ahead_drop(s);
	return park(s);
}

/* RFC 1939 section 3: an autologout closes the connection without a word and removes nothing. So does the server's end: whatever was said
 * would be taken for the answer to the next command. */
static enum next session_event(void *session, const struct event *event)
{
	struct pop3_session *s = session;

	if (event->kind != EVENT_TOPIC)
		return NEXT_CLOSE;
	s->stale = true;
	return park(s);
}

static void session_close(void *session)
{
	struct pop3_session *s = session;

	pop3_close_maildrop(s);
	pop3_ahead_drop(s);
	buf_free(&s->marks);
	buf_free(&s->surrogates);
	LOG_DEBUG(s->context->log, "pop3.closed", LOG_INT("session", s->env->id), LOG_STR("user", s->address));
}

const struct protocol pop3_protocol = {
	.name = "pop3",
	.open = session_open,
	.command = session_command,
	.event = session_event,
	.close = session_close,
};
