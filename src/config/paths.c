#include "config/paths.h"

char *config_data_path(const struct config *config, struct slice name, struct arena *arena)
{
	const struct slice parts[] = {slice_from_cstr(config->data), SLICE("/"), name};

	return slice_cstr(arena, slice_join(arena, parts, 3));
}

static struct slice url_of(const struct config *config, struct slice file, struct arena *arena)
{
	const struct slice parts[] = {SLICE("sqlite:"), slice_from_cstr(config_data_path(config, file, arena))};

	if (slice_starts_with(slice_from_cstr(config->store.url), SLICE("postgres")))
		return slice_from_cstr(config->store.url);
	return slice_join(arena, parts, 2);
}

struct slice config_store_url(const struct config *config, struct arena *arena)
{
	return url_of(config, SLICE("store/posthorn.db"), arena);
}

struct slice config_credential_url(const struct config *config, struct arena *arena)
{
	return url_of(config, SLICE("auth/auth.db"), arena);
}
