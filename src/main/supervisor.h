/* supervisor: binds the ports, starts the roles, brings them together, restarts what dies. It never reads a byte from the network
 * and opens no database. One thread, one poll loop.
 *
 * supervisor.c     life and death of the whole
 * supervisor_spawn.c  a role's start, end and restart
 * supervisor_unix.c   Unix sockets among the listeners
 * supervisor_dial.c   connections to programs beside us, for roles that may make none
 * supervisor_hub.c    frames on the control sockets: channels, announcements, status
 */
#pragma once

#include <sys/types.h>

#include "auth/seal.h"
#include "base/arena.h"
#include "base/log.h"
#include "config/config.h"
#include "ipc/ipc.h"
#include "main/role.h"

#define SUPERVISOR_MAX_CLIENTS 16

enum role_state { ROLE_DOWN, ROLE_STARTING, ROLE_RUNNING, ROLE_STOPPING };

struct supervised_role {
	const struct role_definition *definition;
	enum role_state state;
	pid_t pid;
	int control;            /* -1: none */
	int64_t started_ms;
	int64_t restart_at_ms;  /* monotonic; 0: not waiting */
	unsigned failures;      /* deaths in short succession: the back-off */
	unsigned restarts;
};

struct supervisor {
	struct arena arena;     /* lives as long as the process */
	struct log log;
	const char *config_path;
	const char *program;    /* what is executed for a role */
	struct config *config;
	bool is_root;
	uid_t uid;
	gid_t gid;
	struct role_listener listeners[ROLE_MAX_LISTENERS];
	size_t listener_count;
	struct slice smarthost_password, client_authorities;
	struct seal_key seal_key;
	struct slice *token_keys; /* of each of auth.token_issuers */
	struct tls_pair *pairs;
	size_t pair_count;
	struct supervised_role roles[ROLE_COUNT];
	int signals;            /* signalfd */
	int control_listener;   /* DATA/control.sock, for the command line */
	int clients[SUPERVISOR_MAX_CLIENTS];
	size_t client_count;
	bool stopping;
	int64_t kill_at_ms;
};

/* `posthorn serve`: runs until SIGTERM or SIGINT. Returns the exit status. */
int supervisor_run(const char *config_path, const char *program);

/* supervisor_files.c: what only the supervisor can read. */
MUST_CHECK bool supervisor_read_secrets(struct supervisor *supervisor);
MUST_CHECK bool supervisor_make_folders(struct supervisor *supervisor);
MUST_CHECK bool supervisor_bind(struct supervisor *supervisor);
/* supervisor_unix.c: a listener "unix:/PATH", with its mode and group. -1 with *error. */
MUST_CHECK int supervisor_bind_unix(struct supervisor *supervisor, const struct config_listener *wanted, int backlog,
                                    struct error *error);
/* The user that the roles become; true also where not root. */
MUST_CHECK bool supervisor_find_user(struct supervisor *supervisor);

/* supervisor_spawn.c */
void supervisor_start_role(struct supervisor *supervisor, enum role role);
/* Brings the schema up to date in a process of its own, with the roles' powers. */
MUST_CHECK bool supervisor_prepare_store(struct supervisor *supervisor);
void supervisor_reap(struct supervisor *supervisor);
void supervisor_stop_roles(struct supervisor *supervisor);
bool supervisor_has_running(const struct supervisor *supervisor);
/* Takes the listeners and TLS pairs to a role that runs: CONTROL_RELOAD. */
void supervisor_send_reload(struct supervisor *supervisor);

/* supervisor_dial.c: CONTROL_DIAL. */
void supervisor_dial(struct supervisor *supervisor, enum role from, struct slice payload);

/* supervisor_hub.c */
void supervisor_hear_role(struct supervisor *supervisor, enum role role);
void supervisor_accept_client(struct supervisor *supervisor);
void supervisor_hear_client(struct supervisor *supervisor, size_t index);
/* Who runs, and how often each was started again: to the metrics role, when that has changed. */
void supervisor_tell_roles(struct supervisor *supervisor);
/* Sends a frame; a role that doesn't take it within two seconds hangs and is killed, to be started anew. */
void supervisor_send(struct supervisor *supervisor, enum role role, enum control_type type, struct slice payload, int fd);
