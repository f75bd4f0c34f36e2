/* Invariants: a thread runs at most one connection, and a connection is run by at most one thread; a thread holds no lock while it
 * runs protocol code; between epoll_wait and serve() a thread counts as waiting. */
#include "net/engine_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"

#define THREADS_KEPT      4
/* Threads in all: silent peers may hold so many before others have to wait. */
#define THREADS_MAX       4096
#define THREAD_IDLE_MS    10000
#define THREAD_STACK      (512 * 1024)
#define SESSION_ARENA_MAX (1024 * 1024)
#define COMMAND_ARENA_MAX (64 * 1024 * 1024)
#define HANDSHAKE_MS      30000
#define SHUTDOWN_STEP_MS  10

static void peer_stalls(void *context, bool begins);

/* ---- running a connection ---- */

static struct slot *slot_of(struct connection *connection)
{
	return &connection->engine->doors.slots[connection->slot];
}

static bool tell(struct connection *connection, enum event_kind kind)
{
	struct event event = {.kind = kind, .topic = connection->topic};

	atomic_store(&connection->deadline_ms, 0);
	return connection->protocol->event(connection->session, &event) != NEXT_CLOSE;
}

static bool deadline_has_come(struct connection *connection)
{
	int64_t deadline = atomic_load(&connection->deadline_ms);

	return deadline != 0 && deadline <= clock_monotonic_ms();
}

struct slice engine_turned_away(struct session_env *env)
{
	const struct engine_limits *limits = &env->engine->limits;

	if (!limits->turn_away)
		return (struct slice){NULL, 0};
	return limits->turn_away(limits->turn_away_context, env->listener, conn_peer(env->conn));
}

/* Who has been banned since it came. */
static bool is_dismissed(struct connection *connection)
{
	struct slice words = engine_turned_away(&connection->env);

	if (!words.data)
		return false;
	LOG_DEBUG(connection->engine->log, "engine.dismissed", LOG_CSTR("listener", connection->listener->name),
		  LOG_STR("words", words));
	conn_write(connection->env.conn, words);
	return true;
}

/* One command after the other as long as there is input; their replies leave together. */
static bool run_commands(struct connection *connection)
{
	struct conn *conn = connection->env.conn;
	enum next next;

	do {
		atomic_store(&connection->deadline_ms, 0);
		atomic_fetch_add_explicit(&connection->engine->commands_total, 1, memory_order_relaxed);
		METRIC_ADD(connection->engine->log, METRIC_COMMANDS, 0, 1);
		connection->endings = atomic_load_explicit(&connection->engine->doors.endings, memory_order_acquire);
		next = connection->protocol->command(connection->session);
		arena_reset(&connection->command_arena);
		conn_flush_if_high(conn);
	} while (next == NEXT_PARK && !conn_failed(conn) && !arena_is_full(&connection->session_arena) && conn_has_input(conn));
	connection->is_paused = next == NEXT_PAUSE && atomic_load(&connection->deadline_ms) != 0;
	return next != NEXT_CLOSE;
}

/* While it pauses nothing is asked of the socket: what the socket tells nevertheless is its end. False then. */
static bool goes_on_pausing(struct connection *connection, uint32_t flags)
{
	connection->missed |= flags & STATE_TOPIC;
	return !(flags & STATE_INPUT);
}

/* The pause is over: what has waited comes now. */
static bool end_pause(struct connection *connection)
{
	uint32_t missed = connection->missed;
	bool go_on;

	connection->is_paused = false;
	connection->missed = 0;
	go_on = tell(connection, EVENT_DEADLINE);
	if (go_on && (missed & STATE_TOPIC))
		go_on = tell(connection, EVENT_TOPIC);
	conn_flush(connection->env.conn);
	return go_on && conn_has_input(connection->env.conn) ? run_commands(connection) : go_on;
}

/* Between a try to park and the next, epoll may have told of input that has been read since: a command would wait for its first byte,
 * and nobody could be told of anything meanwhile. */
static bool is_stale(const struct connection *connection)
{
	struct pollfd fd = {.fd = conn_fd(connection->env.conn), .events = POLLIN | POLLRDHUP};

	return !conn_has_input(connection->env.conn) && poll(&fd, 1, 0) == 0;
}

/* What there is to do for these flags; `again`: parking was tried meanwhile. False: the connection is to be ended. */
static bool step(struct connection *connection, uint32_t flags, bool again)
{
	struct conn *conn = connection->env.conn;
	bool go_on = true;

	if (again && (flags & STATE_INPUT) && is_stale(connection))
		flags &= ~(uint32_t)STATE_INPUT;

	if (atomic_load(&connection->engine->stopping))
		flags |= STATE_SHUTDOWN;
	if (connection->stage == STAGE_NEW) {
		if ((flags & STATE_SHUTDOWN) || deadline_has_come(connection))
			return false;
		if (connection->peer_speaks_first && !(flags & STATE_INPUT))
			return true;
		if (!accept_open(connection))
			return false;
		flags = conn_has_input(conn) ? STATE_INPUT : 0;
	}
	if (flags & STATE_SHUTDOWN) {
		go_on = tell(connection, EVENT_SHUTDOWN);
		conn_flush(conn);
		return go_on;
	}
	if (connection->is_paused && !deadline_has_come(connection))
		return goes_on_pausing(connection, flags);
	if (flags & STATE_TOPIC)
		go_on = tell(connection, EVENT_TOPIC);
	if (connection->is_paused)
		go_on = go_on && end_pause(connection);
	else if (go_on && (flags & STATE_INPUT))
		go_on = !is_dismissed(connection) && run_commands(connection);
	else if (go_on && (flags & STATE_DEADLINE) && deadline_has_come(connection))
		go_on = tell(connection, EVENT_DEADLINE);
	if (!connection->is_paused || !go_on)
		conn_flush(conn);
	return go_on && !conn_failed(conn) && !arena_is_full(&connection->session_arena);
}

static bool watch(struct connection *connection, uint32_t epoch)
{
	uint32_t input = connection->is_paused ? 0 : EPOLLIN | EPOLLRDHUP;
	struct epoll_event event = {.events = input | EPOLLONESHOT,
	                            .data.u64 = (uint64_t)epoch << 32 | connection->slot};
	int operation = connection->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	connection->is_watched = true;
	return epoll_ctl(connection->engine->epoll, operation, conn_fd(connection->env.conn), &event) == 0;
}

enum parked { PARKED, NOT_YET, NEVER };

/* After PARKED the connection is not ours any more. NOT_YET: something has come meanwhile. */
static enum parked park(struct connection *connection)
{
	struct slot *slot = slot_of(connection);
	uint64_t state = atomic_load(&slot->state), next;

	conn_release_buffers(connection->env.conn);
	do {
		next = ((uint64_t)(state_epoch(state) + 1) << 32) | (uint32_t)state;
	} while (!atomic_compare_exchange_weak(&slot->state, &state, next));
	wake_note_deadline(connection);
	if (!watch(connection, state_epoch(next)))
		return NEVER;
	uint64_t idle = next & ~(uint64_t)UINT32_MAX, running = idle | STATE_RUNNING;
	return atomic_compare_exchange_strong(&slot->state, &running, idle) ? PARKED : NOT_YET;
}

static void peer_stalls(void *context, bool begins);

/* Runs a connection, whose RUNNING is ours, until it is parked or over. The thread's arena serves its commands. */
static void serve(struct connection *connection, struct arena *arena)
{
	enum parked parked = NOT_YET;
	bool again = false;

	connection->command_arena = *arena;
	conn_on_wait(connection->env.conn, peer_stalls, connection->engine);
	while (parked == NOT_YET) {
		uint64_t state = atomic_fetch_and(&slot_of(connection)->state, ~(uint64_t)STATE_PENDING);
		bool go_on = step(connection, (uint32_t)state & STATE_PENDING, again);

		again = true;

		arena_reset(&connection->command_arena);
		*arena = connection->command_arena;
		parked = go_on ? park(connection) : NEVER;
	}
	if (parked == NEVER)
		accept_end(connection);
}

/* ---- threads ---- */

static void *thread_main(void *context);

static void start_thread(struct engine *engine)
{
	pthread_attr_t attributes;
	pthread_t thread;

	atomic_fetch_add(&engine->threads, 1);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attributes, thread_main, engine) != 0) {
		atomic_fetch_sub(&engine->threads, 1);
		LOG_WARNING(engine->log, "engine.no_thread", LOG_INT("errno", errno), LOG_INT("threads", engine->threads));
	}
	pthread_attr_destroy(&attributes);
}

static bool may_start(struct engine *engine)
{
	unsigned threads = atomic_load(&engine->threads), stalled = atomic_load(&engine->stalled);

	return threads < THREADS_MAX && threads < engine->limits.max_threads + stalled;
}

/* The last one that waited is about to run something, perhaps for long: another takes its place. */
static void leave_waiting(struct engine *engine)
{
	if (atomic_fetch_sub(&engine->waiting, 1) == 1 && may_start(engine))
		start_thread(engine);
}

/* A command that waits for its peer isn't at work: peers that keep silent must not keep others from being served. */
static void peer_stalls(void *context, bool begins)
{
	struct engine *engine = context;

	if (!begins) {
		atomic_fetch_sub(&engine->stalled, 1);
		return;
	}
	atomic_fetch_add(&engine->stalled, 1);
	if (atomic_load(&engine->waiting) == 0 && may_start(engine))
		start_thread(engine);
}

void engine_wait(struct session_env *env, bool begins)
{
	peer_stalls(env->engine, begins);
}

void engine_mind_waits(struct session_env *env, struct conn *conn)
{
	conn_on_wait(conn, peer_stalls, env->engine);
}

/* The connection of an event, if the event is still meant for it: now ours to run, or its owner knows. */
static struct connection *claim(struct engine *engine, uint64_t data)
{
	struct slot *slot = &engine->doors.slots[(uint32_t)data];
	uint64_t state = atomic_load(&slot->state);

	do {
		if (state_epoch(state) != (uint32_t)(data >> 32))
			return NULL;
	} while (!atomic_compare_exchange_weak(&slot->state, &state, state | STATE_RUNNING | STATE_INPUT));
	return state & STATE_RUNNING ? NULL : slot->connection;
}

static void pause_a_moment(void)
{
	struct timespec step = {.tv_nsec = SHUTDOWN_STEP_MS * 1000000L};

	nanosleep(&step, NULL);
}

static struct connection *connection_for(struct engine *engine, uint64_t data)
{
	uint32_t source = (uint32_t)data;

	if (source == SOURCE_TIMER) {
		wake_the_due(engine);
		return NULL;
	}
	if (source == SOURCE_QUEUE)
		return wake_take_queued(engine);
	if (source == SOURCE_STOP) {
		pause_a_moment();
		return NULL;
	}
	if (source >= SOURCE_LISTENER)
		return accept_one(engine, source - SOURCE_LISTENER);
	return claim(engine, data);
}

/* Under the lock and as the last thing a thread does to the engine, which engine_stop frees when there are no threads left. */
static bool end_thread(struct engine *engine, unsigned keep)
{
	pthread_mutex_lock(&engine->thread_lock);
	bool ends = atomic_load(&engine->threads) > keep;
	if (ends && atomic_fetch_sub(&engine->threads, 1) == 1)
		pthread_cond_signal(&engine->thread_ended);
	pthread_mutex_unlock(&engine->thread_lock);
	return ends;
}

/* Waits for something to do and does it. False: nothing came for long. */
static bool take_turn(struct engine *engine, struct arena *arena)
{
	struct epoll_event event;
	int count = epoll_wait(engine->epoll, &event, 1, THREAD_IDLE_MS);
	struct connection *connection = count > 0 ? connection_for(engine, event.data.u64) : NULL;

	if (connection) {
		leave_waiting(engine);
		serve(connection, arena);
		atomic_fetch_add(&engine->waiting, 1);
	}
	return count != 0;
}

static bool has_work(struct engine *engine)
{
	return !atomic_load(&engine->stopping) || atomic_load(&engine->connections_now) > 0;
}

static void *thread_main(void *context)
{
	struct engine *engine = context;
	struct arena arena;
	bool ended = false;

	arena_init(&arena, engine->limits.command_arena_limit);
	while (!ended) {
		atomic_fetch_add(&engine->waiting, 1);
		bool idles = false;
		while (!idles && has_work(engine))
			idles = !take_turn(engine, &arena);
		atomic_fetch_sub(&engine->waiting, 1);
		arena_free(&arena);
		ended = end_thread(engine, idles ? THREADS_KEPT : 0);
	}
	return NULL;
}

/* ---- the engine ---- */

struct engine *engine_new(const struct engine_limits *limits, const struct log *log)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		abort();
	engine->limits = *limits;
	engine->log = log;
	if (limits->session_arena_limit == 0)
		engine->limits.session_arena_limit = SESSION_ARENA_MAX;
	if (limits->command_arena_limit == 0)
		engine->limits.command_arena_limit = COMMAND_ARENA_MAX;
	if (limits->handshake_timeout_ms == 0)
		engine->limits.handshake_timeout_ms = HANDSHAKE_MS;
	pthread_mutex_init(&engine->thread_lock, NULL);
	pthread_cond_init(&engine->thread_ended, NULL);
	doors_init(&engine->doors, limits->max_connections);
	engine->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (engine->epoll < 0 || !wake_init(engine))
		abort();
	return engine;
}

enum status engine_add_listener(struct engine *engine, const struct listener *listener)
{
	if (engine->listener_count == ENGINE_MAX_LISTENERS)
		return STATUS_LIMIT;
	engine->listeners[engine->listener_count] = *listener;
	if (!accept_watch(engine, engine->listener_count))
		return STATUS_BUG;
	engine->listener_count++;
	return STATUS_OK;
}

bool engine_add_connection(struct engine *engine, const struct listener *listener, int fd)
{
	struct connection *connection = accept_connected(engine, listener, fd);
	struct arena arena;

	if (!connection)
		return false;
	arena_init(&arena, engine->limits.command_arena_limit);
	serve(connection, &arena);
	arena_free(&arena);
	return true;
}

void engine_start(struct engine *engine)
{
	start_thread(engine);
}

static void wait_for_connections(struct engine *engine, int64_t until_ms)
{
	while (atomic_load(&engine->connections_now) > 0 && clock_monotonic_ms() < until_ms)
		pause_a_moment();
}

/* Reads and writes of those that are still at work fail from now on. */
static void break_connections(struct engine *engine)
{
	pthread_mutex_lock(&engine->doors.lock);
	for (uint32_t i = 0; i < engine->doors.slots_used; i++) {
		struct connection *connection = engine->doors.slots[i].connection;

		if (connection)
			shutdown(conn_fd(connection->env.conn), SHUT_RDWR);
	}
	pthread_mutex_unlock(&engine->doors.lock);
}

void engine_stop(struct engine *engine, int grace_ms)
{
	bool was_started = atomic_load(&engine->threads) > 0;

	atomic_store(&engine->stopping, true);
	for (size_t i = 0; i < engine->listener_count; i++)
		epoll_ctl(engine->epoll, EPOLL_CTL_DEL, engine->listeners[i].fd, NULL);
	wake_all(engine, STATE_SHUTDOWN);
	if (was_started) {
		wait_for_connections(engine, clock_monotonic_ms() + grace_ms);
		break_connections(engine);
		wake_threads(engine);
	}
	pthread_mutex_lock(&engine->thread_lock);
	while (atomic_load(&engine->threads) > 0)
		pthread_cond_wait(&engine->thread_ended, &engine->thread_lock);
	pthread_mutex_unlock(&engine->thread_lock);
	for (size_t i = 0; i < engine->listener_count; i++)
		close(engine->listeners[i].fd);
	wake_free(engine);
	doors_free(&engine->doors);
	close(engine->epoll);
	pthread_mutex_destroy(&engine->thread_lock);
	pthread_cond_destroy(&engine->thread_ended);
	free(engine);
}

void engine_set_deadline(struct session_env *env, int64_t deadline_ms)
{
	struct connection *connection = (struct connection *)env;

	atomic_store(&connection->deadline_ms, deadline_ms);
}

struct engine_counts engine_counts(struct engine *engine)
{
	unsigned threads = atomic_load(&engine->threads), waiting = atomic_load(&engine->waiting);

	return (struct engine_counts){
		.connections_now = atomic_load(&engine->connections_now),
		.connections_total = atomic_load(&engine->connections_total),
		.refused_total = atomic_load(&engine->refused_total),
		.commands_total = atomic_load(&engine->commands_total),
		.threads_now = threads,
		.threads_busy = threads > waiting ? threads - waiting : 0,
	};
}
