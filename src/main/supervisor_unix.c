/* Unix sockets among the listeners. Invariant: a socket is never open to more than its mode says, not even for a moment. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "main/supervisor.h"

static int fail(struct supervisor *supervisor, const char *path, const char *what, struct error *error)
{
	(void)error_set(error, &supervisor->arena, STATUS_REFUSED, "can't listen on unix:%s: %s", path, what);
	return -1;
}

static mode_t mode_of(const struct config_listener *wanted)
{
	if (wanted->mode && wanted->mode[0])
		return (mode_t)strtoul(wanted->mode, NULL, 8);
	return slice_eq(slice_from_cstr(wanted->protocol), SLICE("local")) ? 0666 : 0660;
}

/* The folder of run-time sockets goes with each start of the system; what is above it must be there. */
static void make_folder_of(struct supervisor *supervisor, const char *path)
{
	struct slice whole = slice_from_cstr(path);
	size_t slash = slice_find_last_byte(whole, '/');

	if (slash != SLICE_NOT_FOUND && slash > 0)
		(void)mkdir(slice_cstr(&supervisor->arena, slice_sub(whole, 0, slash)), 0755);
}

/* Somebody who answers there is alive; a socket that nobody answers on was left behind by a crash. Nothing else is removed. */
static bool is_in_use(const struct sockaddr_un *address)
{
	struct stat facts;
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool answers = probe >= 0 && (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN);

	if (probe >= 0)
		close(probe);
	if (!answers && lstat(address->sun_path, &facts) == 0 && S_ISSOCK(facts.st_mode))
		(void)unlink(address->sun_path);
	return answers;
}

static bool give_to_group(const char *path, const char *name)
{
	struct group *group = name && name[0] ? getgrnam(name) : NULL;

	if (!name || !name[0])
		return true;
	return group && lchown(path, (uid_t)-1, group->gr_gid) == 0;
}

/* Bound with no permissions at all; they come when it is whose it shall be. */
static int bind_closed(const struct sockaddr_un *address, int backlog)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask = umask(0777);
	bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 && listen(fd, backlog) == 0;
	int number = errno;

	umask(mask);
	if (ok)
		return fd;
	if (fd >= 0)
		close(fd);
	errno = number;
	return -1;
}

int supervisor_bind_unix(struct supervisor *supervisor, const struct config_listener *wanted, int backlog, struct error *error)
{
	const char *path = wanted->address + sizeof("unix:") - 1;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >= sizeof(address.sun_path))
		return fail(supervisor, path, "the path is too long", error);
	make_folder_of(supervisor, path);
	if (is_in_use(&address))
		return fail(supervisor, path, "another program listens there; stop it, or choose another path", error);
	int fd = bind_closed(&address, backlog);

	if (fd < 0)
		return fail(supervisor, path, strerror(errno), error);
	if (give_to_group(path, wanted->group) && chmod(path, mode_of(wanted)) == 0)
		return fd;
	close(fd);
	return fail(supervisor, path, "its group or mode can't be set; check the listener's group", error);
}
