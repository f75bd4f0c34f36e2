/* ETRN (RFC 1985): a host that was away asks for its mail: what waits for its domain is tried now, on the usual way; nothing is sent to
 * who asks. Only for domains that are taken here. */
#include "ipc/ipc.h"
#include "mime/address.h"
#include "smtp/session.h"

bool smtp_may_etrn(const struct smtp_session *s)
{
	enum smtp_vrfy policy = s->options.etrn;

	if (s->is_lmtp || s->is_local)
		return false;
	return policy == SMTP_VRFY_ALWAYS || (policy == SMTP_VRFY_TRUSTED && (s->account != 0 || s->is_trusted));
}

static enum next say(struct smtp_session *s, unsigned code, const char *enhanced, struct slice before, struct slice node, struct slice behind)
{
	struct reply reply = {code, slice_from_cstr(enhanced), SLICE_EMPTY};

	reply.text = slice_join(s->env->command_arena, (const struct slice[]){before, node, behind}, 3);
	return smtp_answer_reply(s, &reply);
}

/* RFC 1985 section 5.1: "@" before the name: the domain and all below it. */
static bool parse_node(struct arena *arena, struct slice argument, struct slice *domain, struct slice *wanted)
{
	bool is_tree = slice_starts_with(argument, SLICE("@"));

	if (!domain_parse(arena, slice_skip(argument, is_tree), domain))
		return false;
	*wanted = slice_join(arena, (const struct slice[]){is_tree ? SLICE(".") : SLICE_EMPTY, *domain}, 2);
	return true;
}

/* RFC 1985 section 5.3: the replies. */
enum next cmd_etrn(struct smtp_session *s, struct slice argument)
{
	struct arena *arena = s->env->command_arena;
	struct slice domain, wanted;
	struct deliver_who who;

	if (s->options.etrn == SMTP_VRFY_NEVER)
		return smtp_answer(s, REPLY_UNKNOWN_COMMAND);
	if (argument.len == 0)
		return smtp_answer(s, REPLY_ARGUMENT_MISSING);
	if (!smtp_may_etrn(s))
		return say(s, 459, "4.7.1", SLICE("Node "), argument, SLICE(" not allowed: log in first"));
	if (!parse_node(arena, argument, &domain, &wanted))
		return say(s, 501, "5.5.4", SLICE("Syntax: ETRN domain, or @domain; "), argument, SLICE(" is none"));
	if (deliver_look_up(s->ipc, arena, slice_join(arena, (const struct slice[]){SLICE("postmaster@"), domain}, 2), &who) != STATUS_OK)
		return say(s, 458, "4.3.0", SLICE("Unable to queue messages for node "), argument, SLICE(", try again"));
	if (who.kind == DIRECTORY_NOT_LOCAL)
		return say(s, 459, "4.7.1", SLICE("Node "), argument, SLICE(" not allowed: no mail is taken for it here"));
	ipc_announce(s->ipc, SLICE("queue"), slice_join(arena, (const struct slice[]){SLICE("retry "), wanted}, 2));
	LOG_INFO(s->log, "smtp.etrn", LOG_STR("peer", s->peer), LOG_STR("domain", wanted), LOG_STR("login", s->login));
	return say(s, 250, "2.0.0", SLICE("OK, queuing for node "), argument, SLICE(" started"));
}
