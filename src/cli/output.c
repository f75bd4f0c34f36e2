#include "cli/output.h"

#include <stdio.h>

#include "base/clock.h"

struct listing listing_new(struct cli *cli, const char *columns)
{
	struct listing list = {.cli = cli, .arena = &cli->arena};
	struct slice rest = slice_from_cstr(columns);

	while (rest.len && list.column_count < LISTING_COLUMNS_MAX)
		list.columns[list.column_count++] = slice_cut(&rest, ',');
	return list;
}

static void add(struct listing *list, struct cell cell)
{
	if (list->cell_count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 64;
		struct cell *cells = ARENA_ARRAY(list->arena, struct cell, capacity);

		if (list->cells)
			memcpy(cells, list->cells, list->cell_count * sizeof(cell));
		list->cells = cells;
		list->capacity = capacity;
	}
	list->cells[list->cell_count++] = cell;
}

void listing_text(struct listing *list, struct slice text)
{
	add(list, (struct cell){CELL_TEXT, text, 0});
}

void listing_number(struct listing *list, int64_t number)
{
	add(list, (struct cell){CELL_NUMBER, SLICE_EMPTY, number});
}

void listing_size(struct listing *list, uint64_t bytes)
{
	add(list, (struct cell){CELL_SIZE, SLICE_EMPTY, (int64_t)bytes});
}

void listing_limit(struct listing *list, uint64_t bytes)
{
	add(list, (struct cell){CELL_LIMIT, SLICE_EMPTY, (int64_t)bytes});
}

void listing_time(struct listing *list, int64_t wall_ms)
{
	add(list, (struct cell){CELL_TIME, SLICE_EMPTY, wall_ms});
}

void listing_bool(struct listing *list, bool value)
{
	add(list, (struct cell){CELL_BOOL, SLICE_EMPTY, value});
}

/* ---- JSON (RFC 8259) ---- */

static void json_cell(struct buf *out, const struct cell *cell)
{
	struct buf time SCOPED_BUF;

	switch (cell->kind) {
	case CELL_TEXT:
		json_string(out, cell->text);
		return;
	case CELL_BOOL:
		buf_add(out, cell->number ? SLICE("true") : SLICE("false"));
		return;
	case CELL_LIMIT:
		if (cell->number)
			buf_add_i64(out, cell->number);
		else
			buf_add_literal(out, "null");
		return;
	case CELL_TIME:
		if (cell->number == 0) {
			buf_add_literal(out, "null");
			return;
		}
		clock_format_rfc3339(&time, cell->number);
		json_string(out, buf_slice(&time));
		return;
	default:
		buf_add_i64(out, cell->number);
	}
}

void listing_json_row(const struct listing *list, size_t row, struct buf *out)
{
	buf_add_byte(out, '{');
	for (size_t i = 0; i < list->column_count; i++) {
		if (i)
			buf_add_byte(out, ',');
		json_string(out, list->columns[i]);
		buf_add_byte(out, ':');
		json_cell(out, &list->cells[row * list->column_count + i]);
	}
	buf_add_byte(out, '}');
}

/* ---- for people ---- */

static void add_size(struct buf *out, uint64_t bytes)
{
	static const char units[] = "KMGTP";
	double value = (double)bytes;
	int unit = -1;

	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	if (unit < 0)
		buf_printf(out, "%llu B", (unsigned long long)bytes);
	else
		buf_printf(out, "%.1f %cB", value, units[unit]);
}

/* What a terminal may show: no control characters, not even C1 ones. */
static void add_safely(struct buf *out, struct slice text)
{
	bool is_utf8 = slice_is_utf8(text);

	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		bool is_c1 = byte == 0xC2 && i + 1 < text.len && (unsigned char)text.data[i + 1] < 0xA0;

		if (byte == '\t')
			buf_add_byte(out, ' ');
		else if (byte < ' ' || byte == 0x7f || (byte >= 0x80 && !is_utf8) || is_c1)
			buf_add_byte(out, '?');
		else
			buf_add_byte(out, (char)byte);
		i += is_c1;
	}
}

void print_safely(struct slice text)
{
	struct buf out SCOPED_BUF;

	add_safely(&out, text);
	fwrite(buf_slice(&out).data, 1, out.len, stdout);
}

static struct slice cell_text(const struct listing *list, const struct cell *cell)
{
	struct buf out;

	buf_init(&out, list->arena, 0);
	if (cell->kind == CELL_TEXT)
		add_safely(&out, cell->text);
	else if (cell->kind == CELL_BOOL)
		buf_add(&out, cell->number ? SLICE("yes") : SLICE("no"));
	else if (cell->kind == CELL_SIZE || (cell->kind == CELL_LIMIT && cell->number))
		add_size(&out, (uint64_t)cell->number);
	else if (cell->kind == CELL_TIME && cell->number)
		clock_format_rfc3339(&out, cell->number);
	else if (cell->kind == CELL_NUMBER)
		buf_add_i64(&out, cell->number);
	return out.len ? buf_slice(&out) : SLICE("-");
}

/* Characters, as far as that tells the width on a screen. */
static size_t width_of(struct slice text)
{
	size_t width = 0;

	for (size_t i = 0; i < text.len; i++)
		width += ((unsigned char)text.data[i] & 0xC0) != 0x80;
	return width;
}

static void print_padded(struct slice text, size_t width, bool last)
{
	fwrite(text.data, 1, text.len, stdout);
	if (!last)
		printf("%*s", (int)(width - width_of(text) + 2), "");
}

static void print_heads(const struct listing *list, const size_t *widths)
{
	for (size_t i = 0; i < list->column_count; i++) {
		char *head = slice_cstr(list->arena, list->columns[i]);

		for (char *at = head; *at; at++)
			*at = *at == '_' ? ' ' : ascii_upper(*at);
		print_padded(slice_from_cstr(head), widths[i], i + 1 == list->column_count);
	}
	putchar('\n');
}

static void print_table(const struct listing *list)
{
	struct slice *texts = ARENA_ARRAY(list->arena, struct slice, list->cell_count);
	size_t widths[LISTING_COLUMNS_MAX];

	for (size_t i = 0; i < list->column_count; i++)
		widths[i] = width_of(list->columns[i]);
	for (size_t i = 0; i < list->cell_count; i++) {
		size_t column = i % list->column_count;

		texts[i] = cell_text(list, &list->cells[i]);
		if (width_of(texts[i]) > widths[column])
			widths[column] = width_of(texts[i]);
	}
	if (list->printed == 0)
		print_heads(list, widths);
	for (size_t i = 0; i < list->cell_count; i++) {
		size_t column = i % list->column_count;

		print_padded(texts[i], widths[column], column + 1 == list->column_count);
		if (column + 1 == list->column_count)
			putchar('\n');
	}
}

static void print_json_rows(const struct listing *list)
{
	struct buf out SCOPED_BUF;

	for (size_t row = 0; row < list->cell_count / list->column_count; row++) {
		buf_add(&out, list->printed + row > 0 ? SLICE(",\n ") : SLICE("["));
		listing_json_row(list, row, &out);
	}
	fwrite(buf_slice(&out).data, 1, out.len, stdout);
}

void listing_flush(struct listing *list)
{
	if (list->cli->json)
		print_json_rows(list);
	else if (list->cell_count)
		print_table(list);
	list->printed += list->cell_count / list->column_count;
	list->cell_count = 0;
	if (list->arena == &list->cli->arena)
		return;
	arena_reset(list->arena);
	list->cells = NULL;
	list->capacity = 0;
}

void listing_end(struct listing *list)
{
	listing_flush(list);
	if (list->cli->json)
		fputs(list->printed ? "]\n" : "[]\n", stdout);
}

void listing_print(const struct listing *list)
{
	struct listing copy = *list;

	listing_end(&copy);
}

void listing_hint(const struct listing *list, const char *hint)
{
	if (!list->cli->json)
		printf("%s\n", hint);
}

int cli_done(struct cli *cli, struct slice what, const char *done)
{
	struct listing list = listing_new(cli, "subject,done");

	if (cli->json) {
		listing_text(&list, what);
		listing_text(&list, slice_from_cstr(done));
		listing_print_one(&list);
	} else {
		print_safely(what);
		printf(" %s\n", done);
	}
	return EXIT_OK;
}

void listing_print_one(const struct listing *list)
{
	struct buf out SCOPED_BUF;

	if (list->cli->json) {
		listing_json_row(list, 0, &out);
		buf_add_byte(&out, '\n');
		fwrite(out.data, 1, out.len, stdout);
		return;
	}
	for (size_t i = 0; i < list->column_count && i < list->cell_count; i++) {
		struct slice text = cell_text(list, &list->cells[i]);

		printf("%.*s: %*s%.*s\n", SLICE_ARG(list->columns[i]),
		       list->columns[i].len < 20 ? 20 - (int)list->columns[i].len : 1, "", SLICE_ARG(text));
	}
}
