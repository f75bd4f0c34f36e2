/* GETQUOTA, GETQUOTAROOT, SETQUOTA: RFC 9208. The account is the one quota root, named "", if it has a limit at all. Limits are set by
 * those who run the server, so SETQUOTA is refused, as the capability QUOTASET, which isn't offered, has it. */
#include "imap/name.h"
#include "imap/session.h"
#include "store/directory.h"

static enum status get_account(struct imap_session *s, struct account *account)
{
	return directory_get_account(imap_store(s), imap_arena(s), s->account, account);
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

/* RFC 9208 section 5.1: STORAGE is told in units of 1024 bytes. */
static void put_quota(struct imap_session *s, const struct account *account)
{
	struct buf *out = imap_output(s);
	bool first = true;

	buf_add_literal(out, "* QUOTA \"\" (");
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
	status = get_account(s, &account);
	if (status == STATUS_OK && (root.len > 0 || !has_limit(&account)))
		return imap_no(s, command, SLICE("NONEXISTENT"), SLICE("There is no such quota root"));
	if (status == STATUS_OK)
		put_quota(s, &account);
	return imap_answer(s, command, status, SLICE("GETQUOTA completed"));
}

enum next imap_get_quota_root(struct imap_session *s, struct imap_command *command)
{
	struct buf *out = imap_output(s);
	struct account account = {0};
	struct mailbox mailbox;
	struct slice name;
	enum status status;

	if (!imap_parse_space(&command->args) || !imap_parse_mailbox(&command->args, &name) || !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	status = mailbox_find(imap_store(s), imap_arena(s), s->account, name, &mailbox);
	if (status == STATUS_OK)
		status = get_account(s, &account);
	if (status == STATUS_OK) {
		buf_add_literal(out, "* QUOTAROOT ");
		imap_put_mailbox(out, name, imap_utf8_names(s));
		buf_add(out, has_limit(&account) ? SLICE(" \"\"\r\n") : SLICE("\r\n"));
		if (has_limit(&account))
			put_quota(s, &account);
	}
	return imap_answer(s, command, status, SLICE("GETQUOTAROOT completed"));
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
