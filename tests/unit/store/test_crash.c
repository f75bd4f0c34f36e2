/* The process dies in the middle of deliveries, its files can't grow any more, or the database server is stopped: what was acknowledged is
 * there, once, and the store is sound and works on. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "store_fixture.h"

#define THREADS 6
#define LIVES   8

/* ---- killed ---- */

struct deliverer {
	struct fixture *fixture;
	int pipe, number;
};

/* Says each acknowledged message's name in the pipe: 8 bytes, in one piece. */
static void *deliver_for_ever(void *context)
{
	struct deliverer *deliverer = context;
	struct arena arena SCOPED_ARENA;
	char name[32];

	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "%02d%06d", deliverer->number, i);
		struct delivery_target targets[] = {{.account = deliverer->fixture->alice},
						    {.account = deliverer->fixture->bob}};
		struct queue_target queue = {.recipient = SLICE("x@remote.example"), .next_hop = SLICE("remote.example")};
		struct delivery delivery = {.queue_id = slice_of(name, 8),
					    .received_ms = clock_wall_ms(),
					    .bytes = fixture_message(&arena, name, i % 50 == 0 ? 400000 : 3000),
					    .targets = targets,
					    .target_count = 2,
					    .queue = &queue,
					    .queue_count = i % 4 == 0,
					    .all_or_nothing = true};

		if (store_deliver(deliverer->fixture->store, &delivery) != STATUS_OK || write(deliverer->pipe, name, 8) != 8)
			_exit(1);
		arena_reset(&arena);
	}
	return NULL;
}

static void live(struct fixture *fixture, int life, int pipe)
{
	struct deliverer deliverers[THREADS];
	pthread_t threads[THREADS];

	fixture->store = fixture_open_another(fixture);
	for (int i = 0; i < THREADS; i++) {
		deliverers[i] = (struct deliverer){fixture, pipe, life * THREADS + i};
		pthread_create(&threads[i], NULL, deliver_for_ever, &deliverers[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(2);
}

/* Kills the child when it has acknowledged `enough`, and adds the names of all that it has to `names`. */
static void kill_after(pid_t child, int pipe, int enough, struct buf *names)
{
	char *room;
	ssize_t length;

	while ((room = buf_reserve(names, 8)) && (length = read(pipe, room, 8)) == 8) {
		buf_advance(names, 8);
		if (--enough == 0)
			kill(child, SIGKILL);
	}
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void run_life(struct fixture *fixture, int life, struct buf *names)
{
	int ends[2];

	/* Nothing of the store is open when the process is doubled. */
	store_close(fixture->store);
	fixture->store = NULL;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();

	if (child == 0) {
		close(ends[0]);
		live(fixture, life, ends[1]);
	}
	close(ends[1]);
	kill_after(child, ends[0], 40 + life * 7, names);
	close(ends[0]);
	fixture->store = fixture_open_another(fixture);
}

static void check_all_there(struct fixture *fixture, struct slice names)
{
	size_t acknowledged = names.len / 8;

	for (; names.len >= 8; names = slice_skip(names, 8))
		assert_int_equal(store_was_delivered(fixture->store, slice_sub(names, 0, 8)), STATUS_OK);
	/* Those in hand at a death may be there too. */
	assert_in_range(fixture_mailbox(fixture, fixture->alice, "INBOX").messages, acknowledged,
			acknowledged + LIVES * THREADS);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").messages,
			 fixture_mailbox(fixture, fixture->bob, "INBOX").messages);
}

static void test_killed(void **state)
{
	struct fixture *fixture = *state;
	struct buf names SCOPED_BUF;

	buf_init(&names, NULL, 0);
	for (int life = 0; life < LIVES; life++) {
		run_life(fixture, life, &names);
		fixture_check_invariants(fixture);
	}
	check_all_there(fixture, buf_slice(&names));
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM mailbox_email"),
			 fixture_number(fixture, "SELECT 2 * count(DISTINCT queue_id) FROM trace"));
}

/* ---- files that can't grow ---- */

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes == 0 ? limit.rlim_max : bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* At each size of the files something else is the first that doesn't fit. */
static void test_full(void **state)
{
	struct fixture *fixture = *state;
	struct slice small = fixture_message(&fixture->arena, "small", 3000),
		     large = fixture_message(&fixture->arena, "large", 700000);
	int64_t acknowledged = 0;

	if (fixture->is_postgresql)
		return;
	signal(SIGXFSZ, SIG_IGN);
	for (rlim_t limit = 300000; limit < 6000000; limit += 290000) {
		unsigned failures = 0;

		limit_files(limit);
		for (int i = 0; i < 40 && failures < 3; i++) {
			enum status status = fixture_try_deliver(fixture, fixture->alice, i % 8 == 7 ? large : small, NULL);

			assert_true(status == STATUS_OK || status == STATUS_TEMPORARY);
			acknowledged += status == STATUS_OK;
			failures += status != STATUS_OK;
		}
		limit_files(0);
		assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM mailbox_email"), acknowledged);
		fixture_check_invariants(fixture);
	}
	fixture_reopen(fixture);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM mailbox_email"), acknowledged);
	fixture_deliver(fixture, fixture->alice, large);
	fixture_check_invariants(fixture);
}

/* ---- the server is stopped in the middle ---- */

#define STOPS 3

struct persistent {
	struct fixture *fixture;
	int number;
	atomic_bool *stop;
	unsigned delivered, tries, wrong;
};

/* As the deliver role and its client do: a message is brought again until it is certain. */
static bool deliver_surely(struct persistent *self, struct slice queue_id, struct slice message)
{
	struct delivery_target target = {.account = self->number % 2 ? self->fixture->alice : self->fixture->bob};
	struct delivery delivery = {.queue_id = queue_id,
				    .received_ms = clock_wall_ms(),
				    .bytes = message,
				    .targets = &target,
				    .target_count = 1,
				    .all_or_nothing = true};

	for (int i = 0; i < 600; i++) {
		enum status status = store_deliver(self->fixture->store, &delivery);

		if (status == STATUS_OK || delivery.was_committed)
			return true;
		if (status != STATUS_TEMPORARY)
			return false;
		self->tries++;
		delivery.again = true;
		usleep(100000);
	}
	return false;
}

static void *deliver_persistently(void *context)
{
	struct persistent *self = context;
	struct arena arena SCOPED_ARENA;
	char name[32];

	while (!*self->stop) {
		snprintf(name, sizeof name, "P%d-%u", self->number, self->delivered);
		self->wrong += !deliver_surely(self, slice_from_cstr(name), fixture_message(&arena, name, 2000));
		self->delivered++;
		arena_reset(&arena);
	}
	return NULL;
}

static void test_server_stopped(void **state)
{
	struct fixture *fixture = *state;
	struct persistent threads[THREADS];
	pthread_t ids[THREADS];
	atomic_bool stop = false;
	unsigned delivered = 0, tries = 0;

	if (!fixture->is_postgresql)
		return;
	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct persistent){fixture, i, &stop, 0, 0, 0};
		pthread_create(&ids[i], NULL, deliver_persistently, &threads[i]);
	}
	for (int i = 0; i < STOPS; i++) {
		usleep(200000);
		fixture_stop_server(fixture);
		fixture_start_server(fixture);
	}
	usleep(300000);
	stop = true;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(ids[i], NULL);
		assert_int_equal(threads[i].wrong, 0);
		delivered += threads[i].delivered;
		tries += threads[i].tries;
	}
	assert_true(tries > 0);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM mailbox_email"), delivered);
	fixture_check_invariants(fixture);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_killed),
		FIXTURE_TEST(test_full),
		FIXTURE_TEST(test_server_stopped),
	};

	return FIXTURE_MAIN(argc, argv, "store/crash", tests);
}
