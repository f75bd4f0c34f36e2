/* Rows come in order of their lines and hold no more than they may; after a fault there are no more. */
#include <stdint.h>
#include <stdlib.h>

#include "cli/csv.h"
#include "cli/password.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct csv csv = csv_begin(slice_of((const char *)data, size));
	struct arena arena SCOPED_ARENA;
	struct csv_row row;
	unsigned line = 0;

	while (csv_next(&csv, &arena, &row)) {
		size_t bytes = 0;

		check(row.line > line && row.count > 0 && row.count <= CSV_FIELDS_MAX);
		line = row.line;
		for (size_t i = 0; i < row.count; i++) {
			bytes += row.fields[i].len;
			(void)password_is_hash(row.fields[i]);
		}
		check(bytes <= size);
	}
	check(csv.failed || csv.rest.len == 0);
	check(!csv_next(&csv, &arena, &row));
	return 0;
}
