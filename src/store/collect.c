/* Lists that grow in an arena, and runs of uids. */
#include "store/store_internal.h"

void *list_add(struct list *list)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 16;
		void *items =
			arena_try_grow(list->arena, list->items, list->capacity * list->item_size, capacity * list->item_size);

		if (!items) {
			list->failed = true;
			return NULL;
		}
		list->items = items;
		list->capacity = capacity;
	}
	return (char *)list->items + list->count++ * list->item_size;
}

bool uid_run_next(const uint32_t **uids, size_t *count, uint32_t gap, struct uid_run *run)
{
	size_t n = 1;

	if (*count == 0)
		return false;
	while (n < *count && (*uids)[n] - (*uids)[n - 1] <= gap)
		n++;
	*run = (struct uid_run){*uids, n};
	*uids += n;
	*count -= n;
	return true;
}

bool uid_run_has(struct uid_run *run, uint32_t uid)
{
	while (run->count > 0 && run->uids[0] < uid) {
		run->uids++;
		run->count--;
	}
	return run->count > 0 && run->uids[0] == uid;
}
