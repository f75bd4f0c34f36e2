#include "net/engine_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

#define HEAP_FIRST_ROOM 256

static bool watch_source(struct engine *engine, int fd, uint32_t source)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = source};

	return fd >= 0 && epoll_ctl(engine->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool wake_init(struct engine *engine)
{
	pthread_mutex_init(&engine->topics.lock, NULL);
	pthread_mutex_init(&engine->timer.lock, NULL);
	pthread_mutex_init(&engine->queue.lock, NULL);
	engine->queue.last = &engine->queue.first;
	engine->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	engine->queue.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	engine->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return watch_source(engine, engine->timer.fd, SOURCE_TIMER) && watch_source(engine, engine->queue.fd, SOURCE_QUEUE) &&
	       watch_source(engine, engine->stop_fd, SOURCE_STOP);
}

void wake_free(struct engine *engine)
{
	close(engine->timer.fd);
	close(engine->queue.fd);
	close(engine->stop_fd);
	free(engine->timer.heap);
	pthread_mutex_destroy(&engine->topics.lock);
	pthread_mutex_destroy(&engine->timer.lock);
	pthread_mutex_destroy(&engine->queue.lock);
}

/* ---- the run queue ---- */

static void make_readable(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

void wake_threads(struct engine *engine)
{
	make_readable(engine->stop_fd);
}

static void enqueue(struct engine *engine, struct connection *connection)
{
	pthread_mutex_lock(&engine->queue.lock);
	connection->queue_next = NULL;
	*engine->queue.last = connection;
	engine->queue.last = &connection->queue_next;
	pthread_mutex_unlock(&engine->queue.lock);
	make_readable(engine->queue.fd);
}

void wake_connection(struct connection *connection, uint32_t flag)
{
	struct engine *engine = connection->engine;
	uint64_t former = atomic_fetch_or(&engine->doors.slots[connection->slot].state, (uint64_t)(flag | STATE_RUNNING));

	if (!(former & STATE_RUNNING))
		enqueue(engine, connection);
}

struct connection *wake_take_queued(struct engine *engine)
{
	uint64_t one;

	if (read(engine->queue.fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
		return NULL;
	pthread_mutex_lock(&engine->queue.lock);
	struct connection *connection = engine->queue.first;
	engine->queue.first = connection->queue_next;
	if (!engine->queue.first)
		engine->queue.last = &engine->queue.first;
	pthread_mutex_unlock(&engine->queue.lock);
	return connection;
}

void wake_all(struct engine *engine, uint32_t flag)
{
	pthread_mutex_lock(&engine->doors.lock);
	for (uint32_t i = 0; i < engine->doors.slots_used; i++) {
		if (engine->doors.slots[i].connection)
			wake_connection(engine->doors.slots[i].connection, flag);
	}
	pthread_mutex_unlock(&engine->doors.lock);
}

/* ---- topics ---- */

static struct connection **bucket_of(struct topics *topics, uint64_t topic)
{
	/* Topics are small numbers: Fibonacci hashing spreads them. */
	return &topics->buckets[(topic * UINT64_C(0x9e3779b97f4a7c15)) >> 52];
}

/* By the topics' lock. */
static void unsubscribe(struct connection *connection)
{
	if (connection->topic == 0)
		return;
	*connection->topic_link = connection->topic_next;
	if (connection->topic_next)
		connection->topic_next->topic_link = connection->topic_link;
	connection->topic = 0;
}

void engine_subscribe(struct session_env *env, uint64_t topic)
{
	struct connection *connection = (struct connection *)env;
	struct topics *topics = &env->engine->topics;

	if (connection->topic == topic)
		return;
	pthread_mutex_lock(&topics->lock);
	unsubscribe(connection);
	if (topic != 0) {
		struct connection **bucket = bucket_of(topics, topic);

		connection->topic = topic;
		connection->topic_next = *bucket;
		connection->topic_link = bucket;
		if (*bucket)
			(*bucket)->topic_link = &connection->topic_next;
		*bucket = connection;
	}
	pthread_mutex_unlock(&topics->lock);
}

void engine_announce(struct engine *engine, uint64_t topic)
{
	pthread_mutex_lock(&engine->topics.lock);
	for (struct connection *one = *bucket_of(&engine->topics, topic); one; one = one->topic_next) {
		if (one->topic == topic)
			wake_connection(one, STATE_TOPIC);
	}
	pthread_mutex_unlock(&engine->topics.lock);
}

/* ---- deadlines ----
 *
 * A deadline that moves away, as each command's does, costs nothing: the connection stays in the heap where it was, and when the
 * timer looks at it, it goes to its new place. */

static int64_t heap_time(const struct connection *connection)
{
	return atomic_load_explicit(&connection->looked_at_ms, memory_order_relaxed);
}

static void heap_put(struct timer *timer, size_t index, struct connection *connection)
{
	timer->heap[index] = connection;
	connection->heap_index = index;
}

static void heap_rise(struct timer *timer, size_t index, struct connection *connection)
{
	while (index > 1 && heap_time(timer->heap[index / 2]) > heap_time(connection)) {
		heap_put(timer, index, timer->heap[index / 2]);
		index /= 2;
	}
	heap_put(timer, index, connection);
}

static void heap_sink(struct timer *timer, size_t index, struct connection *connection)
{
	for (;;) {
		size_t child = 2 * index;

		if (child < timer->count && heap_time(timer->heap[child + 1]) < heap_time(timer->heap[child]))
			child++;
		if (child > timer->count || heap_time(timer->heap[child]) >= heap_time(connection))
			break;
		heap_put(timer, index, timer->heap[child]);
		index = child;
	}
	heap_put(timer, index, connection);
}

static void heap_add(struct timer *timer, struct connection *connection)
{
	if (timer->count + 1 >= timer->room) {
		size_t room = timer->room ? 2 * timer->room : HEAP_FIRST_ROOM;
		struct connection **heap = reallocarray(timer->heap, room, sizeof(*heap));

		if (!heap)
			abort();
		timer->heap = heap;
		timer->room = room;
	}
	heap_rise(timer, ++timer->count, connection);
}

static void heap_remove(struct timer *timer, struct connection *connection)
{
	size_t index = connection->heap_index;
	struct connection *last = timer->heap[timer->count--];

	connection->heap_index = 0;
	if (last == connection)
		return;
	if (index > 1 && heap_time(timer->heap[index / 2]) > heap_time(last))
		heap_rise(timer, index, last);
	else
		heap_sink(timer, index, last);
}

static void arm(struct timer *timer)
{
	int64_t first = timer->count > 0 ? heap_time(timer->heap[1]) : 0;
	struct itimerspec when = {.it_value = {.tv_sec = first / 1000, .tv_nsec = first % 1000 * 1000000}};

	if (first == timer->armed_ms)
		return;
	timer->armed_ms = first;
	(void)timerfd_settime(timer->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void wake_note_deadline(struct connection *connection)
{
	struct timer *timer = &connection->engine->timer;
	int64_t deadline = atomic_load(&connection->deadline_ms), looked_at = atomic_load(&connection->looked_at_ms);

	if (deadline == 0 || (looked_at != 0 && looked_at <= deadline))
		return;
	pthread_mutex_lock(&timer->lock);
	if (connection->heap_index > 0)
		heap_remove(timer, connection);
	atomic_store(&connection->looked_at_ms, deadline);
	heap_add(timer, connection);
	/* Only an earlier first one needs the timer set: a later one is found when it fires. */
	if (timer->armed_ms == 0 || heap_time(timer->heap[1]) < timer->armed_ms)
		arm(timer);
	pthread_mutex_unlock(&timer->lock);
}

static void look_at(struct timer *timer, struct connection *connection, int64_t now_ms)
{
	heap_remove(timer, connection);
	/* First this, then the deadline: an owner that sets a later one meanwhile either is seen here or sees the 0. */
	atomic_store(&connection->looked_at_ms, 0);
	int64_t deadline = atomic_load(&connection->deadline_ms);

	if (deadline > now_ms) {
		atomic_store(&connection->looked_at_ms, deadline);
		heap_add(timer, connection);
	} else if (deadline != 0) {
		wake_connection(connection, STATE_DEADLINE);
	}
}

void wake_the_due(struct engine *engine)
{
	struct timer *timer = &engine->timer;
	uint64_t expirations;
	int64_t now = clock_monotonic_ms();

	if (read(timer->fd, &expirations, sizeof(expirations)) != (ssize_t)sizeof(expirations))
		return;
	pthread_mutex_lock(&timer->lock);
	while (timer->count > 0 && heap_time(timer->heap[1]) <= now)
		look_at(timer, timer->heap[1], now);
	timer->armed_ms = 0;
	arm(timer);
	pthread_mutex_unlock(&timer->lock);
}

void wake_forget(struct connection *connection)
{
	struct engine *engine = connection->engine;

	if (connection->topic != 0)
		engine_subscribe(&connection->env, 0);
	/* Always under the lock: the timer may just be moving it. */
	pthread_mutex_lock(&engine->timer.lock);
	if (connection->heap_index > 0)
		heap_remove(&engine->timer, connection);
	pthread_mutex_unlock(&engine->timer.lock);
}
