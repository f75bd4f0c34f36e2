#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/write.h"
#include "ipc/ipc.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int ipc_memfd_open(void)
{
	return memfd_create("posthorn-body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

bool ipc_memfd_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) == 0;
}

int ipc_memfd(struct slice bytes)
{
	int fd = ipc_memfd_open();

	if (fd >= 0 && write_all(fd, bytes) && ipc_memfd_seal(fd))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

bool ipc_body_map(int fd, size_t max, struct ipc_body *body)
{
	int seals = fcntl(fd, F_GET_SEALS);
	/* Not fstat, which is a call on paths too and so not for every role. */
	off_t size = lseek(fd, 0, SEEK_END);

	*body = (struct ipc_body){.bytes = SLICE_EMPTY};
	if (seals < 0 || (seals & SEALS) != SEALS || size < 0 || (uint64_t)size > max)
		return false;
	if (size == 0)
		return true;
	body->map_len = (size_t)size;
	/* Private: kernels before 6.7 map no sealed file shared, not even for reading. */
	body->map = mmap(NULL, body->map_len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (body->map == MAP_FAILED) {
		*body = (struct ipc_body){.bytes = SLICE_EMPTY};
		return false;
	}
	body->bytes = slice_of(body->map, body->map_len);
	return true;
}

void ipc_body_unmap(struct ipc_body *body)
{
	if (body->map)
		munmap(body->map, body->map_len);
	*body = (struct ipc_body){.bytes = SLICE_EMPTY};
}
