#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/random.h"
#include "store/db_internal.h"
#include "store/directory.h"
#include "store/email.h"
#include "store/mailbox_remove.h"
#include "store/mailbox_view.h"
#include "store/store_internal.h"

struct slot {
	struct harness *h;
	bool used;
	pthread_t thread;
	int client, server, wake[2];
	_Atomic bool over;
	_Atomic uint64_t topic;
	/* the client's side */
	struct buf input;
	size_t input_at;
};

struct harness {
	struct arena arena;
	struct log log;
	char folder[64];
	struct store *store;
	int64_t account, inbox;
	struct pop3_context context;
	struct listener listener;
	struct slot slots[HARNESS_SESSIONS];
	_Atomic int fault_countdown;
	_Atomic unsigned announcements;
};

/* ---- the engine's part ---- */

void engine_set_deadline(struct session_env *env, int64_t deadline_ms)
{
	if (deadline_ms <= 0 || env->id >= HARNESS_SESSIONS)
		abort();
}

bool engine_set_user(struct session_env *env, struct slice user)
{
	(void)env;
	return !slice_starts_with(user, SLICE("crowded@"));
}

void engine_subscribe(struct session_env *env, uint64_t topic)
{
	struct harness *h = (struct harness *)env->engine;

	h->slots[env->id].topic = topic;
}

static void tell(struct slot *slot, enum event_kind kind)
{
	char byte = (char)kind;

	if (write(slot->wake[1], &byte, 1) != 1)
		abort();
}

void engine_announce(struct engine *engine, uint64_t topic)
{
	struct harness *h = (struct harness *)engine;

	h->announcements++;
	for (int i = 0; i < HARNESS_SESSIONS; i++) {
		if (h->slots[i].used && h->slots[i].topic == topic)
			tell(&h->slots[i], EVENT_TOPIC);
	}
}

static enum next after(struct session_env *env, enum next next)
{
	arena_reset(env->command_arena);
	conn_flush(env->conn);
	return conn_failed(env->conn) ? NEXT_CLOSE : next;
}

/* What the connection or the wake-up pipe has for the session. */
static enum next serve_once(struct slot *slot, struct session_env *env, void *session)
{
	struct pollfd fds[2] = {{slot->wake[0], POLLIN, 0}, {slot->server, POLLIN, 0}};
	enum next next = NEXT_PARK;
	char kind;

	if (!conn_has_input(env->conn))
		poll(fds, 2, -1);
	else
		poll(fds, 1, 0);
	if (fds[0].revents && read(slot->wake[0], &kind, 1) == 1)
		next = after(env, pop3_protocol.event(session, &(struct event){(enum event_kind)kind, slot->topic}));
	else if (fds[1].revents || conn_has_input(env->conn))
		next = after(env, pop3_protocol.command(session));
	return next;
}

static void *serve(void *context)
{
	struct slot *slot = context;
	struct net_address address = {.family = AF_INET, .bytes = {127, 0, 0, 1}};
	struct arena session_arena SCOPED_ARENA, command_arena SCOPED_ARENA;

	arena_init(&session_arena, 1024 * 1024);
	arena_init(&command_arena, 64 * 1024 * 1024);
	struct session_env env = {
		.engine = (struct engine *)slot->h,
		.conn = conn_new(slot->server, &address, &address),
		.context = &slot->h->context,
		.listener = &slot->h->listener,
		.session_arena = &session_arena,
		.command_arena = &command_arena,
		.id = (uint64_t)(slot - slot->h->slots),
	};
	void *session = pop3_protocol.open(&env);

	if (after(&env, NEXT_PARK) == NEXT_PARK)
		while (serve_once(slot, &env, session) == NEXT_PARK)
			;
	pop3_protocol.close(session);
	slot->topic = 0;
	slot->over = true;
	shutdown(slot->server, SHUT_RDWR);
	conn_free(env.conn);
	return NULL;
}

/* ---- the auth role's part ---- */

static int64_t only_account;

static struct auth_reply judge(bool right)
{
	return (struct auth_reply){
		.outcome = right ? AUTH_ACCEPTED : AUTH_REFUSED, .account = only_account, .address = SLICE(HARNESS_USER)};
}

struct auth_reply auth_password(struct ipc *ipc, struct arena *arena, const struct auth_peer *peer, struct slice user,
				struct slice password)
{
	(void)ipc;
	(void)arena;
	if (!slice_eq(peer->protocol, SLICE("pop3")))
		abort();
	if (slice_eq(user, SLICE("busy")))
		return (struct auth_reply){.outcome = AUTH_UNAVAILABLE};
	if (slice_eq(user, SLICE("locked")))
		return (struct auth_reply){.outcome = AUTH_LOCKED_OUT};
	return judge(slice_eq(user, SLICE(HARNESS_USER)) && slice_eq(password, SLICE(HARNESS_PASSWORD)));
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
	if (slice_eq(response, SLICE("again")))
		return (struct auth_reply){.outcome = AUTH_CONTINUE, .exchange = exchange};
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

static void open_store(struct harness *h)
{
	struct store_options options = {.url = slice_from_cstr(getenv("POSTHORN_TEST_POSTGRESQL"))};
	struct error error = {0};
	struct mailbox mailbox;

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
	must(directory_add_account(h->store, SLICE(HARNESS_USER), SLICE_EMPTY, 0, &h->account));
	must(mailbox_find(h->store, &h->arena, h->account, SLICE("INBOX"), &mailbox));
	h->inbox = mailbox.id;
	only_account = h->account;
	h->store->pool->fault_context = h;
	h->store->pool->fault = fault;
}

struct harness *harness_new(void)
{
	struct harness *h = calloc(1, sizeof(*h));

	log_init(&h->log, STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("imap"));
	memcpy(h->folder, "/tmp/pop3-test-XXXXXX", sizeof("/tmp/pop3-test-XXXXXX"));
	if (!mkdtemp(h->folder))
		abort();
	open_store(h);
	h->context = (struct pop3_context){
		.options = {.hostname = SLICE("mail.example.test"), .plaintext = POP3_PLAINTEXT_LOOPBACK},
		.store = h->store,
		.views = mailbox_view_cache_new(h->store, 0),
		.known = pop3_known_new(),
		.log = &h->log,
	};
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
	for (int i = 0; i < HARNESS_SESSIONS; i++)
		harness_disconnect(h, i);
	pop3_known_free(h->context.known);
	mailbox_view_cache_free(h->context.views);
	store_close(h->store);
	remove_folder(h);
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

int64_t harness_inbox(struct harness *h)
{
	return h->inbox;
}

struct pop3_context *harness_context(struct harness *h)
{
	return &h->context;
}

void harness_offer_tls(struct harness *h)
{
	h->listener.tls = (struct tls_context *)h;
}

void harness_event(struct harness *h, int number, enum event_kind kind)
{
	tell(&h->slots[number], kind);
}

unsigned harness_announcements(struct harness *h)
{
	return h->announcements;
}

/* ---- clients ---- */

void harness_connect(struct harness *h, int number)
{
	struct slot *slot = &h->slots[number];
	int pair[2], size = 4 * 1024 * 1024;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0 || pipe(slot->wake) != 0)
		abort();
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	slot->h = h;
	slot->client = pair[0];
	slot->server = pair[1];
	slot->input_at = 0;
	slot->over = false;
	slot->used = true;
	buf_init(&slot->input, NULL, 0);
	if (pthread_create(&slot->thread, NULL, serve, slot) != 0)
		abort();
}

void harness_disconnect(struct harness *h, int number)
{
	struct slot *slot = &h->slots[number];

	if (!slot->used)
		return;
	shutdown(slot->client, SHUT_RDWR);
	pthread_join(slot->thread, NULL);
	close(slot->client);
	close(slot->wake[0]);
	close(slot->wake[1]);
	buf_free(&slot->input);
	slot->used = false;
}

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

static void wait_until_taken(struct slot *slot)
{
	int waiting = 1;

	for (int tries = 0; tries < 100000 && waiting > 0 && !slot->over; tries++) {
		if (ioctl(slot->server, FIONREAD, &waiting) != 0)
			return;
		if (waiting > 0)
			sched_yield();
	}
}

void harness_send(struct harness *h, int number, struct slice bytes, bool drip)
{
	struct slot *slot = &h->slots[number];

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
			wait_until_taken(slot);
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
		if (!receive(slot, 5000))
			return false;
	}
}

/* ---- others ---- */

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

void harness_expunge(struct harness *h, uint32_t uid)
{
	size_t removed;

	must(mailbox_remove(h->store, h->account, h->inbox, &uid, 1, &removed));
	if (removed != 1)
		abort();
	engine_announce((struct engine *)h, (uint64_t)h->account);
}

uint32_t harness_count(struct harness *h)
{
	struct mailbox mailbox;

	must(mailbox_get(h->store, &h->arena, h->account, h->inbox, &mailbox));
	return mailbox.messages;
}
