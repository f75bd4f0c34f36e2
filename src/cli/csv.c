#include "cli/csv.h"

#include "base/buf.h"

static char take(struct csv *csv)
{
	char byte = csv->rest.data[0];

	csv->rest = slice_skip(csv->rest, 1);
	csv->line += byte == '\n';
	return byte;
}

/* What stands behind the opening quote up to the closing one. */
static struct slice quoted_field(struct csv *csv, struct arena *arena)
{
	struct buf text;

	buf_init(&text, arena, 0);
	while (csv->rest.len) {
		char byte = take(csv);

		if (byte == '"' && !slice_starts_with(csv->rest, SLICE("\"")))
			return buf_slice(&text);
		if (byte == '"')
			take(csv);
		buf_add_byte(&text, byte);
	}
	csv->failed = true;
	return SLICE_EMPTY;
}

static struct slice plain_field(struct csv *csv)
{
	size_t len = 0;

	while (len < csv->rest.len && csv->rest.data[len] != ',' && csv->rest.data[len] != '\n')
		len++;
	struct slice field = slice_sub(csv->rest, 0, len);
	csv->rest = slice_skip(csv->rest, len);
	return slice_trim(field);
}

static void read_row(struct csv *csv, struct arena *arena, struct csv_row *row)
{
	row->count = 0;
	row->line = csv->line;
	do {
		struct slice field;

		if (row->count == CSV_FIELDS_MAX) {
			csv->failed = true;
			return;
		}
		if (slice_starts_with(csv->rest, SLICE("\""))) {
			take(csv);
			field = quoted_field(csv, arena);
			if (plain_field(csv).len) /* text behind the closing quote */
				csv->failed = true;
		} else {
			field = plain_field(csv);
		}
		row->fields[row->count++] = field;
	} while (!csv->failed && csv->rest.len && take(csv) == ',');
}

bool csv_next(struct csv *csv, struct arena *arena, struct csv_row *row)
{
	while (!csv->failed && csv->rest.len) {
		read_row(csv, arena, row);
		if (csv->failed)
			csv->line = row->line; /* a quote that isn't closed runs to the end of the file */
		else if (row->count > 1 || row->fields[0].len)
			return true;
	}
	return false;
}
