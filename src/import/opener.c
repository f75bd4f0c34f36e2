#include "import/opener.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"

#define PATH_MAX_BYTES 4096

struct root {
	int fd; /* -1: none */
	size_t length;
	char path[PATH_MAX_BYTES];
};

struct opener {
	int socket; /* -1: we open ourselves */
	pid_t child;
	struct root root; /* where we open ourselves */
};

enum action { ACTION_OPEN, ACTION_MAKE_FOLDER, ACTION_SET_TIME, ACTION_SET_ROOT };

struct request {
	enum action action;
	int flags;
	mode_t mode;
	int64_t wall_ms;
	char path[PATH_MAX_BYTES];
};

struct reply {
	int error; /* an errno; 0: done */
};

/* What stands behind the root's path; NULL: it isn't below it. */
static const char *below_root(const struct root *root, const char *path)
{
	if (root->fd < 0 || strncmp(path, root->path, root->length) != 0 || path[root->length] != '/')
		return NULL;
	return path + root->length + 1;
}

static int open_place(const struct root *root, const char *path, int flags, mode_t mode)
{
	const char *rest = below_root(root, path);
	struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC | O_NOCTTY,
			       .mode = flags & O_CREAT ? mode : 0,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

	if (!rest)
		return open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
	int fd = (int)syscall(SYS_openat2, root->fd, rest, &how, sizeof how);

	/* Linux before 5.6 can't; it follows none at the path's end at least. */
	return fd < 0 && errno == ENOSYS ? openat(root->fd, rest, flags | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, mode) : fd;
}

static int make_folder(const struct root *root, const char *path)
{
	const char *rest = below_root(root, path), *slash = rest ? strrchr(rest, '/') : NULL;
	char above[PATH_MAX_BYTES];
	int result;

	if (!rest)
		return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -1;
	if (!slash)
		return mkdirat(root->fd, rest, 0700) == 0 || errno == EEXIST ? 0 : -1;
	size_t length = (size_t)(slash - path);

	memcpy(above, path, length);
	above[length] = 0;
	int fd = open_place(root, above, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return -1;
	result = mkdirat(fd, slash + 1, 0700) == 0 || errno == EEXIST ? 0 : -1;
	close(fd);
	return result;
}

static int set_time(const struct root *root, const char *path, int64_t wall_ms)
{
	struct timespec at = {wall_ms / 1000, wall_ms % 1000 * 1000000};
	int fd = open_place(root, path, O_RDONLY | O_NONBLOCK, 0);
	int result = fd >= 0 ? futimens(fd, (const struct timespec[]){at, at}) : -1;

	if (fd >= 0)
		close(fd);
	return result;
}

static int set_root(struct root *root, const char *path)
{
	size_t length = strlen(path);

	if (root->fd >= 0)
		close(root->fd);
	while (length > 1 && path[length - 1] == '/')
		length--;
	memcpy(root->path, path, length);
	root->path[length] = 0;
	root->length = length;
	root->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root->fd < 0 ? -1 : 0;
}

static int act(struct root *root, const struct request *request)
{
	switch (request->action) {
	case ACTION_OPEN:
		return open_place(root, request->path, request->flags, request->mode);
	case ACTION_MAKE_FOLDER:
		return make_folder(root, request->path);
	case ACTION_SET_TIME:
		return set_time(root, request->path, request->wall_ms);
	case ACTION_SET_ROOT:
		return set_root(root, request->path);
	}
	return -1;
}

/* ---- descriptors over a socket ---- */

static bool send_reply(int socket, struct reply reply, int fd)
{
	struct iovec data = {&reply, sizeof reply};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control.room;
		control.header = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof reply;
}

static bool receive_reply(int socket, struct reply *reply, int *fd)
{
	struct iovec data = {reply, sizeof *reply};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};

	*fd = -1;
	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof *reply)
		return false;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(header), sizeof *fd);
	return true;
}

static void serve(int socket)
{
	struct root root = {.fd = -1};
	struct request request;

	while (recv(socket, &request, sizeof request, 0) == sizeof request) {
		request.path[sizeof request.path - 1] = 0;
		int result = act(&root, &request);
		int fd = request.action == ACTION_OPEN ? result : -1;

		if (!send_reply(socket, (struct reply){result < 0 ? errno : 0}, fd))
			break;
		if (fd >= 0)
			close(fd);
	}
	_exit(0);
}

struct opener *opener_new(void)
{
	struct opener *opener = calloc(1, sizeof *opener);
	int ends[2];

	if (!opener)
		return NULL;
	opener->socket = opener->root.fd = -1;
	if (geteuid() != 0)
		return opener;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0) {
		opener->child = fork();
		if (opener->child == 0) {
			close(ends[0]);
			serve(ends[1]);
		}
		close(ends[1]);
		opener->socket = ends[0];
		if (opener->child > 0)
			return opener;
		close(ends[0]);
	}
	free(opener);
	return NULL;
}

void opener_free(struct opener *opener)
{
	if (!opener)
		return;
	if (opener->root.fd >= 0)
		close(opener->root.fd);
	if (opener->socket >= 0) {
		close(opener->socket);
		waitpid(opener->child, NULL, 0);
	}
	free(opener);
}

static int ask(struct opener *opener, struct request *request, const char *path)
{
	size_t length = strlen(path);
	struct reply reply;
	int fd;

	if (length >= sizeof request->path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(request->path, path, length + 1);
	if (opener->socket < 0)
		return act(&opener->root, request);
	if (send(opener->socket, request, sizeof *request, MSG_NOSIGNAL) != sizeof *request ||
	    !receive_reply(opener->socket, &reply, &fd)) {
		errno = EPIPE;
		return -1;
	}
	errno = reply.error;
	return reply.error != 0 ? -1 : request->action == ACTION_OPEN ? fd : 0;
}

bool opener_set_root(struct opener *opener, const char *folder)
{
	struct request request = {.action = ACTION_SET_ROOT};

	return ask(opener, &request, folder) == 0;
}

int opener_open(struct opener *opener, const char *path, int flags, mode_t mode)
{
	struct request request = {.action = ACTION_OPEN, .flags = flags, .mode = mode};

	return ask(opener, &request, path);
}

bool opener_make_folder(struct opener *opener, const char *path)
{
	struct request request = {.action = ACTION_MAKE_FOLDER};

	return ask(opener, &request, path) == 0;
}

bool opener_set_time(struct opener *opener, const char *path, int64_t wall_ms)
{
	struct request request = {.action = ACTION_SET_TIME, .wall_ms = wall_ms};

	return ask(opener, &request, path) == 0;
}

/* ---- whole files and folders ---- */

struct slice opener_read(struct opener *opener, struct arena *arena, const char *path, size_t limit)
{
	int fd = opener_open(opener, path, O_RDONLY | O_NONBLOCK, 0);
	struct stat facts;
	struct buf out;
	ssize_t got = -1;

	if (fd < 0)
		return slice_of(NULL, 0);
	buf_init(&out, arena, limit);
	if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && (uint64_t)facts.st_size <= limit) {
		buf_reserve(&out, (size_t)facts.st_size + 1);
		do {
			char *to = buf_reserve(&out, out.cap > out.len ? out.cap - out.len : 4096);

			got = to ? read(fd, to, out.cap - out.len) : -1;
			buf_advance(&out, got > 0 ? (size_t)got : 0);
		} while (got > 0);
	}
	close(fd);
	return got == 0 ? slice_of(out.data ? out.data : "", out.len) : slice_of(NULL, 0);
}

static int compare_names(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

bool opener_list(struct opener *opener, struct arena *arena, const char *path, struct slice **names, size_t *count)
{
	int fd = opener_open(opener, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	size_t capacity = 64;
	struct dirent *entry;

	*count = 0;
	*names = ARENA_ARRAY(arena, struct slice, capacity);
	if (!folder) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (*count == capacity) {
			struct slice *more = ARENA_ARRAY(arena, struct slice, capacity * 2);

			memcpy(more, *names, capacity * sizeof **names);
			*names = more;
			capacity *= 2;
		}
		(*names)[(*count)++] = slice_dup(arena, slice_from_cstr(entry->d_name));
	}
	closedir(folder);
	qsort(*names, *count, sizeof **names, compare_names);
	return true;
}
