/* The commands that take a few lines each: RFC 9051 section 6.1, ENABLE, ID (RFC 2971), NAMESPACE, CLOSE, UNSELECT, EXPUNGE. */
#include "imap/session.h"

#include "imap/write.h"

enum next imap_capability(struct imap_session *s, struct imap_command *command)
{
	struct buf *out = imap_output(s);

	buf_add_literal(out, "* CAPABILITY");
	imap_put_capabilities(s, out);
	buf_add_literal(out, "\r\n");
	return imap_ok(s, command, SLICE("CAPABILITY completed"));
}

enum next imap_noop(struct imap_session *s, struct imap_command *command)
{
	return imap_ok(s, command, SLICE("Completed"));
}

enum next imap_logout(struct imap_session *s, struct imap_command *command)
{
	imap_leave_mailbox(s);
	imap_bye(s, SLICE_EMPTY, SLICE("Logging out"));
	(void)imap_ok(s, command, SLICE("LOGOUT completed"));
	return NEXT_CLOSE;
}

/* RFC 9051 section 6.3.1: what isn't known is passed over. */
enum next imap_enable(struct imap_session *s, struct imap_command *command)
{
	struct buf *out = imap_output(s);
	bool rev2 = false;

	do {
		struct slice capability;

		if (!imap_parse_space(&command->args) || !imap_parse_atom(&command->args, &capability))
			return imap_bad_arguments(s, command);
		rev2 |= slice_eq_nocase(capability, SLICE("IMAP4rev2"));
	} while (imap_peek(&command->args) == ' ');
	if (!imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	s->rev2 |= rev2;
	buf_add_literal(out, "* ENABLED");
	if (rev2)
		buf_add_literal(out, " IMAP4rev2");
	buf_add_literal(out, "\r\n");
	return imap_ok(s, command, SLICE("ENABLE completed"));
}

/* RFC 2971 section 3.1: at most 30 pairs. */
static bool parse_id(struct imap_parser *p, struct slice *name, struct slice *version)
{
	if (!imap_parse_space(p))
		return false;
	if (!imap_accept(p, '('))
		return imap_accept_word(p, SLICE("NIL")) || imap_fault(p, SLICE("a list or NIL is missing"));
	for (int pairs = 0; !imap_accept(p, ')'); pairs++) {
		struct slice field, value;

		if (pairs == 30)
			return imap_fault(p, SLICE("too many fields"));
		if ((pairs > 0 && !imap_parse_space(p)) || !imap_parse_string(p, &field) || !imap_parse_space(p) ||
		    !imap_parse_nstring(p, &value))
			return false;
		if (slice_eq_nocase(field, SLICE("name")) && value.data)
			*name = value;
		if (slice_eq_nocase(field, SLICE("version")) && value.data)
			*version = value;
	}
	return true;
}

enum next imap_id(struct imap_session *s, struct imap_command *command)
{
	struct slice name = SLICE_EMPTY, version = SLICE_EMPTY;

	if (!parse_id(&command->args, &name, &version) || !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	LOG_INFO(s->context->log, "imap.client", LOG_INT("session", s->env->id), LOG_STR("name", slice_sub(name, 0, 100)),
		 LOG_STR("version", slice_sub(version, 0, 100)));
	buf_add_literal(imap_output(s), "* ID (\"name\" \"Posthorn\")\r\n");
	return imap_ok(s, command, SLICE("ID completed"));
}

/* RFC 9051 section 6.3.10. */
enum next imap_namespace(struct imap_session *s, struct imap_command *command)
{
	buf_add_literal(imap_output(s), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	return imap_ok(s, command, SLICE("NAMESPACE completed"));
}

/* ---- EXPUNGE and what ends with it ---- */

static enum status expunge(struct imap_session *s, const uint32_t *uids, size_t count)
{
	uint32_t *expunged;
	size_t expunged_count = 0;
	struct mailbox_view_state state = mailbox_viewer_state(&s->viewer);
	enum status status = mailbox_expunge(imap_store(s), imap_arena(s), s->account, state.mailbox, uids, count, &expunged,
					     &expunged_count);

	if (status == STATUS_OK && expunged_count > 0)
		imap_announce(s);
	return status;
}

/* RFC 9051 section 6.4.3, and 6.4.9 for UID EXPUNGE. */
enum next imap_expunge(struct imap_session *s, struct imap_command *command)
{
	struct imap_set set;
	uint32_t *uids = NULL;
	size_t count = 0;

	if (command->uid && (!imap_parse_space(&command->args) || !imap_parse_set(&command->args, &set)))
		return imap_bad_arguments(s, command);
	if (!imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	if (s->read_only)
		return imap_no(s, command, SLICE("CANNOT"), SLICE("The mailbox was opened read-only"));
	if (command->uid) {
		if (!imap_resolve(s, true, true, &set) || !(uids = imap_uids(s, &set, &count)))
			return imap_answer(s, command, STATUS_LIMIT, SLICE_EMPTY);
		if (count == 0)
			return imap_ok(s, command, SLICE("Nothing to expunge"));
	}
	return imap_answer(s, command, expunge(s, uids, count), SLICE("EXPUNGE completed"));
}

/* RFC 9051 section 6.4.1: expunges without telling. If that fails the mailbox stays selected: nothing has happened. */
enum next imap_close(struct imap_session *s, struct imap_command *command)
{
	enum status status = s->read_only ? STATUS_OK : expunge(s, NULL, 0);

	if (status != STATUS_OK && status != STATUS_NOT_FOUND)
		return imap_answer(s, command, status, SLICE_EMPTY);
	imap_leave_mailbox(s);
	return imap_ok(s, command, SLICE("CLOSE completed"));
}

enum next imap_unselect(struct imap_session *s, struct imap_command *command)
{
	imap_leave_mailbox(s);
	return imap_ok(s, command, SLICE("UNSELECT completed"));
}
