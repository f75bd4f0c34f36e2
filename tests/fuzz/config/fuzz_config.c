/* Any text is refused with a message that begins with name and line, or is loaded; and what was loaded, written out and loaded
 * again, is the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_round_trip(const struct config *config, struct arena *arena)
{
	struct error error = {0};
	struct slice text, again_text;
	struct config *again;

	check(config_to_text(config, arena, &text));
	again = config_load_text(text, "again", arena, &error);
	check(again != NULL);
	check(config_to_text(again, arena, &again_text));
	check(slice_eq(text, again_text));
	config_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct error error = {0};
	struct config *config = config_load_text(slice_of((const char *)data, size), "t.yaml", &arena, &error);

	if (!config) {
		check(error.status == STATUS_PEER && slice_starts_with(error.text, SLICE("t.yaml:")));
		return 0;
	}
	check_round_trip(config, &arena);
	config_free(config);
	return 0;
}
