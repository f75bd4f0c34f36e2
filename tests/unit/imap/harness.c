#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/random.h"
#include "store/directory.h"
#include "store/email.h"
#include "store/db_internal.h"
#include "store/mailbox_view.h"
#include "store/rights.h"
#include "store/store_internal.h"

/* No line that is waited for is longer. */
#define LINE_TAIL     2000
#define COMMAND_BYTES ((size_t)64 * 1024 * 1024)

enum slot_state { SLOT_FREE, SLOT_NEW, SLOT_OPEN, SLOT_CLOSED };

struct slot {
	enum slot_state state; /* under the mutex */
	bool announced;
	bool has_event; /* under the mutex, as is the event */
	enum event_kind event;
	int client, server;
	struct session_env env;
	struct arena session_arena, command_arena;
	void *session;
	uint64_t topic;
	/* the client's side */
	struct buf input;
	size_t input_at;
};

struct harness {
	struct arena arena;
	struct log log;
	char folder[64];
	struct store *store;
	int64_t account;
	struct imap_context context;
	struct listener listener;
	pthread_t thread;
	pthread_mutex_t mutex;
	bool stop;
	int wake;
	struct slot slots[HARNESS_SESSIONS];
	_Atomic int fault_countdown;
	size_t command_bytes; /* 0: COMMAND_BYTES */
};

void harness_limit_command(struct harness *h, size_t bytes)
{
	h->command_bytes = bytes;
}

static enum slot_state state_of(struct harness *h, int number)
{
	enum slot_state state;

	pthread_mutex_lock(&h->mutex);
	state = h->slots[number].state;
	pthread_mutex_unlock(&h->mutex);
	return state;
}

/* ---- the engine's part ---- */

void engine_set_deadline(struct session_env *env, int64_t deadline_ms)
{
	(void)env;
	(void)deadline_ms;
}

bool engine_set_user(struct session_env *env, struct slice user)
{
	(void)env;
	return !slice_starts_with(user, SLICE("crowded@"));
}

void engine_wait(struct session_env *env, bool begins)
{
	(void)env;
	(void)begins;
}

void engine_subscribe(struct session_env *env, uint64_t topic)
{
	struct harness *h = (struct harness *)env->engine;

	pthread_mutex_lock(&h->mutex);
	h->slots[env->id].topic = topic;
	pthread_mutex_unlock(&h->mutex);
}

static void wake(struct harness *h)
{
	uint64_t one = 1;

	if (write(h->wake, &one, sizeof(one)) < 0)
		abort();
}

void engine_announce(struct engine *engine, uint64_t topic)
{
	struct harness *h = (struct harness *)engine;

	pthread_mutex_lock(&h->mutex);
	for (int i = 0; i < HARNESS_SESSIONS; i++)
		h->slots[i].announced |= h->slots[i].topic == topic && h->slots[i].state == SLOT_OPEN;
	pthread_mutex_unlock(&h->mutex);
	wake(h);
}

static void end_session(struct harness *h, struct slot *slot)
{
	conn_flush(slot->env.conn);
	imap_protocol.close(slot->session);
	conn_free(slot->env.conn);
	arena_free(&slot->session_arena);
	arena_free(&slot->command_arena);
	pthread_mutex_lock(&h->mutex);
	slot->state = SLOT_CLOSED;
	slot->topic = 0;
	pthread_mutex_unlock(&h->mutex);
}

static void after(struct harness *h, struct slot *slot, enum next next)
{
	arena_reset(&slot->command_arena);
	if (next == NEXT_CLOSE || conn_failed(slot->env.conn))
		end_session(h, slot);
	else
		conn_flush(slot->env.conn);
}

static void begin_session(struct harness *h, struct slot *slot)
{
	struct net_address address = {0};

	address.family = AF_INET;
	memcpy(address.bytes, "\x7f\0\0\1", 4);
	arena_init(&slot->session_arena, 1024 * 1024);
	arena_init(&slot->command_arena, h->command_bytes ? h->command_bytes : COMMAND_BYTES);
	slot->env = (struct session_env){
		.engine = (struct engine *)h,
		.conn = conn_new(slot->server, &address, &address),
		.context = &h->context,
		.listener = &h->listener,
		.session_arena = &slot->session_arena,
		.command_arena = &slot->command_arena,
		.id = (uint64_t)(slot - h->slots),
	};
	pthread_mutex_lock(&h->mutex);
	slot->state = SLOT_OPEN;
	pthread_mutex_unlock(&h->mutex);
	slot->session = imap_protocol.open(&slot->env);
	after(h, slot, NEXT_PARK);
}

static bool take_announcement(struct harness *h, struct slot *slot)
{
	bool announced;

	pthread_mutex_lock(&h->mutex);
	announced = slot->announced && slot->state == SLOT_OPEN;
	slot->announced = false;
	pthread_mutex_unlock(&h->mutex);
	return announced;
}

static bool take_event(struct harness *h, struct slot *slot, struct event *event)
{
	bool has_event;

	pthread_mutex_lock(&h->mutex);
	has_event = slot->has_event && slot->state == SLOT_OPEN;
	*event = (struct event){.kind = slot->event};
	slot->has_event = false;
	pthread_mutex_unlock(&h->mutex);
	return has_event;
}

static void serve_slot(struct harness *h, int number, bool readable)
{
	struct slot *slot = &h->slots[number];
	struct event event;

	if (state_of(h, number) == SLOT_NEW)
		begin_session(h, slot);
	if (take_event(h, slot, &event))
		after(h, slot, imap_protocol.event(slot->session, &event));
	if (take_announcement(h, slot))
		after(h, slot, imap_protocol.event(slot->session, &(struct event){EVENT_TOPIC, slot->topic}));
	if (readable && state_of(h, number) == SLOT_OPEN)
		after(h, slot, imap_protocol.command(slot->session));
	while (state_of(h, number) == SLOT_OPEN && conn_has_input(slot->env.conn))
		after(h, slot, imap_protocol.command(slot->session));
}

static void *serve(void *context)
{
	struct harness *h = context;

	for (;;) {
		struct pollfd fds[HARNESS_SESSIONS + 1];
		uint64_t count;
		bool stop;

		pthread_mutex_lock(&h->mutex);
		stop = h->stop;
		for (int i = 0; i < HARNESS_SESSIONS; i++)
			fds[i] = (struct pollfd){h->slots[i].state == SLOT_OPEN ? h->slots[i].server : -1, POLLIN, 0};
		pthread_mutex_unlock(&h->mutex);
		if (stop)
			return NULL;
		fds[HARNESS_SESSIONS] = (struct pollfd){h->wake, POLLIN, 0};
		poll(fds, HARNESS_SESSIONS + 1, -1);
		if (fds[HARNESS_SESSIONS].revents && read(h->wake, &count, sizeof(count)) < 0)
			abort();
		for (int i = 0; i < HARNESS_SESSIONS; i++)
			serve_slot(h, i, fds[i].revents != 0);
	}
}

/* ---- the auth role's part ---- */

static struct {
	struct slice address;
	int64_t account;
} users[] = {{SLICE(HARNESS_USER), 0}, {SLICE("bob@example.test"), 0}, {SLICE("carol@example.test"), 0}};
#define USERS (sizeof(users) / sizeof(users[0]))

static struct auth_reply judge_user(struct slice user, bool right)
{
	for (size_t i = 0; i < USERS; i++) {
		if (right && slice_eq(user, users[i].address))
			return (struct auth_reply){
				.outcome = AUTH_ACCEPTED, .account = users[i].account, .address = users[i].address};
	}
	return (struct auth_reply){.outcome = AUTH_REFUSED};
}

static struct auth_reply judge(bool right)
{
	return judge_user(SLICE(HARNESS_USER), right);
}

struct auth_reply auth_password(struct ipc *ipc, struct arena *arena, const struct auth_peer *peer, struct slice user,
				struct slice password)
{
	(void)ipc;
	(void)arena;
	(void)peer;
	if (slice_eq(user, SLICE("busy")))
		return (struct auth_reply){.outcome = AUTH_UNAVAILABLE};
	return judge_user(user, slice_eq(password, SLICE(HARNESS_PASSWORD)));
}

struct auth_reply auth_begin(struct ipc *ipc, struct arena *arena, const struct auth_peer *peer, struct slice mechanism,
			     const struct slice *initial_response)
{
	if (slice_eq_nocase(mechanism, SLICE("SCRAM-SHA-256")))
		return (struct auth_reply){.outcome = AUTH_CONTINUE, .exchange = 2, .challenge = SLICE("server-first")};
	if (!initial_response)
		return (struct auth_reply){.outcome = AUTH_CONTINUE, .exchange = 1};
	(void)peer;
	return auth_step(ipc, arena, 1, *initial_response);
}

struct auth_reply auth_step(struct ipc *ipc, struct arena *arena, uint64_t exchange, struct slice response)
{
	struct auth_reply reply;

	(void)ipc;
	(void)arena;
	if (exchange == 1)
		return judge(slice_eq(response, SLICE("\0" HARNESS_USER "\0" HARNESS_PASSWORD)));
	reply = judge(slice_eq(response, SLICE("client-final")));
	if (reply.outcome == AUTH_ACCEPTED)
		reply.challenge = SLICE("v=proof");
	return reply;
}

void auth_cancel(struct ipc *ipc, uint64_t exchange)
{
	(void)ipc;
	(void)exchange;
}

/* ---- making and freeing ---- */

static void must(enum status status)
{
	if (status != STATUS_OK) {
		fprintf(stderr, "harness: %s\n", status_name(status).data);
		abort();
	}
}

static struct slice in_folder(struct harness *h, const char *before, const char *after)
{
	struct buf text;

	buf_init(&text, &h->arena, 0);
	buf_printf(&text, "%s%s%s", before, h->folder, after);
	return buf_slice(&text);
}

static enum status fault(void *context)
{
	struct harness *h = context;

	return atomic_load(&h->fault_countdown) > 0 && atomic_fetch_sub(&h->fault_countdown, 1) == 1 ? STATUS_TEMPORARY
												     : STATUS_OK;
}

void harness_set_fault(struct harness *h, int statements)
{
	atomic_store(&h->fault_countdown, statements);
}

int harness_until_fault(struct harness *h)
{
	return atomic_load(&h->fault_countdown);
}

void harness_execute(struct harness *h, const char *sql)
{
	struct db *db = db_acquire(h->store->pool);

	if (!db)
		abort();
	db_execute(db, sql);
	must(db_status(db));
	db_release(db);
}

/* A server of its own, which the test program was started with, is used again and again. */
static void empty_database(struct harness *h, struct slice url)
{
	struct db_options options = {.url = url};
	struct error error = {0};
	struct db_pool *pool = db_pool_new(&options, &h->log, &h->arena, &error);
	struct db *db = pool ? db_acquire(pool) : NULL;

	if (!db)
		abort();
	db_execute(db, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
	must(db_status(db));
	db_release(db);
	db_pool_free(pool);
}

/* alice, bob, carol, and team@, a shared mailbox that bob may do everything with. */
static void add_users(struct harness *h)
{
	int64_t team;

	for (size_t i = 0; i < USERS; i++)
		must(directory_add_account(h->store, users[i].address, SLICE_EMPTY, 0, &users[i].account));
	h->account = users[0].account;
	must(directory_add_shared_account(h->store, SLICE("team@example.test"), SLICE_EMPTY, 0, &team));
	must(acl_change(h->store, team, MAILBOX_ROOT_ID, users[1].address, ACL_REPLACE, RIGHTS_ALL));
	must(acl_change(h->store, team, MAILBOX_INBOX_ID, users[1].address, ACL_REPLACE, RIGHTS_ALL));
}

struct harness *harness_new(void)
{
	struct harness *h = calloc(1, sizeof(*h));
	struct error error = {0};

	log_init(&h->log, STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("imap"));
	memcpy(h->folder, "/tmp/imap-test-XXXXXX", sizeof("/tmp/imap-test-XXXXXX"));
	if (!mkdtemp(h->folder))
		abort();
	struct store_options options = {.url = slice_from_cstr(getenv("POSTHORN_TEST_POSTGRESQL"))};

	if (options.url.len > 0)
		empty_database(h, options.url);
	else
		options.url = in_folder(h, "sqlite:", "/test.db");
	h->store = store_open(&options, true, &h->log, &h->arena, &error);
	if (!h->store) {
		fprintf(stderr, "harness: %.*s\n", SLICE_ARG(error.text));
		abort();
	}
	must(directory_add_domain(h->store, SLICE("example.test")));
	add_users(h);
	h->store->pool->fault_context = h;
	h->store->pool->fault = fault;
	h->context = (struct imap_context){
		.options = {.hostname = SLICE("mail.example.test"), .plaintext = IMAP_PLAINTEXT_LOOPBACK,
			    .comment = SLICE("Test"),
			    .admin = SLICE("mailto:postmaster@example.test")},
		.store = h->store,
		.views = mailbox_view_cache_new(h->store, 0),
		.log = &h->log,
	};
	h->wake = eventfd(0, EFD_CLOEXEC);
	pthread_mutex_init(&h->mutex, NULL);
	if (pthread_create(&h->thread, NULL, serve, h) != 0)
		abort();
	return h;
}

static void remove_folder(struct harness *h)
{
	static const char *const files[] = {"/test.db", "/test.db-wal", "/test.db-shm", "/test.lock"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(slice_cstr(&h->arena, in_folder(h, "", files[i])));
	if (rmdir(h->folder) != 0)
		perror(h->folder);
}

void harness_free(struct harness *h)
{
	for (int i = 0; i < HARNESS_SESSIONS; i++) {
		if (state_of(h, i) != SLOT_FREE)
			harness_disconnect(h, i);
	}
	pthread_mutex_lock(&h->mutex);
	h->stop = true;
	pthread_mutex_unlock(&h->mutex);
	wake(h);
	pthread_join(h->thread, NULL);
	mailbox_view_cache_free(h->context.views);
	store_close(h->store);
	remove_folder(h);
	close(h->wake);
	pthread_mutex_destroy(&h->mutex);
	arena_free(&h->arena);
	free(h);
}

struct store *harness_store(struct harness *h)
{
	return h->store;
}

int64_t harness_account(struct harness *h)
{
	return h->account;
}

struct imap_context *harness_context(struct harness *h)
{
	return &h->context;
}

void harness_offer_tls(struct harness *h)
{
	h->listener.tls = (struct tls_context *)h;
}

void harness_event(struct harness *h, int number, enum event_kind kind)
{
	pthread_mutex_lock(&h->mutex);
	h->slots[number].event = kind;
	h->slots[number].has_event = true;
	pthread_mutex_unlock(&h->mutex);
	wake(h);
}

/* ---- clients ---- */

void harness_connect(struct harness *h, int number)
{
	struct slot *slot = &h->slots[number];
	int pair[2], size = 4 * 1024 * 1024;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		abort();
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	slot->client = pair[0];
	slot->server = pair[1];
	slot->input_at = 0;
	buf_init(&slot->input, NULL, 0);
	pthread_mutex_lock(&h->mutex);
	slot->state = SLOT_NEW;
	slot->announced = slot->has_event = false;
	pthread_mutex_unlock(&h->mutex);
	wake(h);
}

void harness_disconnect(struct harness *h, int number)
{
	struct slot *slot = &h->slots[number];

	while (state_of(h, number) == SLOT_NEW)
		usleep(100);
	shutdown(slot->client, SHUT_RDWR);
	while (state_of(h, number) == SLOT_OPEN)
		usleep(100);
	close(slot->client);
	buf_free(&slot->input);
	pthread_mutex_lock(&h->mutex);
	slot->state = SLOT_FREE;
	pthread_mutex_unlock(&h->mutex);
}

/* False at the end of the connection or of patience. */
static bool receive(struct slot *slot, int patience_ms)
{
	struct pollfd fd = {slot->client, POLLIN, 0};
	ssize_t got;
	char *to;

	if (poll(&fd, 1, patience_ms) != 1)
		return false;
	to = buf_reserve(&slot->input, 256 * 1024);
	got = recv(slot->client, to, 256 * 1024, 0);
	if (got <= 0)
		return false;
	buf_advance(&slot->input, (size_t)got);
	return true;
}

static void wait_until_taken(struct harness *h, int number)
{
	int waiting = 1;

	for (int tries = 0; tries < 100000 && waiting > 0 && state_of(h, number) == SLOT_OPEN; tries++) {
		if (ioctl(h->slots[number].server, FIONREAD, &waiting) != 0)
			return;
		if (waiting > 0)
			sched_yield();
	}
}

void harness_send(struct harness *h, int number, struct slice bytes, bool drip)
{
	struct slot *slot = &h->slots[number];

	while (state_of(h, number) == SLOT_NEW)
		usleep(100);
	while (bytes.len > 0) {
		ssize_t sent = send(slot->client, bytes.data, drip ? 1 : bytes.len, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			return;
		if (sent < 0) {
			(void)receive(slot, 1);
			continue;
		}
		bytes = slice_skip(bytes, (size_t)sent);
		if (drip)
			wait_until_taken(h, number);
	}
}

bool harness_read_line(struct harness *h, int number, struct slice *line)
{
	struct slot *slot = &h->slots[number];

	for (;;) {
		struct slice rest = slice_skip(buf_slice(&slot->input), slot->input_at);
		size_t end = slice_find(rest, SLICE("\r\n"));

		if (end != SLICE_NOT_FOUND) {
			*line = slice_sub(rest, 0, end);
			slot->input_at += end + 2;
			return true;
		}
		if (rest.len > 0)
			memmove(slot->input.data, rest.data, rest.len);
		slot->input.len = rest.len;
		slot->input_at = 0;
		if (!receive(slot, 30000))
			return false;
	}
}

/* Looks only at the end of what has come: lines of messages are too many to look at. */
#define TAIL 4096 /* the last line is shorter */

size_t harness_read_until(struct harness *h, int number, struct slice tag)
{
	struct slot *slot = &h->slots[number];
	size_t total = 0;

	for (;;) {
		struct slice all = slice_skip(buf_slice(&slot->input), slot->input_at);
		struct slice tail = slice_skip(all, all.len > TAIL ? all.len - TAIL : 0);
		size_t last = slice_ends_with(tail, SLICE("\r\n"))
				      ? slice_find_last_byte(slice_sub(tail, 0, tail.len - 2), '\n')
				      : SLICE_NOT_FOUND;
		struct slice line = last == SLICE_NOT_FOUND ? all : slice_skip(tail, last + 1);

		if (slice_ends_with(line, SLICE("\r\n")) && slice_starts_with(line, tag)) {
			buf_clear(&slot->input);
			slot->input_at = 0;
			return total + all.len;
		}
		if (all.len > 1024 * 1024) {
			total += all.len - TAIL;
			memmove(slot->input.data, tail.data, tail.len);
			slot->input.len = tail.len;
			slot->input_at = 0;
		}
		if (!receive(slot, 20000))
			return 0;
	}
}

void harness_deliver(struct harness *h, struct slice message)
{
	struct delivery_target target = {.account = h->account};
	struct delivery delivery = {
		.queue_id = random_queue_id(&h->arena),
		.bytes = message,
		.received_ms = INT64_C(1795518000000),
		.targets = &target,
		.target_count = 1,
		.all_or_nothing = true,
	};

	must(store_deliver(h->store, &delivery));
	engine_announce((struct engine *)h, (uint64_t)h->account);
}
