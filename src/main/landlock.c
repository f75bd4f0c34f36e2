#include "main/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "main/programs.h"
#include "main/roles.h"

/* Newer than the headers of Debian 12, as the kernel's ABI defines them. */
struct ruleset_attributes {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};
struct port_rule {
	uint64_t allowed_access;
	uint64_t port;
};
#define ACCESS_FS_REFER (1ULL << 13)
#define ACCESS_FS_TRUNCATE (1ULL << 14)
#define ACCESS_FS_IOCTL_DEV (1ULL << 15)
#define ACCESS_NET_BIND_TCP (1ULL << 0)
#define ACCESS_NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_SIGNAL (1ULL << 1)
#define RULE_NET_PORT 2

/* All rights on files up to ABI 1; the later ones are added where the kernel knows them. */
#define ACCESS_FS_FIRST ((1ULL << 13) - 1)
/* What a role needs in its own folder: databases are made, read, written, locked, truncated and removed there. */
#define ACCESS_FS_FOLDER                                                                                               \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |                 \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | ACCESS_FS_TRUNCATE)

static struct ruleset_attributes ruleset_for(const struct sandbox *sandbox, int abi, size_t *size)
{
	struct ruleset_attributes attributes = {.handled_access_fs = ACCESS_FS_FIRST};

	*size = sizeof(attributes.handled_access_fs);
	if (abi >= 2)
		attributes.handled_access_fs |= ACCESS_FS_REFER;
	if (abi >= 3)
		attributes.handled_access_fs |= ACCESS_FS_TRUNCATE;
	if (abi >= 4) {
		attributes.handled_access_net = ACCESS_NET_BIND_TCP;
		if (!(sandbox->powers & POWER_CONNECT))
			attributes.handled_access_net |= ACCESS_NET_CONNECT_TCP;
		*size = 2 * sizeof(uint64_t);
	}
	if (abi >= 5)
		attributes.handled_access_fs |= ACCESS_FS_IOCTL_DEV;
	if (abi >= 6) {
		attributes.scoped = SCOPE_SIGNAL;
		*size = sizeof(attributes);
	}
	return attributes;
}

static bool add_folder(int ruleset, int folder, uint64_t handled)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = ACCESS_FS_FOLDER & handled, .parent_fd = folder};

	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

#define ACCESS_FS_PROGRAM (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE)

/* What can't be a folder's right isn't given to a file. */
static bool add_files(int ruleset, const struct program_files *files)
{
	struct landlock_path_beneath_attr rule = {LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE, files->null};
	struct stat found;

	if (files->null >= 0 && syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
		return false;
	for (size_t i = 0; i < files->count; i++) {
		bool is_folder = fstat(files->fds[i], &found) == 0 && S_ISDIR(found.st_mode);

		rule = (struct landlock_path_beneath_attr){ACCESS_FS_PROGRAM | (is_folder ? LANDLOCK_ACCESS_FS_READ_DIR : 0), files->fds[i]};
		if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
			return false;
	}
	return true;
}

static bool add_port(int ruleset, uint64_t access, unsigned port)
{
	struct port_rule rule = {.allowed_access = access, .port = port};

	return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) == 0;
}

static int version(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool landlock_is_known(void)
{
	return version() >= 1;
}

enum landlock_outcome landlock_enter(const struct sandbox *sandbox)
{
	int abi = version();

	if (abi < 1)
		return LANDLOCK_ABSENT;

	size_t size;
	struct ruleset_attributes attributes = ruleset_for(sandbox, abi, &size);
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
	if (ruleset < 0)
		return LANDLOCK_FAILED;

	bool ok = true;
	if (sandbox->folder_fd >= 0)
		ok = add_folder(ruleset, sandbox->folder_fd, attributes.handled_access_fs);
	if (ok && (sandbox->powers & POWER_PROGRAMS))
		ok = add_files(ruleset, sandbox->programs);
	if (ok && sandbox->connect_port != 0 && (attributes.handled_access_net & ACCESS_NET_CONNECT_TCP))
		ok = add_port(ruleset, ACCESS_NET_CONNECT_TCP, sandbox->connect_port);
	for (size_t i = 0; ok && i < sandbox->dns_port_count && (attributes.handled_access_net & ACCESS_NET_CONNECT_TCP); i++)
		ok = add_port(ruleset, ACCESS_NET_CONNECT_TCP, sandbox->dns_ports[i]);
	/* Port 0: a source address may be chosen. Nobody can listen there: seccomp knows no listen(). */
	if (ok && (sandbox->powers & POWER_CONNECT) && (attributes.handled_access_net & ACCESS_NET_BIND_TCP))
		ok = add_port(ruleset, ACCESS_NET_BIND_TCP, 0);
	ok = ok && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	close(ruleset);
	return ok ? LANDLOCK_DONE : LANDLOCK_FAILED;
}
