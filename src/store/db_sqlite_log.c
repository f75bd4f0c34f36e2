/* Invariant: bytes in `gathered` are the last that were written to the file, in one run, and nothing else happens to the file before they
 * are in it. A write that fails late is told by the call that could not go on without it: the sync of the commit at the latest. */
#include "store/db_sqlite_log.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define GATHERED_MAX (124 * 1024) /* SQLite's own xWrite takes less than 128 KB */

struct log_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct */
	char *gathered;     /* NULL: none yet */
	sqlite3_int64 offset;
	int length;
};

static struct log_file *log_of(sqlite3_file *file)
{
	return (struct log_file *)file;
}

static int flush(struct log_file *log)
{
	int length = log->length;

	log->length = 0;
	return length > 0 ? log->real->pMethods->xWrite(log->real, log->gathered, length, log->offset) : SQLITE_OK;
}

static int log_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
	struct log_file *log = log_of(file);
	int code = SQLITE_OK;

	if (log->length > 0 && (offset != log->offset + log->length || log->length + length > GATHERED_MAX))
		code = flush(log);
	if (code != SQLITE_OK)
		return code;
	if (!log->gathered)
		log->gathered = malloc(GATHERED_MAX);
	if (!log->gathered || length > GATHERED_MAX)
		return log->real->pMethods->xWrite(log->real, bytes, length, offset);
	if (log->length == 0)
		log->offset = offset;
	memcpy(log->gathered + log->length, bytes, (size_t)length);
	log->length += length;
	return SQLITE_OK;
}

static int log_read(sqlite3_file *file, void *bytes, int length, sqlite3_int64 offset)
{
	struct log_file *log = log_of(file);
	int code = flush(log);

	return code == SQLITE_OK ? log->real->pMethods->xRead(log->real, bytes, length, offset) : code;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct log_file *log = log_of(file);
	int code = flush(log);

	return code == SQLITE_OK ? log->real->pMethods->xTruncate(log->real, size) : code;
}

static int log_sync(sqlite3_file *file, int flags)
{
	struct log_file *log = log_of(file);
	int code = flush(log);

	return code == SQLITE_OK ? log->real->pMethods->xSync(log->real, flags) : code;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size)
{
	struct log_file *log = log_of(file);
	int code = flush(log);

	return code == SQLITE_OK ? log->real->pMethods->xFileSize(log->real, size) : code;
}

static int log_close(sqlite3_file *file)
{
	struct log_file *log = log_of(file);
	int flushed = flush(log), closed = log->real->pMethods->xClose(log->real);

	free(log->gathered);
	log->gathered = NULL;
	return flushed != SQLITE_OK ? flushed : closed;
}

static int log_lock(sqlite3_file *file, int level)
{
	return log_of(file)->real->pMethods->xLock(log_of(file)->real, level);
}

static int log_unlock(sqlite3_file *file, int level)
{
	return log_of(file)->real->pMethods->xUnlock(log_of(file)->real, level);
}

static int log_check_lock(sqlite3_file *file, int *reserved)
{
	return log_of(file)->real->pMethods->xCheckReservedLock(log_of(file)->real, reserved);
}

static int log_control(sqlite3_file *file, int operation, void *argument)
{
	struct log_file *log = log_of(file);
	int code = flush(log);

	return code == SQLITE_OK ? log->real->pMethods->xFileControl(log->real, operation, argument) : code;
}

static int log_sector_size(sqlite3_file *file)
{
	return log_of(file)->real->pMethods->xSectorSize(log_of(file)->real);
}

static int log_characteristics(sqlite3_file *file)
{
	return log_of(file)->real->pMethods->xDeviceCharacteristics(log_of(file)->real);
}

static const sqlite3_io_methods log_methods = {
	.iVersion = 1,
	.xClose = log_close,
	.xRead = log_read,
	.xWrite = log_write,
	.xTruncate = log_truncate,
	.xSync = log_sync,
	.xFileSize = log_size,
	.xLock = log_lock,
	.xUnlock = log_unlock,
	.xCheckReservedLock = log_check_lock,
	.xFileControl = log_control,
	.xSectorSize = log_sector_size,
	.xDeviceCharacteristics = log_characteristics,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *flags_out)
{
	sqlite3_vfs *real = vfs->pAppData;
	struct log_file *log = log_of(file);

	if (!(flags & SQLITE_OPEN_WAL))
		return real->xOpen(real, name, file, flags, flags_out);
	*log = (struct log_file){.real = (sqlite3_file *)(log + 1)};
	int code = real->xOpen(real, name, log->real, flags, flags_out);

	/* SQLite closes a file that has methods, also one that didn't open. */
	if (log->real->pMethods)
		log->base.pMethods = &log_methods;
	return code;
}

/* ---- once ---- */

static pthread_once_t registered = PTHREAD_ONCE_INIT;
static sqlite3_vfs log_vfs;

/* SQLite's own in everything else, which takes itself as its first argument nowhere but in xOpen's file. */
static void register_vfs(void)
{
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);

	if (!real)
		return;
	log_vfs = *real;
	log_vfs.zName = "posthorn";
	log_vfs.pNext = NULL;
	log_vfs.pAppData = real;
	log_vfs.szOsFile = (int)sizeof(struct log_file) + real->szOsFile;
	log_vfs.xOpen = vfs_open;
	if (sqlite3_vfs_register(&log_vfs, 0) != SQLITE_OK)
		log_vfs.zName = NULL;
}

const char *sqlite_log_vfs(void)
{
	pthread_once(&registered, register_vfs);
	return log_vfs.zName;
}
