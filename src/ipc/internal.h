/* What ipc.c, channel.c and serve.c share. `lock` guards what stands below it; nothing that may block is called under it. */
#pragma once

#include <pthread.h>

#include "ipc/ipc.h"
#include "ipc/metrics.h"

/* A connection to a serving role: free in its list or in the hands of one calling thread. */
struct channel {
	struct channel *next;
	int fd;
	int receive_timeout_ms; /* what SO_RCVTIMEO stands at */
	char buffer[IPC_FRAME_MAX];
};

/* A caller that waits for the supervisor's answer to its CONTROL_CONNECT; lies on the caller's stack. */
struct waiter {
	struct waiter *next;
	uint32_t number;
	bool answered;
	int fd; /* -1: role down or not allowed */
	pthread_cond_t wake;
};

/* A channel that this role serves, with its thread. */
struct server {
	struct server *next;
	struct ipc *ipc;
	pthread_t thread;
	enum role from;
	int fd;
	bool finished; /* to be joined */
	char buffer[IPC_FRAME_MAX];
};

struct ipc {
	int control_fd;
	ipc_handler handler;
	struct ipc_control_handler control;
	void *context;
	metrics_reporter metrics_reporter;
	void *metrics_context;
	const struct log *log;
	pthread_t control_thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool stopping; /* told to stop, or the supervisor is gone */
	bool gone;     /* the control socket has ended: no more channels */
	uint32_t next_number;
	struct channel *free_channels[ROLE_COUNT];
	struct waiter *waiters;
	struct server *servers;
};

/* channel.c: the control thread's share. A descriptor is taken over. */
void channel_answered(struct ipc *ipc, uint32_t number, int fd);
void channel_fail_waiters(struct ipc *ipc);
void channel_free_all(struct ipc *ipc);

/* serve.c */
void serve_start(struct ipc *ipc, enum role from, int fd);
void serve_stop_all(struct ipc *ipc);
