/* engine: serves connections by straight-line protocol code.
 *
 * Between commands a connection is parked in epoll and owns no thread. When input, an event or its deadline comes, a thread
 * of the pool takes it, runs one command (or event) to its end with ordinary blocking reads and writes, and parks it again.
 * Input that is already buffered is served before parking, so pipelined commands run one after the other and their replies
 * leave together. Threads wait on the epoll descriptor themselves: there is no hand-over. The pool grows to max_threads
 * when all are busy (and beyond, up to a few thousand, while peers keep commands waiting) and shrinks again; the rest waits in the kernel. Per connection, one thread at a time: a session needs no locks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/slice.h"
#include "net/conn.h"

struct engine;
struct tls_context;

enum next {
	NEXT_PARK,  /* give the thread back until input, event or deadline */
	NEXT_CLOSE, /* flush and close */
	NEXT_PAUSE, /* of a command: until its deadline nothing is said, read or run; then EVENT_DEADLINE comes, and after it what waits */
};

enum event_kind {
	EVENT_TOPIC,    /* something was announced on a topic this connection subscribed to */
	EVENT_DEADLINE, /* engine_set_deadline's time has come */
	EVENT_SHUTDOWN, /* the role is about to end: say good-bye (421, * BYE) and return NEXT_CLOSE */
};

struct event {
	enum event_kind kind;
	uint64_t topic;
};

/* What a session is given: valid until close has returned. */
struct session_env {
	struct engine *engine;
	struct conn *conn;
	void *context;               /* listener's: the role's own context */
	const struct listener *listener;
	struct arena *session_arena; /* lives as long as the connection */
	struct arena *command_arena; /* reset after each command */
	uint64_t id;                 /* of this connection, for logs */
};

struct protocol {
	const char *name;
	/* Greet; returns the session, or NULL to close at once. Runs on a pool thread, after PROXY header and implicit TLS. */
	void *(*open)(struct session_env *env);
	/* One command to one reply, straight line. Called when there is input. */
	enum next (*command)(void *session);
	/* While parked. Several announcements of a topic may be told once. */
	enum next (*event)(void *session, const struct event *event);
	/* The connection is over, for whatever reason. The conn is still valid. */
	void (*close)(void *session);
};

struct listener {
	int fd;                          /* bound and listening; owned by the engine from engine_add_listener on */
	const struct protocol *protocol;
	void *context;
	struct tls_context *tls;         /* NULL: no TLS offered */
	bool implicit_tls;
	const char *name;                /* "smtp", "submission", "imaps": for logs and policy */
	const struct net_prefix *proxy_from; /* peers whose PROXY v1/v2 header is required and believed */
	size_t proxy_from_count;
	/* Sent in plain and closed when a limit refuses the connection: "421 4.7.0 ...\r\n". */
	struct slice refusal;
	const void *policy; /* the protocol's own, where listeners of it differ; may be NULL */
};

struct engine_limits {
	unsigned max_threads;             /* commands at work at the same time; those that wait for their peer don't count */
	unsigned max_connections;         /* in all */
	unsigned max_connections_per_address; /* IPv4 address or IPv6 /64 */
	const struct net_prefix *exempt;  /* from the per-address limit */
	unsigned max_sessions_per_user;   /* see engine_set_user; 0: any number */
	size_t exempt_count;
	size_t session_arena_limit;       /* bytes; 0: 1 MB */
	size_t command_arena_limit;       /* bytes; 0: 64 MB */
	int handshake_timeout_ms;         /* PROXY header and TLS; 0: 30,000 */
	/* Who isn't wanted at all: what to tell this peer before it is closed, without a thread or a handshake being spent on it; data
	 * NULL: it may come in. Called for each connection, with its real address, and again when it brings commands (it is told on any
	 * listener then); it must not block. NULL: all may. */
	struct slice (*turn_away)(void *context, const struct listener *listener, const struct net_address *peer);
	void *turn_away_context;
};

/* Never NULL. `log` outlives the engine. */
struct engine *engine_new(const struct engine_limits *limits, const struct log *log);
MUST_CHECK enum status engine_add_listener(struct engine *engine, const struct listener *listener);
/* A connected non-blocking socket that no listener has accepted, such as one end of a pair: served as if `listener`, which outlives the
 * engine, had, with a peer on this machine. The engine owns it, also with false: a limit refused it. The greeting is sent on the
 * caller's thread. */
MUST_CHECK bool engine_add_connection(struct engine *engine, const struct listener *listener, int fd);
/* Starts the threads and returns. */
void engine_start(struct engine *engine);
/* Stops accepting, tells every session EVENT_SHUTDOWN, waits at most grace_ms for running commands, joins, frees. */
void engine_stop(struct engine *engine, int grace_ms);

/* From a session's own command or event: when EVENT_DEADLINE comes if nothing else does before (monotonic ms; 0: never).
 * Any command or event clears it: set it each time before parking. */
void engine_set_deadline(struct session_env *env, int64_t deadline_ms);
/* From a session whose connection has been given another address (conn_set_addresses): what it is to be told before it is closed; data
 * NULL: nothing. */
struct slice engine_turned_away(struct session_env *env);
/* From a session: hears of `topic` until it ends or unsubscribes. One topic a session; 0 none. */
void engine_subscribe(struct session_env *env, uint64_t topic);
/* From a session: whose it is, by the address of an account, which is copied; empty: nobody's. If this user's sessions have been ended since
 * the session's command began, it is ended too. False: the user has as many sessions as one may have; it is nobody's then. */
bool engine_set_user(struct session_env *env, struct slice user);
struct engine_user {
	uint64_t session;
	struct slice user;
	const char *listener;
	const struct net_address *peer;
	int64_t since_ms; /* wall */
};
/* Tells of the sessions that are somebody's, from *slot (0: the first) on. True: `tell` has said false; *slot is where to go on. From any
 * thread; `tell` must not block. */
MUST_CHECK bool engine_users(struct engine *engine, uint32_t *slot, bool (*tell)(void *context, const struct engine_user *user),
			     void *context);
/* Ends this user's sessions: their connections are shut. */
void engine_end_user(struct engine *engine, struct slice user);
/* From any thread: every parked session of that topic gets EVENT_TOPIC; one that runs a command gets it right after. */
void engine_announce(struct engine *engine, uint64_t topic);

/* How many connections the peer's address (or IPv6 network) has now; 0: it isn't counted. */
unsigned engine_connections_of_peer(struct session_env *env);
/* From a session's own command: this conn of another peer is waited for as the session's own: see conn_on_wait. */
void engine_mind_waits(struct session_env *env, struct conn *conn);
/* The same for what waits in other ways: from now on this command doesn't count; and it does again. */
void engine_wait(struct session_env *env, bool begins);

struct engine_counts {
	uint64_t connections_now, connections_total, refused_total, commands_total;
	unsigned threads_now, threads_busy;
};
struct engine_counts engine_counts(struct engine *engine);
