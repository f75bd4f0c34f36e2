/* Programs of this machine: the socket tells which user they belong to. */
#include <sys/socket.h>

#include "smtp/session.h"

void local_identify(struct smtp_session *s)
{
	struct ucred credentials = {.uid = (uid_t)-1};
	socklen_t length = sizeof(credentials);
	struct buf text;

	if (getsockopt(conn_fd(s->conn), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
		credentials.uid = (uid_t)-1;
	s->uid = credentials.uid;
	buf_init(&text, s->env->session_arena, 0);
	if (s->uid == (uid_t)-1)
		buf_add_literal(&text, "local");
	else
		buf_printf(&text, "uid=%u", (unsigned)s->uid);
	s->peer = buf_slice(&text);
}

static bool matches(struct slice sender, struct slice senders)
{
	size_t at = slice_find_last_byte(sender, '@');

	if (slice_eq(senders, SLICE("*")))
		return true;
	if (slice_starts_with(senders, SLICE("@")))
		return at != SLICE_NOT_FOUND && slice_eq_nocase(slice_skip(sender, at), senders);
	return slice_eq_nocase(sender, senders);
}

/* The null sender is anybody's. */
bool local_may_send_as(const struct smtp_session *s, struct slice sender)
{
	for (size_t i = 0; i < s->options.local_rule_count; i++) {
		const struct smtp_local_rule *rule = &s->options.local_rules[i];

		if ((rule->is_everybody || (s->uid != (uid_t)-1 && rule->uid == s->uid)) && matches(sender, rule->senders))
			return true;
	}
	return sender.len == 0;
}
