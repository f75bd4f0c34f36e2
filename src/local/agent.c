/* One delivery: as root only up to become_user, which comes before any byte of the message, of the user's files or of a command is looked
 * at. Straight-line, one thread, ends the process. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "ipc/ipc.h"
#include "local/command.h"
#include "local/deposit.h"
#include "local/forward.h"
#include "local/job.h"
#include "local/letter.h"

#define JOB_MAX      (128 * 1024)
#define MESSAGE_MAX  (1024UL * 1024 * 1024)
#define FORWARD_MAX  (64 * 1024)
#define LOCK_WAIT_MS 20000
#define GROUPS_MAX   1024

struct agent {
	struct arena arena;
	struct local_job job;
	struct slice message;
	struct command_user user;
	struct slice mailbox; /* path of the user's */
	gid_t spool_gid;      /* of the folder that the mailbox is in, where its group may write there; else the user's own */
	struct local_outcome outcome;
};

__attribute__((format(printf, 4, 5))) static bool fail(struct agent *agent, enum local_result result, const char *enhanced,
						       const char *format, ...)
{
	struct buf text;
	va_list args;

	buf_init(&text, &agent->arena, 0);
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	agent->outcome = (struct local_outcome){.result = result, .enhanced = slice_from_cstr(enhanced), .text = buf_slice(&text)};
	return false;
}

/* ---- as whoever started us ---- */

static bool find_user(struct agent *agent)
{
	struct passwd *entry;

	errno = 0;
	entry = getpwnam(slice_cstr(&agent->arena, agent->job.user));
	if (!entry && errno != 0 && errno != ENOENT && errno != ESRCH)
		return fail(agent, LOCAL_DEFERRED, "4.3.0", "user %.*s can't be looked up", SLICE_ARG(agent->job.user));
	if (!entry)
		return fail(agent, agent->job.is_settings ? LOCAL_DEFERRED : LOCAL_FAILED, agent->job.is_settings ? "4.3.5" : "5.1.1",
			    "there is no user %.*s", SLICE_ARG(agent->job.user));
	if (entry->pw_uid == 0 || (!agent->job.is_settings && entry->pw_uid < agent->job.minimum_uid))
		return fail(agent, LOCAL_FAILED, "5.7.0", "mail for %.*s is for an alias, never for the user", SLICE_ARG(agent->job.user));
	agent->user = (struct command_user){
		.name = slice_dup(&agent->arena, slice_from_cstr(entry->pw_name)),
		.home = slice_dup(&agent->arena, slice_from_cstr(entry->pw_dir)),
		.shell = slice_dup(&agent->arena, slice_from_cstr(entry->pw_shell[0] ? entry->pw_shell : "/bin/sh")),
		.uid = entry->pw_uid,
		.gid = entry->pw_gid,
	};
	return true;
}

/* "~/Maildir/", "/var/mail/%u" */
static void place_mailbox(struct agent *agent)
{
	struct slice rest = agent->job.mailbox;
	struct stat folder;
	struct buf path;

	buf_init(&path, &agent->arena, 0);
	if (slice_starts_with(rest, SLICE("~/"))) {
		buf_add(&path, agent->user.home);
		rest = slice_skip(rest, 1);
	}
	while (rest.len > 0) {
		size_t at = slice_find(rest, SLICE("%u"));

		buf_add(&path, slice_sub(rest, 0, at));
		if (at != SLICE_NOT_FOUND)
			buf_add(&path, agent->user.name);
		rest = slice_skip(rest, at == SLICE_NOT_FOUND ? rest.len : at + 2);
	}
	agent->mailbox = buf_slice(&path);
	agent->spool_gid = agent->user.gid;
	char *parent = slice_cstr(&agent->arena, slice_sub(agent->mailbox, 0, slice_find_last_byte(agent->mailbox, '/')));

	if (!slice_starts_with(agent->job.mailbox, SLICE("~/")) && !slice_ends_with(agent->mailbox, SLICE("/")) &&
	    stat(parent, &folder) == 0 && (folder.st_mode & S_IWGRP) && !(folder.st_mode & S_IWOTH) && folder.st_gid != 0)
		agent->spool_gid = folder.st_gid;
}

/* The group of the mail spool is kept aside for deposit alone: nothing that a user wrote runs with it. */
static bool become_user(struct agent *agent)
{
	const struct command_user *user = &agent->user;

	if (geteuid() != 0) {
		agent->spool_gid = getegid();
		if (geteuid() == user->uid)
			return true;
		return fail(agent, LOCAL_DEFERRED, "4.3.5", "posthorn isn't started by root, and delivers as its own user only");
	}
	if (initgroups(slice_cstr(&agent->arena, user->name), user->gid) != 0 ||
	    setresgid(user->gid, user->gid, agent->spool_gid) != 0 || setresuid(user->uid, user->uid, user->uid) != 0 || setuid(0) == 0)
		return fail(agent, LOCAL_DEFERRED, "4.3.0", "can't become %.*s", SLICE_ARG(user->name));
	return prctl(PR_SET_DUMPABLE, 0) == 0;
}

static void set_limits(const struct agent *agent)
{
	const struct rlimit no_core = {0, 0}, files = {1024, 1024};
	const struct rlimit cpu = {agent->job.time_limit_s, agent->job.time_limit_s + 1};

	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)setrlimit(RLIMIT_CPU, &cpu);
	umask(077);
}

/* ---- as the user ---- */

static struct slice write_letter(struct agent *agent, unsigned flags)
{
	struct buf letter;

	buf_init(&letter, &agent->arena, 0);
	buf_reserve(&letter, agent->message.len + 1024);
	letter_write(&letter, &agent->job.request, clock_wall_ms(), flags, agent->message);
	return buf_slice(&letter);
}

/* Comes back only if it could not be run. */
static void run_command(struct agent *agent, struct slice command)
{
	if (geteuid() != 0 && setresgid(agent->user.gid, agent->user.gid, agent->user.gid) == 0)
		command_run(&agent->arena, &agent->user, &agent->job, command, write_letter(agent, LETTER_FROM));
	(void)fail(agent, LOCAL_DEFERRED, "4.3.0", "the command can't be started");
}

/* "1764000000.QBCDF...R12.mail.example.org" */
static struct slice file_name(struct agent *agent)
{
	const struct local_request *request = &agent->job.request;
	struct buf name;

	buf_init(&name, &agent->arena, 0);
	buf_printf(&name, "%lld.Q", (long long)(request->created_ms / 1000));
	for (size_t i = 0; i < request->queue_id.len; i++)
		if (ascii_is_alnum(request->queue_id.data[i]))
			buf_add_byte(&name, request->queue_id.data[i]);
	buf_printf(&name, "R%lld.%.*s", (long long)request->row, SLICE_ARG(agent->job.hostname));
	return buf_slice(&name);
}

static void into(struct agent *agent, struct slice path, bool is_mailbox)
{
	bool is_maildir = slice_ends_with(path, SLICE("/"));
	struct deposit deposit = {.arena = &agent->arena, .path = path, .name = file_name(agent), .lock_wait_ms = LOCK_WAIT_MS};

	deposit.letter = write_letter(agent, is_maildir ? 0 : LETTER_FROM | LETTER_QUOTED);
	if (is_mailbox && agent->spool_gid != agent->user.gid && getegid() != agent->spool_gid) {
		deposit.for_group = setegid(agent->spool_gid) == 0;
		umask(007);
	}
	if (is_maildir)
		deposit_maildir(&deposit, &agent->outcome);
	else
		deposit_mbox(&deposit, &agent->outcome);
}

static void into_mailbox(struct agent *agent)
{
	if (agent->job.mailbox_command.len > 0)
		run_command(agent, agent->job.mailbox_command);
	else
		into(agent, agent->mailbox, true);
}

static void do_target(struct agent *agent, struct slice target)
{
	if (slice_starts_with(target, SLICE("|")))
		run_command(agent, slice_trim(slice_skip(target, 1)));
	else if (slice_starts_with(target, SLICE("/")))
		into(agent, target, false);
	else
		into_mailbox(agent);
}

/* ---- .forward ---- */

enum forward_state { FORWARD_NONE, FORWARD_READ, FORWARD_UNREADABLE };

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Only a file that nobody but the user could have written, by one name, and no link to another's. */
static bool may_be_trusted(const struct agent *agent, int fd)
{
	struct stat found;

	return fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && found.st_uid == agent->user.uid && found.st_nlink == 1 &&
	       (found.st_mode & (S_IWGRP | S_IWOTH)) == 0 && found.st_size <= FORWARD_MAX;
}

static enum forward_state read_forward(struct agent *agent, struct slice *text)
{
	const struct slice parts[] = {agent->user.home, SLICE("/.forward")};
	char *path = slice_cstr(&agent->arena, slice_join(&agent->arena, parts, 2));
	__attribute__((cleanup(close_fd))) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct buf all;
	ssize_t got = 1;

	if (fd < 0)
		return errno == ENOENT && access(slice_cstr(&agent->arena, agent->user.home), X_OK) == 0 ? FORWARD_NONE
		       : errno == ELOOP || errno == EACCES						 ? FORWARD_NONE
													 : FORWARD_UNREADABLE;
	if (!may_be_trusted(agent, fd)) {
		agent->user.forward_ignored = true;
		return FORWARD_NONE;
	}
	buf_init(&all, &agent->arena, FORWARD_MAX + 1);
	while (got > 0) {
		char *room = buf_reserve(&all, 4096);

		got = room ? read(fd, room, 4096) : -1;
		if (got > 0)
			buf_advance(&all, (size_t)got);
	}
	*text = buf_slice(&all);
	return got < 0 ? FORWARD_UNREADABLE : FORWARD_READ;
}

/* The user's own name, or address: the mailbox, and .forward isn't asked again. Another's name behind a backslash is only a name. */
static struct slice simplify(struct agent *agent, struct slice target)
{
	const struct slice *recipient = &agent->job.request.recipient;
	struct slice bare = target.data[0] == '\\' ? slice_skip(target, 1) : target;
	size_t at = slice_find_last_byte(*recipient, '@');

	if (target.data[0] == '|' || target.data[0] == '/')
		return target;
	if (slice_eq_nocase(bare, agent->user.name) || slice_eq_nocase(bare, *recipient))
		return SLICE("\\");
	if (slice_find_byte(bare, '@') != SLICE_NOT_FOUND || at == SLICE_NOT_FOUND)
		return bare;
	return slice_join(&agent->arena, (const struct slice[]){bare, slice_skip(*recipient, at)}, 2);
}

/* What the user's .forward says now. None: it isn't there, says nothing, or isn't to be trusted. */
static bool forward_targets(struct agent *agent, struct slice **targets, size_t *count)
{
	struct slice text = SLICE_EMPTY;

	*count = 0;
	switch (agent->job.forward ? read_forward(agent, &text) : FORWARD_NONE) {
	case FORWARD_UNREADABLE:
		return fail(agent, LOCAL_DEFERRED, "4.3.0", "%.*s/.forward can't be read", SLICE_ARG(agent->user.home));
	case FORWARD_NONE:
		return true;
	case FORWARD_READ:
		break;
	}
	if (!forward_parse(&agent->arena, text, agent->user.home, targets, count)) {
		agent->user.forward_ignored = true;
		*count = 0;
	}
	for (size_t i = 0; i < *count; i++)
		(*targets)[i] = simplify(agent, (*targets)[i]);
	return true;
}

/* One thing to do is done at once; several become recipients of their own in the queue, so that each is done once. */
static void by_users_rules(struct agent *agent)
{
	struct slice *targets;
	size_t count;

	if (letter_was_here(agent->message, agent->job.request.recipient)) {
		(void)fail(agent, LOCAL_FAILED, "5.4.6", "mail forwarding loop for %.*s", SLICE_ARG(agent->job.request.recipient));
		return;
	}
	if (!forward_targets(agent, &targets, &count))
		return;
	if (count == 0)
		into_mailbox(agent);
	else if (count == 1 && strchr("|/\\", targets[0].data[0]))
		do_target(agent, targets[0]);
	else
		agent->outcome = (struct local_outcome){.result = LOCAL_FORWARDED, .enhanced = SLICE("2.0.0"),
							.text = SLICE("forwarded by the user's .forward"), .targets = targets,
							.target_count = count};
}

/* A target that no longer stands in .forward is not done: the mailbox has the letter then, so that it isn't lost. */
static void by_forward_item(struct agent *agent)
{
	struct slice *targets;
	size_t count;
	bool stands = false;

	if (!forward_targets(agent, &targets, &count))
		return;
	for (size_t i = 0; i < count; i++)
		stands = stands || slice_eq(targets[i], agent->job.target);
	do_target(agent, stands ? agent->job.target : SLICE("\\"));
}

/* ---- life ---- */

static bool read_job(struct agent *agent)
{
	char *room = arena_try_alloc(&agent->arena, JOB_MAX);
	ssize_t got = room ? pread(AGENT_JOB_FD, room, JOB_MAX, 0) : -1;

	return got > 0 && local_job_unpack(slice_of(room, (size_t)got), &agent->job);
}

static bool map_message(struct agent *agent)
{
	struct ipc_body body = {0};

	if (!ipc_body_map(AGENT_MESSAGE_FD, MESSAGE_MAX, &body))
		return fail(agent, LOCAL_DEFERRED, "4.3.0", "the message can't be read");
	agent->message = body.bytes;
	return true;
}

static void deliver(struct agent *agent)
{
	if (!find_user(agent))
		return;
	place_mailbox(agent);
	if (!become_user(agent) || !map_message(agent))
		return;
	set_limits(agent);
	if (agent->job.target.len == 0)
		by_users_rules(agent);
	else if (agent->job.is_settings)
		do_target(agent, agent->job.target);
	else
		by_forward_item(agent);
}

int local_agent_main(void)
{
	struct agent agent = {.outcome = {.result = LOCAL_DEFERRED, .enhanced = SLICE("4.3.0"), .text = SLICE("can't become the user")}};
	struct buf frame;

	(void)fcntl(AGENT_OUTCOME_FD, F_SETFD, FD_CLOEXEC);
	arena_init(&agent.arena, 0);
	if (!read_job(&agent))
		return EXIT_FAILURE;
	deliver(&agent);
	if (agent.user.forward_ignored && agent.outcome.result == LOCAL_DELIVERED)
		agent.outcome.text = slice_join(&agent.arena, (const struct slice[]){agent.outcome.text,
			SLICE("; .forward is not followed: it must be the user's own file, written by nobody else, and without faults")}, 2);
	buf_init(&frame, &agent.arena, 0);
	local_outcome_pack(&frame, &agent.outcome);
	return buf_ok(&frame) && write(AGENT_OUTCOME_FD, frame.data, frame.len) == (ssize_t)frame.len ? EXIT_SUCCESS : EXIT_FAILURE;
}
