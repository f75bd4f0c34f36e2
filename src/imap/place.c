/* Mailboxes by name: the account's own, as they are called, and others' in their namespaces (RFC 2342, RFC 4314). Of what somebody has no
 * right l on, and isn't allowed what he wants to do, nobody learns whether it is there. */
#include "imap/session.h"

#include "imap/name.h"
#include "store/directory.h"

#define NOBODY (-1) /* an account that there is never */

static bool is_in(struct slice name, struct slice prefix)
{
	return slice_starts_with(name, prefix) || slice_eq(name, slice_sub(prefix, 0, prefix.len - 1));
}

bool imap_name_is_foreign(struct slice name)
{
	return is_in(name, IMAP_OTHER_USERS) || is_in(name, IMAP_SHARED_FOLDERS);
}

/* "Other Users/bob@example.org/INBOX": whose, and what is left of the name. */
static enum status find_account(struct imap_session *s, int64_t viewer, struct slice name, int64_t *account, struct slice *rest)
{
	bool shared = slice_starts_with(name, IMAP_SHARED_FOLDERS);
	struct account found;

	*rest = slice_skip(name, shared ? IMAP_SHARED_FOLDERS.len : IMAP_OTHER_USERS.len);
	enum status status = directory_find_account(imap_store(s), imap_arena(s), slice_cut(rest, '/'), &found);

	if (status != STATUS_OK)
		return status;
	*account = found.id;
	return found.id != viewer && found.is_shared == shared ? STATUS_OK : STATUS_NOT_FOUND;
}

struct slice imap_foreign_name(struct imap_session *s, struct slice address, bool is_shared, struct slice name)
{
	struct slice prefix = is_shared ? IMAP_SHARED_FOLDERS : IMAP_OTHER_USERS;

	return slice_join(imap_arena(s), (const struct slice[]){prefix, address, SLICE("/"), name}, 4);
}

static enum status check(struct imap_place *place, unsigned needed)
{
	if (place->rights & needed)
		return STATUS_OK;
	place->is_denied = (place->rights & RIGHT_LOOKUP) != 0;
	return place->is_denied ? STATUS_REFUSED : STATUS_NOT_FOUND;
}

/* The store is asked the same of what isn't there as of what is: so the time that it takes tells neither. */
static enum status look_up_foreign(struct imap_session *s, int64_t viewer, struct slice name, struct imap_place *place,
				   struct slice *rest)
{
	enum status account, mailbox, rights;

	place->account = NOBODY;
	account = find_account(s, viewer, name, &place->account, rest);
	mailbox = mailbox_find(imap_store(s), imap_arena(s), place->account, *rest, &place->mailbox);
	rights = rights_of(imap_store(s), viewer, place->account, place->mailbox.id, &place->rights);
	if (account != STATUS_OK)
		return account;
	return mailbox != STATUS_OK ? mailbox : rights;
}

static enum status find_foreign(struct imap_session *s, int64_t viewer, struct slice name, unsigned needed,
				struct imap_place *place)
{
	struct slice rest, address;
	enum status status = look_up_foreign(s, viewer, name, place, &rest);

	if (status == STATUS_OK)
		status = check(place, needed);
	if (status != STATUS_OK)
		return status;
	address = slice_sub(name, 0, name.len - rest.len);
	place->name = slice_join(imap_arena(s), (const struct slice[]){address, place->mailbox.name}, 2);
	place->mailbox.role = SLICE_EMPTY;
	return STATUS_OK;
}

enum status imap_find_place_as(struct imap_session *s, int64_t viewer, struct slice name, unsigned needed,
			       struct imap_place *place)
{
	*place = (struct imap_place){.account = viewer, .name = name, .rights = RIGHTS_ALL};
	if (imap_name_is_foreign(name))
		return find_foreign(s, viewer, name, needed, place);
	return mailbox_find(imap_store(s), imap_arena(s), viewer, name, &place->mailbox);
}

enum status imap_find_place(struct imap_session *s, struct slice name, unsigned needed, struct imap_place *place)
{
	return imap_find_place_as(s, s->account, name, needed, place);
}

enum status imap_find_new_place(struct imap_session *s, struct slice name, struct imap_place *place)
{
	struct slice rest = name;
	enum status status = STATUS_OK;

	*place = (struct imap_place){.account = s->account, .name = name, .rights = RIGHTS_ALL};
	if (imap_name_is_foreign(name))
		status = find_account(s, s->account, name, &place->account, &rest);
	place->mailbox.name = rest;
	if (status == STATUS_OK)
		status = rights_above(imap_store(s), s->account, place->account, rest, &place->rights);
	return status;
}

enum next imap_answer_place(struct imap_session *s, struct imap_command *command, const struct imap_place *place,
			    enum status status, struct slice text)
{
	if (status == STATUS_REFUSED && place->is_denied)
		return imap_no(s, command, SLICE("NOPERM"), SLICE("You may not do that with this mailbox"));
	return imap_answer(s, command, status, text);
}
