/* Requests and replies survive packing; what is cut or lies about itself does not. And every verdict is one that SMTP knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deliver/verdict.h"
#include "deliver/wire.h"

static const struct deliver_recipient recipients[] = {
	{{"alice@example.test", 18}, {"rfc822;A", 8}, NOTIFY_FAILURE | NOTIFY_DELAY},
	{{"bob@example.test", 16}, {"", 0}, 0},
};

static const struct deliver_envelope envelope = {
	.queue_id = {"Q1", 2},
	.sender = {{"s@example.org", 13}, 77, {"s@example.test", 14}, true, {.family = 2, .bytes = {192, 0, 2, 1}, .port = 25}},
	.envelope_id = {"env", 3},
	.needs_utf8 = true,
	.recipients = recipients,
	.recipient_count = 2,
	.trace_from = {"smtp 192.0.2.1", 14},
};

static void check_envelope(const struct deliver_envelope *out)
{
	assert_true(slice_eq(out->queue_id, envelope.queue_id));
	assert_true(slice_eq(out->sender.address, envelope.sender.address));
	assert_true(slice_eq(out->sender.login, envelope.sender.login));
	assert_int_equal(out->sender.account, 77);
	assert_true(out->sender.may_relay);
	assert_memory_equal(&out->sender.peer, &envelope.sender.peer, sizeof out->sender.peer);
	assert_true(slice_eq(out->envelope_id, envelope.envelope_id));
	assert_true(slice_eq(out->trace_from, envelope.trace_from));
	assert_true(out->needs_utf8 && out->dsn_return == DSN_RETURN_UNSAID && !out->body_8bit);
	assert_int_equal(out->recipient_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(slice_eq(out->recipients[i].address, recipients[i].address));
		assert_true(slice_eq(out->recipients[i].original, recipients[i].original));
		assert_int_equal(out->recipients[i].notify, recipients[i].notify);
	}
}

static void test_envelope(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct deliver_envelope out;
	struct buf frame;
	bool again = true;

	(void)state;
	buf_init(&frame, &arena, 0);
	deliver_pack_envelope(&frame, false, &envelope);
	struct unpack in = unpack_begin(buf_slice(&frame));

	deliver_unpack_envelope(&in, &arena, &again, &out);
	assert_true(unpack_ok(&in));
	assert_false(again);
	check_envelope(&out);
	frame.data[WIRE_AGAIN_OFFSET] = 1;
	in = unpack_begin(buf_slice(&frame));
	deliver_unpack_envelope(&in, &arena, &again, &out);
	assert_true(again);
	for (size_t length = 0; length < frame.len; length++) {
		in = unpack_begin(slice_sub(buf_slice(&frame), 0, length));
		deliver_unpack_envelope(&in, &arena, &again, &out);
		assert_false(unpack_ok(&in));
	}
}

/* A count of recipients that the frame can't hold takes no memory. */
static void test_count_lies(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct deliver_envelope out, empty = envelope;
	struct buf frame;
	bool again;

	(void)state;
	empty.recipient_count = 0;
	buf_init(&frame, &arena, 0);
	deliver_pack_envelope(&frame, false, &empty);
	memcpy(frame.data + frame.len - 4, "\xff\xff\x00\x00", 4);
	struct unpack in = unpack_begin(buf_slice(&frame));
	size_t used = arena.used;

	deliver_unpack_envelope(&in, &arena, &again, &out);
	assert_false(unpack_ok(&in));
	assert_int_equal(out.recipient_count, 0);
	assert_true(arena.used <= used + 65536);
}

static void test_verdicts(void **state)
{
	struct arena arena SCOPED_ARENA;

	(void)state;
	for (enum verdict_id id = 0; id < VERDICT_COUNT; id++) {
		struct deliver_verdict verdict = verdict_make(id), out;
		struct buf frame;

		/* RFC 3463 section 2: the class of the enhanced code is that of the reply. */
		assert_int_equal(verdict.enhanced.data[0], '0' + verdict.code / 100);
		assert_true(verdict.code / 100 == 2 || verdict.code / 100 == 4 || verdict.code / 100 == 5);
		assert_int_equal(verdict.code / 100 == 2, verdict.status == STATUS_OK);
		/* Temporary trouble is never permanent to the peer. */
		if (verdict.status == STATUS_TEMPORARY)
			assert_int_equal(verdict.code / 100, 4);
		assert_true(verdict.text.len > 0);
		buf_init(&frame, &arena, 0);
		deliver_pack_verdict(&frame, &verdict);
		assert_true(deliver_unpack_verdict(buf_slice(&frame), &out));
		assert_int_equal(out.code, verdict.code);
		assert_int_equal(out.status, verdict.status);
		assert_true(slice_eq(out.enhanced, verdict.enhanced) && slice_eq(out.text, verdict.text));
		assert_false(deliver_unpack_verdict(slice_sub(buf_slice(&frame), 0, frame.len - 1), &out));
	}
}

static void test_bad_verdict(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct deliver_verdict out;
	static const struct deliver_verdict bad[] = {{STATUS_OK, 199, {"2.0.0", 5}, {"", 0}},
						     {STATUS_OK, 600, {"2.0.0", 5}, {"", 0}},
						     {(enum status)99, 250, {"2.0.0", 5}, {"", 0}}};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct buf frame;

		buf_init(&frame, &arena, 0);
		deliver_pack_verdict(&frame, &bad[i]);
		assert_false(deliver_unpack_verdict(buf_slice(&frame), &out));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_count_lies),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_bad_verdict),
	};

	return cmocka_run_group_tests_name("deliver/wire", tests, NULL, NULL);
}
