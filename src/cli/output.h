/* output: what commands print: lists with columns, for people or as JSON. The one JSON writer of the command line.
 *
 *     struct listing list = listing_new(cli, "address,name,enabled");
 *     listing_text(&list, address); listing_text(&list, name); listing_bool(&list, true);   row by row
 *     listing_print(&list);
 */
#pragma once

#include "base/json.h"
#include "cli/command.h"

#define LISTING_COLUMNS_MAX 16

enum cell_kind { CELL_TEXT, CELL_NUMBER, CELL_SIZE, CELL_LIMIT, CELL_TIME, CELL_BOOL };

struct cell {
	enum cell_kind kind;
	struct slice text;
	int64_t number;
};

struct listing {
	struct cli *cli;
	struct slice columns[LISTING_COLUMNS_MAX];
	size_t column_count;
	struct arena *arena; /* of the cells; the command's */
	struct cell *cells;  /* row after row */
	size_t cell_count, capacity;
	size_t printed; /* rows that listing_flush has printed */
};

/* `columns` separated by commas: JSON's keys, and in capitals the heads for people. */
struct listing listing_new(struct cli *cli, const char *columns);
void listing_text(struct listing *list, struct slice text);
void listing_number(struct listing *list, int64_t number);
void listing_size(struct listing *list, uint64_t bytes);  /* 5.2 MB; bytes in JSON */
void listing_limit(struct listing *list, uint64_t bytes); /* likewise; 0: none, null in JSON */
void listing_time(struct listing *list, int64_t wall_ms); /* RFC 3339; 0: none */
void listing_bool(struct listing *list, bool value);
/* As a table, or as a JSON array of objects. */
void listing_print(const struct listing *list);
/* For lists that don't fit into memory: prints the rows so far and forgets them. `arena`, if it isn't the command's, is reset. */
void listing_flush(struct listing *list);
/* After the last flush: prints what is left, and JSON's end. */
void listing_end(struct listing *list);
/* The first row alone: one line per column, or a JSON object. */
void listing_print_one(const struct listing *list);
/* A row as a JSON object, appended. */
void listing_json_row(const struct listing *list, size_t row, struct buf *out);
/* For people, who would else see nothing. */
void listing_hint(const struct listing *list, const char *hint);

/* Characters that would act on a terminal are shown as "?": queue and traces hold what strangers sent. */
void print_safely(struct slice text);
