/* write: a file descriptor takes all of it. */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

/* Blocking. False: errno tells why; a part may have been written. */
__attribute__((warn_unused_result)) bool write_all(int fd, struct slice bytes);
