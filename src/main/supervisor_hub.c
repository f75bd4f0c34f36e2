#include "main/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "ipc/pack.h"
#include "ipc/sessions.h"
#include "main/roles.h"

#define KIND_ROLES        "roles"
#define FRAME_ARENA_LIMIT (4 * 1024 * 1024)

void supervisor_send(struct supervisor *supervisor, enum role role, enum control_type type, struct slice payload, int fd)
{
	struct supervised_role *to = &supervisor->roles[role];

	if (to->control < 0 || control_send(to->control, type, payload, fd))
		return;
	LOG_ERROR(&supervisor->log, "supervisor.role_hangs", LOG_STR("which", role_name(role)), LOG_INT("pid", to->pid));
	if (to->pid > 0)
		kill(to->pid, SIGKILL);
}

static bool may_ask(enum role from, enum role to)
{
	const struct role_definition *definition = role_definition(from);

	return definition && to < ROLE_COUNT && (definition->may_ask & (1u << to));
}

/* A pair of sockets, one end for each. The asked role gets its end first: the channel is served as soon as it is used. -1: not now. */
static int open_channel(struct supervisor *supervisor, enum role from, enum role wanted)
{
	struct buf who SCOPED_BUF;
	int pair[2];

	if (supervisor->roles[wanted].state != ROLE_RUNNING || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	buf_init(&who, NULL, 0);
	pack_u32(&who, from);
	supervisor_send(supervisor, wanted, CONTROL_SERVE, buf_slice(&who), pair[0]);
	close(pair[0]);
	return pair[1];
}

static void make_channel(struct supervisor *supervisor, enum role from, struct slice payload)
{
	struct unpack in = unpack_begin(payload);
	struct buf answer SCOPED_BUF;
	uint32_t number = unpack_u32(&in), wanted = unpack_u32(&in);
	int fd = -1;

	if (!unpack_ok(&in))
		return;
	if (may_ask(from, (enum role)wanted))
		fd = open_channel(supervisor, from, (enum role)wanted);
	else
		LOG_WARNING(&supervisor->log, "supervisor.channel_refused", LOG_STR("from", role_name(from)), LOG_INT("to", wanted));
	buf_init(&answer, NULL, 0);
	pack_u32(&answer, number);
	supervisor_send(supervisor, from, CONTROL_CHANNEL, buf_slice(&answer), fd);
	if (fd >= 0)
		close(fd);
}

/* People ask the roles that have sessions, and those answer nothing but who is logged in (main/session_report.h). */
static bool make_client_channel(struct supervisor *supervisor, int client, struct slice payload)
{
	struct unpack in = unpack_begin(payload);
	struct buf answer SCOPED_BUF;
	uint32_t number = unpack_u32(&in), wanted = unpack_u32(&in);
	int fd = -1;

	if (unpack_ok(&in) && (wanted == ROLE_SMTP || wanted == ROLE_IMAP))
		fd = open_channel(supervisor, ROLE_SUPERVISOR, (enum role)wanted);
	buf_init(&answer, NULL, 0);
	pack_u32(&answer, number);
	bool sent = control_send(client, CONTROL_CHANNEL, buf_slice(&answer), fd);

	if (fd >= 0)
		close(fd);
	return sent;
}

/* The hub: an announcement goes to every role that hears its kind. "roles" is the supervisor's to tell, and that somebody's sessions end,
 * people's: a role that was taken over could log everybody out. */
static void announce(struct supervisor *supervisor, struct slice payload, bool by_people)
{
	struct unpack in = unpack_begin(payload);
	struct slice kind = unpack_slice(&in);

	(void)unpack_slice(&in);
	if (!unpack_ok(&in) || slice_eq(kind, SLICE(KIND_ROLES)) || (!by_people && slice_eq(kind, SLICE(IPC_SESSION_END))))
		return;
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
		const struct role_definition *definition = role_definition(role);

		if (definition && supervisor->roles[role].state == ROLE_RUNNING && role_words_have(definition->hears, kind))
			supervisor_send(supervisor, role, CONTROL_ANNOUNCE, payload, -1);
	}
}

void supervisor_tell_roles(struct supervisor *supervisor)
{
	struct buf roles SCOPED_BUF, frame SCOPED_BUF;
	uint32_t count = 0;

	if (supervisor->roles[ROLE_METRICS].state != ROLE_RUNNING)
		return;
	buf_init(&roles, NULL, 0);
	buf_init(&frame, NULL, 0);
	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
		const struct supervised_role *one = &supervisor->roles[role];

		if (!one->definition)
			continue;
		pack_u32(&roles, role);
		pack_u8(&roles, one->state == ROLE_RUNNING);
		pack_u32(&roles, one->restarts);
		count++;
	}
	struct buf payload SCOPED_BUF;

	buf_init(&payload, NULL, 0);
	pack_u32(&payload, count);
	buf_add(&payload, buf_slice(&roles));
	pack_slice(&frame, SLICE(KIND_ROLES));
	pack_slice(&frame, buf_slice(&payload));
	supervisor_send(supervisor, ROLE_METRICS, CONTROL_ANNOUNCE, buf_slice(&frame), -1);
}

static void role_is_ready(struct supervisor *supervisor, enum role role)
{
	struct supervised_role *ready = &supervisor->roles[role];

	ready->state = ROLE_RUNNING;
	LOG_INFO(&supervisor->log, "supervisor.role_ready", LOG_STR("which", role_name(role)), LOG_INT("pid", ready->pid),
	         LOG_INT("after_ms", clock_monotonic_ms() - ready->started_ms));
	supervisor_tell_roles(supervisor);
}

void supervisor_hear_role(struct supervisor *supervisor, enum role role)
{
	struct arena arena SCOPED_ARENA;
	enum control_type type;
	struct slice payload;
	int fd;

	arena_init(&arena, FRAME_ARENA_LIMIT);
	if (!control_receive(supervisor->roles[role].control, &arena, &type, &payload, &fd)) {
		/* It is ending or dead: its SIGCHLD tells the rest. */
		close(supervisor->roles[role].control);
		supervisor->roles[role].control = -1;
		return;
	}
	if (fd >= 0)
		close(fd);
	if (type == CONTROL_READY && supervisor->roles[role].state == ROLE_STARTING)
		role_is_ready(supervisor, role);
	else if (type == CONTROL_CONNECT)
		make_channel(supervisor, role, payload);
	else if (type == CONTROL_DIAL)
		supervisor_dial(supervisor, role, payload);
	else if (type == CONTROL_ANNOUNCE)
		announce(supervisor, payload, false);
	else
		LOG_WARNING(&supervisor->log, "supervisor.strange_frame", LOG_STR("from", role_name(role)), LOG_INT("type", type));
}

void supervisor_accept_client(struct supervisor *supervisor)
{
	int client = accept4(supervisor->control_listener, NULL, NULL, SOCK_CLOEXEC);

	if (client < 0)
		return;
	if (supervisor->client_count == SUPERVISOR_MAX_CLIENTS) {
		close(client);
		return;
	}
	struct timeval two_seconds = {.tv_sec = 2};
	(void)setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &two_seconds, sizeof(two_seconds));
	(void)setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &two_seconds, sizeof(two_seconds));
	supervisor->clients[supervisor->client_count++] = client;
}

static const char *state_name(enum role_state state)
{
	static const char *const names[] = {"down", "starting", "running", "stopping"};

	return names[state];
}

/* One line per role: "smtp running pid=12 restarts=0 up_ms=1234". */
static void status_report(struct supervisor *supervisor, struct buf *out)
{
	int64_t now = clock_monotonic_ms();

	for (enum role role = ROLE_SUPERVISOR; role < ROLE_COUNT; role++) {
		const struct supervised_role *one = &supervisor->roles[role];

		if (one->definition)
			buf_printf(out, "%.*s %s pid=%d restarts=%u up_ms=%lld\n", SLICE_ARG(role_name(role)), state_name(one->state),
			           (int)one->pid, one->restarts, (long long)(one->pid > 0 ? now - one->started_ms : 0));
	}
}

void supervisor_hear_client(struct supervisor *supervisor, size_t index)
{
	struct arena arena SCOPED_ARENA;
	struct buf report SCOPED_BUF;
	enum control_type type;
	struct slice payload;
	int fd = -1, client = supervisor->clients[index];

	arena_init(&arena, FRAME_ARENA_LIMIT);
	buf_init(&report, NULL, 0);
	bool ok = control_receive(client, &arena, &type, &payload, &fd);
	if (fd >= 0)
		close(fd);
	if (ok && type == CONTROL_ANNOUNCE) {
		announce(supervisor, payload, true);
		return;
	}
	if (ok && type == CONTROL_CONNECT && make_client_channel(supervisor, client, payload))
		return;
	if (ok && type == CONTROL_STATUS) {
		status_report(supervisor, &report);
		if (control_send(client, CONTROL_STATUS, buf_slice(&report), -1))
			return;
	}
	close(client);
	supervisor->clients[index] = supervisor->clients[--supervisor->client_count];
}
