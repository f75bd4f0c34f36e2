#include "deliver/unix_users.h"

static bool is_open(const struct directory_entry *entry)
{
	return entry->kind == DIRECTORY_UNKNOWN || entry->kind == DIRECTORY_NOT_LOCAL ||
	       (entry->kind == DIRECTORY_ALIAS && entry->is_catch_all);
}

static void lead_to_user(struct arena *arena, struct slice user, struct directory_entry *entry)
{
	*entry = (struct directory_entry){.kind = DIRECTORY_ALIAS, .targets = ARENA_NEW(arena, struct slice), .target_count = 1};
	entry->targets[0] = slice_join(arena, (const struct slice[]){HOP_UNIX, user}, 2);
}

enum status unix_users_look_up(const struct unix_users *users, struct arena *arena, struct slice address,
			       struct directory_entry *entry)
{
	enum status status = STATUS_NOT_FOUND;
	struct slice user;

	if (!is_open(entry) || !local_has_domain(&users->domains, address))
		return STATUS_OK;
	if (local_user_at(&users->domains, arena, address, &user))
		status = local_check_user(users->ipc, arena, user);
	if (status == STATUS_OK)
		lead_to_user(arena, user, entry);
	else if (status == STATUS_NOT_FOUND && entry->kind == DIRECTORY_NOT_LOCAL)
		entry->kind = DIRECTORY_UNKNOWN;
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
