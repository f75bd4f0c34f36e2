/* The client's side: what is asked of the deliver role, in which form, and what becomes of no answer. The role is this program's own
 * ipc_call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "deliver/verdict.h"
#include "deliver/wire.h"

/* ---- the role ---- */

struct ipc {
	unsigned failures; /* so many calls get no answer */
	enum status failure;
	struct slice reply; /* data NULL: a verdict */
	enum verdict_id verdict;
	/* what came */
	unsigned calls;
	uint32_t type;
	struct slice payload; /* of the last, in the caller's memory */
	bool again;
	off_t fd_size; /* -1: no descriptor */
};

enum status ipc_call(struct ipc *ipc, enum role to, uint32_t type, struct slice payload, int fd, int timeout_ms,
		     struct arena *arena, struct slice *reply)
{
	struct deliver_verdict verdict = verdict_make(ipc->verdict);
	struct stat stat;
	struct buf frame;

	assert_int_equal(to, ROLE_DELIVER);
	assert_true(timeout_ms > 0 && payload.len <= IPC_FRAME_MAX);
	ipc->calls++;
	ipc->type = type;
	ipc->payload = payload;
	ipc->again = payload.data[WIRE_AGAIN_OFFSET] != 0;
	ipc->fd_size = fd >= 0 && fstat(fd, &stat) == 0 ? stat.st_size : -1;
	if (ipc->failures > 0) {
		ipc->failures--;
		return ipc->failure;
	}
	buf_init(&frame, arena, 0);
	deliver_pack_verdict(&frame, &verdict);
	*reply = ipc->reply.data ? ipc->reply : buf_slice(&frame);
	return STATUS_OK;
}

/* ---- */

static const struct deliver_recipient recipient = {{"alice@example.test", 18}, {"", 0}, 0};
static const struct deliver_sender sender = {.address = {"s@example.org", 13}, .account = 7, .login = {"", 0}};
static const struct deliver_envelope envelope = {
	.queue_id = {"Q1", 2},
	.sender = {.address = {"s@example.org", 13}, .login = {"", 0}},
	.envelope_id = {"", 0},
	.recipients = &recipient,
	.recipient_count = 1,
	.trace_from = {"", 0},
};

static struct slice bytes_of(struct arena *arena, size_t size)
{
	struct slice bytes = {arena_try_alloc(arena, size), size};

	assert_non_null(bytes.data);
	memset((char *)bytes.data, 'x', size);
	return bytes;
}

static void test_questions(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct ipc ipc = {.verdict = VERDICT_SENDER_NOT_OWNED};

	(void)state;
	assert_int_equal(deliver_check_sender(&ipc, &arena, &sender).code, 553);
	assert_int_equal(ipc.type, DELIVER_REQUEST_SENDER);
	ipc.verdict = VERDICT_OVER_QUOTA;
	assert_int_equal(deliver_check_recipient(&ipc, &arena, &sender, SLICE("bob@example.test"), 77).code, 452);
	assert_int_equal(ipc.type, DELIVER_REQUEST_RECIPIENT);
	struct unpack in = unpack_begin(ipc.payload);
	struct deliver_sender out;

	deliver_unpack_sender(&in, &out);
	assert_int_equal(out.account, 7);
	assert_true(slice_eq(unpack_slice(&in), SLICE("bob@example.test")));
	assert_int_equal(unpack_u64(&in), 77);
	assert_true(unpack_ok(&in));
	/* A question without an answer is asked by the client again, if it likes. */
	ipc.failures = 1;
	ipc.failure = STATUS_TEMPORARY;
	assert_int_equal(deliver_check_recipient(&ipc, &arena, &sender, SLICE("bob@example.test"), 0).code, 451);
	assert_int_equal(ipc.calls, 3);
}

/* Up to a frame in the frame, then as a memfd; a descriptor goes as it is. */
static void test_sizes(void **state)
{
	struct arena arena SCOPED_ARENA;
	static const size_t sizes[] = {0, 1, 4096, 90000, IPC_FRAME_MAX - 1024, IPC_FRAME_MAX - 20, IPC_FRAME_MAX, 3000000};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct ipc ipc = {.verdict = VERDICT_MESSAGE_OK};
		struct slice bytes = sizes[i] > 0 ? bytes_of(&arena, sizes[i]) : SLICE_EMPTY;
		struct deliver_envelope out;
		bool again;

		assert_int_equal(deliver_message(&ipc, &arena, &envelope, bytes, -1).code, 250);
		assert_int_equal(ipc.type, DELIVER_REQUEST_MESSAGE);
		struct unpack in = unpack_begin(ipc.payload);

		deliver_unpack_envelope(&in, &arena, &again, &out);
		assert_true(slice_eq(out.queue_id, SLICE("Q1")));
		if (ipc.fd_size < 0)
			assert_true(slice_eq(unpack_slice(&in), bytes));
		else
			assert_int_equal(ipc.fd_size, sizes[i]);
		assert_true(unpack_ok(&in));
		assert_int_equal(ipc.fd_size >= 0, sizes[i] >= IPC_FRAME_MAX - 20);
	}
	struct ipc ipc = {.verdict = VERDICT_MESSAGE_OK};

	assert_int_equal(deliver_message(&ipc, &arena, &envelope, slice_of(NULL, 0), 0).code, 250);
	assert_true(ipc.fd_size >= 0);
	/* Neither bytes nor a descriptor. */
	assert_int_equal(deliver_message(&ipc, &arena, &envelope, slice_of(NULL, 0), -1).code, 451);
	assert_int_equal(ipc.calls, 1);
}

/* A role that died over a message is brought it again, and told so. */
static void test_again(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct ipc ipc = {.verdict = VERDICT_MESSAGE_OK};

	(void)state;
	assert_int_equal(deliver_message(&ipc, &arena, &envelope, SLICE("x"), -1).code, 250);
	assert_false(ipc.again);
	ipc = (struct ipc){.verdict = VERDICT_MESSAGE_OK, .failures = 2, .failure = STATUS_TEMPORARY};
	assert_int_equal(deliver_message(&ipc, &arena, &envelope, bytes_of(&arena, 200000), -1).code, 250);
	assert_int_equal(ipc.calls, 3);
	assert_true(ipc.again);
	assert_int_equal(ipc.fd_size, 200000);
}

/* An answer that isn't one is no promise, and is not asked for again. */
static void test_bad_answers(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct ipc ipc = {.reply = SLICE("nonsense")};
	static const enum status failures[] = {STATUS_PEER, STATUS_LIMIT, STATUS_BUG};

	(void)state;
	assert_int_equal(deliver_message(&ipc, &arena, &envelope, SLICE("x"), -1).code, 451);
	assert_int_equal(ipc.calls, 1);
	for (size_t i = 0; i < 3; i++) {
		ipc = (struct ipc){.failures = 1, .failure = failures[i]};
		assert_int_equal(deliver_message(&ipc, &arena, &envelope, SLICE("x"), -1).code, 451);
		assert_int_equal(ipc.calls, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_bad_answers),
	};

	return cmocka_run_group_tests_name("deliver/client", tests, NULL, NULL);
}
