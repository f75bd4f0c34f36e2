#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"

struct slice status_name(enum status status)
{
	switch (status) {
	case STATUS_OK:
		return SLICE("ok");
	case STATUS_NEED_MORE:
		return SLICE("need-more");
	case STATUS_PEER:
		return SLICE("peer");
	case STATUS_NOT_FOUND:
		return SLICE("not-found");
	case STATUS_EXISTS:
		return SLICE("exists");
	case STATUS_REFUSED:
		return SLICE("refused");
	case STATUS_TEMPORARY:
		return SLICE("temporary");
	case STATUS_LIMIT:
		return SLICE("limit");
	case STATUS_BUG:
		return SLICE("bug");
	}
	return SLICE("unknown");
}

enum status error_set(struct error *error, struct arena *arena, enum status status, const char *format, ...)
{
	struct buf text;
	va_list args;

	if (!error)
		return status;
	buf_init(&text, arena, 0);
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	*error = (struct error){status, buf_slice(&text)};
	return status;
}
