/* log: one structured line per event, logfmt or JSON, written with one write(2).
 *
 *     LOG_INFO(log, "smtp.accepted", LOG_STR("id", queue_id), LOG_STR("from", sender), LOG_INT("size", size));
 *
 * gives   time=2026-11-24T15:00:00.123Z level=info role=smtp event=smtp.accepted id=... from=... size=...
 * Values are quoted and escaped as needed: a peer can't forge a line. Event names are `module.what`. Fields that name a
 * message are always `id` (queue id) and `message_id`. Secrets and message content are never logged.
 * A struct log is shared by all threads of a process and never changes after log_init but for the level.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct metrics;

struct log {
	int fd;
	enum log_format format;
	_Atomic int level;
	struct slice role;       /* "smtp", "imap", ... */
	struct metrics *metrics; /* what is counted (base/metrics.h); NULL: nothing. Set before there are threads */
};

enum log_field_type { LOG_FIELD_TEXT, LOG_FIELD_INT };

struct log_field {
	const char *key;
	enum log_field_type type;
	struct slice text;
	int64_t number;
};

#define LOG_STR(key, value) ((struct log_field){(key), LOG_FIELD_TEXT, (value), 0})
#define LOG_CSTR(key, value) ((struct log_field){(key), LOG_FIELD_TEXT, slice_from_cstr(value), 0})
#define LOG_INT(key, value) ((struct log_field){(key), LOG_FIELD_INT, {"", 0}, (int64_t)(value)})

void log_init(struct log *log, int fd, enum log_format format, enum log_level level, struct slice role);
/* A line is cut at 8 KB. Never fails: a log that can't be written is lost. */
void log_event(const struct log *log, enum log_level level, const char *event, const struct log_field *fields, size_t count);

#define LOG_AT(log, level, event, ...)                                                                                 \
	log_event((log), (level), (event), (const struct log_field[]){{0}, ##__VA_ARGS__} + 1,                         \
	          sizeof((const struct log_field[]){{0}, ##__VA_ARGS__}) / sizeof(struct log_field) - 1)
#define LOG_DEBUG(log, event, ...) LOG_AT(log, LOG_LEVEL_DEBUG, event, ##__VA_ARGS__)
#define LOG_INFO(log, event, ...) LOG_AT(log, LOG_LEVEL_INFO, event, ##__VA_ARGS__)
#define LOG_WARNING(log, event, ...) LOG_AT(log, LOG_LEVEL_WARNING, event, ##__VA_ARGS__)
#define LOG_ERROR(log, event, ...) LOG_AT(log, LOG_LEVEL_ERROR, event, ##__VA_ARGS__)

/* "debug", "info", "warning", "error" */
__attribute__((warn_unused_result)) bool log_level_parse(struct slice name, enum log_level *level);
