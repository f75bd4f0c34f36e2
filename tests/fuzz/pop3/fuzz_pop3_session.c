/* Whole sessions on a SQLite store with three messages (every third internationalised), logged in or (when the first byte is "!") not yet: whatever a client says, the session
 * must end in order and what it answers must begin as an answer does. The engine and the auth role are played by a few lines. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/random.h"
#include "pop3/pop3.h"
#include "store/directory.h"
#include "store/email.h"
#include "store/mailbox_view.h"

#define RUNS_PER_STORE 5000
#define USER           "alice@example.test"
#define PROLOGUE       "USER " USER "\r\nPASS x\r\n"
#define MESSAGE        "Subject: one\r\n\r\n.dot\r\nHello\r\n.\r\nend"
#define GLOBAL         "Subject: \xc3\xb6\r\nFrom: \xc3\xb6@b.example\r\n\r\n.dot\r\n\xc3\xb6"

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

void engine_subscribe(struct session_env *env, uint64_t topic)
{
	(void)env;
	(void)topic;
}

void engine_announce(struct engine *engine, uint64_t topic)
{
	(void)engine;
	(void)topic;
}

static int64_t account;

static struct auth_reply accept_all(void)
{
	return (struct auth_reply){.outcome = AUTH_ACCEPTED, .account = account, .address = SLICE(USER)};
}

struct auth_reply auth_password(struct ipc *ipc, struct arena *arena, const struct auth_peer *peer, struct slice user,
				struct slice password)
{
	(void)ipc;
	(void)arena;
	(void)peer;
	(void)user;
	(void)password;
	return accept_all();
}

struct auth_reply auth_begin(struct ipc *ipc, struct arena *arena, const struct auth_peer *peer, struct slice mechanism,
			     const struct slice *initial_response)
{
	(void)ipc;
	(void)arena;
	(void)peer;
	(void)mechanism;
	return initial_response ? accept_all() : (struct auth_reply){.outcome = AUTH_CONTINUE};
}

struct auth_reply auth_step(struct ipc *ipc, struct arena *arena, uint64_t exchange, struct slice response)
{
	(void)ipc;
	(void)arena;
	(void)exchange;
	(void)response;
	return accept_all();
}

void auth_cancel(struct ipc *ipc, uint64_t exchange)
{
	(void)ipc;
	(void)exchange;
}

static struct log quiet = {.fd = -1, .level = LOG_LEVEL_ERROR};
static struct pop3_context context = {.options = {.hostname = {"h", 1}, .plaintext = POP3_PLAINTEXT_ALWAYS}};
static char folder[64];

static void must(enum status status)
{
	if (status != STATUS_OK)
		abort();
}

static void remove_store(void)
{
	static const char *const files[] = {"test.db", "test.db-wal", "test.db-shm", "test.lock"};
	char path[128];

	mailbox_view_cache_free(context.views);
	store_close(context.store);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	rmdir(folder);
	context.store = NULL;
}

static void make_store(void)
{
	struct arena arena SCOPED_ARENA;
	struct error error;
	struct buf url;

	memcpy(folder, "/dev/shm/pop3-fuzz-XXXXXX", sizeof("/dev/shm/pop3-fuzz-XXXXXX"));
	if (!mkdtemp(folder))
		abort();
	buf_init(&url, &arena, 0);
	buf_printf(&url, "sqlite:%s/test.db", folder);
	struct store_options options = {.url = buf_slice(&url)};

	context.store = store_open(&options, true, &quiet, &arena, &error);
	if (!context.store)
		abort();
	must(directory_add_domain(context.store, SLICE("example.test")));
	must(directory_add_account(context.store, SLICE(USER), SLICE_EMPTY, 0, &account));
	context.views = mailbox_view_cache_new(context.store, 0);
	context.log = &quiet;
}

static void fill(void)
{
	struct arena arena SCOPED_ARENA;
	struct mailbox inbox;

	must(mailbox_find(context.store, &arena, account, SLICE("INBOX"), &inbox));
	for (uint32_t i = inbox.messages; i < 3; i++) {
		struct delivery_target target = {.account = account};
		struct delivery delivery = {.queue_id = random_queue_id(&arena),
					    .bytes = i % 3 == 1 ? SLICE(GLOBAL) : SLICE(MESSAGE),
					    .received_ms = 1,
					    .targets = &target,
					    .target_count = 1};

		must(store_deliver(context.store, &delivery));
	}
}

static void check(int client)
{
	static char answers[1 << 20];
	ssize_t got = recv(client, answers, sizeof(answers), MSG_DONTWAIT);

	if (got > 0 && !(got >= 2 && memcmp(answers, "+ ", 2) == 0) && !(got >= 4 && memcmp(answers, "+OK ", 4) == 0) &&
	    !(got >= 5 && memcmp(answers, "-ERR ", 5) == 0))
		abort();
	while (got > 0)
		got = recv(client, answers, sizeof(answers), MSG_DONTWAIT);
}

static void run(struct session_env *env, int client)
{
	void *session = pop3_protocol.open(env);
	enum next next = NEXT_PARK;

	while (next == NEXT_PARK && !conn_failed(env->conn)) {
		next = pop3_protocol.command(session);
		arena_reset(env->command_arena);
		conn_flush(env->conn);
		check(client);
		if (next == NEXT_PARK)
			next = pop3_protocol.event(session, &(struct event){EVENT_TOPIC, 1});
	}
	pop3_protocol.close(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned runs;
	static const struct net_address nowhere = {0};
	static const struct listener listener = {.name = "pop3"};
	struct arena session_arena SCOPED_ARENA, command_arena SCOPED_ARENA;
	int pair[2], room = 8 * 1024 * 1024;

	if (runs++ % RUNS_PER_STORE == 0) {
		if (context.store)
			remove_store();
		else
			atexit(remove_store);
		make_store();
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
		abort();
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	bool logged_in = size == 0 || data[0] != '!';

	fill();
	if (logged_in && send(pair[0], PROLOGUE, sizeof(PROLOGUE) - 1, MSG_NOSIGNAL) < 0)
		abort();
	if (send(pair[0], data + !logged_in, size - !logged_in, MSG_NOSIGNAL) < 0)
		abort();
	shutdown(pair[0], SHUT_WR);
	struct session_env env = {
		.conn = conn_new(pair[1], &nowhere, &nowhere),
		.context = &context,
		.listener = &listener,
		.session_arena = &session_arena,
		.command_arena = &command_arena,
	};

	run(&env, pair[0]);
	conn_free(env.conn);
	close(pair[0]);
	return 0;
}
