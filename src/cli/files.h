/* files: what setup makes on disk. Nothing that exists is overwritten, a file is there whole or not at all, and no symbolic link
 * is followed where ownership is given away: root may be working in a folder that another user controls. */
#pragma once

#include <sys/stat.h>

#include "cli/command.h"

/* Who gets what is made; -1 leaves it. */
struct file_owner {
	uid_t uid;
	gid_t gid;
};
#define FILE_OWNER_NONE ((struct file_owner){(uid_t)-1, (gid_t)-1})

/* DIR/name */
char *file_path(struct cli *cli, const char *folder, const char *name);
/* With the folders above it; the mode whatever the umask. One that exists must be ours, root's or its new owner's. Tells if it can't be made. */
MUST_CHECK bool file_make_folder(struct cli *cli, const char *path, mode_t mode, struct file_owner owner);
/* The folder that the file is in, if there is none yet. */
MUST_CHECK bool file_make_folder_of(struct cli *cli, const char *path);
MUST_CHECK bool file_write_new(struct cli *cli, const char *path, mode_t mode, struct file_owner owner, struct slice text);
bool file_exists(const char *path);
/* Tells why from errno; always false. */
bool file_failed(struct cli *cli, const char *path);
