/* The metrics role: accepts on the metrics listener, asks the other roles for their numbers and answers with the text. It is a role of its
 * own because whoever reads from a network should be able to do nothing else: it has no store, may ask no role for anything but its numbers
 * (ipc/metrics.h), and a crowd at the SMTP port doesn't keep it from telling of that. Without metrics.address it isn't started. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "ipc/metrics.h"
#include "ipc/pack.h"
#include "main/metrics_request.h"
#include "main/role.h"

#define THREADS      2
#define STACK_BYTES  (512 * 1024)
#define CLIENT_MS    5000 /* from its first byte to our last */
#define COLLECT_MS   2000
#define ROLE_MS      700
#define FRESH_MS     500 /* whoever asks again so soon gets the same text */
#define TEXT_MAX     (4 * 1024 * 1024)

struct role_word { /* the supervisor's */
	bool is_known, is_up;
	uint32_t restarts;
};

struct metrics_role {
	struct role_setup *setup;
	struct ipc *ipc;
	int listener, stop_fd;
	pthread_mutex_t words_lock; /* of the words */
	struct role_word words[ROLE_COUNT];
	pthread_mutex_t text_lock; /* of the text; held while it is made */
	struct buf text;
	int64_t made_ms;
};

/* ---- collecting ---- */

static void ask_role(struct metrics_role *role, enum role asked, int64_t until_ms, struct arena *arena, struct metric_source *source)
{
	int64_t left = until_ms - clock_monotonic_ms();

	pthread_mutex_lock(&role->words_lock);
	struct role_word word = role->words[asked];

	pthread_mutex_unlock(&role->words_lock);
	*source = (struct metric_source){
		.role = role_name(asked), .is_known = word.is_known, .is_up = word.is_up, .restarts = word.restarts};
	if (asked == ROLE_METRICS) {
		uint64_t *cells = ARENA_ARRAY(arena, uint64_t, metrics_cell_count());

		metrics_read(role->setup->log.metrics, cells);
		source->cells = cells;
	} else if (left > 0 && word.is_up) {
		ipc_metrics_ask(role->ipc, asked, left < ROLE_MS ? (int)left : ROLE_MS, arena, source);
	}
}

static void make_text(struct metrics_role *role)
{
	struct arena arena SCOPED_ARENA;
	struct metric_source sources[ROLE_COUNT];
	int64_t until_ms = clock_monotonic_ms() + COLLECT_MS;
	size_t count = 0;

	for (enum role asked = ROLE_SUPERVISOR + 1; asked < ROLE_COUNT; asked++) {
		ask_role(role, asked, until_ms, &arena, &sources[count]);
		/* It may be switched off; the others are missed. */
		if (asked != ROLE_CONVERT || sources[count].is_known)
			count++;
	}
	buf_clear(&role->text);
	metrics_write(&role->text, sources, count);
	role->made_ms = clock_monotonic_ms();
}

static void add_text(struct metrics_role *role, struct buf *out)
{
	pthread_mutex_lock(&role->text_lock);
	if (role->text.len == 0 || clock_monotonic_ms() - role->made_ms > FRESH_MS)
		make_text(role);
	buf_add(out, buf_slice(&role->text));
	pthread_mutex_unlock(&role->text_lock);
}

/* ---- a client ---- */

static bool wait_for(int fd, short events, int64_t until_ms)
{
	struct pollfd polled = {.fd = fd, .events = events};
	int64_t left = until_ms - clock_monotonic_ms();

	return left > 0 && poll(&polled, 1, (int)left) == 1;
}

static bool read_request(int fd, int64_t until_ms, enum metrics_answer *answer)
{
	char bytes[METRICS_REQUEST_MAX];
	size_t len = 0;

	while (wait_for(fd, POLLIN, until_ms)) {
		ssize_t got = recv(fd, bytes + len, sizeof(bytes) - len, MSG_DONTWAIT);

		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			return false;
		len += (size_t)got;
		if (metrics_request_parse(slice_of(bytes, len), answer) == STATUS_OK)
			return true;
	}
	return false;
}

static void send_all(int fd, int64_t until_ms, struct slice bytes)
{
	while (bytes.len > 0 && wait_for(fd, POLLOUT, until_ms)) {
		ssize_t sent = send(fd, bytes.data, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (sent > 0)
			bytes = slice_skip(bytes, (size_t)sent);
	}
}

static void serve_client(struct metrics_role *role, int fd)
{
	int64_t until_ms = clock_monotonic_ms() + CLIENT_MS;
	struct buf body SCOPED_BUF, out SCOPED_BUF;
	enum metrics_answer answer;

	if (!read_request(fd, until_ms, &answer))
		return;
	buf_init(&body, NULL, TEXT_MAX);
	buf_init(&out, NULL, TEXT_MAX);
	if (answer == METRICS_PAGE || answer == METRICS_PAGE_HEAD)
		add_text(role, &body);
	metrics_answer_write(&out, answer, body.len);
	if (answer == METRICS_PAGE)
		buf_add(&out, buf_slice(&body));
	if (buf_ok(&out) && buf_ok(&body))
		send_all(fd, until_ms, buf_slice(&out));
	shutdown(fd, SHUT_WR);
}

static void *serve(void *context)
{
	struct metrics_role *role = context;
	struct pollfd polled[] = {{.fd = role->stop_fd, .events = POLLIN}, {.fd = role->listener, .events = POLLIN}};

	for (;;) {
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (polled[0].revents)
			return NULL;
		int fd = accept4(role->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue; /* another thread has it */
		serve_client(role, fd);
		close(fd);
	}
}

/* ---- from start to end ---- */

/* "roles": what the supervisor knows: a count, then role, up, restarts. */
static void announced(void *context, struct slice kind, struct slice payload)
{
	struct metrics_role *role = context;
	struct unpack in = unpack_begin(payload);
	struct role_word words[ROLE_COUNT] = {0};
	uint32_t count = unpack_count(&in, ROLE_COUNT);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t which = unpack_u32(&in);
		struct role_word word = {.is_known = true, .is_up = unpack_u8(&in) != 0, .restarts = unpack_u32(&in)};

		if (which < ROLE_COUNT)
			words[which] = word;
	}
	if (!slice_eq(kind, SLICE("roles")) || !unpack_ok(&in))
		return;
	pthread_mutex_lock(&role->words_lock);
	memcpy(role->words, words, sizeof(words));
	pthread_mutex_unlock(&role->words_lock);
}

static int run(struct metrics_role *role)
{
	pthread_t threads[THREADS];
	unsigned started = 0;
	uint64_t stop = 1;

	while (started < THREADS && thread_start(&threads[started], STACK_BYTES, serve, role))
		started++;
	bool ok = started > 0 && role_say_ready(role->setup);

	if (ok)
		ipc_wait_for_stop(role->ipc);
	if (write(role->stop_fd, &stop, sizeof(stop)) != (ssize_t)sizeof(stop))
		return EXIT_FAILURE; /* can't be; the process ends all the same */
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int role_run_metrics(struct role_setup *setup)
{
	static const struct ipc_control_handler control = {.announce = announced};
	struct metrics_role role = {.setup = setup, .words_lock = PTHREAD_MUTEX_INITIALIZER, .text_lock = PTHREAD_MUTEX_INITIALIZER};

	if (setup->listener_count != 1 || !setup->log.metrics || !role_enter_sandbox(setup))
		return EXIT_FAILURE;
	role.listener = setup->listeners[0].fd;
	role.stop_fd = eventfd(0, EFD_CLOEXEC);
	buf_init(&role.text, NULL, TEXT_MAX);
	role.ipc = ipc_new(setup->control_fd, NULL, &control, &role, &setup->log);
	ipc_start(role.ipc);
	int status = role.stop_fd >= 0 ? run(&role) : EXIT_FAILURE;

	ipc_free(role.ipc);
	buf_free(&role.text);
	return status;
}
