/* memory_conn: net/conn.h and what smtp uses of net/engine.h, on memory instead of a socket, for transcripts and fuzzing. Input comes
 * from a function that is asked when all is used up; it may look at the output first, as a client would. */
#pragma once

#include "net/engine.h"

struct conn {
	struct net_address peer, local;
	struct buf input; /* what has come; used up to `at` */
	size_t at, arrived;
	size_t piece;      /* it arrives so many bytes at a time; 0: all at once */
	struct buf output; /* gone out up to `sent` */
	size_t sent;
	unsigned sends;
	int fd; /* -1; or a socket that is looked at before the greeting */
	bool is_tls, tls_is_broken, ended;
	const struct event *event; /* set by `more`: comes while the session is parked, then is forgotten */
	/* Appends to `input`. False: the client is gone. */
	bool (*more)(void *context, struct conn *conn);
	void *context;
	int64_t deadline_ms, parked_until_ms;
};

void memory_conn_init(struct conn *conn, bool (*more)(void *, struct conn *), void *context);
void memory_conn_free(struct conn *conn);
/* More of it arrives; the client is asked if there is none. False: it is gone. */
bool memory_conn_arrive(struct conn *conn);
/* Drives a session as the engine does, from its greeting to its end. */
void memory_conn_run(struct conn *conn, const struct protocol *protocol, const struct listener *listener);
