/* The commands that take a few lines each: RFC 9051 section 6.1, ID (RFC 2971), NAMESPACE, UNSELECT. */
#include "imap/session.h"

#include "base/clock.h"
#include "imap/notify.h"
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

/* RFC 8437 section 3: all that log-in and after has brought is forgotten; what TLS has, stays. */
enum next imap_unauthenticate(struct imap_session *s, struct imap_command *command)
{
	if (s->context->options.preauth.account != 0)
		return imap_bad(s, command, SLICE("There is no log-in here to go back to"));
	imap_notify_end(s);
	imap_leave_mailbox(s);
	engine_subscribe(s->env, 0);
	s->state = IMAP_NOT_AUTHENTICATED;
	s->account = 0;
	s->address = SLICE_EMPTY;
	(void)engine_set_user(s->env, s->address);
	s->metadata = s->metadata_watched = s->rev2 = s->condstore = s->qresync = s->utf8 = s->uid_only = false;
	s->opened_ms = clock_monotonic_ms();
	(void)imap_ok(s, command, SLICE("Logged out, and still here"));
	conn_end_deflate(imap_conn(s));
	return NEXT_PARK;
}

enum next imap_logout(struct imap_session *s, struct imap_command *command)
{
	imap_leave_mailbox(s);
	imap_bye(s, SLICE_EMPTY, SLICE("Logging out"));
	(void)imap_ok(s, command, SLICE("LOGOUT completed"));
	return NEXT_CLOSE;
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
	struct buf *out = imap_output(s);

	buf_add_literal(out, "* NAMESPACE ((\"\" \"/\")) ((");
	imap_put_string(out, IMAP_OTHER_USERS, true);
	buf_add_literal(out, " \"/\")) ((");
	imap_put_string(out, IMAP_SHARED_FOLDERS, true);
	buf_add_literal(out, " \"/\"))\r\n");
	return imap_ok(s, command, SLICE("NAMESPACE completed"));
}

enum next imap_unselect(struct imap_session *s, struct imap_command *command)
{
	imap_leave_mailbox(s);
	return imap_ok(s, command, SLICE("UNSELECT completed"));
}
