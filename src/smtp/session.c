#include "smtp/session.h"

#include <sys/socket.h>

#include "auth/dialogue.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "smtp/filter.h"

#define SIZE_DEFAULT            (50 * 1024 * 1024)
#define RECIPIENTS_DEFAULT      1000
#define HOPS_DEFAULT            100 /* RFC 5321 section 6.3 */
#define ERRORS_DEFAULT          20
#define COMMAND_TIMEOUT_DEFAULT 300000
#define DATA_TIMEOUT_DEFAULT    180000
#define SESSION_TIMEOUT_DEFAULT 7200000
#define DELIVER_BY_DEFAULT      60
#define TRANSACTION_LIMIT       (4 * 1024 * 1024)
#define LAST_WORDS_MS           5000

/* ---- answers ---- */

static enum next answer(struct smtp_session *s, const struct reply *reply)
{
	METRIC_ADD(s->log, METRIC_SMTP_REPLIES, metrics_label_number(METRIC_SMTP_REPLIES, reply->code), 1);
	reply_write(conn_output(s->conn), reply);
	conn_flush_if_high(s->conn);
	if (reply->code >= 500)
		s->errors++;
	return NEXT_PARK;
}

enum next smtp_answer(struct smtp_session *s, enum reply_id id)
{
	struct reply reply = reply_make(id);

	return answer(s, &reply);
}

enum next smtp_answer_reply(struct smtp_session *s, const struct reply *reply)
{
	return answer(s, reply);
}

enum next smtp_answer_verdict(struct smtp_session *s, const struct deliver_verdict *verdict)
{
	struct reply reply = {.code = verdict->code, .enhanced = verdict->enhanced, .text = verdict->text};

	return answer(s, &reply);
}

/* Whatever time was up: for this there is some. */
enum next smtp_say_last(struct smtp_session *s, enum reply_id id)
{
	conn_set_deadline(s->conn, clock_monotonic_ms() + LAST_WORDS_MS);
	smtp_answer(s, id);
	return NEXT_CLOSE;
}

void smtp_log_refused(const struct smtp_session *s, unsigned code, struct slice reason, struct slice recipient)
{
	const struct deliver_envelope *envelope = &s->transaction.envelope;

	LOG_INFO(s->log, "smtp.refused", LOG_STR("id", envelope->queue_id), LOG_STR("peer", s->peer), LOG_INT("code", code),
		 LOG_STR("reason", reason), LOG_STR("from", envelope->sender.address), LOG_STR("to", recipient),
		 LOG_STR("login", s->login));
}

/* ---- limits of time ---- */

static int64_t not_after_end(const struct smtp_session *s, int64_t until_ms)
{
	return until_ms < s->ends_ms ? until_ms : s->ends_ms;
}

void smtp_set_time_limit(struct smtp_session *s, int64_t ms)
{
	conn_set_deadline(s->conn, not_after_end(s, clock_monotonic_ms() + ms));
}

/* With input there the next command is run before parking: it sets its own limits. */
static enum next park(struct smtp_session *s)
{
	if (!conn_has_input(s->conn))
		engine_set_deadline(s->env, not_after_end(s, clock_monotonic_ms() + s->options.command_timeout_ms));
	return NEXT_PARK;
}

bool smtp_needs_tls(const struct smtp_session *s)
{
	return s->policy.tls == SMTP_TLS_REQUIRED && !conn_is_tls(s->conn) && !s->is_unix;
}

bool smtp_needs_auth(const struct smtp_session *s)
{
	return s->policy.auth == SMTP_AUTH_REQUIRED && s->account == 0;
}

bool smtp_may_send_password(const struct smtp_session *s)
{
	switch (s->options.plaintext) {
	case SMTP_PLAINTEXT_ALWAYS:
		return true;
	case SMTP_PLAINTEXT_LOOPBACK:
		return conn_is_tls(s->conn) || net_address_is_loopback(conn_peer(s->conn));
	case SMTP_PLAINTEXT_NEVER:
		break;
	}
	return conn_is_tls(s->conn);
}

struct auth_offer smtp_auth_offer(const struct smtp_session *s)
{
	return auth_offer_of(s->conn, smtp_may_send_password(s), s->options.takes_tokens);
}

/* ---- open ---- */

#define DEFAULT_TO(field, value) ((field) = (field) ? (field) : (value))

static void fill_in_defaults(struct smtp_options *options)
{
	DEFAULT_TO(options->max_message_size, SIZE_DEFAULT);
	DEFAULT_TO(options->max_recipients, RECIPIENTS_DEFAULT);
	DEFAULT_TO(options->max_received_hops, HOPS_DEFAULT);
	DEFAULT_TO(options->max_errors, ERRORS_DEFAULT);
	DEFAULT_TO(options->command_timeout_ms, COMMAND_TIMEOUT_DEFAULT);
	DEFAULT_TO(options->data_timeout_ms, DATA_TIMEOUT_DEFAULT);
	DEFAULT_TO(options->session_timeout_ms, SESSION_TIMEOUT_DEFAULT);
	DEFAULT_TO(options->deliver_by_min_s, DELIVER_BY_DEFAULT);
	if (options->origin.len == 0)
		options->origin = options->hostname;
}

/* Who may open a Unix socket was decided by its mode. */
static bool peer_is_trusted(const struct smtp_session *s)
{
	if (s->is_local || (s->is_lmtp && s->is_unix))
		return true;
	for (size_t i = 0; i < s->options.trusted_count; i++)
		if (net_prefix_contains(&s->options.trusted[i], conn_peer(s->conn)))
			return true;
	return false;
}

struct slice smtp_peer_text(const struct smtp_session *s, struct arena *arena)
{
	struct buf text;

	buf_init(&text, arena, 0);
	if (s->told && !xclient_peer_is_known(s))
		buf_add_literal(&text, "unknown");
	else
		net_address_format(&text, conn_peer(s->conn));
	return buf_slice(&text);
}

static void take_policy(struct smtp_session *s)
{
	const struct smtp_policy *policy = s->env->listener->policy;

	s->policy = policy ? *policy : (struct smtp_policy){.auth = s->is_submission ? SMTP_AUTH_REQUIRED : SMTP_AUTH_OFF};
	if (s->policy.hostname.len > 0)
		s->options.hostname = s->policy.hostname;
	if (s->policy.max_message_size > 0)
		s->options.max_message_size = s->policy.max_message_size;
	if (s->policy.max_recipients > 0)
		s->options.max_recipients = s->policy.max_recipients;
}

static struct smtp_session *session_new(struct session_env *env)
{
	const struct smtp_context *context = env->context;
	struct smtp_session *s = ARENA_NEW(env->session_arena, struct smtp_session);

	s->env = env;
	s->conn = env->conn;
	s->options = context->options;
	fill_in_defaults(&s->options);
	s->ipc = context->ipc;
	s->log = context->log;
	s->door = context->door;
	s->peer = smtp_peer_text(s, env->session_arena);
	s->is_unix = conn_peer(s->conn)->family == 0;
	s->is_submission = slice_starts_with(slice_from_cstr(env->listener->name), SLICE("submission"));
	take_policy(s);
	s->is_lmtp = slice_eq(slice_from_cstr(env->listener->name), SLICE("lmtp"));
	s->is_local = slice_eq(slice_from_cstr(env->listener->name), SLICE("local"));
	xclient_begin(s);
	if (s->is_local)
		local_identify(s);
	s->ends_ms = clock_monotonic_ms() + s->options.session_timeout_ms;
	s->state = STATE_START;
	s->helo = s->login = s->mechanism = s->client_name = SLICE_EMPTY;
	s->forwarded = (struct client_info){0};
	arena_init(&s->arena, TRANSACTION_LIMIT);
	s->transaction.incoming.fd = -1;
	conn_set_timeout(s->conn, s->options.command_timeout_ms);
	return s;
}

/* Who doesn't wait to be greeted is no mail server (RFC 5321 section 4.3.1). One look at what is here already; nobody waits for it.
 * Deviation: nobody waits for such a client's QUIT either (RFC 5321 section 3.1). */
static bool has_spoken(const struct smtp_session *s)
{
	char bytes[512];

	if (s->is_submission || s->is_local || conn_is_tls(s->conn))
		return false;
	return conn_has_input(s->conn) || recv(conn_fd(s->conn), bytes, sizeof(bytes), MSG_DONTWAIT) > 0;
}

static bool refuse_early_talker(struct smtp_session *s)
{
	smtp_log_refused(s, 554, SLICE("spoke before the greeting"), SLICE_EMPTY);
	door_early_talker(&s->visitor);
	smtp_answer(s, REPLY_EARLY_TALKER);
	return false;
}

/* Its first line is there already: programs that don't read replies to their end begin to speak now. Parked, it needs no thread. */
static void make_wait(struct smtp_session *s, int wait_ms)
{
	s->state = STATE_WAIT;
	reply_write_greeting_begin(conn_output(s->conn), s->options.hostname);
	engine_set_deadline(s->env, not_after_end(s, clock_monotonic_ms() + wait_ms));
}

void smtp_greet(struct smtp_session *s)
{
	if (s->is_lmtp)
		reply_write_lmtp_greeting(conn_output(s->conn), s->options.hostname);
	else
		reply_write_greeting(conn_output(s->conn), s->is_local ? s->options.origin : s->options.hostname);
}

static bool may_come_in(struct smtp_session *s)
{
	s->is_trusted = peer_is_trusted(s);
	if (!smtp_door_connect(s))
		return false;
	if (!s->is_lmtp || s->is_trusted)
		return true;
	smtp_log_refused(s, 554, SLICE("LMTP from a stranger"), SLICE_EMPTY);
	smtp_answer(s, REPLY_LMTP_STRANGER);
	return false;
}

bool smtp_admit(struct smtp_session *s)
{
	struct slice words = engine_turned_away(s->env);

	if (words.data) {
		buf_add(conn_output(s->conn), words);
		return false;
	}
	smtp_door_leave(s);
	smtp_filter_leave(s);
	return may_come_in(s) && smtp_filter_connect(s);
}

static void *session_open(struct session_env *env)
{
	struct smtp_session *s = session_new(env);

	LOG_DEBUG(s->log, "smtp.connected", LOG_INT("connection", env->id), LOG_STR("peer", s->peer),
		  LOG_CSTR("listener", env->listener->name));
	if (!may_come_in(s) || (has_spoken(s) && !refuse_early_talker(s))) {
		conn_flush(s->conn);
		return NULL;
	}
	int wait_ms = smtp_door_wait(s);

	if (wait_ms > 0) {
		make_wait(s, wait_ms);
		return s;
	}
	if (!smtp_filter_connect(s)) {
		smtp_filter_leave(s);
		conn_flush(s->conn);
		return NULL;
	}
	smtp_greet(s);
	park(s);
	return s;
}

static enum next end_wait(struct smtp_session *s)
{
	if (has_spoken(s)) {
		refuse_early_talker(s);
		return NEXT_CLOSE;
	}
	door_has_waited(&s->visitor);
	if (!smtp_filter_connect(s))
		return NEXT_CLOSE;
	s->state = STATE_START;
	smtp_greet(s);
	return park(s);
}

/* ---- a command ---- */

static enum next refuse_state(struct smtp_session *s, const struct smtp_command_entry *entry)
{
	if (s->state == STATE_START)
		return smtp_answer(s, REPLY_SAY_HELLO);
	if (entry->run == cmd_mail)
		return smtp_answer(s, REPLY_NESTED_MAIL);
	if (entry->states & STATE_READY)
		return smtp_answer(s, REPLY_WRONG_STATE);
	return smtp_answer(s, s->state == STATE_BDAT ? REPLY_BDAT_BEGUN : REPLY_NEED_MAIL);
}

/* A browser that was sent here by somebody else's page: what it posts must not be read as commands. */
static enum next refuse_unknown(struct smtp_session *s, struct slice line)
{
	enum next next;

	if (slice_find(line, SLICE(" HTTP/")) == SLICE_NOT_FOUND)
		return smtp_filter_unknown(s, line, &next) ? smtp_answer(s, REPLY_UNKNOWN_COMMAND) : next;
	smtp_log_refused(s, 421, SLICE("HTTP"), SLICE_EMPTY);
	return smtp_say_last(s, REPLY_NOT_SMTP);
}

/* What is wrong with the line itself, whatever it says. */
static enum reply_id line_fault(struct slice line, const struct smtp_command_entry *entry)
{
	if (line.len + 2 > LINE_MAX_COMMAND && !(entry && (entry->run == cmd_auth || entry->run == cmd_burl)))
		return REPLY_LINE_TOO_LONG;
	/* It might be a line end to others: what stands behind it would be a command there. */
	if (slice_find_byte(line, '\r') != SLICE_NOT_FOUND)
		return REPLY_BARE_LINE_END;
	for (size_t i = 0; i < line.len; i++)
		if (((unsigned char)line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 127)
			return REPLY_CONTROL_CHARACTER;
	return REPLY_NONE;
}

/* RFC 2920 section 3.1: what may stand before other commands in a group, if the group may be at all. A proxy doesn't always wait. */
static bool speaks_out_of_turn(const struct smtp_session *s, const struct smtp_command_entry *entry)
{
	bool must_wait = entry->run == cmd_ehlo || entry->run == cmd_helo || entry->run == cmd_data ||
			 (s->state != STATE_START && !s->is_extended);

	return must_wait && s->options.strict_pipelining && !s->told && door_is_stranger(&s->visitor, s->account) &&
	       conn_has_input(s->conn);
}

static enum next refuse_haste(struct smtp_session *s)
{
	smtp_log_refused(s, 554, SLICE("spoke before the answer"), SLICE_EMPTY);
	door_early_talker(&s->visitor);
	return smtp_say_last(s, REPLY_OUT_OF_TURN);
}

static enum next dispatch(struct smtp_session *s, struct slice line)
{
	struct smtp_line command = smtp_parse_line(line);
	const struct smtp_command_entry *entry = smtp_command_find(command.verb);
	enum reply_id fault = line_fault(line, entry);

	/* Nobody knows how much a BDAT that isn't understood brings: it must not be read as commands. */
	if (fault != REPLY_NONE)
		return entry && entry->run == cmd_bdat ? smtp_say_last(s, fault) : smtp_answer(s, fault);
	if (!entry)
		return refuse_unknown(s, line);
	if (speaks_out_of_turn(s, entry))
		return refuse_haste(s);
	if (entry->takes_no_argument && command.argument.len > 0)
		return smtp_answer(s, REPLY_NO_ARGUMENT);
	if (entry->states && !(entry->states & s->state))
		return refuse_state(s, entry);
	if (!entry->before_tls && smtp_needs_tls(s))
		return smtp_answer(s, REPLY_NEED_TLS);
	if (entry->needs_auth && smtp_needs_auth(s))
		return smtp_answer(s, REPLY_NEED_AUTH);
	return entry->run(s, command.argument);
}

static enum next read_and_run(struct smtp_session *s)
{
	struct slice line;

	switch (conn_read_line(s->conn, LINE_MAX_AUTH, &line)) {
	case CONN_LINE_OK:
		return dispatch(s, line);
	case CONN_LINE_TOO_LONG:
		return smtp_answer(s, REPLY_LINE_TOO_LONG);
	case CONN_LINE_BARE:
		return smtp_answer(s, REPLY_BARE_LINE_END);
	case CONN_LINE_ERROR:
		break;
	}
	return NEXT_CLOSE;
}

/* An answer to a failure that comes late costs a guesser more than us. */
static bool hold_back(struct smtp_session *s)
{
	int delay_ms = door_failure_delay(&s->visitor, s->account);

	if (delay_ms == 0)
		return false;
	engine_set_deadline(s->env, not_after_end(s, clock_monotonic_ms() + delay_ms));
	s->is_resting = true;
	return true;
}

static enum next session_command(void *session)
{
	struct smtp_session *s = session;
	int64_t now_ms = clock_monotonic_ms();
	unsigned errors = s->errors;
	enum next next;

	if (now_ms >= s->ends_ms)
		return smtp_say_last(s, REPLY_SESSION_TOO_LONG);
	conn_set_deadline(s->conn, not_after_end(s, now_ms + LINE_TIMEOUT_MS));
	if (s->state == STATE_WAIT) {
		if (has_spoken(s)) /* or it is gone */
			refuse_early_talker(s);
		return NEXT_CLOSE;
	}
	next = read_and_run(s);
	if (next == NEXT_CLOSE || conn_failed(s->conn))
		return NEXT_CLOSE;
	if (s->errors > errors && !smtp_door_failures(s, s->errors - errors, &next))
		return next;
	if (s->errors > s->options.max_errors) {
		smtp_log_refused(s, 421, SLICE("too many errors"), SLICE_EMPTY);
		return smtp_say_last(s, REPLY_TOO_MANY_ERRORS);
	}
	if (arena_is_full(&s->arena) || arena_is_full(s->env->session_arena))
		return smtp_say_last(s, REPLY_OUT_OF_MEMORY);
	if (s->errors > errors && hold_back(s))
		return NEXT_PAUSE;
	return park(s);
}

static enum next deadline(struct smtp_session *s)
{
	if (clock_monotonic_ms() >= s->ends_ms)
		return smtp_say_last(s, REPLY_SESSION_TOO_LONG);
	smtp_set_time_limit(s, LINE_TIMEOUT_MS);
	if (s->state == STATE_WAIT)
		return end_wait(s);
	if (!s->is_resting)
		return smtp_say_last(s, REPLY_TIMEOUT);
	s->is_resting = false;
	return park(s);
}

static enum next session_event(void *session, const struct event *event)
{
	struct smtp_session *s = session;

	switch (event->kind) {
	case EVENT_DEADLINE:
		return deadline(s);
	case EVENT_SHUTDOWN:
		return smtp_say_last(s, REPLY_SHUTDOWN);
	case EVENT_TOPIC:
		break;
	}
	return park(s);
}

static void session_close(void *session)
{
	struct smtp_session *s = session;

	smtp_filter_leave(s);
	smtp_door_leave(s);
	incoming_close(&s->transaction.incoming);
	arena_free(&s->arena);
	LOG_DEBUG(s->log, "smtp.disconnected", LOG_INT("connection", s->env->id), LOG_STR("peer", s->peer));
}

const struct protocol smtp_protocol = {
	.name = "smtp",
	.open = session_open,
	.command = session_command,
	.event = session_event,
	.close = session_close,
};
