#include "store/detail.h"

#include "store/rights.h"
#include "store/store_internal.h"

struct detail_rules detail_rules_of(const char *separator, const char *folders)
{
	struct slice word = slice_from_cstr(folders);
	struct detail_rules rules = {.separator = separator ? separator[0] : '\0'};

	if (slice_eq(word, SLICE("permitted")))
		rules.folders = DETAIL_FOLDERS_PERMITTED;
	else if (slice_eq(word, SLICE("all")))
		rules.folders = DETAIL_FOLDERS_ALL;
	return rules;
}

static struct slice local_part(struct slice address)
{
	return slice_sub(address, 0, slice_find_last_byte(address, '@'));
}

/* What stands behind the account's own local part. Empty: nothing does. */
static struct slice detail_of(const struct detail_rules *rules, struct slice own, struct slice address)
{
	struct slice local = local_part(address);

	own = local_part(own);
	if (!slice_starts_with_nocase(local, own) || local.len <= own.len || local.data[own.len] != rules->separator)
		return SLICE_EMPTY;
	return slice_skip(local, own.len + 1);
}

enum status detail_folder(struct store *store, struct arena *arena, const struct detail_rules *rules,
			  const struct account *account, struct slice address, int64_t sender, struct slice *folder)
{
	struct slice detail = rules->folders != DETAIL_FOLDERS_OFF && rules->separator
				      ? detail_of(rules, account->address, address)
				      : SLICE_EMPTY;
	struct mailbox mailbox;
	bool may = true;

	*folder = SLICE_EMPTY;
	if (detail.len == 0 || !mailbox_name_prepare(arena, detail, &detail))
		return STATUS_OK;
	enum status status = mailbox_find(store, arena, account->id, detail, &mailbox);

	if (status == STATUS_OK && rules->folders == DETAIL_FOLDERS_PERMITTED)
		status = rights_to_post(store, sender, account->id, mailbox.id, &may);
	if (status == STATUS_OK && mailbox.selectable && may && mailbox.id != MAILBOX_INBOX_ID)
		*folder = mailbox.name;
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
