#include "memory_conn.h"

#include "base/clock.h"

void memory_conn_init(struct conn *conn, bool (*more)(void *, struct conn *), void *context)
{
	*conn = (struct conn){.more = more, .context = context, .fd = -1};
	conn->peer = (struct net_address){.family = AF_INET, .bytes = {192, 0, 2, 1}, .port = 40000};
	buf_init(&conn->input, NULL, 0);
	buf_init(&conn->output, NULL, 0);
}

void memory_conn_free(struct conn *conn)
{
	buf_free(&conn->input);
	buf_free(&conn->output);
}

void memory_conn_run(struct conn *conn, const struct protocol *protocol, const struct listener *listener)
{
	struct arena session_arena SCOPED_ARENA, command_arena SCOPED_ARENA;
	struct session_env env = {.conn = conn,
				  .context = listener->context,
				  .listener = listener,
				  .id = 1,
				  .session_arena = &session_arena,
				  .command_arena = &command_arena};
	enum next next = NEXT_PARK;
	void *session;

	arena_init(&session_arena, 1 << 20);
	arena_init(&command_arena, 64 << 20);
	session = protocol->open(&env);
	while (session && next == NEXT_PARK && !conn->ended) {
		arena_reset(&command_arena);
		if (!conn_has_input(conn) && (!conn_flush(conn) || !memory_conn_arrive(conn)))
			break;
		if (conn_has_input(conn)) {
			next = protocol->command(session);
		} else if (conn->event) {
			/* Much time has passed: what was to be done by then is too late. */
			conn->deadline_ms = 1;
			next = protocol->event(session, conn->event);
		}
		conn->event = NULL;
	}
	conn_flush(conn);
	if (session)
		protocol->close(session);
}

/* ---- net/engine.h ---- */

void engine_set_deadline(struct session_env *env, int64_t deadline_ms)
{
	env->conn->parked_until_ms = deadline_ms;
}

struct slice engine_turned_away(struct session_env *env)
{
	/* Whom XCLIENT makes 203.0.113.66 is banned. */
	return env->conn->peer.bytes[3] == 66 ? SLICE("554 You are banned here\r\n") : slice_of(NULL, 0);
}

/* ---- net/conn.h ---- */

const struct net_address *conn_local(const struct conn *conn)
{
	return &conn->local;
}

void conn_set_addresses(struct conn *conn, const struct net_address *peer, const struct net_address *local)
{
	conn->peer = *peer;
	conn->local = *local;
}

bool memory_conn_arrive(struct conn *conn)
{
	size_t left;

	if (conn->arrived == conn->input.len && !conn->more(conn->context, conn))
		return false;
	left = conn->input.len - conn->arrived;
	conn->arrived += conn->piece && conn->piece < left ? conn->piece : left;
	return true;
}

static bool ask(struct conn *conn)
{
	if (!conn->ended && !memory_conn_arrive(conn))
		conn->ended = true;
	return !conn->ended;
}

enum conn_error conn_error(const struct conn *conn)
{
	return conn->ended ? CONN_CLOSED : CONN_OK;
}

int conn_fd(const struct conn *conn)
{
	return conn->fd;
}

const struct net_address *conn_peer(const struct conn *conn)
{
	return &conn->peer;
}

void conn_set_timeout(struct conn *conn, int timeout_ms)
{
	(void)conn;
	(void)timeout_ms;
}

void conn_set_deadline(struct conn *conn, int64_t deadline_ms)
{
	conn->deadline_ms = deadline_ms;
}

static struct slice waiting(const struct conn *conn)
{
	return slice_sub(buf_slice(&conn->input), conn->at, conn->arrived);
}

enum conn_line conn_read_line(struct conn *conn, size_t limit, struct slice *line)
{
	size_t lf;

	while ((lf = slice_find_byte(waiting(conn), '\n')) == SLICE_NOT_FOUND)
		if (!ask(conn))
			return CONN_LINE_ERROR;
	*line = slice_sub(waiting(conn), 0, lf);
	conn->at += lf + 1;
	if (lf + 1 > limit)
		return CONN_LINE_TOO_LONG;
	if (!slice_ends_with(*line, SLICE("\r")))
		return CONN_LINE_BARE;
	line->len--;
	return CONN_LINE_OK;
}

bool conn_read_some(struct conn *conn, struct slice *bytes)
{
	while (waiting(conn).len == 0)
		if (!ask(conn))
			return false;
	*bytes = waiting(conn);
	return true;
}

void conn_consume(struct conn *conn, size_t count)
{
	conn->at += count;
}

bool conn_has_input(struct conn *conn)
{
	return waiting(conn).len > 0;
}

void conn_discard_input(struct conn *conn)
{
	conn->at = conn->arrived = conn->input.len;
}

struct buf *conn_output(struct conn *conn)
{
	return &conn->output;
}

void conn_flush_if_high(struct conn *conn)
{
	(void)conn;
}

bool conn_flush(struct conn *conn)
{
	if (conn->deadline_ms && clock_monotonic_ms() >= conn->deadline_ms)
		conn->ended = true;
	if (conn->ended || conn->sent == conn->output.len)
		return !conn->ended;
	conn->sent = conn->output.len;
	conn->sends++;
	return true;
}

bool conn_start_tls_server(struct conn *conn, struct tls_context *tls)
{
	(void)tls;
	conn->is_tls = !conn->tls_is_broken;
	conn->ended |= conn->tls_is_broken;
	return conn->is_tls;
}

bool conn_is_certified(const struct conn *conn)
{
	(void)conn;
	return false;
}

void conn_certified_addresses(const struct conn *conn, struct buf *out)
{
	(void)conn;
	(void)out;
}

bool conn_is_tls(const struct conn *conn)
{
	return conn->is_tls;
}

struct slice conn_tls_version(const struct conn *conn)
{
	return conn->is_tls ? SLICE("TLSv1.3") : SLICE_EMPTY;
}

struct slice conn_tls_cipher(const struct conn *conn)
{
	return conn->is_tls ? SLICE("TLS_AES_256_GCM_SHA384") : SLICE_EMPTY;
}

struct slice conn_tls_error(const struct conn *conn)
{
	(void)conn;
	return SLICE_EMPTY;
}

bool conn_channel_binding(struct conn *conn, struct slice type, struct buf *out)
{
	if (!conn->is_tls || !slice_eq(type, SLICE("tls-exporter")))
		return false;
	buf_add_literal(out, "exported");
	return true;
}
