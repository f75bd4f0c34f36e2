#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/write.h"
#include "local/deposit.h"

#define LOCK_AGAIN_MS 50
#define STALE_LOCK_S  500 /* as Postfix: who still works at a file touches its lock, or has long died */

struct mbox {
	const struct deposit *deposit;
	char *path, *lock_path;
	int fd;
	bool has_lock_file;
	off_t size;
	int64_t until_ms;
};

static bool wait_for_lock(const struct mbox *mbox)
{
	nanosleep(&(struct timespec){.tv_nsec = LOCK_AGAIN_MS * 1000000L}, NULL);
	return clock_monotonic_ms() < mbox->until_ms;
}

static bool refuse(int error)
{
	errno = error;
	return false;
}

/* Nobody else's file, nor one that another name leads to. */
static bool is_ours(int fd)
{
	struct stat found;

	if (fstat(fd, &found) != 0)
		return false;
	if (!S_ISREG(found.st_mode))
		return refuse(EINVAL);
	return found.st_nlink == 1 && found.st_uid == geteuid() ? true : refuse(EPERM);
}

static bool is_still_there(const struct mbox *mbox)
{
	struct stat by_name, by_fd;

	return fstat(mbox->fd, &by_fd) == 0 && lstat(mbox->path, &by_name) == 0 && by_fd.st_dev == by_name.st_dev &&
	       by_fd.st_ino == by_name.st_ino;
}

static bool lock_by_fcntl(struct mbox *mbox)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	while (fcntl(mbox->fd, F_SETLK, &whole) != 0) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return false;
		if (!wait_for_lock(mbox))
			return refuse(EAGAIN);
	}
	return true;
}

static void drop_stale_lock(const struct mbox *mbox)
{
	struct stat found;

	if (lstat(mbox->lock_path, &found) == 0 && time(NULL) - found.st_mtime > STALE_LOCK_S)
		(void)unlink(mbox->lock_path);
}

/* Where no file can be made the other lock must do. */
static bool lock_by_file(struct mbox *mbox)
{
	for (;;) {
		int fd = open(mbox->lock_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);

		if (fd >= 0) {
			(void)dprintf(fd, "%ld", (long)getpid());
			close(fd);
			mbox->has_lock_file = true;
			return true;
		}
		if (errno == EACCES || errno == EPERM || errno == EROFS)
			return true;
		if (errno != EEXIST)
			return false;
		drop_stale_lock(mbox);
		if (!wait_for_lock(mbox))
			return refuse(EAGAIN);
	}
}

static bool open_file(struct mbox *mbox)
{
	mode_t mode = mbox->deposit->for_group ? 0660 : 0600;

	mbox->fd = open(mbox->path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode);
	return mbox->fd >= 0 && is_ours(mbox->fd);
}

/* Somebody may have put another file in its place while we waited: then again. */
static bool open_locked(struct mbox *mbox)
{
	while (open_file(mbox) && lock_by_fcntl(mbox) && lock_by_file(mbox)) {
		struct stat found;

		if (is_still_there(mbox)) {
			mbox->size = fstat(mbox->fd, &found) == 0 ? found.st_size : -1;
			return mbox->size >= 0;
		}
		if (mbox->has_lock_file)
			(void)unlink(mbox->lock_path);
		mbox->has_lock_file = false;
		close(mbox->fd);
		mbox->fd = -1;
		if (!wait_for_lock(mbox))
			return refuse(EAGAIN);
	}
	return false;
}

/* What stands there may lack its last line end. */
static bool append(const struct mbox *mbox)
{
	char last = '\n';

	if (mbox->size > 0 && pread(mbox->fd, &last, 1, mbox->size - 1) != 1)
		return false;
	if ((last == '\n' || write_all(mbox->fd, SLICE("\n\n"))) && write_all(mbox->fd, mbox->deposit->letter) &&
	    write_all(mbox->fd, SLICE("\n")) && fsync(mbox->fd) == 0)
		return true;
	int error = errno;

	if (ftruncate(mbox->fd, mbox->size) == 0)
		(void)fsync(mbox->fd);
	return refuse(error);
}

static void unlock(struct mbox *mbox)
{
	int error = errno;

	if (mbox->has_lock_file)
		(void)unlink(mbox->lock_path);
	if (mbox->fd >= 0)
		close(mbox->fd); /* the other lock goes with it */
	errno = error;
}

void deposit_mbox(const struct deposit *deposit, struct local_outcome *outcome)
{
	const struct slice lock[] = {deposit->path, SLICE(".lock")};
	struct mbox mbox = {.deposit = deposit, .fd = -1, .until_ms = clock_monotonic_ms() + deposit->lock_wait_ms};
	bool ok;

	*outcome = (struct local_outcome){.result = LOCAL_DELIVERED, .enhanced = SLICE("2.0.0"), .text = SLICE("delivered to file")};
	if (slice_eq(deposit->path, SLICE("/dev/null")))
		return;
	mbox.path = slice_cstr(deposit->arena, deposit->path);
	mbox.lock_path = slice_cstr(deposit->arena, slice_join(deposit->arena, lock, 2));
	ok = open_locked(&mbox) && append(&mbox);
	unlock(&mbox);
	if (!ok)
		deposit_failed(deposit->arena, "can't deliver to file", deposit->path, outcome);
}
