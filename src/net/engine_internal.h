/* What the files of the engine share; private to net/.
 *
 * engine.c          threads: waiting, running a connection, parking it
 * engine_accept.c   listeners, limits, the first steps of a connection
 * engine_wake.c     who is to be run without input: topics, deadlines, the run queue
 *
 * Who may touch a connection: the thread that set RUNNING in its slot's state, and nobody else, but for the fields that are
 * marked. Slots outlive connections, so that a thread which comes late looks at a slot, never at freed memory: a slot's
 * state holds an epoch that changes whenever its connection is parked or ends, and an epoll event carries the epoch it was armed
 * with. Only the thread that owns a connection arms its descriptor.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "net/engine.h"

#define ENGINE_MAX_LISTENERS 32
#define ENGINE_TOPIC_BUCKETS 4096

/* The low half of a slot's state; the high half is its epoch. */
enum {
	STATE_RUNNING = 1 << 0,
	STATE_INPUT = 1 << 1,
	STATE_TOPIC = 1 << 2,
	STATE_DEADLINE = 1 << 3,
	STATE_SHUTDOWN = 1 << 4,
	STATE_PENDING = STATE_INPUT | STATE_TOPIC | STATE_DEADLINE | STATE_SHUTDOWN,
};

/* The low half of an epoll event's data; the high half is the epoch, 0 for those that are not connections. */
enum {
	SOURCE_STOP = 0xfffffffdu,
	SOURCE_TIMER = 0xfffffffeu,
	SOURCE_QUEUE = 0xffffffffu,
	SOURCE_LISTENER = 0xf0000000u, /* + index */
};

enum stage {
	STAGE_NEW,  /* PROXY header and TLS handshake are still to come */
	STAGE_OPEN,
};

struct connection {
	struct session_env env;
	struct engine *engine;
	const struct protocol *protocol;
	const struct listener *listener;
	void *session;
	uint32_t slot;
	enum stage stage;
	bool peer_speaks_first; /* to greet it needs no thread before its first byte: TLS, PROXY */
	bool is_proxied;
	bool is_watched; /* is in the epoll set */
	bool is_paused;  /* NEXT_PAUSE: only its deadline or the end wakes it */
	uint32_t missed; /* STATE_TOPIC came while it was */
	struct address_count *counted; /* against which address; by the doors' lock */
	struct user_count *user_counted; /* likewise, as are: */
	struct buf user;                 /* whose session it is, from where and since when */
	struct net_address user_peer;
	int64_t user_since_ms;
	uint64_t endings; /* doors->endings when its command began */
	struct arena session_arena, command_arena;
	/* by wake's topic lock */
	uint64_t topic;
	struct connection *topic_next, **topic_link;
	/* monotonic ms, 0: none. What is wanted, and when the timer will look next. */
	_Atomic int64_t deadline_ms, looked_at_ms;
	size_t heap_index; /* by the timer lock; 0: not in the heap */
	struct connection *queue_next; /* by the queue lock */
};

struct slot {
	_Atomic uint64_t state;
	struct connection *connection; /* read by who has just set RUNNING */
	uint32_t next_free;
};

struct topics {
	pthread_mutex_t lock;
	struct connection *buckets[ENGINE_TOPIC_BUCKETS];
};

/* Connections by the time the timer looks at them: a binary heap, from index 1. */
struct timer {
	pthread_mutex_t lock;
	int fd;
	struct connection **heap;
	size_t count, room;
	int64_t armed_ms; /* 0: not */
};

struct run_queue {
	pthread_mutex_t lock;
	int fd; /* a semaphore: one count for each connection in the queue */
	struct connection *first, **last;
};

struct address_count;
struct user_count;

/* So many ends of users' sessions are remembered; who logs in while more than that happen is taken for one of them. */
#define ENGINE_ENDED_USERS 256

struct doors {
	pthread_mutex_t lock;
	struct address_count *by_address;
	struct user_count *by_user;
	struct slot *slots;
	uint32_t slot_count, slots_used, first_free; /* slot_count: none */
	_Atomic uint64_t endings; /* written by the lock; the n-th's user has its hash in ended[n % ENGINE_ENDED_USERS] */
	uint64_t ended[ENGINE_ENDED_USERS];
};

struct engine {
	struct engine_limits limits;
	const struct log *log;
	int epoll;
	struct listener listeners[ENGINE_MAX_LISTENERS];
	size_t listener_count;
	struct doors doors;
	struct topics topics;
	struct timer timer;
	struct run_queue queue;
	int stop_fd; /* readable: threads end */
	pthread_mutex_t thread_lock;
	pthread_cond_t thread_ended;
	/* All; those that wait for something to do; those whose command waits for its peer. */
	_Atomic unsigned threads, waiting, stalled;
	_Atomic bool stopping;
	_Atomic uint64_t next_id, connections_now, connections_total, refused_total, commands_total;
};

static inline uint32_t state_epoch(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

/* ---- engine_accept.c ---- */

void doors_init(struct doors *doors, unsigned max_connections);
void doors_free(struct doors *doors);
MUST_CHECK bool accept_watch(struct engine *engine, size_t listener);
/* Takes one connection, which is the caller's to run; NULL: none came, or it was refused. The listener is watched again. */
struct connection *accept_one(struct engine *engine, size_t listener);
/* Likewise of one that is connected already, to this machine. */
struct connection *accept_connected(struct engine *engine, const struct listener *listener, int fd);
/* PROXY header, TLS, limits, greeting. False: the connection is to be ended. */
MUST_CHECK bool accept_open(struct connection *connection);
/* Frees the connection and its slot. */
void accept_end(struct connection *connection);

/* ---- engine_wake.c ---- */

MUST_CHECK bool wake_init(struct engine *engine);
void wake_free(struct engine *engine);
/* Marks a connection that can't be freed meanwhile, and has it run if nobody runs it. */
void wake_connection(struct connection *connection, uint32_t flag);
/* To be called by the owner before parking: makes the timer look in time. */
void wake_note_deadline(struct connection *connection);
/* The timer's descriptor is readable: wakes whose time has come. */
void wake_the_due(struct engine *engine);
/* The run queue's descriptor is readable; NULL: another thread was faster. */
struct connection *wake_take_queued(struct engine *engine);
void wake_all(struct engine *engine, uint32_t flag);
/* Every thread that waits comes back from waiting, again and again. */
void wake_threads(struct engine *engine);
/* Takes the connection off all lists; nobody wakes it any more. */
void wake_forget(struct connection *connection);
