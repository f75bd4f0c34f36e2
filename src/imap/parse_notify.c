#include "imap/parse_notify.h"

static const struct {
	struct slice name;
	unsigned event;
} events[] = {
	{{"MessageNew", 10}, NOTIFY_MESSAGE_NEW},
	{{"MessageExpunge", 14}, NOTIFY_MESSAGE_EXPUNGE},
	{{"FlagChange", 10}, NOTIFY_FLAG_CHANGE},
	{{"MailboxName", 11}, NOTIFY_MAILBOX_NAME},
	{{"SubscriptionChange", 18}, NOTIFY_SUBSCRIPTION_CHANGE},
	{{"MailboxMetadataChange", 21}, NOTIFY_MAILBOX_METADATA},
	{{"ServerMetadataChange", 20}, NOTIFY_SERVER_METADATA},
};

static bool is_selected(const struct mailbox_filter *filter)
{
	return filter->kind == FILTER_SELECTED || filter->kind == FILTER_SELECTED_DELAYED;
}

/* "MessageNew (UID FLAGS)" */
static bool parse_items(struct imap_parser *p, struct notify_request *request, const struct notify_group *group)
{
	if (!slice_starts_with(p->rest, SLICE(" (")))
		return true;
	if (!is_selected(&group->filter))
		return imap_fault(p, SLICE("only of the selected mailbox's messages something can be told"));
	request->has_items = true;
	return imap_parse_space(p) && imap_parse_fetch(p, &request->items);
}

static bool parse_event(struct imap_parser *p, struct notify_request *request, struct notify_group *group)
{
	struct slice name;

	if (!imap_parse_atom(p, &name))
		return false;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (!slice_eq_nocase(name, events[i].name))
			continue;
		group->events |= events[i].event;
		return events[i].event != NOTIFY_MESSAGE_NEW || parse_items(p, request, group);
	}
	request->unknown_event = true;
	return true;
}

/* Lenient: without parentheses too, as in the examples of RFC 5465. */
static bool parse_events(struct imap_parser *p, struct notify_request *request, struct notify_group *group)
{
	bool in_list;

	if (imap_accept_word(p, SLICE("NONE")))
		return true;
	in_list = imap_accept(p, '(');
	do {
		if (!parse_event(p, request, group))
			return false;
	} while (imap_accept(p, ' '));
	return !in_list || imap_parse_byte(p, ')');
}

/* RFC 5465 section 5, 6.1. */
static bool check_events(struct imap_parser *p, const struct notify_group *group)
{
	unsigned both = NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE;

	if (group->events & NOTIFY_MESSAGES && (group->events & both) != both)
		return imap_fault(p, SLICE("MessageNew and MessageExpunge stand together"));
	if (is_selected(&group->filter) && group->events & ~NOTIFY_MESSAGES)
		return imap_fault(p, SLICE("of the selected mailbox there are events of messages only"));
	return true;
}

static bool add_group(struct imap_parser *p, struct notify_request *request, const struct notify_group *group)
{
	if (!is_selected(&group->filter)) {
		if (request->count == NOTIFY_GROUPS_MAX)
			return imap_fault(p, SLICE("too many groups of events"));
		request->groups[request->count++] = *group;
		return true;
	}
	if (request->has_selected)
		return imap_fault(p, SLICE("the selected mailbox stands there once"));
	request->has_selected = true;
	request->delayed = group->filter.kind == FILTER_SELECTED_DELAYED;
	request->selected = group->events;
	return true;
}

static bool parse_group(struct imap_parser *p, struct notify_request *request)
{
	struct notify_group group = {0};

	if (!imap_parse_byte(p, '(') || !imap_parse_filter(p, &group.filter))
		return false;
	if (group.filter.kind == FILTER_SUBTREE_ONE)
		return imap_fault(p, SLICE("SUBTREE-ONE is ESEARCH's"));
	if (!imap_parse_space(p) || !parse_events(p, request, &group) || !imap_parse_byte(p, ')'))
		return false;
	return check_events(p, &group) && add_group(p, request, &group);
}

bool imap_parse_notify(struct imap_parser *p, struct notify_request *request)
{
	*request = (struct notify_request){0};
	if (!imap_parse_space(p))
		return false;
	request->none = imap_accept_word(p, SLICE("NONE"));
	if (request->none)
		return imap_parse_end(p);
	if (!imap_accept_word(p, SLICE("SET")))
		return imap_fault(p, SLICE("NOTIFY is SET or NONE"));
	if (!imap_parse_space(p))
		return false;
	request->status = imap_accept_word(p, SLICE("STATUS"));
	if (request->status && !imap_parse_space(p))
		return false;
	request->groups = ARENA_ARRAY(p->arena, struct notify_group, NOTIFY_GROUPS_MAX);
	do {
		if (!parse_group(p, request))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_end(p);
}
