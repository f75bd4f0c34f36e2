#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/write.h"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define SCOPED_FD __attribute__((cleanup(close_fd)))

char *file_path(struct cli *cli, const char *folder, const char *name)
{
	const struct slice parts[] = {slice_from_cstr(folder), SLICE("/"), slice_from_cstr(name)};

	return slice_cstr(&cli->arena, slice_join(&cli->arena, parts, 3));
}

bool file_failed(struct cli *cli, const char *path)
{
	const char *advice = errno == EACCES || errno == EPERM || errno == EROFS
				     ? "; run posthorn as root, or choose other places with --config FILE and --data DIR"
				     : "";

	cli_fail(cli, EXIT_FAILED, "%s can't be made: %s%s", path, strerror(errno), advice);
	return false;
}

bool file_exists(const char *path)
{
	struct stat facts;

	return lstat(path, &facts) == 0;
}

static bool make_parents(struct cli *cli, const char *path)
{
	char *part = slice_cstr(&cli->arena, slice_from_cstr(path));

	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return file_failed(cli, part);
		*slash = '/';
	}
	return true;
}

static bool is_ours(const struct stat *facts, struct file_owner owner)
{
	return facts->st_uid == geteuid() || facts->st_uid == 0 || facts->st_uid == owner.uid;
}

/* A new one gets the mode whatever the umask; one that exists keeps its own, unless it shows what should be hidden. */
static bool take_folder(int fd, bool is_new, mode_t mode, struct file_owner owner, const struct stat *facts)
{
	bool is_too_open = (mode & 077) == 0 && (facts->st_mode & 0777 & ~mode);

	if ((is_new || is_too_open) && fchmod(fd, mode) != 0)
		return false;
	return owner.uid == (uid_t)-1 || fchown(fd, owner.uid, owner.gid) == 0;
}

bool file_make_folder(struct cli *cli, const char *path, mode_t mode, struct file_owner owner)
{
	struct stat facts;
	int fd SCOPED_FD = -1;
	bool is_new;

	if (!make_parents(cli, path))
		return false;
	is_new = mkdir(path, mode) == 0;
	if (!is_new && errno != EEXIST)
		return file_failed(cli, path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &facts) != 0)
		return file_failed(cli, path);
	if (!is_ours(&facts, owner)) {
		cli_fail(cli, EXIT_FAILED, "%s belongs to another user; choose another place", path);
		return false;
	}
	return take_folder(fd, is_new, mode, owner, &facts) || file_failed(cli, path);
}

bool file_make_folder_of(struct cli *cli, const char *path)
{
	return !strchr(path, '/') || make_parents(cli, path);
}

/* Under another name first; link(2), unlike rename(2), doesn't replace what is there. */
bool file_write_new(struct cli *cli, const char *path, mode_t mode, struct file_owner owner, struct slice text)
{
	const struct slice parts[] = {slice_from_cstr(path), SLICE(".new")};
	char *draft = slice_cstr(&cli->arena, slice_join(&cli->arena, parts, 2));
	int fd SCOPED_FD = -1;
	bool written;
	int reason;

	unlink(draft); /* of a life that was cut short */
	fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return file_failed(cli, path);
	written = fchown(fd, owner.uid, owner.gid) == 0 && write_all(fd, text) && fsync(fd) == 0 && link(draft, path) == 0;
	reason = errno;
	unlink(draft);
	errno = reason;
	return written || file_failed(cli, path);
}
