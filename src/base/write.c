#include "base/write.h"

#include <errno.h>
#include <unistd.h>

bool write_all(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t written = write(fd, bytes.data, bytes.len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		bytes = slice_skip(bytes, (size_t)written);
	}
	return true;
}
