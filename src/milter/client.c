#include "milter/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/engine.h"

/* However a milter drips, or says again and again that it is still at it. */
#define ANSWER_LONGEST_MS 1800000

#define GO_ON ((struct milter_answer){.verdict = MILTER_GO_ON, .enhanced = SLICE_EMPTY, .text = SLICE_EMPTY})

struct milter_service {
	struct milter_options options;
	struct pool *pool;
	const struct log *log;
};

struct milter_service *milter_service_new(const struct milter_options *options, pool_dial dial, void *context,
					  const struct log *log)
{
	struct milter_service *service = calloc(1, sizeof(*service));

	if (!service) {
		fputs("out of memory\n", stderr);
		abort();
	}
	service->options = *options;
	service->pool = pool_new(options->address, dial, context);
	service->log = log;
	return service;
}

void milter_service_free(struct milter_service *service)
{
	if (!service)
		return;
	pool_free(service->pool);
	free(service);
}

void milter_init(struct milter *m, struct milter_service *service, struct session_env *env)
{
	*m = (struct milter){.service = service, .env = env};
}

const struct milter_options *milter_options_of(const struct milter *m)
{
	return &m->service->options;
}

/* ---- answers ---- */

static struct milter_answer refuse(unsigned code, struct slice enhanced, struct slice text, bool ends)
{
	return (struct milter_answer){MILTER_REFUSED, code, enhanced, text, ends};
}

static struct milter_answer without_milter(const struct milter *m)
{
	switch (m->service->options.otherwise) {
	case MILTER_ELSE_ACCEPT:
		return GO_ON;
	case MILTER_ELSE_QUARANTINE:
		return (struct milter_answer){
			.verdict = MILTER_HELD, .enhanced = SLICE_EMPTY, .text = SLICE("a filter can't be reached")};
	case MILTER_ELSE_REJECT:
		return refuse(550, SLICE("5.7.1"), SLICE("Service unavailable"), false);
	case MILTER_ELSE_TEMPFAIL:
		break;
	}
	return refuse(451, SLICE("4.7.1"), SLICE("Service unavailable - try again later"), false);
}

struct milter_answer milter_fail(struct milter *m, const char *why)
{
	if (m->state != MILTER_FAILED)
		LOG_WARNING(m->service->log, "milter.failed", LOG_STR("milter", m->service->options.address),
			    LOG_CSTR("reason", why));
	conn_free(m->conn);
	m->conn = NULL;
	m->state = MILTER_FAILED;
	return without_milter(m);
}

static struct milter_answer refused_by_code(struct arena *arena, const struct milter_reply *reply)
{
	struct slice enhanced = reply->enhanced;

	if (enhanced.len == 0)
		enhanced = reply->code < 500 ? SLICE("4.7.1") : SLICE("5.7.1");
	return refuse(reply->code, slice_dup(arena, enhanced), reply->text, reply->code == 421);
}

static bool is_of_connection(enum milter_command command)
{
	return command == MILTER_CONNECT || command == MILTER_HELO;
}

static struct milter_answer answer_of(struct milter *m, struct arena *arena, enum milter_command command,
				      const struct milter_reply *reply)
{
	switch (reply->kind) {
	case MILTER_REPLY_CONTINUE:
		return GO_ON;
	case MILTER_REPLY_ACCEPT:
		m->state = is_of_connection(command) ? MILTER_DONE : MILTER_PASSED;
		return GO_ON;
	case MILTER_REPLY_SKIP:
		m->skips = command;
		return GO_ON;
	case MILTER_REPLY_DISCARD:
		if (is_of_connection(command)) /* there is nothing to discard */
			return GO_ON;
		m->state = MILTER_PASSED;
		return (struct milter_answer){.verdict = MILTER_DISCARDED, .enhanced = SLICE_EMPTY, .text = SLICE_EMPTY};
	case MILTER_REPLY_REJECT:
		return refuse(550, SLICE("5.7.1"), SLICE("Command rejected"), false);
	case MILTER_REPLY_TEMPFAIL:
		return refuse(451, SLICE("4.7.1"), SLICE("Service unavailable - try again later"), false);
	case MILTER_REPLY_CODE:
		return refused_by_code(arena, reply);
	case MILTER_REPLY_SHUTDOWN:
	case MILTER_REPLY_CONN_FAIL:
		return refuse(421, SLICE("4.7.0"), SLICE("Service unavailable, closing connection"), true);
	default:
		return milter_fail(m, "its answer doesn't belong there");
	}
}

struct milter_answer milter_judge(struct milter *m, struct arena *arena, enum milter_command command,
				  const struct milter_reply *reply)
{
	struct milter_answer answer = answer_of(m, arena, command, reply);

	if (answer.verdict == MILTER_REFUSED && is_of_connection(command) && m->state == MILTER_READY) {
		m->refusal = answer;
		if (m->env) {
			m->refusal.enhanced = slice_dup(m->env->session_arena, answer.enhanced);
			m->refusal.text = slice_dup(m->env->session_arena, answer.text);
		}
		m->state = MILTER_REFUSES;
	}
	return answer;
}

/* ---- packets ---- */

static bool read_packet(struct milter *m, struct buf *packet, char *kind)
{
	unsigned char head[MILTER_HEAD + 1];
	uint32_t length;
	char *data;

	if (!conn_read_exact(m->conn, head, sizeof(head)))
		return false;
	length = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	*kind = (char)head[MILTER_HEAD];
	if (length == 0 || length > MILTER_PACKET_MAX)
		return false;
	buf_clear(packet);
	data = buf_reserve(packet, length);
	if (!data || !conn_read_exact(m->conn, data, length - 1))
		return false;
	buf_advance(packet, length - 1);
	return true;
}

static const char *why_lost(const struct milter *m)
{
	switch (conn_error(m->conn)) {
	case CONN_TIMED_OUT:
		return "it doesn't answer in time";
	case CONN_OK:
		return "its packet is malformed";
	default:
		return "the connection is lost";
	}
}

bool milter_read(struct milter *m, struct arena *arena, int timeout_ms, struct buf *packet, struct milter_reply *reply)
{
	char kind;

	conn_set_timeout(m->conn, timeout_ms);
	conn_set_deadline(m->conn, clock_monotonic_ms() + ANSWER_LONGEST_MS);
	do {
		if (!read_packet(m, packet, &kind)) {
			(void)milter_fail(m, why_lost(m));
			return false;
		}
		if (milter_parse_reply(arena, kind, buf_slice(packet), reply) != STATUS_OK) {
			(void)milter_fail(m, "its answer is malformed");
			return false;
		}
	} while (reply->kind == MILTER_REPLY_PROGRESS);
	return true;
}

bool milter_hears(const struct milter *m, enum milter_command command, uint32_t left_out)
{
	return m->state == MILTER_READY && m->skips != command && !(m->steps & left_out);
}

size_t milter_begin(struct milter *m, enum milter_command command, const struct milter_macros *macros)
{
	struct buf *out = conn_output(m->conn);
	enum milter_step step = milter_step_of(command);

	m->skips = 0;
	if (macros && step != MILTER_STEP_COUNT)
		milter_macros_write(out, command, m->sets.sets[step], macros);
	return milter_packet_begin(out, command);
}

struct milter_answer milter_ask(struct milter *m, struct arena *arena, enum milter_command command, size_t begun,
				uint32_t quiet, int timeout_ms)
{
	struct buf packet SCOPED_BUF;
	struct milter_reply reply;

	milter_packet_end(conn_output(m->conn), begun);
	conn_set_timeout(m->conn, timeout_ms);
	conn_set_deadline(m->conn, 0);
	if (!conn_flush(m->conn))
		return milter_fail(m, why_lost(m));
	if (m->steps & quiet)
		return GO_ON;
	buf_init(&packet, NULL, 0);
	if (!milter_read(m, arena, timeout_ms, &packet, &reply))
		return without_milter(m);
	struct milter_answer answer = milter_judge(m, arena, command, &reply);

	if (m->conn)
		conn_release_buffers(m->conn); /* it may be long until the next */
	return answer;
}

static struct milter_answer ask_command(struct milter *m, struct arena *arena, enum milter_command command, size_t begun,
					uint32_t quiet)
{
	return milter_ask(m, arena, command, begun, quiet, m->service->options.command_timeout_ms);
}

/* ---- the beginning ---- */

static bool agree(struct milter *m, const struct milter_reply *reply)
{
	struct slice macros = reply->macros, names;
	uint32_t step;

	if (reply->kind != MILTER_REPLY_NEGOTIATE || reply->version < MILTER_VERSION_MIN || reply->version > MILTER_VERSION ||
	    (reply->rights & ~(uint32_t)MILTER_RIGHTS))
		return false;
	m->version = reply->version;
	m->rights = reply->rights;
	/* What an older version doesn't know is not asked, and nothing of it is left unanswered. */
	m->steps = reply->steps & (milter_steps_of_version(m->version) | MILTER_PIECES);
	if (m->version < 3)
		m->steps |= MILTER_NO_UNKNOWN;
	if (m->version < 4)
		m->steps |= MILTER_NO_DATA;
	milter_macro_sets_default(&m->sets);
	while (milter_next_macros(&macros, &step, &names))
		if (step < MILTER_STEP_COUNT)
			m->sets.sets[step] = milter_macro_set_parse(names);
	return true;
}

static bool negotiate(struct milter *m, struct arena *arena)
{
	struct buf *out = conn_output(m->conn), packet SCOPED_BUF;
	size_t begun = milter_packet_begin(out, MILTER_NEGOTIATE);
	struct milter_reply reply;
	char kind;

	milter_put_u32(out, MILTER_VERSION);
	milter_put_u32(out, MILTER_RIGHTS);
	milter_put_u32(out, MILTER_STEPS | MILTER_PIECES);
	milter_packet_end(out, begun);
	conn_set_timeout(m->conn, m->service->options.connect_timeout_ms);
	conn_set_deadline(m->conn, clock_monotonic_ms() + 2 * (int64_t)m->service->options.connect_timeout_ms);
	buf_init(&packet, NULL, 0);
	return conn_flush(m->conn) && read_packet(m, &packet, &kind) &&
	       milter_parse_reply(arena, kind, buf_slice(&packet), &reply) == STATUS_OK && agree(m, &reply);
}

static bool open_conversation(struct milter *m, struct arena *arena)
{
	m->skips = 0;
	m->in_message = false;
	m->state = MILTER_CLOSED;
	m->conn = pool_take_new(m->service->pool, m->env, m->service->options.connect_timeout_ms);
	if (m->conn && negotiate(m, arena)) {
		m->state = MILTER_READY;
		return true;
	}
	(void)milter_fail(m, !m->conn ? "there is nobody" : conn_failed(m->conn) ? why_lost(m) : "it can't be agreed with");
	return false;
}

static void put_peer(struct buf *out, const struct milter_peer *peer)
{
	if (peer->name.len > 0) {
		milter_put_text(out, peer->name);
	} else if (peer->address.len > 0) { /* as Sendmail has it */
		buf_add_byte(out, '[');
		buf_add(out, peer->address);
		buf_add_literal(out, "]\0");
	} else {
		milter_put_text(out, SLICE("unknown"));
	}
	buf_add_byte(out, peer->family);
	if (peer->family == 'U')
		return;
	milter_put_u16(out, peer->port);
	milter_put_text(out, peer->address);
}

struct milter_answer milter_connect(struct milter *m, struct arena *arena, const struct milter_peer *peer,
				    const struct milter_macros *macros)
{
	if (m->state != MILTER_CLOSED && m->state != MILTER_FAILED)
		return m->state == MILTER_REFUSES ? m->refusal : GO_ON;
	if (!open_conversation(m, arena))
		return without_milter(m);
	if (!milter_hears(m, MILTER_CONNECT, MILTER_NO_CONNECT))
		return GO_ON;
	size_t begun = milter_begin(m, MILTER_CONNECT, macros);

	put_peer(conn_output(m->conn), peer);
	return ask_command(m, arena, MILTER_CONNECT, begun, MILTER_QUIET_CONNECT);
}

/* ---- the steps ---- */

static struct milter_answer standing(const struct milter *m)
{
	return m->state == MILTER_REFUSES ? m->refusal : m->state == MILTER_FAILED ? without_milter(m) : GO_ON;
}

struct milter_answer milter_helo(struct milter *m, struct arena *arena, struct slice name, const struct milter_macros *macros)
{
	if (!milter_hears(m, MILTER_HELO, MILTER_NO_HELO))
		return standing(m);
	size_t begun = milter_begin(m, MILTER_HELO, macros);

	milter_put_text(conn_output(m->conn), name);
	return ask_command(m, arena, MILTER_HELO, begun, MILTER_QUIET_HELO);
}

static void put_path(struct milter *m, struct slice path, struct slice arguments)
{
	struct buf *out = conn_output(m->conn);

	milter_put_text(out, path);
	while (arguments.len > 0) {
		struct slice one = slice_cut(&arguments, ' ');

		if (one.len > 0)
			milter_put_text(out, one);
	}
}

struct milter_answer milter_mail(struct milter *m, struct arena *arena, struct slice path, struct slice arguments,
				 const struct milter_macros *macros)
{
	if (m->state == MILTER_PASSED)
		m->state = MILTER_READY;
	if (m->state == MILTER_READY)
		m->in_message = true;
	if (!milter_hears(m, MILTER_MAIL, MILTER_NO_MAIL))
		return standing(m);
	size_t begun = milter_begin(m, MILTER_MAIL, macros);

	put_path(m, path, arguments);
	return ask_command(m, arena, MILTER_MAIL, begun, MILTER_QUIET_MAIL);
}

struct milter_answer milter_rcpt(struct milter *m, struct arena *arena, struct slice path, struct slice arguments,
				 const struct milter_macros *macros)
{
	if (!milter_hears(m, MILTER_RCPT, MILTER_NO_RCPT))
		return standing(m);
	size_t begun = milter_begin(m, MILTER_RCPT, macros);

	put_path(m, path, arguments);
	return ask_command(m, arena, MILTER_RCPT, begun, MILTER_QUIET_RCPT);
}

struct milter_answer milter_data(struct milter *m, struct arena *arena, const struct milter_macros *macros)
{
	if (!milter_hears(m, MILTER_DATA, MILTER_NO_DATA))
		return standing(m);
	return ask_command(m, arena, MILTER_DATA, milter_begin(m, MILTER_DATA, macros), MILTER_QUIET_DATA);
}

struct milter_answer milter_unknown(struct milter *m, struct arena *arena, struct slice line)
{
	if (!milter_hears(m, MILTER_UNKNOWN, MILTER_NO_UNKNOWN))
		return GO_ON;
	size_t begun = milter_begin(m, MILTER_UNKNOWN, NULL);

	milter_put_text(conn_output(m->conn), line);
	return ask_command(m, arena, MILTER_UNKNOWN, begun, MILTER_QUIET_UNKNOWN);
}

bool milter_wants_refused(const struct milter *m)
{
	return m->state == MILTER_READY && (m->steps & MILTER_REJECTED_RCPT);
}

/* ---- the end ---- */

static void say(struct milter *m, enum milter_command command)
{
	milter_packet_end(conn_output(m->conn), milter_begin(m, command, NULL));
	conn_set_timeout(m->conn, m->service->options.command_timeout_ms);
	conn_set_deadline(m->conn, 0);
}

void milter_end_message(struct milter *m)
{
	if (!m->in_message)
		return;
	m->in_message = false;
	if (m->state == MILTER_PASSED)
		m->state = MILTER_READY;
	if (!m->conn)
		return;
	say(m, MILTER_ABORT);
	if (!conn_flush(m->conn))
		(void)milter_fail(m, why_lost(m));
}

void milter_close(struct milter *m)
{
	if (!m->conn)
		return;
	milter_end_message(m);
	if (m->conn) {
		say(m, MILTER_QUIT);
		conn_flush(m->conn);
	}
	conn_free(m->conn);
	m->conn = NULL;
	m->state = MILTER_CLOSED;
}
