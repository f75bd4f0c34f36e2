#include "main/store_place.h"

#include <libpq-fe.h>
#include <stdlib.h>

#include "main/roles.h"

static struct slice join(struct arena *arena, struct slice a, struct slice b, struct slice c)
{
	struct slice parts[] = {a, b, c};

	return slice_join(arena, parts, 3);
}

static void free_options(PQconninfoOption **options)
{
	PQconninfoFree(*options);
}

/* How PostgreSQL is reached: libpq's own reading of the URL, the environment's defaults included. */
static void place_postgresql(struct role_setup *setup, struct store_place *place)
{
	char *url = slice_cstr(&setup->arena, place->url);
	__attribute__((cleanup(free_options))) PQconninfoOption *options = PQconninfoParse(url, NULL);
	struct slice host = SLICE_EMPTY, port = SLICE("5432");
	uint32_t number = 5432;

	for (PQconninfoOption *option = options; option && option->keyword; option++) {
		struct slice keyword = slice_from_cstr(option->keyword);

		if (!option->val || option->val[0] == '\0')
			continue;
		if (slice_eq(keyword, SLICE("host")) || slice_eq(keyword, SLICE("hostaddr")))
			host = slice_dup(&setup->arena, slice_from_cstr(option->val));
		else if (slice_eq(keyword, SLICE("port")))
			port = slice_dup(&setup->arena, slice_from_cstr(option->val));
	}
	place->unix_sockets = host.len == 0 || host.data[0] == '/';
	if (!place->unix_sockets)
		place->port = slice_to_u32(port, 65535, &number) ? number : 5432;
}

/* A role without a store lives in an empty folder; the others in theirs. */
static void place_folder(struct role_setup *setup, struct store_place *place, struct slice folder, struct slice file)
{
	struct slice data = slice_from_cstr(setup->config->data);
	struct slice path = join(&setup->arena, data, SLICE("/"), folder);

	if (setup->definition->powers & POWER_PROGRAMS)
		return; /* its programs lie elsewhere: Landlock says where */
	if (setup->uid != (uid_t)-1) {
		place->chroot_folder = path;
		path = SLICE("/");
	}
	if (file.len == 0)
		return;
	place->inside_folder = path;
	struct slice separator = slice_ends_with(path, SLICE("/")) ? SLICE("") : SLICE("/");
	place->url = join(&setup->arena, SLICE("sqlite:"), path, join(&setup->arena, separator, file, SLICE("")));
}

struct store_place store_place_of(struct role_setup *setup)
{
	struct store_place place = {0};
	unsigned powers = setup->definition->powers;
	struct slice url = slice_from_cstr(setup->config->store.url);
	bool postgresql = slice_starts_with(url, SLICE("postgres"));

	if ((powers & (POWER_STORE | POWER_AUTH)) && postgresql) {
		place.url = url;
		place_postgresql(setup, &place);
	} else if (powers & POWER_STORE) {
		place_folder(setup, &place, SLICE(FOLDER_STORE), SLICE("posthorn.db"));
	} else if (powers & POWER_AUTH) {
		place_folder(setup, &place, SLICE(FOLDER_AUTH), SLICE("auth.db"));
	} else {
		place_folder(setup, &place, SLICE(FOLDER_EMPTY), SLICE_EMPTY);
	}
	return place;
}
