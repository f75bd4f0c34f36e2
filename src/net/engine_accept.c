#include "net/engine_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "net/proxy.h"

#define NO_SLOT             UINT32_MAX
#define CONN_TIMEOUT_MS     300000
#define OUT_OF_FILES_MS     50
#define IPV6_NETWORK_BYTES  8 /* a /64 is one customer */

/* Connections that an address (or an IPv6 /64) holds. */
struct address_count {
	struct {
		uint8_t bytes[16];
		int family;
	} key;
	unsigned connections;
	UT_hash_handle hh;
};

/* Sessions that somebody has. */
struct user_count {
	unsigned sessions;
	UT_hash_handle hh;
	char name[];
};

void doors_init(struct doors *doors, unsigned max_connections)
{
	pthread_mutex_init(&doors->lock, NULL);
	doors->slot_count = max_connections > 0 && max_connections < SOURCE_LISTENER ? max_connections : 1;
	doors->slots = calloc(doors->slot_count, sizeof(*doors->slots));
	doors->first_free = NO_SLOT;
	if (!doors->slots)
		abort();
}

void doors_free(struct doors *doors)
{
	struct address_count *count, *next;
	struct user_count *user, *next_user;

	HASH_ITER(hh, doors->by_address, count, next)
	{
		HASH_DEL(doors->by_address, count);
		free(count);
	}
	HASH_ITER(hh, doors->by_user, user, next_user)
	{
		HASH_DEL(doors->by_user, user);
		free(user);
	}
	pthread_mutex_destroy(&doors->lock);
	free(doors->slots);
}

/* ---- limits ---- */

static bool is_exempt(const struct engine_limits *limits, const struct net_address *address)
{
	if (address->family == 0 || limits->max_connections_per_address == 0)
		return true;
	for (size_t i = 0; i < limits->exempt_count; i++) {
		if (net_prefix_contains(&limits->exempt[i], address))
			return true;
	}
	return false;
}

static struct address_count *find_count(struct doors *doors, const struct net_address *address)
{
	struct address_count *count = NULL, *fresh = calloc(1, sizeof(*fresh));

	if (!fresh)
		abort();
	fresh->key.family = address->family;
	memcpy(fresh->key.bytes, address->bytes, address->family == AF_INET6 ? IPV6_NETWORK_BYTES : 4);
	HASH_FIND(hh, doors->by_address, &fresh->key, sizeof(fresh->key), count);
	if (count) {
		free(fresh);
		return count;
	}
	HASH_ADD(hh, doors->by_address, key, sizeof(fresh->key), fresh);
	return fresh;
}

/* False: its address holds as many as it may. */
static bool count_in(struct connection *connection)
{
	struct engine *engine = connection->engine;
	const struct net_address *peer = conn_peer(connection->env.conn);

	if (is_exempt(&engine->limits, peer))
		return true;
	pthread_mutex_lock(&engine->doors.lock);
	struct address_count *count = find_count(&engine->doors, peer);
	bool may = count->connections < engine->limits.max_connections_per_address;
	if (may) {
		count->connections++;
		connection->counted = count;
	}
	pthread_mutex_unlock(&engine->doors.lock);
	return may;
}

/* By the doors' lock. */
static void count_out(struct doors *doors, struct connection *connection)
{
	struct address_count *count = connection->counted;

	if (!count || --count->connections > 0)
		return;
	HASH_DEL(doors->by_address, count);
	free(count);
}

unsigned engine_connections_of_peer(struct session_env *env)
{
	struct connection *connection = (struct connection *)env;
	struct doors *doors = &connection->engine->doors;

	pthread_mutex_lock(&doors->lock);
	unsigned count = connection->counted ? connection->counted->connections : 0;
	pthread_mutex_unlock(&doors->lock);
	return count;
}

/* ---- whose sessions ---- */

/* By the doors' lock. */
static void note_ending(struct doors *doors, struct slice user)
{
	uint64_t number = atomic_load(&doors->endings);

	doors->ended[number % ENGINE_ENDED_USERS] = slice_hash(user);
	atomic_store(&doors->endings, number + 1);
}

/* Since number `since`; likewise. */
static bool was_ended(struct doors *doors, struct slice user, uint64_t since)
{
	uint64_t endings = atomic_load(&doors->endings), hash = slice_hash(user);

	if (endings - since > ENGINE_ENDED_USERS)
		return true;
	while (since < endings && doors->ended[since % ENGINE_ENDED_USERS] != hash)
		since++;
	return since < endings;
}

/* Likewise. */
static struct user_count *find_user(struct doors *doors, struct slice user)
{
	struct user_count *count;

	HASH_FIND(hh, doors->by_user, user.data, user.len, count);
	if (count)
		return count;
	count = calloc(1, sizeof(*count) + user.len);
	if (!count)
		abort();
	memcpy(count->name, user.data, user.len);
	HASH_ADD_KEYPTR(hh, doors->by_user, count->name, user.len, count);
	return count;
}

static void leave_user(struct doors *doors, struct connection *connection)
{
	struct user_count *count = connection->user_counted;

	connection->user_counted = NULL;
	if (!count || --count->sessions > 0)
		return;
	HASH_DEL(doors->by_user, count);
	free(count);
}

static bool enter_user(struct connection *connection, struct slice user)
{
	struct engine *engine = connection->engine;
	struct user_count *count = find_user(&engine->doors, user);

	if (engine->limits.max_sessions_per_user > 0 && count->sessions >= engine->limits.max_sessions_per_user)
		return false;
	count->sessions++;
	connection->user_counted = count;
	return true;
}

bool engine_set_user(struct session_env *env, struct slice user)
{
	struct connection *connection = (struct connection *)env;
	struct doors *doors = &connection->engine->doors;

	pthread_mutex_lock(&doors->lock);
	leave_user(doors, connection);
	bool may = user.len == 0 || enter_user(connection, user);

	/* The answer to its log-in may be older than that. */
	if (user.len > 0 && was_ended(doors, user, connection->endings))
		shutdown(conn_fd(env->conn), SHUT_RDWR);
	buf_clear(&connection->user);
	buf_add(&connection->user, may ? user : SLICE_EMPTY);
	connection->user_peer = *conn_peer(env->conn);
	connection->user_since_ms = clock_wall_ms();
	pthread_mutex_unlock(&doors->lock);
	return may;
}

bool engine_users(struct engine *engine, uint32_t *slot, bool (*tell)(void *context, const struct engine_user *user), void *context)
{
	struct doors *doors = &engine->doors;
	bool more = true;

	pthread_mutex_lock(&doors->lock);
	while (more && *slot < doors->slots_used) {
		const struct connection *connection = doors->slots[(*slot)++].connection;

		if (connection && connection->user.len > 0)
			more = tell(context, &(struct engine_user){.session = connection->env.id,
								   .user = buf_slice(&connection->user),
								   .listener = connection->listener->name,
								   .peer = &connection->user_peer,
								   .since_ms = connection->user_since_ms});
	}
	pthread_mutex_unlock(&doors->lock);
	return !more;
}

/* The sessions find their connections at an end, whether they wait for input or are at work. */
void engine_end_user(struct engine *engine, struct slice user)
{
	struct doors *doors = &engine->doors;

	if (user.len == 0)
		return;
	pthread_mutex_lock(&doors->lock);
	note_ending(doors, user);
	for (uint32_t i = 0; i < doors->slots_used; i++) {
		const struct connection *connection = doors->slots[i].connection;

		if (connection && slice_eq(buf_slice(&connection->user), user))
			shutdown(conn_fd(connection->env.conn), SHUT_RDWR);
	}
	pthread_mutex_unlock(&doors->lock);
}

static bool take_slot(struct connection *connection)
{
	struct doors *doors = &connection->engine->doors;

	pthread_mutex_lock(&doors->lock);
	uint32_t index = doors->first_free;
	if (index != NO_SLOT)
		doors->first_free = doors->slots[index].next_free;
	else if (doors->slots_used < doors->slot_count)
		index = doors->slots_used++;
	if (index != NO_SLOT) {
		struct slot *slot = &doors->slots[index];
		uint64_t state = atomic_load(&slot->state);

		connection->slot = index;
		slot->connection = connection;
		atomic_store(&slot->state, ((uint64_t)(state_epoch(state) + 1) << 32) | STATE_RUNNING);
	}
	pthread_mutex_unlock(&doors->lock);
	return index != NO_SLOT;
}

/* ---- accepting ---- */

static bool is_proxy(const struct listener *listener, const struct net_address *peer)
{
	for (size_t i = 0; i < listener->proxy_from_count; i++) {
		if (net_prefix_contains(&listener->proxy_from[i], peer))
			return true;
	}
	return false;
}

static void count(const struct connection *connection, enum metric metric, int by)
{
	const struct log *log = connection->engine->log;

	METRIC_ADD(log, metric, metrics_label(metric, slice_from_cstr(connection->listener->name)), by);
}

static void refuse(struct connection *connection, const char *limit)
{
	struct engine *engine = connection->engine;
	struct buf address SCOPED_BUF;

	buf_init(&address, NULL, 0);
	net_address_format(&address, conn_peer(connection->env.conn));
	atomic_fetch_add(&engine->refused_total, 1);
	count(connection, METRIC_CONNECTIONS_REFUSED, 1);
	LOG_WARNING(engine->log, "engine.refused", LOG_STR("peer", buf_slice(&address)), LOG_CSTR("listener", connection->listener->name),
	            LOG_CSTR("limit", limit));
	if (!connection->listener->implicit_tls) {
		conn_write(connection->env.conn, connection->listener->refusal);
		conn_set_timeout(connection->env.conn, OUT_OF_FILES_MS);
		conn_flush(connection->env.conn);
	}
}

/* At debug: whoever is not wanted may knock as often as he likes. */
static bool turned_away(struct connection *connection)
{
	struct engine *engine = connection->engine;
	const struct engine_limits *limits = &engine->limits;
	struct slice words = {NULL, 0};

	if (limits->turn_away)
		words = limits->turn_away(limits->turn_away_context, connection->listener, conn_peer(connection->env.conn));
	if (!words.data)
		return false;
	atomic_fetch_add(&engine->refused_total, 1);
	count(connection, METRIC_CONNECTIONS_REFUSED, 1);
	LOG_DEBUG(engine->log, "engine.turned_away", LOG_CSTR("listener", connection->listener->name), LOG_STR("words", words));
	if (!connection->listener->implicit_tls) {
		conn_write(connection->env.conn, words);
		conn_set_timeout(connection->env.conn, OUT_OF_FILES_MS);
		conn_flush(connection->env.conn);
	}
	return true;
}

static struct connection *new_connection(struct engine *engine, const struct listener *listener, int fd,
                                         const struct sockaddr_storage *from)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	struct sockaddr_storage here = {0};
	socklen_t length = sizeof(here);

	if (!connection)
		abort();
	(void)getsockname(fd, (struct sockaddr *)&here, &length);
	struct net_address peer = net_address_from_sockaddr(from), local = net_address_from_sockaddr(&here);

	arena_init(&connection->session_arena, engine->limits.session_arena_limit);
	connection->engine = engine;
	connection->listener = listener;
	connection->protocol = listener->protocol;
	connection->is_proxied = is_proxy(listener, &peer);
	connection->peer_speaks_first = connection->is_proxied || listener->implicit_tls;
	connection->env = (struct session_env){
		.engine = engine,
		.conn = conn_new(fd, &peer, &local),
		.context = listener->context,
		.listener = listener,
		.session_arena = &connection->session_arena,
		.command_arena = &connection->command_arena,
		.id = atomic_fetch_add(&engine->next_id, 1) + 1,
	};
	atomic_store(&connection->deadline_ms, clock_monotonic_ms() + engine->limits.handshake_timeout_ms);
	return connection;
}

static void free_connection(struct connection *connection)
{
	conn_free(connection->env.conn);
	arena_free(&connection->session_arena);
	buf_free(&connection->user);
	free(connection);
}

static struct connection *admit(struct engine *engine, const struct listener *listener, int fd, const struct sockaddr_storage *from)
{
	struct connection *connection = new_connection(engine, listener, fd, from);

	if (!connection->is_proxied && turned_away(connection)) {
		free_connection(connection);
		return NULL;
	}
	if (!take_slot(connection)) {
		refuse(connection, "connections");
		free_connection(connection);
		return NULL;
	}
	atomic_fetch_add(&engine->connections_now, 1);
	atomic_fetch_add(&engine->connections_total, 1);
	count(connection, METRIC_CONNECTIONS, 1);
	count(connection, METRIC_CONNECTIONS_TOTAL, 1);
	if (connection->is_proxied || count_in(connection))
		return connection;
	refuse(connection, "connections_per_address");
	accept_end(connection);
	return NULL;
}

static bool watch_listener(struct engine *engine, size_t index, int operation)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = SOURCE_LISTENER + index};

	return epoll_ctl(engine->epoll, operation, engine->listeners[index].fd, &event) == 0;
}

bool accept_watch(struct engine *engine, size_t listener)
{
	return watch_listener(engine, listener, EPOLL_CTL_ADD);
}

static void wait_for_files(struct engine *engine, int error)
{
	struct timespec pause = {.tv_nsec = OUT_OF_FILES_MS * 1000000L};

	LOG_ERROR(engine->log, "engine.accept_failed", LOG_INT("errno", error), LOG_CSTR("advice", "raise the limit of open files"));
	nanosleep(&pause, NULL);
}

struct connection *accept_one(struct engine *engine, size_t index)
{
	const struct listener *listener = &engine->listeners[index];
	struct sockaddr_storage from = {0};
	socklen_t length = sizeof(from);
	int fd = accept4(listener->fd, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
		wait_for_files(engine, errno);
	/* Another thread may take the next one already. While the engine stops, the listener is in the set no more. */
	(void)watch_listener(engine, index, EPOLL_CTL_MOD);
	return fd < 0 ? NULL : admit(engine, listener, fd, &from);
}

struct connection *accept_connected(struct engine *engine, const struct listener *listener, int fd)
{
	struct sockaddr_storage from = {0};
	struct sockaddr_in *here = (struct sockaddr_in *)&from;

	here->sin_family = AF_INET;
	here->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return admit(engine, listener, fd, &from);
}

/* ---- the first steps ---- */

static bool shake_hands(struct connection *connection, bool *unwanted)
{
	struct conn *conn = connection->env.conn;

	if (connection->is_proxied) {
		if (!proxy_read(conn))
			return false;
		*unwanted = turned_away(connection);
		if (*unwanted)
			return false;
		if (!count_in(connection)) {
			refuse(connection, "connections_per_address");
			return false;
		}
	}
	return !connection->listener->implicit_tls || conn_start_tls_server(conn, connection->listener->tls);
}

static void log_failed_handshake(struct connection *connection)
{
	struct buf address SCOPED_BUF;

	buf_init(&address, NULL, 0);
	net_address_format(&address, conn_peer(connection->env.conn));
	LOG_INFO(connection->engine->log, "engine.handshake_failed", LOG_STR("peer", buf_slice(&address)),
	         LOG_CSTR("listener", connection->listener->name), LOG_STR("reason", conn_tls_error(connection->env.conn)));
}

bool accept_open(struct connection *connection)
{
	struct conn *conn = connection->env.conn;
	int timeout_ms = connection->engine->limits.handshake_timeout_ms;

	connection->stage = STAGE_OPEN;
	if (connection->peer_speaks_first) {
		conn_set_timeout(conn, timeout_ms);
		conn_set_deadline(conn, clock_monotonic_ms() + timeout_ms);
		bool unwanted = false;

		if (!shake_hands(connection, &unwanted)) {
			if (!unwanted)
				log_failed_handshake(connection);
			return false;
		}
		conn_set_deadline(conn, 0);
		conn_set_timeout(conn, CONN_TIMEOUT_MS);
	}
	atomic_store(&connection->deadline_ms, 0);
	connection->endings = atomic_load(&connection->engine->doors.endings);
	connection->session = connection->protocol->open(&connection->env);
	return connection->session != NULL;
}

void accept_end(struct connection *connection)
{
	struct engine *engine = connection->engine;
	struct doors *doors = &engine->doors;
	struct slot *slot = &doors->slots[connection->slot];

	wake_forget(connection);
	if (connection->session)
		connection->protocol->close(connection->session);
	conn_flush(connection->env.conn);
	pthread_mutex_lock(&doors->lock);
	count_out(doors, connection);
	leave_user(doors, connection);
	slot->connection = NULL;
	slot->next_free = doors->first_free;
	doors->first_free = connection->slot;
	atomic_store(&slot->state, (uint64_t)(state_epoch(atomic_load(&slot->state)) + 1) << 32);
	pthread_mutex_unlock(&doors->lock);
	count(connection, METRIC_CONNECTIONS, -1);
	free_connection(connection);
	atomic_fetch_sub(&engine->connections_now, 1);
}
