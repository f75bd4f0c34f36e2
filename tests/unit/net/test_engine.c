/* The engine with a small line protocol: "echo X", "sleep MS", "topic N", "deadline MS", "pause MS", "quit"; events are told as lines. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/engine.h"
#include "net/listen.h"

#define SLOW_TOPIC 4 /* of which it takes a while to tell */

struct counted {
	_Atomic int opened, closed, commands, events;
	_Atomic int at_work; /* sessions of which a thread runs */
	_Atomic int overlaps;
};

struct session {
	struct session_env *env;
	struct counted *counted;
	_Atomic int running;
};

static void enter(struct session *s)
{
	if (atomic_exchange(&s->running, 1) != 0)
		atomic_fetch_add(&s->counted->overlaps, 1);
	atomic_fetch_add(&s->counted->at_work, 1);
}

static void leave(struct session *s)
{
	atomic_fetch_sub(&s->counted->at_work, 1);
	atomic_store(&s->running, 0);
}

static void *line_open(struct session_env *env)
{
	struct session *s = ARENA_NEW(env->session_arena, struct session);

	s->env = env;
	s->counted = env->context;
	atomic_fetch_add(&s->counted->opened, 1);
	conn_write_literal(env->conn, "hello\r\n");
	return s;
}

static uint32_t number(struct slice text)
{
	uint32_t value = 0;

	assert_true(slice_to_u32(text, UINT32_MAX, &value));
	return value;
}

static enum next run(struct session *s, struct slice line)
{
	struct slice word = slice_cut(&line, ' ');

	if (slice_eq(word, SLICE("echo"))) {
		conn_write(s->env->conn, line);
		conn_write_literal(s->env->conn, "\r\n");
	} else if (slice_eq(word, SLICE("sleep"))) {
		usleep(number(line) * 1000);
		conn_write_literal(s->env->conn, "slept\r\n");
	} else if (slice_eq(word, SLICE("topic"))) {
		engine_subscribe(s->env, number(line));
		conn_write_literal(s->env->conn, "subscribed\r\n");
	} else if (slice_eq(word, SLICE("user"))) {
		bool may = engine_set_user(s->env, slice_dup(s->env->session_arena, line));

		conn_printf(s->env->conn, may ? "known\r\n" : "too many\r\n");
	} else if (slice_eq(word, SLICE("ended"))) { /* the log-in's answer comes after the end of these users' sessions */
		struct slice user = slice_dup(s->env->session_arena, slice_cut(&line, ' '));

		for (uint32_t i = number(slice_cut(&line, ' ')); i > 0; i--)
			engine_end_user(s->env->engine, line);
		(void)engine_set_user(s->env, user);
		conn_write_literal(s->env->conn, "known\r\n");
	} else if (slice_eq(word, SLICE("deadline"))) {
		engine_set_deadline(s->env, clock_monotonic_ms() + number(line));
		conn_write_literal(s->env->conn, "set\r\n");
	} else if (slice_eq(word, SLICE("pause"))) {
		engine_set_deadline(s->env, clock_monotonic_ms() + number(line));
		conn_write_literal(s->env->conn, "paused\r\n");
		return NEXT_PAUSE;
	} else {
		return NEXT_CLOSE;
	}
	return NEXT_PARK;
}

static enum next line_command(void *session)
{
	struct session *s = session;
	struct slice line;

	enter(s);
	atomic_fetch_add(&s->counted->commands, 1);
	enum next next = conn_read_line(s->env->conn, 1000, &line) == CONN_LINE_OK
	                         ? run(s, slice_dup(s->env->command_arena, line))
	                         : NEXT_CLOSE;
	leave(s);
	return next;
}

static enum next line_event(void *session, const struct event *event)
{
	struct session *s = session;

	enter(s);
	atomic_fetch_add(&s->counted->events, 1);
	if (event->kind == EVENT_TOPIC && event->topic == SLOW_TOPIC)
		usleep(300);
	if (event->kind == EVENT_TOPIC)
		conn_printf(s->env->conn, "topic %d\r\n", (int)event->topic);
	else if (event->kind == EVENT_DEADLINE)
		conn_write_literal(s->env->conn, "deadline\r\n");
	else
		conn_write_literal(s->env->conn, "bye\r\n");
	leave(s);
	return event->kind == EVENT_SHUTDOWN ? NEXT_CLOSE : NEXT_PARK;
}

static void line_close(void *session)
{
	struct session *s = session;

	atomic_fetch_add(&s->counted->closed, 1);
}

static const struct protocol line_protocol = {"line", line_open, line_command, line_event, line_close};

/* ---- a running engine and its clients ---- */

struct fixture {
	struct log log;
	struct arena arena;
	struct counted counted;
	struct engine *engine;
	struct net_address address;
};

static void start(struct fixture *f, const struct engine_limits *limits)
{
	struct error error = {0};
	struct sockaddr_storage bound = {0};
	socklen_t length = sizeof(bound);

	memset(f, 0, sizeof(*f));
	log_init(&f->log, STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("test"));
	arena_init(&f->arena, 0);
	int fd = listen_tcp(SLICE("127.0.0.1:0"), 512, &f->arena, &error);
	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &length), 0);
	f->address = net_address_from_sockaddr(&bound);
	f->engine = engine_new(limits, &f->log);
	struct listener listener = {.fd = fd, .protocol = &line_protocol, .context = &f->counted, .name = "line",
	                            .refusal = SLICE("too many\r\n")};
	assert_int_equal(engine_add_listener(f->engine, &listener), STATUS_OK);
	engine_start(f->engine);
}

static void end(struct fixture *f)
{
	engine_stop(f->engine, 2000);
	assert_int_equal(atomic_load(&f->counted.opened), atomic_load(&f->counted.closed));
	assert_int_equal(atomic_load(&f->counted.overlaps), 0);
	arena_free(&f->arena);
}

static const struct engine_limits LIMITS = {.max_threads = 8, .max_connections = 1000};

/* A client reads with a time limit, so that what never comes fails a test rather than hanging it. */
static struct conn *dial(struct fixture *f)
{
	struct error error = {0};
	struct conn *conn = conn_connect(&f->address, NULL, 5000, &f->arena, &error);

	assert_non_null(conn);
	conn_set_timeout(conn, 10000);
	return conn;
}

static void say(struct conn *conn, const char *text)
{
	conn_write(conn, slice_from_cstr(text));
	assert_true(conn_flush(conn));
}

static void expect(struct conn *conn, const char *line)
{
	struct slice got;

	assert_int_equal(conn_read_line(conn, 1000, &got), CONN_LINE_OK);
	if (!slice_eq(got, slice_from_cstr(line)))
		fail_msg("got \"%.*s\" for \"%s\"", SLICE_ARG(got), line);
}

static struct conn *greeted(struct fixture *f)
{
	struct conn *conn = dial(f);

	expect(conn, "hello");
	return conn;
}

/* ---- tests ---- */

static void commands_one_by_one_and_together(void **state)
{
	struct fixture f;
	(void)state;

	start(&f, &LIMITS);
	struct conn *conn = greeted(&f);
	say(conn, "echo one\r\n");
	expect(conn, "one");
	say(conn, "echo two\r\necho three\r\nquit\r\necho never\r\n");
	expect(conn, "two");
	expect(conn, "three");
	struct slice rest;
	assert_int_equal(conn_read_line(conn, 100, &rest), CONN_LINE_ERROR);
	conn_free(conn);
	assert_int_equal(atomic_load(&f.counted.commands), 4);
	end(&f);
}

static void a_topic_reaches_its_subscribers_only(void **state)
{
	struct fixture f;
	(void)state;

	start(&f, &LIMITS);
	struct conn *a = greeted(&f), *b = greeted(&f), *c = greeted(&f);
	say(a, "topic 7\r\n");
	say(b, "topic 7\r\n");
	say(c, "topic 8\r\n");
	expect(a, "subscribed");
	expect(b, "subscribed");
	expect(c, "subscribed");
	engine_announce(f.engine, 7);
	expect(a, "topic 7");
	expect(b, "topic 7");
	say(c, "echo quiet\r\n");
	expect(c, "quiet");
	say(a, "topic 0\r\n");
	expect(a, "subscribed");
	engine_announce(f.engine, 7);
	expect(b, "topic 7");
	say(a, "echo quiet\r\n");
	expect(a, "quiet");
	conn_free(a);
	conn_free(b);
	conn_free(c);
	end(&f);
}

/* One that runs a command hears of it right after. */
static void a_busy_subscriber_is_told_afterwards(void **state)
{
	struct fixture f;
	(void)state;

	start(&f, &LIMITS);
	struct conn *conn = greeted(&f);
	say(conn, "topic 3\r\n");
	expect(conn, "subscribed");
	say(conn, "sleep 200\r\n");
	while (atomic_load(&f.counted.at_work) == 0)
		usleep(1000);
	for (int i = 0; i < 3; i++)
		engine_announce(f.engine, 3);
	expect(conn, "slept");
	expect(conn, "topic 3");
	say(conn, "echo once\r\n");
	expect(conn, "once");
	conn_free(conn);
	end(&f);
}

static void read_until(struct conn *conn, struct slice line)
{
	struct slice got;

	do {
		assert_int_equal(conn_read_line(conn, 1000, &got), CONN_LINE_OK);
	} while (!slice_eq(got, line));
}

/* Whose input came while it was told of something isn't waited for once more, so that the next announcement is told at once. */
static void a_silent_subscriber_is_told_after_its_command(void **state)
{
	struct fixture f;
	(void)state;

	start(&f, &LIMITS);
	struct conn *conn = greeted(&f);
	say(conn, "topic 4\r\n");
	expect(conn, "subscribed");
	for (int round = 0; round < 500; round++) {
		engine_announce(f.engine, SLOW_TOPIC);
		usleep(100);
		say(conn, "sleep 1\r\n");
		read_until(conn, SLICE("slept"));
		engine_announce(f.engine, SLOW_TOPIC);
		read_until(conn, SLICE("topic 4"));
	}
	conn_free(conn);
	end(&f);
}

static void deadlines_come_unless_something_else_does(void **state)
{
	struct fixture f;
	(void)state;

	start(&f, &LIMITS);
	struct conn *a = greeted(&f), *b = greeted(&f), *c = greeted(&f);
	say(b, "deadline 100000\r\n");
	expect(b, "set");
	say(a, "deadline 50\r\n");
	expect(a, "set");
	expect(a, "deadline");
	/* A command clears it; a later one moves away what the timer still knows. */
	say(c, "deadline 100\r\necho early\r\n");
	expect(c, "set");
	expect(c, "early");
	say(b, "deadline 50\r\n");
	expect(b, "set");
	expect(b, "deadline");
	usleep(150000);
	say(c, "echo still\r\n");
	expect(c, "still");
	say(c, "deadline 20\r\n");
	expect(c, "set");
	expect(c, "deadline");
	assert_int_equal(atomic_load(&f.counted.events), 3);
	conn_free(a);
	conn_free(b);
	conn_free(c);
	end(&f);
}

static void parked_connections_own_no_thread(void **state)
{
	enum { MANY = 200 };
	struct fixture f;
	struct conn *conns[MANY];
	(void)state;

	start(&f, &LIMITS);
	for (int i = 0; i < MANY; i++)
		conns[i] = greeted(&f);
	assert_true(engine_counts(f.engine).threads_now <= 8);
	assert_int_equal(engine_counts(f.engine).connections_now, MANY);
	for (int i = 0; i < MANY; i++)
		say(conns[i], "echo here\r\n");
	for (int i = 0; i < MANY; i++) {
		expect(conns[i], "here");
		conn_free(conns[i]);
	}
	end(&f);
}

/* Eight commands that sleep leave no thread: the ninth waits for its turn and gets it. */
static void threads_are_bounded_and_come_back(void **state)
{
	struct fixture f;
	struct conn *conns[9];
	(void)state;

	start(&f, &LIMITS);
	for (int i = 0; i < 9; i++)
		conns[i] = greeted(&f);
	for (int i = 0; i < 9; i++)
		say(conns[i], "sleep 100\r\n");
	for (int i = 0; i < 9; i++) {
		expect(conns[i], "slept");
		assert_true(engine_counts(f.engine).threads_now <= 8);
		conn_free(conns[i]);
	}
	end(&f);
}

/* Peers that begin a command and fall silent hold their threads, but nobody else up. */
static void silent_peers_hold_nobody_up(void **state)
{
	enum { SILENT = 30 };
	struct fixture f;
	struct conn *silent[SILENT];
	(void)state;

	start(&f, &LIMITS);
	for (int i = 0; i < SILENT; i++) {
		silent[i] = greeted(&f);
		say(silent[i], "ec");
	}
	struct conn *conn = greeted(&f);
	say(conn, "echo served\r\n");
	expect(conn, "served");
	for (int i = 0; i < SILENT; i++) {
		say(silent[i], "ho at last\r\n");
		expect(silent[i], "at last");
		conn_free(silent[i]);
	}
	conn_free(conn);
	end(&f);
}

static void limits_refuse_politely(void **state)
{
	struct fixture f;
	struct engine_limits limits = {.max_threads = 2, .max_connections = 3, .max_connections_per_address = 2};
	struct net_prefix exempt;
	(void)state;

	start(&f, &limits);
	struct conn *a = greeted(&f), *b = greeted(&f), *c = dial(&f);
	expect(c, "too many");
	conn_free(c);
	conn_free(a);
	/* Its place is free again as soon as the engine has seen its end. */
	for (int i = 0; i < 1000 && engine_counts(f.engine).connections_now > 1; i++)
		usleep(5000);
	a = greeted(&f);
	assert_int_equal(engine_counts(f.engine).refused_total, 1);
	conn_free(a);
	conn_free(b);
	end(&f);

	assert_true(net_prefix_parse(SLICE("127.0.0.0/8"), &exempt));
	limits.exempt = &exempt;
	limits.exempt_count = 1;
	start(&f, &limits);
	a = greeted(&f);
	b = greeted(&f);
	c = greeted(&f);
	struct conn *d = dial(&f);
	expect(d, "too many");
	conn_free(a);
	conn_free(b);
	conn_free(c);
	conn_free(d);
	end(&f);
}

static struct slice turn_away(void *context, const struct listener *listener, const struct net_address *peer)
{
	_Atomic bool *unwanted = context;

	assert_string_equal(listener->name, "line");
	assert_true(net_address_is_loopback(peer));
	return *unwanted ? SLICE("go away\r\n") : slice_of(NULL, 0);
}

static void who_is_not_wanted_gets_no_session(void **state)
{
	_Atomic bool unwanted = false;
	struct engine_limits limits = {.max_threads = 2, .max_connections = 3, .turn_away = turn_away, .turn_away_context = &unwanted};
	struct fixture f;
	struct slice line;
	(void)state;

	start(&f, &limits);
	struct conn *a = greeted(&f);

	unwanted = true;
	for (int i = 0; i < 10; i++) {
		struct conn *b = dial(&f);

		expect(b, "go away");
		assert_int_equal(conn_read_line(b, 1000, &line), CONN_LINE_ERROR);
		conn_free(b);
	}
	assert_int_equal(engine_counts(f.engine).refused_total, 10);
	assert_int_equal(engine_counts(f.engine).connections_total, 1);
	/* Whoever was there before is told at the next command. */
	say(a, "echo me\r\n");
	expect(a, "go away");
	assert_int_equal(conn_read_line(a, 1000, &line), CONN_LINE_ERROR);
	unwanted = false;
	struct conn *c = greeted(&f);

	conn_free(a);
	conn_free(c);
	end(&f);
}

/* Its answer, what it says meanwhile and what it is to be told: all of it waits, and no thread does. */
static void a_pause_holds_the_answer_and_no_thread(void **state)
{
	struct engine_limits limits = {.max_threads = 1, .max_connections = 20};
	struct conn *paused[10];
	struct fixture f;
	(void)state;

	start(&f, &limits);
	struct conn *other = greeted(&f);

	for (int i = 0; i < 10; i++) {
		paused[i] = greeted(&f);
		say(paused[i], "topic 1\r\n");
		expect(paused[i], "subscribed");
		say(paused[i], "echo before\r\npause 2500\r\necho after\r\n");
	}
	say(other, "echo me\r\n");
	expect(other, "me");
	while (atomic_load(&f.counted.commands) < 10 * 3 + 1) /* they pause, all of them */
		usleep(1000);
	engine_announce(f.engine, 1);
	for (int i = 0; i < 10; i++)
		say(paused[i], "echo more\r\n");
	for (int i = 0; i < 10; i++) {
		expect(paused[i], "before");
		expect(paused[i], "paused");
		expect(paused[i], "deadline");
		expect(paused[i], "topic 1");
		expect(paused[i], "after");
		expect(paused[i], "more");
		conn_free(paused[i]);
	}
	conn_free(other);
	end(&f);
}

/* Who resets the connection is gone; who only has nothing more to say hears the answer. */
static void a_pause_ends_with_the_peer(void **state)
{
	struct linger at_once = {.l_onoff = 1};
	struct fixture f;
	(void)state;

	start(&f, &LIMITS);
	struct conn *gone = greeted(&f), *silent = greeted(&f);

	say(gone, "pause 3600000\r\n");
	say(silent, "pause 200\r\n");
	assert_int_equal(shutdown(conn_fd(silent), SHUT_WR), 0);
	usleep(50000);
	assert_int_equal(setsockopt(conn_fd(gone), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	conn_free(gone);
	expect(silent, "paused");
	expect(silent, "deadline");
	for (int i = 0; i < 500 && engine_counts(f.engine).connections_now > 0; i++)
		usleep(10000);
	assert_int_equal(engine_counts(f.engine).connections_now, 0);
	conn_free(silent);
	end(&f);
}

static void shutdown_ends_a_pause(void **state)
{
	struct fixture f;
	(void)state;

	start(&f, &LIMITS);
	struct conn *paused = greeted(&f);

	say(paused, "pause 3600000\r\n");
	usleep(20000);
	engine_stop(f.engine, 2000);
	expect(paused, "paused");
	expect(paused, "bye");
	conn_free(paused);
	arena_free(&f.arena);
}

static void shutdown_says_good_bye(void **state)
{
	struct fixture f;
	(void)state;

	start(&f, &LIMITS);
	struct conn *parked = greeted(&f), *busy = greeted(&f);
	say(busy, "sleep 100\r\n");
	usleep(20000);
	engine_stop(f.engine, 2000);
	expect(parked, "bye");
	expect(busy, "slept");
	expect(busy, "bye");
	assert_int_equal(atomic_load(&f.counted.opened), atomic_load(&f.counted.closed));
	conn_free(parked);
	conn_free(busy);
	arena_free(&f.arena);
}

static bool count_ann(void *context, const struct engine_user *user)
{
	int *anns = context;

	assert_true(net_address_is_loopback(user->peer) && user->since_ms > 0);
	assert_string_equal(user->listener, "line");
	*anns += slice_eq(user->user, SLICE("ann"));
	return *anns < 2;
}

static void whose_sessions_there_are(void **state)
{
	struct fixture f;
	uint32_t slot = 0;
	int anns = 0;
	struct slice rest;
	(void)state;

	start(&f, &LIMITS);
	struct conn *a = greeted(&f), *b = greeted(&f), *c = greeted(&f), *nobody = greeted(&f);
	say(a, "user ann\r\n");
	say(b, "user ann\r\n");
	say(c, "user bob\r\n");
	expect(a, "known");
	expect(b, "known");
	expect(c, "known");
	assert_true(engine_users(f.engine, &slot, count_ann, &anns));
	assert_int_equal(anns, 2);
	anns = 0;
	assert_false(engine_users(f.engine, &slot, count_ann, &anns)); /* bob is left, and nobody */
	assert_int_equal(anns, 0);
	engine_end_user(f.engine, SLICE("ann"));
	engine_end_user(f.engine, SLICE_EMPTY);
	assert_int_equal(conn_read_line(a, 100, &rest), CONN_LINE_ERROR);
	assert_int_equal(conn_read_line(b, 100, &rest), CONN_LINE_ERROR);
	say(c, "echo still\r\n");
	expect(c, "still");
	say(nobody, "echo here\r\n");
	expect(nobody, "here");
	conn_free(a);
	conn_free(b);
	conn_free(c);
	conn_free(nobody);
	end(&f);
}

static void an_end_overtakes_a_login(void **state)
{
	struct fixture f;
	struct slice rest;
	(void)state;

	start(&f, &LIMITS);
	struct conn *a = greeted(&f), *b = greeted(&f), *c = greeted(&f);
	say(a, "ended ann 1 ann\r\n");
	assert_int_equal(conn_read_line(a, 100, &rest), CONN_LINE_ERROR);
	/* others' ends, and those from before, are of no account */
	say(b, "ended ann 200 bob\r\n");
	expect(b, "known");
	say(b, "ended ann 200 bob\r\n");
	expect(b, "known");
	say(b, "user ann\r\n");
	expect(b, "known");
	/* more than are remembered */
	say(c, "ended ann 300 bob\r\n");
	assert_int_equal(conn_read_line(c, 100, &rest), CONN_LINE_ERROR);
	struct conn *late = greeted(&f);
	say(late, "user bob\r\n");
	expect(late, "known");
	conn_free(a);
	conn_free(b);
	conn_free(c);
	conn_free(late);
	end(&f);
}

static void how_many_sessions_one_may_have(void **state)
{
	struct engine_limits limits = LIMITS;
	struct fixture f;

	(void)state;
	limits.max_sessions_per_user = 2;
	start(&f, &limits);
	struct conn *a = greeted(&f), *b = greeted(&f), *c = greeted(&f);

	say(a, "user ann\r\n");
	expect(a, "known");
	say(a, "user ann\r\n"); /* the same again isn't one more */
	expect(a, "known");
	say(b, "user ann\r\n");
	expect(b, "known");
	say(c, "user ann\r\n");
	expect(c, "too many");
	say(c, "user bob\r\n");
	expect(c, "known");
	/* who leaves makes room: to be another's, or to end */
	say(a, "user bob\r\n");
	expect(a, "known");
	say(c, "user ann\r\n");
	expect(c, "known");
	conn_free(b);
	for (bool known = false; !known; usleep(1000)) {
		struct slice answer;

		say(a, "user ann\r\n");
		assert_int_equal(conn_read_line(a, 100, &answer), CONN_LINE_OK);
		known = slice_eq(answer, SLICE("known"));
	}
	conn_free(a);
	conn_free(c);
	end(&f);
}

/* One end of a pair: greeted, served, and told good-bye as all others. */
static void a_connection_from_elsewhere(void **state)
{
	const struct net_address nowhere = {0};
	const struct engine_limits limits = {.max_threads = 2, .max_connections = 1, .max_connections_per_address = 1};
	struct fixture f;
	int ends[2], more[2];
	(void)state;

	start(&f, &limits);
	struct listener listener = {.protocol = &line_protocol, .context = &f.counted, .name = "pair", .refusal = SLICE("too many\r\n")};

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, more), 0);
	assert_true(engine_add_connection(f.engine, &listener, ends[1]));
	assert_false(engine_add_connection(f.engine, &listener, more[1]));
	struct conn *conn = conn_new(ends[0], &nowhere, &nowhere), *refused = conn_new(more[0], &nowhere, &nowhere);

	expect(refused, "too many");
	expect(conn, "hello");
	say(conn, "echo one\r\n");
	expect(conn, "one");
	end(&f);
	expect(conn, "bye");
	conn_free(conn);
	conn_free(refused);
}

/* Many clients, each with commands, topics and deadlines at the same time, that come and go: nothing is lost, nobody runs twice at a
 * time. Meant for ThreadSanitizer. */
static void *restless_client(void *context)
{
	struct fixture *f = context;
	struct arena arena SCOPED_ARENA;
	struct error error = {0};

	for (int round = 0; round < 10; round++) {
		struct conn *conn = conn_connect(&f->address, NULL, 5000, &arena, &error);
		struct slice line;
		int echoes = 0;

		assert_non_null(conn);
		conn_set_timeout(conn, 10000);
		conn_write(conn, SLICE("topic 5\r\ndeadline 1\r\n"));
		for (int i = 0; i < 20; i++) {
			say(conn, "echo x\r\ndeadline 1\r\n");
			do {
				assert_int_equal(conn_read_line(conn, 100, &line), CONN_LINE_OK);
			} while (!slice_eq(line, SLICE("x")));
			echoes++;
		}
		assert_int_equal(echoes, 20);
		conn_free(conn);
	}
	return NULL;
}

static void everything_at_once(void **state)
{
	enum { CLIENTS = 6 };
	struct fixture f;
	pthread_t threads[CLIENTS];
	(void)state;

	start(&f, &LIMITS);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, restless_client, &f), 0);
	for (int i = 0; i < 500; i++) {
		engine_announce(f.engine, 5);
		usleep(200);
	}
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&f.counted.opened), CLIENTS * 10);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_one_by_one_and_together),
		cmocka_unit_test(a_topic_reaches_its_subscribers_only),
		cmocka_unit_test(a_busy_subscriber_is_told_afterwards),
		cmocka_unit_test(a_silent_subscriber_is_told_after_its_command),
		cmocka_unit_test(deadlines_come_unless_something_else_does),
		cmocka_unit_test(parked_connections_own_no_thread),
		cmocka_unit_test(threads_are_bounded_and_come_back),
		cmocka_unit_test(silent_peers_hold_nobody_up),
		cmocka_unit_test(limits_refuse_politely),
		cmocka_unit_test(who_is_not_wanted_gets_no_session),
		cmocka_unit_test(a_pause_holds_the_answer_and_no_thread),
		cmocka_unit_test(a_pause_ends_with_the_peer),
		cmocka_unit_test(shutdown_ends_a_pause),
		cmocka_unit_test(shutdown_says_good_bye),
		cmocka_unit_test(whose_sessions_there_are),
		cmocka_unit_test(an_end_overtakes_a_login),
		cmocka_unit_test(how_many_sessions_one_may_have),
		cmocka_unit_test(a_connection_from_elsewhere),
		cmocka_unit_test(everything_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
