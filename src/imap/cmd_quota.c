/* GETQUOTA, GETQUOTAROOT, SETQUOTA: RFC 9208. An account is one quota root, if it has a limit at all: one's own is named "", another's, whose
 * mailboxes one may read, by its address. Limits are set by
 * those who run the server, so SETQUOTA is refused, as the capability QUOTASET, which isn't offered, has it. */
#include "imap/name.h"
#include "imap/session.h"
#include "imap/write.h"
#include "store/directory.h"

static bool may_read_one_of(struct imap_session *s, int64_t account)
{
	struct shared_mailbox *mailboxes;
	size_t count;

	if (rights_shared(imap_store(s), imap_arena(s), s->account, &mailboxes, &count) != STATUS_OK)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (mailboxes[i].account == account && mailboxes[i].rights & RIGHT_READ)
			return true;
	}
	return false;
}

static enum status find_root(struct imap_session *s, struct slice root, struct account *account)
{
	enum status status;

	if (root.len == 0)
		return directory_get_account(imap_store(s), imap_arena(s), s->account, account);
	status = directory_find_account(imap_store(s), imap_arena(s), root, account);
	return status == STATUS_OK && !may_read_one_of(s, account->id) ? STATUS_NOT_FOUND : status;
}

static bool has_limit(const struct account *account)
{
	return account->quota_bytes > 0 || account->quota_messages > 0;
}

static void put_resource(struct buf *out, bool *first, struct slice name, uint64_t used, uint64_t limit)
{
	if (limit == 0)
		return;
	buf_add(out, *first ? SLICE("") : SLICE(" "));
	*first = false;
	buf_add(out, name);
	buf_add_byte(out, ' ');
	buf_add_u64(out, used);
	buf_add_byte(out, ' ');
	buf_add_u64(out, limit);
}

static void put_root(struct imap_session *s, const struct account *account)
{
	imap_put_string(imap_output(s), account->id == s->account ? SLICE_EMPTY : account->address, imap_utf8_names(s));
}

/* RFC 9208 section 5.1: STORAGE is told in units of 1024 bytes. */
static void put_quota(struct imap_session *s, const struct account *account)
{
	struct buf *out = imap_output(s);
	bool first = true;

	buf_add_literal(out, "* QUOTA ");
	put_root(s, account);
	buf_add_literal(out, " (");
	put_resource(out, &first, SLICE("STORAGE"), (account->used_bytes + 1023) / 1024, (account->quota_bytes + 1023) / 1024);
	put_resource(out, &first, SLICE("MESSAGE"), account->used_messages, account->quota_messages);
	buf_add_literal(out, ")\r\n");
}

enum next imap_get_quota(struct imap_session *s, struct imap_command *command)
{
	struct account account = {0};
	struct slice root;
	enum status status;

	if (!imap_parse_space(&command->args) || !imap_parse_astring(&command->args, &root) || !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	status = find_root(s, root, &account);
	if (status == STATUS_NOT_FOUND || (status == STATUS_OK && !has_limit(&account)))
		return imap_no(s, command, SLICE("NONEXISTENT"), SLICE("There is no such quota root"));
	if (status == STATUS_OK)
		put_quota(s, &account);
	return imap_answer(s, command, status, SLICE("GETQUOTA completed"));
}

enum next imap_get_quota_root(struct imap_session *s, struct imap_command *command)
{
	struct buf *out = imap_output(s);
	struct account account = {0};
	struct imap_place place;
	struct slice name;
	enum status status;

	if (!imap_parse_space(&command->args) || !imap_parse_mailbox(&command->args, &name) || !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	status = imap_find_place(s, name, RIGHT_READ, &place);
	if (status == STATUS_OK)
		status = directory_get_account(imap_store(s), imap_arena(s), place.account, &account);
	if (status == STATUS_OK) {
		buf_add_literal(out, "* QUOTAROOT ");
		imap_put_mailbox(out, name, imap_utf8_names(s));
		if (has_limit(&account)) {
			buf_add_byte(out, ' ');
			put_root(s, &account);
			buf_add_literal(out, "\r\n");
			put_quota(s, &account);
		} else {
			buf_add_literal(out, "\r\n");
		}
	}
	return imap_answer_place(s, command, &place, status, SLICE("GETQUOTAROOT completed"));
}

/* RFC 9208 section 4.1.3. */
enum next imap_set_quota(struct imap_session *s, struct imap_command *command)
{
	struct imap_parser *p = &command->args;
	struct slice root, resource;
	uint64_t limit;

	if (!imap_parse_space(p) || !imap_parse_astring(p, &root) || !imap_parse_space(p) || !imap_parse_byte(p, '('))
		return imap_bad_arguments(s, command);
	while (imap_peek(p) != ')') {
		if (!imap_parse_atom(p, &resource) || !imap_parse_space(p) || !imap_parse_u64(p, &limit))
			return imap_bad_arguments(s, command);
		if (!imap_accept(p, ' '))
			break;
	}
	if (!imap_parse_byte(p, ')') || !imap_parse_end(p))
		return imap_bad_arguments(s, command);
	return imap_no(s, command, SLICE("NOPERM"), SLICE("Quotas are set by those who run this server"));
}
