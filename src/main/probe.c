#include "main/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/role.h"
#include "main/roles.h"
#include "main/store_place.h"
#include "net/conn.h"

/* Did the kernel's answer mean "you may not"? A refused connection, say, was allowed to be tried. What is there and can't be seen is out of
 * reach as well: a chroot. */
static bool allowed(long result)
{
	return result >= 0 || (errno != EPERM && errno != EACCES && errno != ENOENT);
}

static bool try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	bool may = allowed(fd);

	if (fd >= 0)
		close(fd);
	return may;
}

static bool try_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	bool may = allowed(fd);

	if (fd >= 0)
		close(fd);
	return may;
}

static bool try_connect(void)
{
	struct net_address address = {.family = AF_INET, .bytes = {127, 0, 0, 1}, .port = 1};
	struct sockaddr_storage sockaddr;
	socklen_t length = net_address_to_sockaddr(&address, &sockaddr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	bool may = allowed(connect(fd, (struct sockaddr *)&sockaddr, length));
	close(fd);
	return may;
}

static bool try_listen(void)
{
	struct net_address address = {.family = AF_INET, .bytes = {127, 0, 0, 1}, .port = 64999};
	struct sockaddr_storage sockaddr;
	socklen_t length = net_address_to_sockaddr(&address, &sockaddr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	bool may = allowed(bind(fd, (struct sockaddr *)&sockaddr, length));
	close(fd);
	return may;
}

static bool try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return allowed(pid);
}

/* In a process of its own, where there may be one: it doesn't come back. */
static bool try_exec(void)
{
	char *const arguments[] = {(char *)"true", NULL};
	int status = EXIT_FAILURE;
	pid_t pid = fork();

	if (pid > 0)
		return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
	bool may = allowed(execv("/bin/true", arguments));

	if (pid == 0)
		_exit(may ? EXIT_SUCCESS : EXIT_FAILURE);
	return may;
}

static bool try_folder(struct slice folder, struct arena *arena)
{
	struct slice parts[] = {folder, SLICE("/probe.tmp")};
	char *path = slice_cstr(arena, slice_join(arena, parts, 2));

	if (folder.len == 0 || !try_open(path, O_RDWR | O_CREAT))
		return false;
	return allowed(unlink(path));
}

static void report(const char *name, bool may)
{
	dprintf(STDOUT_FILENO, "%s=%s\n", name, may ? "allowed" : "refused");
}

static void try_everything(struct role_setup *setup, struct slice folder, const char *outside)
{
	report("open_etc", try_open("/etc/passwd", O_RDONLY));
	report("open_proc", try_open("/proc/self/maps", O_RDONLY));
	report("open_outside", outside ? try_open(outside, O_RDONLY) : false);
	report("create_tmp", try_open("/tmp/posthorn-probe", O_WRONLY | O_CREAT));
	report("folder_write", try_folder(folder, &setup->arena));
	report("mkdir", allowed(mkdir("probe.dir", 0700)));
	report("symlink", allowed(symlink("/etc/passwd", "probe.link")));
	report("socket_inet", try_socket(AF_INET, SOCK_STREAM));
	report("socket_unix", try_socket(AF_UNIX, SOCK_STREAM));
	report("socket_netlink", try_socket(AF_NETLINK, SOCK_RAW));
	report("connect", try_connect());
	report("listen", try_listen());
	report("fork", try_fork());
	report("exec", try_exec());
	report("kill_parent", allowed(kill(getppid(), 0)));
	report("ptrace", allowed(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)));
	report("mount", allowed(mount("none", "/", "tmpfs", 0, NULL)));
	report("unshare", allowed(unshare(CLONE_NEWUSER)));
	report("become_root", allowed(setresuid(0, 0, 0)));
	report("chroot", allowed(chroot("/")));
	report("bpf", allowed(syscall(SYS_bpf, 0, NULL, 0)));
	report("io_uring", allowed(syscall(SYS_io_uring_setup, 0, NULL)));
	report("userfaultfd", allowed(syscall(SYS_userfaultfd, 0)));
}

int probe_run(enum role role, const char *config_path)
{
	struct role_setup setup = {.definition = role_definition(role), .control_fd = -1, .uid = (uid_t)-1, .gid = (gid_t)-1};
	struct error error = {0};

	arena_init(&setup.arena, 0);
	log_init(&setup.log, STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO, role_name(role));
	setup.config = config_load_file(config_path, &setup.arena, &error);
	if (!setup.definition || !setup.config) {
		fprintf(stderr, "posthorn probe: %.*s\n", SLICE_ARG(error.text));
		return EXIT_FAILURE;
	}
	struct passwd *user = geteuid() == 0 ? getpwnam(setup.config->user) : NULL;
	if (user) {
		setup.uid = user->pw_uid;
		setup.gid = user->pw_gid;
	}
	/* Another role's folder, by the path that would reach it if there were no chroot. */
	struct slice other[] = {slice_from_cstr(setup.config->data), SLICE("/"),
	                        setup.definition->powers & POWER_STORE ? SLICE(FOLDER_AUTH) : SLICE(FOLDER_STORE)};
	const char *outside = slice_cstr(&setup.arena, slice_join(&setup.arena, other, 3));
	struct store_place place = store_place_of(&setup);

	/* As the supervisor has it at its first start. */
	if (place.chroot_folder.len > 0)
		(void)mkdir(slice_cstr(&setup.arena, place.chroot_folder), place.inside_folder.len > 0 ? 0700 : 0555);
	if (!role_enter_sandbox(&setup))
		return EXIT_FAILURE;
	try_everything(&setup, place.inside_folder, outside);
	config_free(setup.config);
	arena_free(&setup.arena);
	return EXIT_SUCCESS;
}
