#include "main/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "ipc/pack.h"
#include "main/roles.h"

/* A role that dies at once again and again is started ever more slowly; one that ran for a minute begins anew. */
#define BACKOFF_FIRST_MS 50
#define BACKOFF_LAST_MS 30000
#define BACKOFF_FORGET_MS 60000

/* The child's side: nothing but async-signal-safe calls up to exec. */
static void execute_role(const char *program, const char *command, const char *name, int control)
{
	char *const arguments[] = {(char *)"posthorn", (char *)command, (char *)name, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (control == ROLE_CONTROL_FD) {
		if (fcntl(control, F_SETFD, 0) < 0)
			_exit(EXIT_FAILURE);
	} else if (dup2(control, ROLE_CONTROL_FD) < 0) {
		_exit(EXIT_FAILURE);
	}
	execv(program, arguments);
	_exit(EXIT_FAILURE);
}

static pid_t spawn(struct supervisor *supervisor, const char *command, enum role role, int *control)
{
	struct timeval two_seconds = {.tv_sec = 2};
	int pair[2], size = 1024 * 1024;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &two_seconds, sizeof(two_seconds));
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	char *name = slice_cstr(&supervisor->arena, role_name(role));
	pid_t pid = fork();
	if (pid == 0)
		execute_role(supervisor->program, command, name, pair[1]);
	close(pair[1]);
	if (pid < 0)
		close(pair[0]);
	*control = pid < 0 ? -1 : pair[0];
	return pid;
}

/* What the administrator's commands are is nobody's affair but the local role's. */
static void hide_commands(struct config *config, struct arena *arena)
{
	struct config_local_target *targets = ARENA_ARRAY(arena, struct config_local_target, config->local.targets_count + 1);

	for (unsigned i = 0; i < config->local.targets_count; i++)
		targets[i] = (struct config_local_target){config->local.targets[i].name, config->local.targets[i].user,
							  (char *)"/dev/null"};
	config->local.targets = targets;
	config->local.mailbox_command = NULL;
}

/* A role learns what it needs to know and no more. */
static bool configuration_for(struct supervisor *supervisor, const struct role_definition *definition, struct arena *arena,
                              struct buf *out)
{
	struct config reduced = *supervisor->config;
	struct role_configuration configuration = {.uid = supervisor->uid, .gid = supervisor->gid};

	if (!(definition->powers & (POWER_STORE | POWER_AUTH)))
		reduced.store.url = (char *)"sqlite";
	reduced.relay.smarthost_password_file = NULL;
	if (definition->role != ROLE_LOCAL)
		hide_commands(&reduced, arena);
	if (!config_to_text(&reduced, arena, &configuration.config_text))
		return false;
	if (definition->role == ROLE_RELAY) {
		configuration.smarthost_password = supervisor->smarthost_password;
		configuration.seal_key = slice_of((const char *)supervisor->seal_key.bytes, SEAL_KEY_SIZE);
	}
	if (definition->powers & POWER_AUTH) {
		configuration.token_keys = supervisor->token_keys;
		configuration.token_key_count = supervisor->config->auth.token_issuers_count;
	}
	if (definition->powers & POWER_ACCEPT) {
		configuration.client_authorities = supervisor->client_authorities;
		configuration.pairs = supervisor->pairs;
		configuration.pair_count = supervisor->pair_count;
	}
	role_configuration_pack(out, &configuration);
	return buf_ok(out);
}

static void send_listeners(struct supervisor *supervisor, const struct role_definition *definition)
{
	for (size_t i = 0; i < supervisor->listener_count; i++) {
		const struct role_listener *listener = &supervisor->listeners[i];
		struct buf payload SCOPED_BUF;

		if (!role_words_have(definition->listeners, listener->protocol))
			continue;
		buf_init(&payload, NULL, 0);
		pack_slice(&payload, listener->protocol);
		pack_u8(&payload, listener->proxy);
		pack_u32(&payload, listener->index);
		supervisor_send(supervisor, definition->role, CONTROL_LISTENER, buf_slice(&payload), listener->fd);
	}
}

static void send_setup(struct supervisor *supervisor, const struct role_definition *definition)
{
	struct arena arena SCOPED_ARENA;
	struct buf payload SCOPED_BUF;

	arena_init(&arena, 0);
	buf_init(&payload, NULL, 0);
	if (!configuration_for(supervisor, definition, &arena, &payload)) {
		LOG_ERROR(&supervisor->log, "supervisor.configuration_unwritable", LOG_STR("which", role_name(definition->role)));
		return;
	}
	supervisor_send(supervisor, definition->role, CONTROL_CONFIGURE, buf_slice(&payload), -1);
	send_listeners(supervisor, definition);
	supervisor_send(supervisor, definition->role, CONTROL_START, SLICE_EMPTY, -1);
}

void supervisor_start_role(struct supervisor *supervisor, enum role role)
{
	struct supervised_role *one = &supervisor->roles[role];

	one->restart_at_ms = 0;
	one->pid = spawn(supervisor, "role", role, &one->control);
	if (one->pid < 0) {
		LOG_ERROR(&supervisor->log, "supervisor.fork_failed", LOG_STR("which", role_name(role)), LOG_INT("errno", errno));
		one->restart_at_ms = clock_monotonic_ms() + BACKOFF_LAST_MS;
		return;
	}
	one->state = ROLE_STARTING;
	one->started_ms = clock_monotonic_ms();
	send_setup(supervisor, one->definition);
}

/* Waits for a child that does one thing and ends. */
static bool run_to_end(struct supervisor *supervisor, enum role role)
{
	struct supervised_role *one = &supervisor->roles[role];
	int status = 0;

	one->pid = spawn(supervisor, "prepare", role, &one->control);
	if (one->pid < 0)
		return false;
	send_setup(supervisor, role_definition(role));
	while (waitpid(one->pid, &status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	close(one->control);
	one->control = -1;
	one->pid = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool supervisor_prepare_store(struct supervisor *supervisor)
{
	return run_to_end(supervisor, ROLE_DELIVER) && run_to_end(supervisor, ROLE_AUTH);
}

static void schedule_restart(struct supervisor *supervisor, struct supervised_role *one)
{
	int64_t now = clock_monotonic_ms();
	int64_t delay = BACKOFF_FIRST_MS;

	if (now - one->started_ms > BACKOFF_FORGET_MS)
		one->failures = 0;
	for (unsigned i = 0; i < one->failures && delay < BACKOFF_LAST_MS; i++)
		delay *= 2;
	if (delay > BACKOFF_LAST_MS)
		delay = BACKOFF_LAST_MS;
	/* The first death is answered at once. */
	one->restart_at_ms = one->failures == 0 ? now : now + delay;
	one->failures++;
	one->restarts++;
	LOG_INFO(&supervisor->log, "supervisor.role_restarts", LOG_STR("which", role_name(one->definition->role)),
	         LOG_INT("in_ms", one->restart_at_ms - now));
}

static void role_died(struct supervisor *supervisor, struct supervised_role *one, int status)
{
	bool expected = supervisor->stopping;

	LOG_AT(&supervisor->log, expected ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "supervisor.role_ended",
	       LOG_STR("which", role_name(one->definition->role)), LOG_INT("pid", one->pid),
	       LOG_INT("exit_status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
	       LOG_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
	if (one->control >= 0)
		close(one->control);
	one->control = -1;
	one->pid = 0;
	one->state = ROLE_DOWN;
	if (!expected)
		schedule_restart(supervisor, one);
	supervisor_tell_roles(supervisor);
}

void supervisor_reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
			if (supervisor->roles[role].pid == pid)
				role_died(supervisor, &supervisor->roles[role], status);
		}
	}
}

void supervisor_stop_roles(struct supervisor *supervisor)
{
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
		struct supervised_role *one = &supervisor->roles[role];

		one->restart_at_ms = 0;
		if (one->pid <= 0)
			continue;
		one->state = ROLE_STOPPING;
		if (one->control >= 0 && !control_send(one->control, CONTROL_STOP, SLICE_EMPTY, -1))
			kill(one->pid, SIGKILL);
	}
}

bool supervisor_has_running(const struct supervisor *supervisor)
{
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
		if (supervisor->roles[role].pid > 0)
			return true;
	}
	return false;
}

void supervisor_send_reload(struct supervisor *supervisor)
{
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
		const struct supervised_role *one = &supervisor->roles[role];
		struct arena arena SCOPED_ARENA;
		struct buf payload SCOPED_BUF;

		arena_init(&arena, 0);
		buf_init(&payload, NULL, 0);
		if (one->state == ROLE_RUNNING && configuration_for(supervisor, one->definition, &arena, &payload))
			supervisor_send(supervisor, role, CONTROL_RELOAD, buf_slice(&payload), -1);
	}
}
