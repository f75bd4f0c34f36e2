#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/write.h"
#include "local/deposit.h"

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define SCOPED_FD __attribute__((cleanup(close_fd)))

void deposit_failed(struct arena *arena, const char *what, struct slice path, struct local_outcome *outcome)
{
	int error = errno;
	struct buf text;

	buf_init(&text, arena, 0);
	buf_printf(&text, "%s %.*s: %s", what, SLICE_ARG(path), strerror(error));
	*outcome = (struct local_outcome){.result = LOCAL_DEFERRED,
					  .enhanced = error == ENOSPC || error == EDQUOT || error == EFBIG ? SLICE("4.2.2")
													: SLICE("4.2.0"),
					  .text = buf_slice(&text)};
}

/* A folder, made if need be; no symbolic link below the Maildir itself. */
static int open_folder(int at, const char *name, int flags)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);

	if (fd < 0 && errno == ENOENT && mkdirat(at, name, 0700) == 0)
		fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	return fd;
}

/* A name that is there already in new/ is this very letter, brought before: its file is whole, since it got its name last. */
static bool write_and_name(const struct deposit *deposit, int tmp, int new_fd, const char *name)
{
	(void)unlinkat(tmp, name, 0); /* of an attempt that was cut off; no two are at one row at the same time */
	SCOPED_FD int fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write_all(fd, deposit->letter) && fsync(fd) == 0 &&
		  (linkat(tmp, name, new_fd, name, 0) == 0 || errno == EEXIST) && fsync(new_fd) == 0;
	int error = errno;

	if (fd >= 0)
		(void)unlinkat(tmp, name, 0);
	errno = error;
	return ok;
}

void deposit_maildir(const struct deposit *deposit, struct local_outcome *outcome)
{
	char *path = slice_cstr(deposit->arena, slice_sub(deposit->path, 0, deposit->path.len - 1));
	char *name = slice_cstr(deposit->arena, deposit->name);
	SCOPED_FD int folder = open_folder(AT_FDCWD, path, 0);
	SCOPED_FD int tmp = folder >= 0 ? open_folder(folder, "tmp", O_NOFOLLOW) : -1;
	SCOPED_FD int cur = tmp >= 0 ? open_folder(folder, "cur", O_NOFOLLOW) : -1;
	SCOPED_FD int new_fd = cur >= 0 ? open_folder(folder, "new", O_NOFOLLOW) : -1;

	if (new_fd < 0 || !write_and_name(deposit, tmp, new_fd, name)) {
		deposit_failed(deposit->arena, "can't deliver to Maildir", deposit->path, outcome);
		return;
	}
	*outcome = (struct local_outcome){.result = LOCAL_DELIVERED, .enhanced = SLICE("2.0.0"), .text = SLICE("delivered to Maildir")};
}
