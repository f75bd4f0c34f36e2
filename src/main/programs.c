#include "main/programs.h"

#include <fcntl.h>
#include <unistd.h>

#include "extract/converters.h"

static const char *const system_files[] = {
	"/usr",
	"/bin",
	"/lib",
	"/lib32",
	"/lib64",
	"/libx32",
	"/etc/ld.so.cache",
	"/etc/alternatives",
	"/etc/fonts",
	"/etc/catdocrc",
	"/dev/zero",
	"/dev/urandom",
	"/proc/self/exe",
/* A sanitizer looks at its own process when it starts. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	"/proc",
#endif
};

static void add(struct program_files *files, const char *path)
{
	int fd = files->count < PROGRAM_FILES_MAX ? open(path, O_PATH | O_CLOEXEC) : -1;

	if (fd >= 0)
		files->fds[files->count++] = fd;
}

void program_files_open(struct program_files *files, const struct config *config)
{
	struct arena arena SCOPED_ARENA;

	files->count = 0;
	files->null = open("/dev/null", O_PATH | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(system_files) / sizeof(system_files[0]); i++)
		add(files, system_files[i]);
	for (unsigned i = 0; i < config->search.converters_count; i++)
		add(files, slice_cstr(&arena, converter_program(slice_from_cstr(config->search.converters[i].command))));
}

void program_files_close(struct program_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		close(files->fds[i]);
	if (files->null >= 0)
		close(files->null);
}
