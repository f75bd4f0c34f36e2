/* Invariant: no lock of a view and no read snapshot of the store is held while bytes are read from or sent to the client. */
#include "imap/session.h"

#include "base/clock.h"
#include "imap/context.h"
#include "imap/notify.h"
#include "imap/url_auth.h"
#include "imap/write.h"

#define LOGIN_TIMEOUT_MS   180000
#define IDLE_TIMEOUT_MS    (31 * 60 * 1000)
#define COMMAND_TIMEOUT_MS 60000

static int or_default(int value, int otherwise)
{
	return value > 0 ? value : otherwise;
}

/* RFC 9051 section 5.4: when the client says nothing for too long, or doesn't log in. */
static int64_t deadline(const struct imap_session *s)
{
	const struct imap_options *options = &s->context->options;

	if (s->state == IMAP_NOT_AUTHENTICATED)
		return s->opened_ms + or_default(options->login_timeout_ms, LOGIN_TIMEOUT_MS);
	return s->heard_ms + or_default(options->idle_timeout_ms, IDLE_TIMEOUT_MS);
}

static enum next park(struct imap_session *s)
{
	conn_set_deadline(imap_conn(s), 0);
	engine_set_deadline(s->env, deadline(s));
	return NEXT_PARK;
}

static void *session_open(struct session_env *env)
{
	struct imap_session *s = ARENA_NEW(env->session_arena, struct imap_session);
	struct buf *out = conn_output(env->conn);

	s->env = env;
	s->context = env->context;
	s->state = IMAP_NOT_AUTHENTICATED;
	s->opened_ms = s->heard_ms = clock_monotonic_ms();
	buf_init(&s->saved, NULL, 0);
	buf_init(&s->selected_name, NULL, 0);
	conn_set_timeout(env->conn, or_default(s->context->options.command_timeout_ms, COMMAND_TIMEOUT_MS));
	if (s->context->options.preauth.account != 0) {
		s->state = IMAP_AUTHENTICATED;
		s->account = s->context->options.preauth.account;
		s->address = s->context->options.preauth.address;
	}
	buf_add(out, s->state == IMAP_AUTHENTICATED ? SLICE("* PREAUTH [CAPABILITY") : SLICE("* OK [CAPABILITY"));
	imap_put_capabilities(s, out);
	buf_add_literal(out, "] ");
	buf_add(out, s->context->options.hostname);
	buf_add_literal(out, " ready\r\n");
	park(s);
	return s;
}

static bool may_run(struct imap_session *s, struct imap_command *command, enum next *next)
{
	const struct imap_command_spec *spec = command->spec;

	if (!(spec->states & s->state)) {
		*next = imap_bad(s, command,
				 s->state == IMAP_NOT_AUTHENTICATED ? SLICE("Log in first")
				 : spec->states & IMAP_LOGGED       ? SLICE("Select a mailbox first")
								    : SLICE("Not after log-in"));
		return false;
	}
	/* RFC 9586 section 3: EXPUNGE and ESEARCH take no numbers. */
	if (spec->has_uid && spec->has_arguments && !command->uid && spec->handler != imap_expunge && spec->handler != imap_esearch &&
	    !imap_allow_sequence(&command->args)) {
		*next = imap_bad_arguments(s, command);
		return false;
	}
	if (!spec->has_arguments && !imap_parse_end(&command->args)) {
		*next = imap_bad_arguments(s, command);
		return false;
	}
	return true;
}

/* A refused APPEND or REPLACE whose message comes all the same. */
static bool skip_message(struct imap_session *s, const struct imap_command *command)
{
	if (!command->has_literal || command->literal.waits)
		return true;
	return imap_skip_literal(s, &command->literal) && imap_skip_command(s);
}

static enum next session_command(void *session)
{
	struct imap_session *s = session;
	struct imap_command command = {0};
	enum next next = NEXT_PARK;

	s->heard_ms = clock_monotonic_ms();
	if (s->idling) {
		next = imap_idle_input(s);
		return next == NEXT_PARK ? park(s) : next;
	}
	switch (imap_read_command(s, &command)) {
	case IMAP_READ_CLOSE:
		return NEXT_CLOSE;
	case IMAP_READ_ANSWERED:
		break;
	case IMAP_READ_OK:
		/* The client has had its time to say it; an answer may take as long as the client keeps reading. */
		conn_set_deadline(imap_conn(s), 0);
		s->progress_tag = command.tag;
		s->progress_ms = s->heard_ms;
		if (!imap_check_rights(s))
			return NEXT_CLOSE;
		if (may_run(s, &command, &next))
			next = command.spec->handler(s, &command);
		else if (next == NEXT_PARK && !skip_message(s, &command))
			next = NEXT_CLOSE;
		s->progress_tag = SLICE_EMPTY;
		break;
	}
	if (next == NEXT_PARK && arena_is_full(imap_arena(s)))
		next = imap_bye(s, SLICE("LIMIT"), SLICE("The command took too much memory"));
	if (next == NEXT_CLOSE || conn_failed(imap_conn(s)))
		return NEXT_CLOSE;
	return park(s);
}

/* RFC 9051 section 6.3.13: an idling client is told at once; others when they ask next. */
static enum next session_event(void *session, const struct event *event)
{
	struct imap_session *s = session;

	switch (event->kind) {
	case EVENT_SHUTDOWN:
		return imap_bye(s, SLICE("UNAVAILABLE"), SLICE("The server is restarting"));
	case EVENT_DEADLINE:
		return imap_bye(s, SLICE_EMPTY, SLICE("Idle for too long"));
	case EVENT_TOPIC:
		break;
	}
	s->stale = s->url_stale = true;
	if (!imap_check_rights(s))
		return NEXT_CLOSE;
	if (s->notify) {
		imap_notify_event(s);
		s->stale = false;
		if (!conn_flush(imap_conn(s)))
			return NEXT_CLOSE;
	} else if (s->idling && mailbox_viewer_is_open(&s->viewer)) {
		imap_refresh(s);
		imap_tell_metadata(s, true, 0);
		url_tell_reset(s);
		imap_tell_news(s, true, NULL);
		if (!conn_flush(imap_conn(s)))
			return NEXT_CLOSE;
	}
	return park(s);
}

static void session_close(void *session)
{
	struct imap_session *s = session;

	imap_contexts_end(s);
	imap_notify_end(s);
	mailbox_viewer_close(&s->viewer);
	buf_free(&s->saved);
	buf_free(&s->selected_name);
	LOG_DEBUG(s->context->log, "imap.closed", LOG_INT("session", s->env->id), LOG_STR("user", s->address));
}

const struct protocol imap_protocol = {
	.name = "imap",
	.open = session_open,
	.command = session_command,
	.event = session_event,
	.close = session_close,
};
