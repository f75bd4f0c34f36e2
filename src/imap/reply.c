#include "imap/session.h"

#include "auth/dialogue.h"
#include "base/clock.h"
#include "imap/notify.h"
#include "imap/url_auth.h"
#include "net/tls.h"

#define APPEND_LIMIT     ((uint64_t)50 * 1024 * 1024)
#define BAD_COMMANDS_MAX 20
/* A command that isn't about news has the store asked for them if nobody has for so long. */
#define REFRESH_MS 500
#define PROGRESS_MS 10000 /* RFC 9585 section 3 */

uint64_t imap_append_limit(const struct imap_session *s)
{
	return s->context->options.append_limit ? s->context->options.append_limit : APPEND_LIMIT;
}

/* ---- capabilities ---- */

bool imap_plaintext_allowed(struct imap_session *s)
{
	switch (s->context->options.plaintext) {
	case IMAP_PLAINTEXT_NEVER:
		break;
	case IMAP_PLAINTEXT_LOOPBACK:
		return conn_is_tls(imap_conn(s)) || net_address_is_loopback(conn_peer(imap_conn(s)));
	case IMAP_PLAINTEXT_ALWAYS:
		return true;
	}
	return conn_is_tls(imap_conn(s));
}

bool imap_may_start_tls(struct imap_session *s)
{
	const struct listener *listener = s->env->listener;

	return s->state == IMAP_NOT_AUTHENTICATED && !conn_is_tls(imap_conn(s)) && listener && listener->tls &&
	       tls_context_has_certificate(listener->tls);
}

struct auth_offer imap_auth_offer(struct imap_session *s)
{
	return auth_offer_of(imap_conn(s), imap_plaintext_allowed(s), s->context->options.takes_tokens);
}

static void put_login_capabilities(struct imap_session *s, struct buf *out)
{
	struct auth_offer offer = imap_auth_offer(s);
	struct slice mechanisms = auth_mechanisms(imap_arena(s), &offer);

	if (imap_may_start_tls(s))
		buf_add_literal(out, " STARTTLS");
	if (!imap_plaintext_allowed(s))
		buf_add_literal(out, " LOGINDISABLED");
	while (mechanisms.len) {
		buf_add_literal(out, " AUTH=");
		buf_add(out, slice_cut(&mechanisms, ' '));
	}
}

/* Each is here when it is whole. */
static const char *const capabilities[] = {
	/* clang-format off */
	"IMAP4rev2",
	"IMAP4rev1",
	"SASL-IR",
	"ID",
	"ENABLE",
	"CONDSTORE",
	"QRESYNC",
	"OBJECTID",
	"IDLE",
	"NAMESPACE",
	"UNSELECT",
	"UNAUTHENTICATE",
	"UIDPLUS",
	"MULTIAPPEND",
	"CATENATE",
	"URL-PARTIAL",
	"URLAUTH",
	"URLAUTH=BINARY",
	"REPLACE",
	"UTF8=ACCEPT",
	"MOVE",
	"CHILDREN",
	"LIST-EXTENDED",
	"LIST-STATUS",
	"SPECIAL-USE",
	"CREATE-SPECIAL-USE",
	"ESEARCH",
	"SEARCHRES",
	"PARTIAL",
	"WITHIN",
	"SORT",
	"SORT=DISPLAY",
	"ESORT",
	"THREAD=ORDEREDSUBJECT",
	"THREAD=REFERENCES",
	"THREAD=REFS",
	"I18NLEVEL=1",
	"BINARY",
	"PREVIEW",
	"SAVEDATE",
	"STATUS=SIZE",
	"ACL",
	"RIGHTS=texk",
	"LIST-MYRIGHTS",
	"METADATA",
	"LIST-METADATA",
	"QUOTA",
	"QUOTA=RES-STORAGE",
	"QUOTA=RES-MESSAGE",
	"INPROGRESS",
	"UIDONLY",
	"SEARCH=FUZZY",
	"MULTISEARCH",
	"CONTEXT=SEARCH",
	"CONTEXT=SORT",
	"NOTIFY",
	/* clang-format on */
};

/* All that there is is told before log-in too: some libraries (imaplib) never ask again. */
void imap_put_capabilities(struct imap_session *s, struct buf *out)
{
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		struct slice name = slice_from_cstr(capabilities[i]);

		if (s->context->options.preauth.account != 0 && slice_eq(name, SLICE("UNAUTHENTICATE")))
			continue;
		buf_add_byte(out, ' ');
		buf_add(out, name);
	}
	/* RFC 7888 section 5: one of them. */
	buf_add(out, s->context->options.small_literals ? SLICE(" LITERAL-") : SLICE(" LITERAL+"));
	buf_add_literal(out, " APPENDLIMIT=");
	buf_add_u64(out, imap_append_limit(s));
	if (s->context->options.message_limit) {
		buf_add(out, s->context->options.limits_saving_only ? SLICE(" SAVELIMIT=") : SLICE(" MESSAGELIMIT="));
		buf_add_u64(out, s->context->options.message_limit);
	}
	if (s->state == IMAP_NOT_AUTHENTICATED)
		put_login_capabilities(s, out);
	else if (!conn_is_deflated(imap_conn(s)))
		buf_add_literal(out, " COMPRESS=DEFLATE");
}

/* ---- answers ---- */

void imap_tell_before_answer(struct imap_session *s, struct imap_command *command)
{
	bool fresh = command->news == IMAP_NEWS_FRESH || s->stale || clock_monotonic_ms() - s->refreshed_ms > REFRESH_MS;

	if (command->news == IMAP_NEWS_NONE)
		return;
	imap_tell_metadata(s, fresh, 0);
	if (fresh) {
		url_tell_reset(s);
		imap_notify_others(s);
	}
	if (!mailbox_viewer_is_open(&s->viewer) || !imap_notify_allows_news(s, command)) {
		s->stale = false;
		return;
	}
	if (fresh)
		imap_refresh(s);
	imap_tell_news(s, command->news != IMAP_NEWS_FLAGS, &command->own);
	command->news = IMAP_NEWS_NONE;
}

static void put_answer(struct imap_session *s, struct slice tag, struct slice kind, struct slice code, struct slice text)
{
	struct buf *out = imap_output(s);

	buf_add(out, tag);
	buf_add(out, kind);
	if (code.len) {
		buf_add_byte(out, '[');
		buf_add(out, code);
		buf_add_literal(out, "] ");
	}
	buf_add(out, text);
	buf_add_literal(out, "\r\n");
}

enum next imap_ok_code(struct imap_session *s, struct imap_command *command, struct slice code, struct slice text)
{
	if (s->state != IMAP_NOT_AUTHENTICATED)
		s->bad_commands = 0;
	imap_tell_before_answer(s, command);
	put_answer(s, command->tag, SLICE(" OK "), code, text);
	return NEXT_PARK;
}

enum next imap_ok(struct imap_session *s, struct imap_command *command, struct slice text)
{
	return imap_ok_code(s, command, SLICE_EMPTY, text);
}

enum next imap_no(struct imap_session *s, struct imap_command *command, struct slice code, struct slice text)
{
	imap_tell_before_answer(s, command);
	put_answer(s, command->tag, SLICE(" NO "), code, text);
	return NEXT_PARK;
}

enum next imap_bye(struct imap_session *s, struct slice code, struct slice text)
{
	put_answer(s, SLICE("*"), SLICE(" BYE "), code, text);
	return NEXT_CLOSE;
}

enum next imap_bad_code(struct imap_session *s, struct imap_command *command, struct slice code, struct slice text)
{
	unsigned max = s->context->options.max_bad_commands ? s->context->options.max_bad_commands : BAD_COMMANDS_MAX;

	put_answer(s, command->tag.len ? command->tag : SLICE("*"), SLICE(" BAD "), code, text);
	if (++s->bad_commands >= max)
		return imap_bye(s, SLICE_EMPTY, SLICE("Too many bad commands"));
	return NEXT_PARK;
}

enum next imap_bad(struct imap_session *s, struct imap_command *command, struct slice text)
{
	return imap_bad_code(s, command, SLICE_EMPTY, text);
}

enum next imap_bad_arguments(struct imap_session *s, struct imap_command *command)
{
	struct buf text;

	buf_init(&text, imap_arena(s), 0);
	if (command->spec) {
		buf_add(&text, command->spec->name);
		buf_add_literal(&text, ": ");
	}
	buf_add(&text, command->args.fault.len ? command->args.fault : SLICE("malformed"));
	if (command->args.is_impossible)
		return imap_no(s, command, SLICE("CANNOT"), buf_slice(&text));
	return imap_bad_code(s, command, command->args.needs_uid ? SLICE("UIDREQUIRED") : SLICE_EMPTY, buf_slice(&text));
}

/* RFC 5530: the one place where a class of failure becomes a response code. */
enum next imap_answer(struct imap_session *s, struct imap_command *command, enum status status, struct slice text)
{
	switch (status) {
	case STATUS_OK:
		return imap_ok(s, command, text);
	case STATUS_NEED_MORE:
	case STATUS_PEER:
		return imap_bad(s, command, SLICE("Malformed"));
	case STATUS_NOT_FOUND:
		return imap_no(s, command, SLICE("NONEXISTENT"), SLICE("There is no such mailbox"));
	case STATUS_EXISTS:
		return imap_no(s, command, SLICE("ALREADYEXISTS"), SLICE("There is a mailbox of that name"));
	case STATUS_REFUSED:
		return imap_no(s, command, SLICE("CANNOT"), SLICE("That can't be done with this mailbox"));
	case STATUS_LIMIT:
		return imap_no(s, command, SLICE("LIMIT"), SLICE("A limit is reached"));
	case STATUS_TEMPORARY:
		return imap_no(s, command, SLICE("UNAVAILABLE"), SLICE("Not possible at the moment, try again later"));
	case STATUS_BUG:
		break;
	}
	return imap_no(s, command, SLICE("SERVERBUG"), SLICE("An error in the server; it is in its log"));
}

enum next imap_answer_target(struct imap_session *s, struct imap_command *command, enum status status, struct slice text)
{
	if (status == STATUS_NOT_FOUND)
		return imap_no(s, command, SLICE("TRYCREATE"), SLICE("There is no such mailbox"));
	if (status == STATUS_LIMIT)
		return imap_no(s, command, SLICE("OVERQUOTA"), SLICE("The account is full"));
	return imap_answer(s, command, status, text);
}

/* RFC 9051 section 6.4.9: an unknown uid is no error. A number that the client was told of is one (RFC 2180 section 4.1.2). */
enum next imap_answer_missing(struct imap_session *s, struct imap_command *command)
{
	struct slice text = SLICE("Some of the messages no longer exist");

	return command->uid ? imap_ok_code(s, command, SLICE("EXPUNGEISSUED"), text)
			    : imap_no(s, command, SLICE("EXPUNGEISSUED"), text);
}

/* RFC 9585 section 4: a tag with a bracket would end the code; `done` stays below `goal`. */
void imap_progress(struct imap_session *s, uint64_t done, uint64_t goal)
{
	int every = s->context->options.progress_ms ? s->context->options.progress_ms : PROGRESS_MS;
	int64_t now = clock_monotonic_ms();
	bool has_tag;

	if (goal == 0 || s->progress_tag.len == 0 || now - s->progress_ms < every)
		return;
	has_tag = slice_find_byte(s->progress_tag, ']') == SLICE_NOT_FOUND;
	s->progress_ms = now;
	done = done < goal ? done : goal - 1;
	buf_printf(imap_output(s), "* OK [INPROGRESS (%s%.*s%s %llu %llu)] Still at it\r\n", has_tag ? "\"" : "",
		   SLICE_ARG(has_tag ? s->progress_tag : SLICE("NIL")), has_tag ? "\"" : "", (unsigned long long)done,
		   (unsigned long long)goal);
	conn_flush(imap_conn(s));
}

void imap_continue(struct imap_session *s, struct slice text)
{
	struct buf *out = imap_output(s);

	buf_add_literal(out, "+ ");
	buf_add(out, text);
	buf_add_literal(out, "\r\n");
	conn_flush(imap_conn(s));
}
