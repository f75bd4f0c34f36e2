/* Roles against a supervisor in this process: a thread that answers CONTROL_CONNECT with socket pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "ipc/ipc.h"
#include "ipc/pack.h"

enum request_type { ECHO = 1, SLEEP, FAIL, READ_FD, TOO_MUCH, WHO, GIVE_FD };

struct world {
	struct log log;
	int smtp_control, deliver_control; /* the supervisor's ends */
	pthread_t supervisor;
	struct ipc *smtp, *deliver;
	_Atomic int handled, connects, announced;
	_Atomic bool refuse, stopped;
};

static enum status answer_slowly(struct slice payload)
{
	struct unpack in = unpack_begin(payload);

	usleep(unpack_u32(&in) * 1000);
	return STATUS_OK;
}

static enum status read_fd(struct ipc_request *request, struct buf *reply)
{
	struct ipc_body body;

	if (request->fd < 0 || !ipc_body_map(request->fd, 1 << 20, &body))
		return STATUS_REFUSED;
	buf_add(reply, slice_sub(body.bytes, body.bytes.len > 10 ? body.bytes.len - 10 : 0, body.bytes.len));
	ipc_body_unmap(&body);
	return STATUS_OK;
}

static enum status handle(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	struct world *world = context;

	(void)arena;
	world->handled++;
	switch (request->type) {
	case ECHO:
		buf_add(reply, request->payload);
		return STATUS_OK;
	case SLEEP:
		return answer_slowly(request->payload);
	case FAIL:
		buf_add_literal(reply, "why");
		return STATUS_NOT_FOUND;
	case READ_FD:
		return read_fd(request, reply);
	case TOO_MUCH:
		for (int i = 0; i < 10000; i++)
			buf_add_literal(reply, "0123456789");
		return STATUS_OK;
	case GIVE_FD:
		request->reply_fd = ipc_memfd(request->payload);
		return STATUS_NOT_FOUND;
	case WHO:
		buf_add(reply, role_name(request->from));
		return STATUS_OK;
	}
	return STATUS_PEER;
}

static void send_channel(struct world *world, uint32_t number)
{
	char bytes[4], who[4];
	struct buf payload = {.data = bytes, .cap = 4, .limit = 4}, from = {.data = who, .cap = 4, .limit = 4};
	int pair[2] = {-1, -1};

	pack_u32(&payload, number);
	pack_u32(&from, ROLE_SMTP);
	if (!world->refuse && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 &&
	    !control_send(world->deliver_control, CONTROL_SERVE, buf_slice(&from), pair[1]))
		abort();
	if (!control_send(world->smtp_control, CONTROL_CHANNEL, buf_slice(&payload), pair[0]))
		abort();
	if (pair[0] >= 0) {
		close(pair[0]);
		close(pair[1]);
	}
}

static void *supervise(void *argument)
{
	struct world *world = argument;
	struct arena arena SCOPED_ARENA;
	enum control_type type;
	struct slice payload;
	int fd;

	while (control_receive(world->smtp_control, &arena, &type, &payload, &fd)) {
		struct unpack in = unpack_begin(payload);

		if (type == CONTROL_CONNECT) {
			world->connects++;
			send_channel(world, unpack_u32(&in));
		} else if (type == CONTROL_ANNOUNCE && !control_send(world->deliver_control, type, payload, -1)) {
			abort();
		}
		arena_reset(&arena);
	}
	return NULL;
}

static void hear(void *context, struct slice kind, struct slice payload)
{
	struct world *world = context;

	if (slice_eq(kind, SLICE("queue")))
		world->announced += (int)payload.len;
}

static void stopped(void *context)
{
	((struct world *)context)->stopped = true;
}

static void start_deliver(struct world *world)
{
	static const struct ipc_control_handler control = {.announce = hear, .stop = stopped};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	world->deliver_control = pair[0];
	world->deliver = ipc_new(pair[1], handle, &control, world, &world->log);
	ipc_start(world->deliver);
}

static int begin(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	int pair[2];

	log_init(&world->log, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("test"));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	world->smtp_control = pair[0];
	world->smtp = ipc_new(pair[1], NULL, NULL, NULL, &world->log);
	ipc_start(world->smtp);
	start_deliver(world);
	*state = world;
	return pthread_create(&world->supervisor, NULL, supervise, world);
}

static int end(void **state)
{
	struct world *world = *state;

	ipc_free(world->smtp);
	pthread_join(world->supervisor, NULL);
	ipc_free(world->deliver);
	close(world->smtp_control);
	close(world->deliver_control);
	free(world);
	return 0;
}

static enum status call(struct world *world, uint32_t type, struct slice payload, int timeout_ms, struct arena *arena,
			struct slice *reply)
{
	return ipc_call(world->smtp, ROLE_DELIVER, type, payload, -1, timeout_ms, arena, reply);
}

static void assert_echo(struct world *world)
{
	struct arena arena SCOPED_ARENA;
	struct slice reply;

	assert_int_equal(call(world, ECHO, SLICE("hello"), 5000, &arena, &reply), STATUS_OK);
	assert_true(slice_eq(reply, SLICE("hello")));
}

static void a_call_brings_reply_and_status(void **state)
{
	struct world *world = *state;
	struct arena arena SCOPED_ARENA;
	struct slice reply;

	assert_echo(world);
	assert_int_equal(call(world, FAIL, SLICE_EMPTY, 5000, &arena, &reply), STATUS_NOT_FOUND);
	assert_true(slice_eq(reply, SLICE("why")));
	assert_int_equal(call(world, WHO, SLICE_EMPTY, 5000, &arena, &reply), STATUS_OK);
	assert_true(slice_eq(reply, SLICE("smtp")));
	assert_int_equal(call(world, TOO_MUCH, SLICE_EMPTY, 5000, &arena, &reply), STATUS_BUG);
	assert_int_equal(reply.len, 0);
	assert_echo(world);
	assert_int_equal(world->connects, 1);
}

static void frames_have_a_limit(void **state)
{
	struct world *world = *state;
	struct arena arena SCOPED_ARENA;
	char *bytes = arena_alloc(&arena, IPC_FRAME_MAX + 1);
	struct slice reply;

	memset(bytes, 'x', IPC_FRAME_MAX + 1);
	assert_int_equal(call(world, ECHO, slice_of(bytes, IPC_FRAME_MAX), 5000, &arena, &reply), STATUS_OK);
	assert_true(slice_eq(reply, slice_of(bytes, IPC_FRAME_MAX)));
	assert_int_equal(call(world, ECHO, slice_of(bytes, IPC_FRAME_MAX + 1), 5000, &arena, &reply), STATUS_LIMIT);
	assert_int_equal(world->handled, 1);
}

static void a_late_answer_is_never_anothers(void **state)
{
	struct world *world = *state;
	struct arena arena SCOPED_ARENA;
	int64_t before = clock_monotonic_ms();
	struct slice reply;

	assert_echo(world);
	assert_int_equal(call(world, SLEEP, SLICE("\xc8\0\0\0"), 50, &arena, &reply), STATUS_TEMPORARY);
	assert_true(clock_monotonic_ms() - before < 190);
	assert_echo(world);
	assert_int_equal(world->connects, 2);
}

static void a_role_that_is_down_is_temporary(void **state)
{
	struct world *world = *state;
	struct arena arena SCOPED_ARENA;
	struct slice reply;

	world->refuse = true;
	assert_int_equal(call(world, ECHO, SLICE("x"), 5000, &arena, &reply), STATUS_TEMPORARY);
	world->refuse = false;
	assert_echo(world);
}

/* The role dies and is started anew: free channels lead nowhere, and the next call must not fail for that. */
static void a_restarted_role_is_reached_again(void **state)
{
	struct world *world = *state;

	assert_echo(world);
	close(world->deliver_control);
	ipc_wait_for_stop(world->deliver);
	assert_true(world->stopped);
	ipc_free(world->deliver);
	start_deliver(world);
	assert_echo(world);
	assert_int_equal(world->handled, 2);
	assert_int_equal(world->connects, 2);
}

static void *call_and_expect_trouble(void *argument)
{
	struct world *world = argument;
	struct arena arena SCOPED_ARENA;
	struct slice reply;

	return call(world, SLEEP, SLICE("\x2c\x01\0\0"), 5000, &arena, &reply) == STATUS_TEMPORARY ? world : NULL;
}

/* A request that may have been executed is not repeated. */
static void a_role_that_dies_at_work_is_temporary(void **state)
{
	struct world *world = *state;
	pthread_t thread;
	void *as_expected;

	assert_int_equal(pthread_create(&thread, NULL, call_and_expect_trouble, world), 0);
	while (world->handled == 0)
		usleep(1000);
	ipc_free(world->deliver);
	close(world->deliver_control);
	pthread_join(thread, &as_expected);
	assert_ptr_equal(as_expected, world);
	assert_int_equal(world->handled, 1);
	start_deliver(world);
}

static void a_supervisor_that_is_gone_ends_the_role(void **state)
{
	struct world *world = *state;
	struct arena arena SCOPED_ARENA;
	struct slice reply;

	shutdown(world->smtp_control, SHUT_RDWR);
	ipc_wait_for_stop(world->smtp);
	assert_int_equal(call(world, ECHO, SLICE("x"), 5000, &arena, &reply), STATUS_TEMPORARY);
}

static enum status send_fd(struct world *world, int fd, struct arena *arena, struct slice *reply)
{
	return ipc_call(world->smtp, ROLE_DELIVER, READ_FD, SLICE_EMPTY, fd, 5000, arena, reply);
}

static void only_sealed_bodies_are_read(void **state)
{
	struct world *world = *state;
	struct arena arena SCOPED_ARENA;
	int sealed = ipc_memfd(SLICE("a body with a tail")), open_one = ipc_memfd_open(), null = open("/dev/null", O_RDONLY);
	int empty = ipc_memfd(SLICE_EMPTY);
	char *large = arena_alloc(&arena, (1 << 20) + 1);
	int too_large = ipc_memfd(slice_of(large, (1 << 20) + 1));
	struct slice reply;

	assert_int_equal(send_fd(world, sealed, &arena, &reply), STATUS_OK);
	assert_true(slice_eq(reply, SLICE("ith a tail")));
	assert_int_equal(write(sealed, "x", 1), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(send_fd(world, empty, &arena, &reply), STATUS_OK);
	assert_int_equal(write(open_one, "0123456789", 10), 10);
	assert_int_equal(send_fd(world, open_one, &arena, &reply), STATUS_REFUSED);
	assert_true(ipc_memfd_seal(open_one));
	assert_int_equal(send_fd(world, open_one, &arena, &reply), STATUS_OK);
	assert_int_equal(send_fd(world, null, &arena, &reply), STATUS_REFUSED);
	assert_int_equal(send_fd(world, too_large, &arena, &reply), STATUS_REFUSED);
	assert_int_equal(send_fd(world, -1, &arena, &reply), STATUS_REFUSED);
	close(sealed);
	close(open_one);
	close(null);
	close(empty);
	close(too_large);
}

static void a_reply_brings_a_descriptor(void **state)
{
	struct world *world = *state;
	struct arena arena SCOPED_ARENA;
	struct ipc_body body;
	struct slice reply;
	int fd;

	assert_int_equal(ipc_call_fd(world->smtp, ROLE_DELIVER, GIVE_FD, SLICE("in the memfd"), -1, 5000, &arena, &reply, &fd), STATUS_NOT_FOUND);
	assert_int_equal(reply.len, 0);
	assert_true(ipc_body_map(fd, 100, &body));
	assert_true(slice_eq(body.bytes, SLICE("in the memfd")));
	ipc_body_unmap(&body);
	close(fd);
	assert_int_equal(ipc_call_fd(world->smtp, ROLE_DELIVER, ECHO, SLICE("x"), -1, 5000, &arena, &reply, &fd), STATUS_OK);
	assert_int_equal(fd, -1);
}

static int open_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void no_descriptor_is_left_behind(void **state)
{
	struct world *world = *state;
	struct arena arena SCOPED_ARENA;
	struct slice reply;
	int before;

	assert_echo(world);
	before = open_descriptors();
	for (int i = 0; i < 100; i++) {
		int fd = ipc_memfd(SLICE("body"));

		assert_int_equal(send_fd(world, fd, &arena, &reply), STATUS_OK);
		assert_int_equal(ipc_call(world->smtp, ROLE_DELIVER, GIVE_FD, SLICE("x"), fd, 5000, &arena, &reply), STATUS_NOT_FOUND);
		assert_int_equal(ipc_call(world->smtp, ROLE_DELIVER, ECHO, SLICE_EMPTY, fd, 5000, &arena, &reply), STATUS_OK);
		close(fd);
	}
	assert_int_equal(open_descriptors(), before);
}

static void *call_often(void *argument)
{
	struct world *world = argument;

	for (uint32_t i = 0; i < 500; i++) {
		struct arena arena SCOPED_ARENA;
		struct slice reply, sent = slice_of((const char *)&i, sizeof(i));

		if (call(world, ECHO, sent, 10000, &arena, &reply) != STATUS_OK || !slice_eq(reply, sent))
			return NULL;
	}
	return world;
}

static void many_threads_share_the_channels(void **state)
{
	struct world *world = *state;
	pthread_t threads[16];

	for (int i = 0; i < 16; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, world), 0);
	for (int i = 0; i < 16; i++) {
		void *as_expected;

		pthread_join(threads[i], &as_expected);
		assert_ptr_equal(as_expected, world);
	}
	assert_int_equal(world->handled, 16 * 500);
	assert_true(world->connects <= 16);
}

static void announcements_arrive(void **state)
{
	struct world *world = *state;

	ipc_announce(world->smtp, SLICE("queue"), SLICE("12345"));
	ipc_announce(world->smtp, SLICE("other"), SLICE("12345"));
	ipc_announce(world->smtp, SLICE("queue"), SLICE_EMPTY);
	ipc_announce(world->smtp, SLICE("queue"), SLICE("1"));
	for (int i = 0; i < 2000 && world->announced < 6; i++)
		usleep(1000);
	assert_int_equal(world->announced, 6);
}

static void stop_is_told_once(void **state)
{
	struct world *world = *state;

	assert_true(control_send(world->deliver_control, CONTROL_STOP, SLICE_EMPTY, -1));
	ipc_wait_for_stop(world->deliver);
	assert_echo(world); /* what is at work may still be finished */
}

static void large_control_frames_go_as_memfd(void **state)
{
	struct arena arena SCOPED_ARENA;
	size_t size = 3 << 20;
	char *bytes = arena_alloc(&arena, size), got;
	int pair[2], pipes[2], fd;
	enum control_type type;
	struct slice payload;

	(void)state;
	memset(bytes, 'c', size);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(pipe(pipes), 0);
	assert_true(control_send(pair[0], CONTROL_CONFIGURE, slice_of(bytes, size), pipes[0]));
	assert_true(control_send(pair[0], CONTROL_LISTENER, SLICE("imap"), -1));
	assert_true(control_receive(pair[1], &arena, &type, &payload, &fd));
	assert_int_equal(type, CONTROL_CONFIGURE);
	assert_true(slice_eq(payload, slice_of(bytes, size)));
	assert_int_equal(write(pipes[1], "!", 1), 1);
	assert_int_equal(read(fd, &got, 1), 1); /* the descriptor is the pipe's */
	close(fd);
	assert_true(control_receive(pair[1], &arena, &type, &payload, &fd));
	assert_int_equal(type, CONTROL_LISTENER);
	assert_true(slice_eq(payload, SLICE("imap")));
	assert_int_equal(fd, -1);
	assert_int_equal(send(pair[0], "short", 5, 0), 5);
	assert_false(control_receive(pair[1], &arena, &type, &payload, &fd));
	close(pair[0]);
	assert_false(control_receive(pair[1], &arena, &type, &payload, &fd));
	close(pair[1]);
	close(pipes[0]);
	close(pipes[1]);
}

static void roles_have_names(void **state)
{
	enum role role;

	(void)state;
	for (int i = 0; i < ROLE_COUNT; i++)
		assert_true(role_from_name(role_name((enum role)i), &role) && (int)role == i);
	assert_false(role_from_name(SLICE("root"), &role));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_call_brings_reply_and_status, begin, end),
		cmocka_unit_test_setup_teardown(a_reply_brings_a_descriptor, begin, end),
		cmocka_unit_test_setup_teardown(frames_have_a_limit, begin, end),
		cmocka_unit_test_setup_teardown(a_late_answer_is_never_anothers, begin, end),
		cmocka_unit_test_setup_teardown(a_role_that_is_down_is_temporary, begin, end),
		cmocka_unit_test_setup_teardown(a_restarted_role_is_reached_again, begin, end),
		cmocka_unit_test_setup_teardown(a_role_that_dies_at_work_is_temporary, begin, end),
		cmocka_unit_test_setup_teardown(a_supervisor_that_is_gone_ends_the_role, begin, end),
		cmocka_unit_test_setup_teardown(only_sealed_bodies_are_read, begin, end),
		cmocka_unit_test_setup_teardown(no_descriptor_is_left_behind, begin, end),
		cmocka_unit_test_setup_teardown(many_threads_share_the_channels, begin, end),
		cmocka_unit_test_setup_teardown(announcements_arrive, begin, end),
		cmocka_unit_test_setup_teardown(stop_is_told_once, begin, end),
		cmocka_unit_test(large_control_frames_go_as_memfd),
		cmocka_unit_test(roles_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
