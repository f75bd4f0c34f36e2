/* MYRIGHTS, GETACL, SETACL, DELETEACL, LISTRIGHTS: RFC 4314. */
#include "imap/session.h"

#include "imap/name.h"
#include "imap/write.h"
#include "store/directory.h"

/* RFC 4314 section 4: MYRIGHTS wants any of these. */
#define ANY_RIGHTS (RIGHT_LOOKUP | RIGHT_READ | RIGHT_INSERT | RIGHT_CREATE | RIGHT_DELETE_MAILBOX | RIGHT_ADMINISTER)

static bool parse_mailbox(struct imap_parser *p, struct slice *name)
{
	return imap_parse_space(p) && imap_parse_mailbox(p, name);
}

/* " identifier": prepared as far as lower case goes; what isn't a name of somebody is found out by the store. */
static bool parse_identifier(struct imap_parser *p, struct slice *identifier)
{
	return imap_parse_space(p) && imap_parse_astring(p, identifier);
}

static void put_rights(struct buf *out, unsigned rights)
{
	buf_add_byte(out, '"');
	rights_put(out, rights);
	buf_add_byte(out, '"');
}

void imap_put_my_rights(struct imap_session *s, const struct imap_place *place)
{
	struct buf *out = imap_output(s);

	if (!(place->rights & ANY_RIGHTS))
		return;
	buf_add_literal(out, "* MYRIGHTS ");
	imap_put_mailbox(out, place->name, imap_utf8_names(s));
	buf_add_byte(out, ' ');
	put_rights(out, place->rights);
	buf_add_literal(out, "\r\n");
}

enum next imap_my_rights(struct imap_session *s, struct imap_command *command)
{
	struct imap_place place;
	struct slice name;
	enum status status;

	if (!parse_mailbox(&command->args, &name) || !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	status = imap_find_place(s, name, ANY_RIGHTS, &place);
	if (status == STATUS_OK)
		imap_put_my_rights(s, &place);
	return imap_answer_place(s, command, &place, status, SLICE("MYRIGHTS completed"));
}

static void put_entry(struct imap_session *s, struct slice identifier, unsigned rights)
{
	struct buf *out = imap_output(s);

	buf_add_byte(out, ' ');
	imap_put_string(out, identifier, imap_utf8_names(s));
	buf_add_byte(out, ' ');
	put_rights(out, rights);
}

static void put_acl(struct imap_session *s, const struct imap_place *place, const struct account *owner,
		    const struct acl_entry *entries, size_t count)
{
	struct buf *out = imap_output(s);

	buf_add_literal(out, "* ACL ");
	imap_put_mailbox(out, place->name, imap_utf8_names(s));
	if (!owner->is_shared)
		put_entry(s, owner->address, RIGHTS_ALL);
	for (size_t i = 0; i < count; i++)
		put_entry(s, entries[i].identifier, entries[i].rights);
	buf_add_literal(out, "\r\n");
}

enum next imap_get_acl(struct imap_session *s, struct imap_command *command)
{
	struct imap_place place;
	struct acl_entry *entries = NULL;
	struct account owner;
	struct slice name;
	enum status status;
	size_t count = 0;

	if (!parse_mailbox(&command->args, &name) || !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	status = imap_find_place(s, name, RIGHT_ADMINISTER, &place);
	if (status == STATUS_OK)
		status = directory_get_account(imap_store(s), imap_arena(s), place.account, &owner);
	if (status == STATUS_OK)
		status = acl_list(imap_store(s), imap_arena(s), place.account, place.mailbox.id, &entries, &count);
	if (status == STATUS_OK)
		put_acl(s, &place, &owner, entries, count);
	return imap_answer_place(s, command, &place, status, SLICE("GETACL completed"));
}

/* ---- changing ---- */

struct acl_request {
	struct slice name, identifier;
	enum acl_change change;
	unsigned rights;
};

/* Another domain's users as a whole are given rights by those who run the server only: it would put the mailbox into all their lists. */
static bool is_other_domain(const struct imap_session *s, struct slice identifier)
{
	struct slice name = slice_starts_with(identifier, SLICE("-")) ? slice_skip(identifier, 1) : identifier;
	size_t at = slice_find_last_byte(s->address, '@');

	if (!slice_starts_with(name, SLICE("@")) || at == SLICE_NOT_FOUND)
		return false;
	return !slice_eq_nocase(slice_skip(name, 1), slice_skip(s->address, at + 1));
}

static enum next answer_change(struct imap_session *s, struct imap_command *command, enum status status, struct slice text)
{
	if (status == STATUS_PEER)
		return imap_bad(s, command, SLICE("That can't be the name of anybody"));
	if (status == STATUS_REFUSED)
		return imap_no(s, command, SLICE("CANNOT"), SLICE("The owner has all rights, always"));
	if (status == STATUS_NOT_FOUND)
		return imap_no(s, command, SLICE_EMPTY, SLICE("There is nobody of that name"));
	return imap_answer(s, command, status, text);
}

static enum next change_acl(struct imap_session *s, struct imap_command *command, const struct acl_request *request,
			    struct slice text)
{
	struct imap_place place;
	enum status status = imap_find_place(s, request->name, RIGHT_ADMINISTER, &place);

	if (status != STATUS_OK)
		return imap_answer_place(s, command, &place, status, SLICE_EMPTY);
	if (request->rights && request->change != ACL_REMOVE && is_other_domain(s, request->identifier))
		return imap_no(s, command, SLICE("NOPERM"),
			       SLICE("Another domain is given rights by those who run this server"));
	status = acl_change(imap_store(s), place.account, place.mailbox.id, request->identifier, request->change,
			    request->rights);
	if (status == STATUS_OK)
		imap_announce_account(s, place.account);
	/* All rights, which the owner has, may be set again. */
	if (status == STATUS_REFUSED && request->change != ACL_REMOVE &&
	    (request->change == ACL_ADD || request->rights == RIGHTS_ALL))
		status = STATUS_OK;
	return answer_change(s, command, status, text);
}

/* RFC 4314 section 3.1: "+", "-" or neither, and letters. */
static bool parse_change(struct imap_parser *p, struct acl_request *request)
{
	struct slice text;

	if (!imap_parse_space(p) || !imap_parse_astring(p, &text))
		return false;
	request->change = slice_starts_with(text, SLICE("+"))   ? ACL_ADD
			  : slice_starts_with(text, SLICE("-")) ? ACL_REMOVE
								: ACL_REPLACE;
	if (request->change != ACL_REPLACE)
		text = slice_skip(text, 1);
	return rights_parse(text, &request->rights) || imap_fault(p, SLICE("there is no such right"));
}

enum next imap_set_acl(struct imap_session *s, struct imap_command *command)
{
	struct acl_request request;

	if (!parse_mailbox(&command->args, &request.name) || !parse_identifier(&command->args, &request.identifier) ||
	    !parse_change(&command->args, &request) || !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	return change_acl(s, command, &request, SLICE("SETACL completed"));
}

enum next imap_delete_acl(struct imap_session *s, struct imap_command *command)
{
	struct acl_request request = {.change = ACL_REMOVE, .rights = RIGHTS_ALL};

	if (!parse_mailbox(&command->args, &request.name) || !parse_identifier(&command->args, &request.identifier) ||
	    !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	return change_acl(s, command, &request, SLICE("DELETEACL completed"));
}

/* ---- LISTRIGHTS ---- */

/* RFC 4314 section 3.7: the owner has all, others can have any; no right is tied to another. */
static void put_list_rights(struct imap_session *s, const struct imap_place *place, struct slice identifier, bool is_owner)
{
	struct buf *out = imap_output(s);

	buf_add_literal(out, "* LISTRIGHTS ");
	imap_put_mailbox(out, place->name, imap_utf8_names(s));
	buf_add_byte(out, ' ');
	imap_put_string(out, identifier, imap_utf8_names(s));
	buf_add_byte(out, ' ');
	put_rights(out, is_owner ? RIGHTS_ALL : RIGHTS_NONE);
	buf_add(out, is_owner ? SLICE("\r\n") : SLICE(" l r s w i p k x t e a c d\r\n"));
}

enum next imap_list_rights(struct imap_session *s, struct imap_command *command)
{
	struct imap_place place;
	struct slice name, identifier;
	struct account owner;
	enum status status;

	if (!parse_mailbox(&command->args, &name) || !parse_identifier(&command->args, &identifier) ||
	    !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	if (identifier.len == 0)
		return imap_bad(s, command, SLICE("LISTRIGHTS: that can't be the name of anybody"));
	status = imap_find_place(s, name, RIGHT_ADMINISTER, &place);
	if (status == STATUS_OK)
		status = directory_get_account(imap_store(s), imap_arena(s), place.account, &owner);
	if (status == STATUS_OK)
		put_list_rights(s, &place, identifier, !owner.is_shared && slice_eq_nocase(identifier, owner.address));
	return imap_answer_place(s, command, &place, status, SLICE("LISTRIGHTS completed"));
}
