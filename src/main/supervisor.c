#include "main/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/search_settings.h"
#include "main/roles.h"

#define STOP_GRACE_MS 10000

static void start_log(struct supervisor *supervisor)
{
	enum log_level level = LOG_LEVEL_INFO;
	struct slice format = slice_from_cstr(supervisor->config->log.format);

	if (!log_level_parse(slice_from_cstr(supervisor->config->log.level), &level))
		level = LOG_LEVEL_INFO;
	log_init(&supervisor->log, STDERR_FILENO, slice_eq(format, SLICE("json")) ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT, level,
	         role_name(ROLE_SUPERVISOR));
}

static bool watch_signals(struct supervisor *supervisor)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &wanted, NULL) != 0)
		return false;
	supervisor->signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	return supervisor->signals >= 0;
}

static void begin_stop(struct supervisor *supervisor)
{
	if (supervisor->stopping)
		return;
	supervisor->stopping = true;
	supervisor->kill_at_ms = clock_monotonic_ms() + STOP_GRACE_MS;
	LOG_INFO(&supervisor->log, "supervisor.stopping");
	supervisor_stop_roles(supervisor);
}

/* SIGHUP: certificates and the log level are taken anew; other settings take effect at the next start, which the log says. */
static void reload(struct supervisor *supervisor)
{
	struct error error = {0};
	struct config *config = config_load_file(supervisor->config_path, &supervisor->arena, &error);

	if (!config) {
		LOG_ERROR(&supervisor->log, "supervisor.reload_failed", LOG_STR("reason", error.text));
		return;
	}
	struct config *former = supervisor->config;

	extract_leave_out_missing(config, &supervisor->arena, NULL);
	supervisor->config = config;
	if (!supervisor_read_secrets(supervisor)) {
		supervisor->config = former;
		config_free(config);
		return;
	}
	start_log(supervisor);
	supervisor_send_reload(supervisor);
	LOG_INFO(&supervisor->log, "supervisor.reloaded", LOG_INT("certificates", supervisor->pair_count),
	         LOG_CSTR("note", "certificates and log level now; other settings at the next start"));
}

static void hear_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (read(supervisor->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			supervisor_reap(supervisor);
		else if (info.ssi_signo == SIGHUP)
			reload(supervisor);
		else
			begin_stop(supervisor);
	}
}

/* Starts what is due; returns how long poll may wait. */
static int start_due_roles(struct supervisor *supervisor)
{
	int64_t now = clock_monotonic_ms();
	int64_t next = now + 60000;

	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
		struct supervised_role *one = &supervisor->roles[role];

		if (one->restart_at_ms == 0 || supervisor->stopping)
			continue;
		if (one->restart_at_ms <= now)
			supervisor_start_role(supervisor, role);
		else if (one->restart_at_ms < next)
			next = one->restart_at_ms;
	}
	if (supervisor->stopping && supervisor->kill_at_ms < next)
		next = supervisor->kill_at_ms;
	return next > now ? (int)(next - now) : 0;
}

static void kill_the_late(struct supervisor *supervisor)
{
	if (!supervisor->stopping || clock_monotonic_ms() < supervisor->kill_at_ms)
		return;
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
		if (supervisor->roles[role].pid > 0)
			kill(supervisor->roles[role].pid, SIGKILL);
	}
	supervisor->kill_at_ms = clock_monotonic_ms() + STOP_GRACE_MS;
}

/* One round of the loop: who has something to say? */
static void hear_all(struct supervisor *supervisor, int timeout_ms)
{
	struct pollfd polled[2 + ROLE_COUNT + SUPERVISOR_MAX_CLIENTS];
	size_t clients = supervisor->client_count;

	polled[0] = (struct pollfd){.fd = supervisor->signals, .events = POLLIN};
	polled[1] = (struct pollfd){.fd = supervisor->control_listener, .events = POLLIN};
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++)
		polled[2 + role] = (struct pollfd){.fd = supervisor->roles[role].control, .events = POLLIN};
	for (size_t i = 0; i < clients; i++)
		polled[2 + ROLE_COUNT + i] = (struct pollfd){.fd = supervisor->clients[i], .events = POLLIN};

	if (poll(polled, 2 + ROLE_COUNT + clients, timeout_ms) <= 0)
		return;
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
		if (polled[2 + role].revents)
			supervisor_hear_role(supervisor, role);
	}
	/* From the last to the first: hearing one may put the last in its place. */
	for (size_t i = clients; i-- > 0;) {
		if (polled[2 + ROLE_COUNT + i].revents)
			supervisor_hear_client(supervisor, i);
	}
	if (polled[1].revents)
		supervisor_accept_client(supervisor);
	if (polled[0].revents)
		hear_signals(supervisor);
}

static bool set_up(struct supervisor *supervisor)
{
	struct error error = {0};

	supervisor->config = config_load_file(supervisor->config_path, &supervisor->arena, &error);
	if (!supervisor->config) {
		fprintf(stderr, "posthorn: %.*s\n", SLICE_ARG(error.text));
		return false;
	}
	start_log(supervisor);
	extract_leave_out_missing(supervisor->config, &supervisor->arena, &supervisor->log);
	return supervisor_find_user(supervisor) && supervisor_make_folders(supervisor) && supervisor_read_secrets(supervisor) &&
	       supervisor_bind(supervisor) && supervisor_prepare_store(supervisor) && watch_signals(supervisor);
}

static void start_all(struct supervisor *supervisor)
{
	const struct config *config = supervisor->config;
	bool has_local = config->local.domains_count > 0 || config->local.targets_count > 0;

	LOG_INFO(&supervisor->log, "supervisor.started", LOG_INT("pid", getpid()), LOG_INT("listeners", supervisor->listener_count));
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
		if ((role != ROLE_METRICS || config->metrics.address) && (role != ROLE_LOCAL || has_local) &&
		    (role != ROLE_CONVERT || extract_is_on(config)))
			supervisor->roles[role].definition = role_definition(role);
		if (supervisor->roles[role].definition)
			supervisor_start_role(supervisor, role);
	}
}

int supervisor_run(const char *config_path, const char *program)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));

	if (!supervisor)
		return EXIT_FAILURE;
	arena_init(&supervisor->arena, 0);
	supervisor->config_path = config_path;
	supervisor->program = program;
	supervisor->control_listener = -1;
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++)
		supervisor->roles[role].control = -1;
	if (!set_up(supervisor))
		return EXIT_FAILURE;
	start_all(supervisor);
	while (!supervisor->stopping || supervisor_has_running(supervisor)) {
		hear_all(supervisor, start_due_roles(supervisor));
		kill_the_late(supervisor);
	}
	LOG_INFO(&supervisor->log, "supervisor.stopped");
	config_free(supervisor->config);
	arena_free(&supervisor->arena);
	free(supervisor);
	return EXIT_SUCCESS;
}
