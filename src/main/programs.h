/* programs: what programs of the settings that read attachments (search.converters) may see of the file system. */
#pragma once

#include "config/config.h"

#define PROGRAM_FILES_MAX 128

struct program_files {
	int fds[PROGRAM_FILES_MAX]; /* O_PATH: may be read and executed, and all below them */
	size_t count;
	int null; /* /dev/null, which may be written too */
};
/* The system's programs, libraries and their data; the programs' own files; this program. Not the configuration in /etc, nobody's data. */
void program_files_open(struct program_files *files, const struct config *config);
void program_files_close(struct program_files *files);
