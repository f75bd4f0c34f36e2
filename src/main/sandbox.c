/* Invariant: a system call that stands in no list here is answered EPERM, whatever a role or its libraries try. */
#include "main/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "main/landlock.h"
#include "main/roles.h"

/* What any threaded program needs to live. */
static const int calls_basic[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(fstat),
	SCMP_SYS(lseek), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(futex),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(restart_syscall), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_getres), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname), SCMP_SYS(getrlimit), SCMP_SYS(prlimit64), SCMP_SYS(sysinfo),
	SCMP_SYS(getrusage), SCMP_SYS(tgkill), SCMP_SYS(pipe2), SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
	SCMP_SYS(pselect6), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(membarrier),
	/* the sockets that it was given */
	SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
};

static const int calls_accept[] = {SCMP_SYS(accept4), SCMP_SYS(accept)};
static const int calls_connect[] = {SCMP_SYS(connect), SCMP_SYS(bind)};

/* A database in the role's folder: Landlock (and a chroot, where started by root) says which. */
static const int calls_files[] = {
	SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(fchmod),
	SCMP_SYS(fchown), SCMP_SYS(getdents64), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(flock), SCMP_SYS(msync), SCMP_SYS(utimensat),
	SCMP_SYS(rename),
};

/* What starting programs takes, and what their own filters and limits do; and what they do that no role does. */
static const int calls_programs[] = {
	SCMP_SYS(execve), SCMP_SYS(vfork), SCMP_SYS(wait4), SCMP_SYS(waitid), SCMP_SYS(kill), SCMP_SYS(pidfd_open), SCMP_SYS(dup2),
	SCMP_SYS(dup3), SCMP_SYS(seccomp), SCMP_SYS(prctl), SCMP_SYS(setrlimit), SCMP_SYS(pipe),
};
static const int calls_of_programs[] = {
	SCMP_SYS(arch_prctl), SCMP_SYS(set_tid_address), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat),
	SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(getdents64), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(fadvise64),
	SCMP_SYS(umask), SCMP_SYS(getpgrp), SCMP_SYS(getpgid), SCMP_SYS(getsid), SCMP_SYS(getgroups), SCMP_SYS(getresuid),
	SCMP_SYS(getresgid), SCMP_SYS(times), SCMP_SYS(getpriority), SCMP_SYS(rt_sigpending), SCMP_SYS(dup2), SCMP_SYS(dup3),
	SCMP_SYS(chdir), SCMP_SYS(fchdir), SCMP_SYS(pipe), SCMP_SYS(execve), SCMP_SYS(wait4), SCMP_SYS(get_robust_list), SCMP_SYS(mlock),
};
/* Basic ones that a converter doesn't get: memory that its limits don't count, and power over its siblings. */
static const int calls_not_of_converters[] = {
	SCMP_SYS(memfd_create), SCMP_SYS(tgkill), SCMP_SYS(prlimit64), SCMP_SYS(fcntl), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendto),
	SCMP_SYS(recvfrom), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown), SCMP_SYS(setsockopt),
};
/* Those of our own readers: no name of anything. */
static const int calls_of_readers[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(lseek), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect),
	SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
};

static bool allow_all(scmp_filter_ctx filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) != 0)
			return false;
	}
	return true;
}
#define ALLOW_ALL(filter, calls) allow_all((filter), (calls), sizeof(calls) / sizeof((calls)[0]))

static bool allow_socket_family(scmp_filter_ctx filter, int family)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, (unsigned)family)) == 0;
}

/* Threads, never processes. clone3 hides its flags in memory: glibc falls back to clone at ENOSYS. */
static bool allow_threads(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
	                        SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

/* Python and others close at exec in this way, and ask whether they write to a terminal. */
static bool allow_program_options(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIOCLEX)) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, TCGETS)) == 0;
}

/* And what these may do, since they inherit the filter. */
static bool allow_processes(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 0) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 && ALLOW_ALL(filter, calls_programs) &&
	       ALLOW_ALL(filter, calls_of_programs) && allow_program_options(filter);
}

static bool allow_harmless_options(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONBIO)) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD)) == 0;
}

static bool fill_filter(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
	bool connects = (sandbox->powers & POWER_CONNECT) || sandbox->connect_port != 0 || sandbox->dns_port_count > 0;
	bool starts = (sandbox->powers & POWER_PROGRAMS) != 0;
	bool ok = ALLOW_ALL(filter, calls_basic) && (starts ? allow_processes(filter) : allow_threads(filter)) && allow_harmless_options(filter);

	if (sandbox->powers & POWER_ACCEPT)
		ok = ok && ALLOW_ALL(filter, calls_accept);
	if (sandbox->folder_fd >= 0)
		ok = ok && ALLOW_ALL(filter, calls_files);
	if (connects || sandbox->unix_sockets)
		ok = ok && ALLOW_ALL(filter, calls_connect);
	if (connects)
		ok = ok && allow_socket_family(filter, AF_INET) && allow_socket_family(filter, AF_INET6);
	if (sandbox->unix_sockets)
		ok = ok && allow_socket_family(filter, AF_UNIX);
	return ok;
}

static void release_filter(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

static bool enter_seccomp(const struct sandbox *sandbox)
{
	__attribute__((cleanup(release_filter))) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

	if (!filter || !fill_filter(filter, sandbox))
		return false;
	/* The filter runs at every system call: a tree of comparisons rather than a list. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return seccomp_load(filter) == 0;
}

bool sandbox_enter(const struct sandbox *sandbox, const struct log *log)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		LOG_ERROR(log, "sandbox.no_new_privs_failed", LOG_INT("errno", errno));
		return false;
	}
	switch (landlock_enter(sandbox)) {
	case LANDLOCK_FAILED:
		LOG_ERROR(log, "sandbox.landlock_failed", LOG_INT("errno", errno));
		return false;
	case LANDLOCK_ABSENT:
		LOG_WARNING(log, "sandbox.landlock_absent", LOG_CSTR("advice", "use Linux 5.13 or later with Landlock enabled"));
		break;
	case LANDLOCK_DONE:
		break;
	}
	if (!enter_seccomp(sandbox)) {
		LOG_ERROR(log, "sandbox.seccomp_failed", LOG_INT("errno", errno));
		return false;
	}
	return true;
}

/* ---- converters ---- */

static bool is_one_of(int call, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (calls[i] == call)
			return true;
	}
	return false;
}

static bool allow_for_program(scmp_filter_ctx filter)
{
	bool ok = ALLOW_ALL(filter, calls_of_programs) && allow_harmless_options(filter) && allow_program_options(filter);

	for (size_t i = 0; ok && i < sizeof(calls_basic) / sizeof(calls_basic[0]); i++) {
		if (!is_one_of(calls_basic[i], calls_not_of_converters, sizeof(calls_not_of_converters) / sizeof(calls_not_of_converters[0])))
			ok = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls_basic[i], 0) == 0;
	}
	/* Its own limits may be asked for; of descriptors all but who is told of them. */
	return ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0)) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_LT, F_SETOWN)) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_DUPFD_CLOEXEC)) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

bool sandbox_enter_converter(enum sandbox_converter kind)
{
	__attribute__((cleanup(release_filter))) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	bool ok = filter && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;

	/* A signal to itself: abort. */
	ok = ok && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (unsigned)getpid())) == 0;
	ok = ok && (kind == SANDBOX_PROGRAM ? allow_for_program(filter) : ALLOW_ALL(filter, calls_of_readers));
	return ok && seccomp_load(filter) == 0;
}
