#include "imap/filter.h"

#include "imap/name.h"

static const struct {
	struct slice name;
	enum filter_kind kind;
	bool has_names;
} kinds[] = {
	{{"SELECTED", 8}, FILTER_SELECTED, false},
	{{"SELECTED-DELAYED", 16}, FILTER_SELECTED_DELAYED, false},
	{{"INBOXES", 7}, FILTER_INBOXES, false},
	{{"PERSONAL", 8}, FILTER_PERSONAL, false},
	{{"SUBSCRIBED", 10}, FILTER_SUBSCRIBED, false},
	{{"SUBTREE", 7}, FILTER_SUBTREE, true},
	{{"SUBTREE-ONE", 11}, FILTER_SUBTREE_ONE, true},
	{{"MAILBOXES", 9}, FILTER_MAILBOXES, true},
};

static bool parse_name(struct imap_parser *p, struct mailbox_filter *filter)
{
	if (filter->count == FILTER_NAMES_MAX)
		return imap_fault(p, SLICE("too many mailboxes"));
	/* The number is a power of two: there is room up to the next. */
	if ((filter->count & (filter->count - 1)) == 0)
		filter->names = arena_try_grow(p->arena, filter->names, filter->count * sizeof(*filter->names),
					       (filter->count ? filter->count * 2 : 1) * sizeof(*filter->names));
	if (!filter->names)
		return imap_fault(p, SLICE("too many mailboxes"));
	return imap_parse_mailbox(p, &filter->names[filter->count++]);
}

static bool parse_names(struct imap_parser *p, struct mailbox_filter *filter)
{
	if (!imap_parse_space(p))
		return false;
	if (!imap_accept(p, '('))
		return parse_name(p, filter);
	do {
		if (!parse_name(p, filter))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')');
}

bool imap_parse_filter(struct imap_parser *p, struct mailbox_filter *filter)
{
	struct slice word;

	*filter = (struct mailbox_filter){0};
	if (!imap_parse_word(p, &word))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!slice_eq_nocase(word, kinds[i].name))
			continue;
		filter->kind = kinds[i].kind;
		return !kinds[i].has_names || parse_names(p, filter);
	}
	return imap_fault(p, SLICE("there are no such mailboxes to choose"));
}

static bool is_one_below(struct slice name, struct slice parent)
{
	return imap_name_is_below(name, parent) && slice_find_byte(slice_skip(name, parent.len + 1), '/') == SLICE_NOT_FOUND;
}

bool imap_filter_matches(const struct mailbox_filter *filter, struct slice name, bool subscribed)
{
	if (filter->kind == FILTER_INBOXES || filter->kind == FILTER_PERSONAL)
		return true;
	if (filter->kind == FILTER_SUBSCRIBED)
		return subscribed;
	for (size_t i = 0; i < filter->count; i++) {
		if (slice_eq(name, filter->names[i]) ||
		    (filter->kind == FILTER_SUBTREE && imap_name_is_below(name, filter->names[i])) ||
		    (filter->kind == FILTER_SUBTREE_ONE && is_one_below(name, filter->names[i])))
			return true;
	}
	return false;
}
