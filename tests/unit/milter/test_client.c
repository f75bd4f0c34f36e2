/* The conversation with a milter that is a script: what it gets to hear, and what is made of what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "milter/message.h"

/* The other end: answers each packet that wants one with the next of `answers`, and remembers what kinds came. */
static struct {
	int fd;
	pthread_t thread;
	const char *answers[16]; /* each with its length in front, as on the wire */
	size_t lengths[16], count;
	const char *quiet; /* kinds that are not answered */
	char heard[256];
} script;

static bool read_all(int fd, void *to, size_t count)
{
	return recv(fd, to, count, MSG_WAITALL) == (ssize_t)count;
}

static void *run_script(void *context)
{
	unsigned char head[5];
	static char data[1 << 20];
	size_t next = 0, heard = 0;

	(void)context;
	while (read_all(script.fd, head, 5)) {
		size_t length = (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];

		if (length > 1 && !read_all(script.fd, data, length - 1))
			break;
		if (head[4] != 'D')
			script.heard[heard++] = (char)head[4];
		if (strchr("DAQ", head[4]) || (script.quiet && strchr(script.quiet, head[4])))
			continue;
		if (next == script.count)
			break;
		if (send(script.fd, script.answers[next], script.lengths[next], MSG_NOSIGNAL) < 0)
			break;
		next++;
	}
	close(script.fd);
	return NULL;
}

static int dial(void *context, struct slice address, int timeout_ms)
{
	int pair[2];

	(void)context;
	(void)address;
	(void)timeout_ms;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	script.fd = pair[1];
	assert_int_equal(pthread_create(&script.thread, NULL, run_script, NULL), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	return pair[0];
}

static int dial_nobody(void *context, struct slice address, int timeout_ms)
{
	(void)context;
	(void)address;
	(void)timeout_ms;
	return -1;
}

static struct log quiet_log;
static struct arena arena;
static struct milter milter;
static struct milter_service *service;
static const struct milter_peer peer = {SLICE("mx.example.org"), SLICE("192.0.2.1"), '4', 25};
static struct milter_macros macros;

static void begin(pool_dial how, enum milter_otherwise otherwise)
{
	struct milter_options options = {.address = SLICE("inet:test"),
					 .otherwise = otherwise,
					 .connect_timeout_ms = 2000,
					 .command_timeout_ms = 2000,
					 .content_timeout_ms = 2000,
					 .max_body_size = 100};

	log_init(&quiet_log, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("test"));
	milter_macros_clear(&macros);
	service = milter_service_new(&options, how, NULL, &quiet_log);
	milter_init(&milter, service, NULL);
}

static void end(void)
{
	milter_close(&milter);
	if (script.thread)
		pthread_join(script.thread, NULL);
	milter_service_free(service);
	arena_free(&arena);
	memset(&script, 0, sizeof(script));
}

static void will_answer(struct slice packet)
{
	script.answers[script.count] = packet.data;
	script.lengths[script.count++] = packet.len;
}

#define CONTINUE SLICE("\0\0\0\1c")
/* Version 6, all rights, those steps. */
#define AGREE(steps) SLICE("\0\0\0\15O\0\0\0\6\0\0\1\xff" steps)

static struct milter_answer say_message(struct milter_message *message)
{
	milter_message_init(message, &arena);
	edit_load(&message->header, SLICE("Received: us\r\n"), true);
	edit_load(&message->header, SLICE("A: 1\r\nB: 2\r\n"), false);
	message->body = SLICE("body\r\n");
	return milter_message(&milter, &arena, message, &macros);
}

static void test_all_steps(void **state)
{
	struct milter_message message;

	(void)state;
	begin(dial, MILTER_ELSE_TEMPFAIL);
	will_answer(AGREE("\0\0\0\0"));
	for (unsigned i = 0; i < 12; i++)
		will_answer(CONTINUE);
	assert_int_equal(milter_connect(&milter, &arena, &peer, &macros).verdict, MILTER_GO_ON);
	assert_int_equal(milter_helo(&milter, &arena, SLICE("mx"), &macros).verdict, MILTER_GO_ON);
	assert_int_equal(milter_mail(&milter, &arena, SLICE("<a@b>"), SLICE("SIZE=1"), &macros).verdict, MILTER_GO_ON);
	assert_int_equal(milter_rcpt(&milter, &arena, SLICE("<c@d>"), SLICE_EMPTY, &macros).verdict, MILTER_GO_ON);
	assert_int_equal(milter_unknown(&milter, &arena, SLICE("WHAT")).verdict, MILTER_GO_ON);
	assert_int_equal(milter_data(&milter, &arena, &macros).verdict, MILTER_GO_ON);
	assert_int_equal(say_message(&message).verdict, MILTER_GO_ON);
	assert_false(milter_message_is_changed(&message));
	milter_message_free(&message);
	milter_end_message(&milter);
	milter_close(&milter);
	pthread_join(script.thread, NULL);
	script.thread = 0;
	/* No abort behind a message that was ended. */
	assert_string_equal(script.heard, "OCHMRUTLLNBEQ");
	end();
}

static void test_steps_left_out_and_quiet(void **state)
{
	struct milter_message message;

	(void)state;
	begin(dial, MILTER_ELSE_TEMPFAIL);
	/* no connect, no helo, no mail, no unknown, no data; rcpt, header, eoh, body aren't answered */
	script.quiet = "RLNB";
	will_answer(AGREE("\0\x0c\x83\x87"));
	will_answer(CONTINUE);
	(void)milter_connect(&milter, &arena, &peer, &macros);
	(void)milter_helo(&milter, &arena, SLICE("mx"), &macros);
	(void)milter_mail(&milter, &arena, SLICE("<a@b>"), SLICE_EMPTY, &macros);
	(void)milter_rcpt(&milter, &arena, SLICE("<c@d>"), SLICE_EMPTY, &macros);
	(void)milter_unknown(&milter, &arena, SLICE("WHAT"));
	(void)milter_data(&milter, &arena, &macros);
	assert_int_equal(say_message(&message).verdict, MILTER_GO_ON);
	assert_int_equal(milter.state, MILTER_READY);
	milter_message_free(&message);
	milter_close(&milter);
	pthread_join(script.thread, NULL);
	script.thread = 0;
	assert_string_equal(script.heard, "ORLLNBEQ");
	end();
}

static void test_skip(void **state)
{
	struct milter_message message;

	(void)state;
	begin(dial, MILTER_ELSE_TEMPFAIL);
	will_answer(AGREE("\0\0\6\x4f")); /* header and body only; may skip */
	will_answer(SLICE("\0\0\0\1s"));
	will_answer(CONTINUE);
	will_answer(CONTINUE);
	(void)milter_connect(&milter, &arena, &peer, &macros);
	assert_int_equal(say_message(&message).verdict, MILTER_GO_ON);
	milter_message_free(&message);
	milter_close(&milter);
	pthread_join(script.thread, NULL);
	script.thread = 0;
	assert_string_equal(script.heard, "OLBEQ");
	end();
}

static void connect_and_mail(struct slice answer)
{
	will_answer(AGREE("\0\0\2\x03")); /* no connect, no helo, no data */
	will_answer(answer);
	(void)milter_connect(&milter, &arena, &peer, &macros);
}

static void test_answers(void **state)
{
	static const struct {
		struct slice packet;
		enum milter_verdict verdict;
		unsigned code;
		bool ends;
	} rows[] = {
		{SLICE("\0\0\0\1r"), MILTER_REFUSED, 550, false},
		{SLICE("\0\0\0\1t"), MILTER_REFUSED, 451, false},
		{SLICE("\0\0\0\0014"), MILTER_REFUSED, 421, true},
		{SLICE("\0\0\0\1f"), MILTER_REFUSED, 421, true},
		{SLICE("\0\0\0\1d"), MILTER_DISCARDED, 0, false},
		{SLICE("\0\0\0\1a"), MILTER_GO_ON, 0, false},
		{SLICE("\0\0\0\1p\0\0\0\1p\0\0\0\1r"), MILTER_REFUSED, 550, false},
		{SLICE("\0\0\0\013y554 hello\0"), MILTER_REFUSED, 554, false},
		/* nonsense: as if it weren't there */
		{SLICE("\0\0\0\1h"), MILTER_REFUSED, 451, false},
		{SLICE("\0\0\0\5hA\0b\0"), MILTER_REFUSED, 451, false},
		{SLICE("\0\0\0\5bbody"), MILTER_REFUSED, 451, false},
		{SLICE("\xff\xff\xff\xffr"), MILTER_REFUSED, 451, false},
		{SLICE("\0\0\0\0r"), MILTER_REFUSED, 451, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		begin(dial, MILTER_ELSE_TEMPFAIL);
		connect_and_mail(rows[i].packet);
		struct milter_answer answer = milter_mail(&milter, &arena, SLICE("<a@b>"), SLICE_EMPTY, &macros);

		assert_int_equal(answer.verdict, rows[i].verdict);
		if (answer.verdict == MILTER_REFUSED) {
			assert_int_equal(answer.code, rows[i].code);
			assert_int_equal(answer.ends, rows[i].ends);
		}
		end();
	}
}

static void test_nobody_there(void **state)
{
	static const struct {
		enum milter_otherwise otherwise;
		enum milter_verdict verdict;
		unsigned code;
	} rows[] = {{MILTER_ELSE_TEMPFAIL, MILTER_REFUSED, 451},
		    {MILTER_ELSE_REJECT, MILTER_REFUSED, 550},
		    {MILTER_ELSE_ACCEPT, MILTER_GO_ON, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		begin(dial_nobody, rows[i].otherwise);
		struct milter_answer answer = milter_connect(&milter, &arena, &peer, &macros);

		assert_int_equal(answer.verdict, rows[i].verdict);
		assert_int_equal(milter.state, MILTER_FAILED);
		assert_int_equal(milter_mail(&milter, &arena, SLICE("<a@b>"), SLICE_EMPTY, &macros).code, rows[i].code);
		milter_end_message(&milter);
		end();
	}
}

static void message_only(struct slice answer)
{
	will_answer(AGREE("\0\0\3\x7f")); /* none but the end */
	will_answer(answer);
	(void)milter_connect(&milter, &arena, &peer, &macros);
}

static void test_changes(void **state)
{
	struct milter_message message;
	struct buf out SCOPED_BUF;

	(void)state;
	begin(dial, MILTER_ELSE_TEMPFAIL);
	message_only(SLICE("\0\0\0\5hX\0x\0"
			   "\0\0\0\7b1\n2\r\r\n"
			   "\0\0\0\5-<a>\0"
			   "\0\0\0\1c"));
	assert_int_equal(say_message(&message).verdict, MILTER_GO_ON);
	assert_true(milter_message_is_changed(&message));
	buf_init(&out, NULL, 0);
	edit_write(&message.header, &out);
	assert_true(slice_eq(buf_slice(&out), SLICE("Received: us\r\nA: 1\r\nB: 2\r\nX: x\r\n")));
	assert_true(slice_eq(message.body, SLICE("1\r\n2\r\n\r\n")));
	assert_non_null(message.changes);
	assert_int_equal(message.changes->kind, ENVELOPE_DELETE_RCPT);
	milter_message_free(&message);
	end();
}

/* What it wanted is undone with it: it dies, or says no in the end, or wants more than may be. */
static void test_changes_that_come_to_nothing(void **state)
{
	static const struct slice answers[] = {
		SLICE("\0\0\0\5hX\0x\0\0\0\0\5bbody\0\0\0\2c!"),
		SLICE("\0\0\0\5hX\0x\0\0\0\0\5bbody\0\0\0\1r"),
		SLICE("\0\0\0\5hX\0x\0\0\0\0\1r"),
		SLICE("\0\0\0\203b012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012"
		      "3456789"
		      "012345678901234567890123456789\0\0\0\1c"),
	};
	struct milter_message message;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		begin(dial, MILTER_ELSE_TEMPFAIL);
		message_only(answers[i]);
		assert_int_equal(say_message(&message).verdict, MILTER_REFUSED);
		assert_false(milter_message_is_changed(&message));
		milter_message_free(&message);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_steps),
		cmocka_unit_test(test_steps_left_out_and_quiet),
		cmocka_unit_test(test_skip),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_changes_that_come_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
