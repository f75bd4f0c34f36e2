#include "smtp/filter.h"

/* ---- who is asked ---- */

static bool names(struct slice listeners, struct slice name)
{
	while (listeners.len > 0)
		if (slice_eq(slice_cut(&listeners, ' '), name))
			return true;
	return false;
}

static struct filter *filter_new(struct smtp_session *s)
{
	const struct smtp_context *context = s->env->context;
	struct filter *filter = s->filter;

	if (filter) /* the same for another client */
		return filter;
	filter = ARENA_NEW(s->env->session_arena, struct filter);
	filter->milters = ARENA_ARRAY(s->env->session_arena, struct milter, context->milter_count);
	for (size_t i = 0; i < context->milter_count; i++)
		if (names(context->milters[i].listeners, slice_from_cstr(s->env->listener->name)))
			milter_init(&filter->milters[filter->count++], context->milters[i].service, s->env);
	filter->redirect = SLICE_EMPTY;
	filter->last_change = &filter->changes;
	return filter;
}

/* Programs of this machine are its own network address, as with others: filters know them by it. */
static void describe_peer(struct smtp_session *s)
{
	const struct smtp_context *context = s->env->context;
	const struct net_address *address = conn_peer(s->conn);
	bool is_here = address->family == 0 || net_address_is_loopback(address);

	s->filter->client = (struct smtp_client_names){SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY};
	if (s->told)
		s->filter->client.name = s->filter->client.ptr = s->client_name;
	else if (is_here)
		s->filter->client = (struct smtp_client_names){SLICE("localhost"), SLICE("localhost"), SLICE("OK")};
	else if (context->name_client) {
		engine_wait(s->env, true);
		context->name_client(context->name_context, s->env->session_arena, address, &s->filter->client);
		engine_wait(s->env, false);
	}

	s->filter->peer = (struct milter_peer){
		.name = s->filter->client.name,
		.address = address->family == 0 ? SLICE("127.0.0.1") : s->peer,
		.family = address->family == AF_INET6 ? '6' : '4',
		.port = address->port,
	};
	if (s->told && !xclient_peer_is_known(s))
		s->filter->peer = (struct milter_peer){.name = s->filter->client.name, .address = SLICE_EMPTY, .family = 'U'};
}

/* ---- what is made of an answer ---- */

void filter_hold(struct smtp_session *s, struct slice why)
{
	s->filter->is_held = true;
	s->filter->held_why = slice_dup(&s->arena, slice_sub(why, 0, 200));
}

/* False: it was said. */
static bool take(struct smtp_session *s, const struct milter_answer *answer, struct slice recipient, enum next *next)
{
	struct deliver_verdict verdict = {STATUS_REFUSED, answer->code, answer->enhanced, answer->text};

	if (answer->verdict == MILTER_DISCARDED)
		s->filter->is_discarded = true;
	if (answer->verdict == MILTER_HELD)
		filter_hold(s, answer->text);
	if (answer->verdict != MILTER_REFUSED)
		return true;
	smtp_log_refused(s, answer->code, answer->text, recipient);
	smtp_answer_verdict(s, &verdict);
	*next = answer->ends ? NEXT_CLOSE : NEXT_PARK;
	return false;
}

/* However long filters took: there is time for the answer. */
static bool in_time(struct smtp_session *s, bool goes_on)
{
	if (s->filter)
		smtp_set_time_limit(s, LINE_TIMEOUT_MS);
	return goes_on;
}

typedef struct milter_answer (*question)(struct smtp_session *session, struct milter *milter, const void *about);

/* All, one after the other, until one refuses or throws away. */
static bool ask_all(struct smtp_session *s, question ask, const void *about, struct slice recipient, enum next *next)
{
	for (size_t i = 0; i < s->filter->count && !s->filter->is_discarded; i++) {
		struct milter_answer answer = ask(s, &s->filter->milters[i], about);

		if (!take(s, &answer, recipient, next))
			return false;
	}
	return true;
}

/* ---- the steps ---- */

static struct milter_answer connect_to(struct smtp_session *s, struct milter *milter)
{
	return milter_connect(milter, s->env->command_arena, &s->filter->peer, &s->filter->macros);
}

static bool has_policy(const struct smtp_session *s)
{
	const struct smtp_context *context = s->env->context;

	for (size_t i = 0; i < context->policy_count; i++)
		if (names(context->policies[i].listeners, slice_from_cstr(s->env->listener->name)))
			return true;
	return false;
}

/* What isn't there is missed when a message comes: until then it may be back. */
static bool ask_at_connect(struct smtp_session *s)
{
	const struct smtp_context *context = s->env->context;
	enum next next;

	if (context->milter_count == 0 && context->policy_count == 0)
		return true;
	s->filter = filter_new(s);
	if (s->filter->count == 0 && !has_policy(s)) {
		s->filter = NULL;
		return true;
	}
	s->filter->owes_hello = true;
	describe_peer(s);
	if (!filter_policy_connect(s, &next))
		return false;
	filter_macros_connect(s);
	for (size_t i = 0; i < s->filter->count; i++) {
		struct milter_answer answer = connect_to(s, &s->filter->milters[i]);

		if (s->filter->milters[i].state != MILTER_FAILED && !take(s, &answer, SLICE_EMPTY, &next))
			return false;
	}
	return true;
}

bool smtp_filter_connect(struct smtp_session *s)
{
	return in_time(s, ask_at_connect(s));
}

static struct milter_answer ask_hello(struct smtp_session *s, struct milter *milter, const void *about)
{
	(void)about;
	if (milter->state == MILTER_FAILED)
		return (struct milter_answer){.verdict = MILTER_GO_ON};
	return milter_helo(milter, s->env->command_arena, s->helo, &s->filter->macros);
}

bool smtp_filter_hello(struct smtp_session *s, enum next *next)
{
	if (!s->filter)
		return true;
	filter_macros_hello(s);
	s->filter->owes_hello = !(filter_policy_hello(s, next) && ask_all(s, ask_hello, NULL, SLICE_EMPTY, next));
	return in_time(s, !s->filter->owes_hello);
}

/* The path's end: quotes may hide a ">" in it. */
static size_t path_end(struct slice text)
{
	bool quoted = false;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\\' && quoted)
			i++;
		else if (text.data[i] == '"')
			quoted = !quoted;
		else if (text.data[i] == '>' && !quoted)
			return i + 1;
	}
	return text.len;
}

struct path {
	struct slice path, arguments;
};

/* "<a@example.org>" as it was sent, and what stands behind it. */
static struct path split(struct slice argument)
{
	struct slice text = slice_trim(slice_skip(argument, slice_find_byte(argument, ':') + 1));
	size_t end = path_end(text);

	return (struct path){slice_sub(text, 0, end), slice_trim(slice_skip(text, end))};
}

/* What has failed is tried again, with what it has missed. */
static struct milter_answer begin_message(struct smtp_session *s, struct milter *milter)
{
	struct milter_answer answer = {.verdict = MILTER_GO_ON};

	if (milter->state != MILTER_FAILED)
		return answer;
	answer = connect_to(s, milter);
	if (answer.verdict == MILTER_GO_ON && milter->state == MILTER_READY)
		answer = milter_helo(milter, s->env->command_arena, s->helo, &s->filter->macros);
	return answer;
}

static struct milter_answer ask_sender(struct smtp_session *s, struct milter *milter, const void *about)
{
	const struct path *from = about;
	struct milter_answer answer = begin_message(s, milter);

	if (answer.verdict != MILTER_GO_ON || milter->state == MILTER_FAILED)
		return answer;
	return milter_mail(milter, s->env->command_arena, from->path, from->arguments, &s->filter->macros);
}

bool smtp_filter_sender(struct smtp_session *s, struct slice argument, enum next *next)
{
	struct path from = split(argument);

	if (!s->filter)
		return true;
	if (s->filter->owes_hello && !smtp_filter_hello(s, next))
		return false;
	filter_macros_hello(s); /* the login may have come since */
	filter_macros_sender(s);
	return in_time(s, filter_policy_sender(s, next) && ask_all(s, ask_sender, &from, SLICE_EMPTY, next));
}

static struct milter_answer ask_recipient(struct smtp_session *s, struct milter *milter, const void *about)
{
	const struct path *to = about;

	return milter_rcpt(milter, s->env->command_arena, to->path, to->arguments, &s->filter->macros);
}

bool smtp_filter_recipient(struct smtp_session *s, struct slice argument, struct slice recipient, enum next *next)
{
	struct path to = split(argument);
	bool goes_on;

	if (!s->filter)
		return true;
	if (!filter_policy_recipient(s, recipient, next))
		return in_time(s, false);
	filter_macros_recipient(s, recipient);
	goes_on = ask_all(s, ask_recipient, &to, recipient, next);
	filter_macros_recipient(s, SLICE_EMPTY); /* it is the command's */
	return in_time(s, goes_on);
}

void smtp_filter_refused(struct smtp_session *s, struct slice argument, const struct deliver_verdict *verdict)
{
	struct path to = split(argument);

	if (!s->filter)
		return;
	filter_macros_refused(s, verdict);
	for (size_t i = 0; i < s->filter->count && !s->filter->is_discarded; i++)
		if (milter_wants_refused(&s->filter->milters[i]))
			(void)ask_recipient(s, &s->filter->milters[i], &to);
	filter_macros_recipient(s, SLICE_EMPTY);
	(void)in_time(s, true);
}

static struct milter_answer ask_data(struct smtp_session *s, struct milter *milter, const void *about)
{
	(void)about;
	return milter_data(milter, s->env->command_arena, &s->filter->macros);
}

bool smtp_filter_data(struct smtp_session *s, enum next *next)
{
	if (!s->filter)
		return true;
	s->filter->has_asked_data = true;
	return in_time(s, filter_policy_data(s, next) && ask_all(s, ask_data, NULL, SLICE_EMPTY, next));
}

static struct milter_answer ask_unknown(struct smtp_session *s, struct milter *milter, const void *about)
{
	return milter_unknown(milter, s->env->command_arena, *(const struct slice *)about);
}

bool smtp_filter_unknown(struct smtp_session *s, struct slice line, enum next *next)
{
	return !s->filter || in_time(s, ask_all(s, ask_unknown, &line, SLICE_EMPTY, next));
}

/* ---- the end ---- */

void smtp_filter_end(struct smtp_session *s)
{
	if (!s->filter)
		return;
	for (size_t i = 0; i < s->filter->count; i++)
		milter_end_message(&s->filter->milters[i]);
	filter_macros_end(s);
	filter_policy_end(s);
	s->filter->is_discarded = s->filter->has_asked_data = false;
}

void smtp_filter_leave(struct smtp_session *s)
{
	if (!s->filter)
		return;
	for (size_t i = 0; i < s->filter->count; i++)
		milter_close(&s->filter->milters[i]);
}
