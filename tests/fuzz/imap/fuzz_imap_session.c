/* Whole sessions, logged in and with a mailbox selected, on a SQLite store: whatever a client says, the session must end in order.
 * The engine and the auth role are played by a few lines. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/auth.h"
#include "imap/imap.h"
#include "store/directory.h"
#include "store/mailbox_view.h"

#define RUNS_PER_STORE 200
/* Copies of copies mustn't outgrow what a socket holds while nobody reads. */
#define QUOTA_BYTES    40000
#define QUOTA_MESSAGES 400
#define USER           "alice@example.test"
#define PROLOGUE                                                                                                      \
	"a LOGIN " USER                                                                                               \
	" x\r\nb APPEND INBOX (\\Seen $a) {82+}\r\nSubject: one\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" \
	"--b\r\n\r\nHello!!\r\n--b--\r\n\r\nc SELECT INBOX\r\n"

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
static struct imap_context context = {
	.options = {.hostname = {"h", 1}, .plaintext = IMAP_PLAINTEXT_ALWAYS, .append_limit = 100000}};
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

	memcpy(folder, "/dev/shm/imap-fuzz-XXXXXX", sizeof("/dev/shm/imap-fuzz-XXXXXX"));
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
	must(directory_set_quota(context.store, SLICE(USER), QUOTA_BYTES, QUOTA_MESSAGES));
	context.views = mailbox_view_cache_new(context.store, 0);
	context.log = &quiet;
}

static void run(struct session_env *env, int client)
{
	static char answers[1 << 20];
	void *session = imap_protocol.open(env);
	enum next next = NEXT_PARK;

	while (next == NEXT_PARK && !conn_failed(env->conn)) {
		next = imap_protocol.command(session);
		arena_reset(env->command_arena);
		conn_flush(env->conn);
		while (recv(client, answers, sizeof(answers), MSG_DONTWAIT) > 0)
			;
		if (next == NEXT_PARK)
			next = imap_protocol.event(session, &(struct event){EVENT_TOPIC, 1});
	}
	imap_protocol.close(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned runs;
	static const struct net_address nowhere = {0};
	static const struct listener listener = {.name = "imap"};
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
	if (send(pair[0], PROLOGUE, sizeof(PROLOGUE) - 1, MSG_NOSIGNAL) < 0 || send(pair[0], data, size, MSG_NOSIGNAL) < 0)
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
