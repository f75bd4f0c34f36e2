#include "imap/gather.h"

#include "imap/session.h"

struct gathering {
	gather_each each;
	void *context;
	const struct view_message *messages;
	size_t count, next;
	bool is_full;
};

static bool each_email(void *context, const struct email *email)
{
	struct gathering *g = context;

	while (g->next < g->count && g->messages[g->next].uid < email->uid)
		g->next++;
	if (g->next == g->count || g->messages[g->next].uid != email->uid)
		return g->next < g->count;
	g->is_full = !g->each(g->context, &g->messages[g->next++], email);
	return !g->is_full;
}

static enum status scan(struct imap_session *s, struct gathering *g, unsigned wanted)
{
	uint32_t *uids = ARENA_ARRAY(imap_arena(s), uint32_t, g->count);

	for (size_t i = 0; i < g->count; i++)
		uids[i] = g->messages[i].uid;
	return email_scan(imap_store(s), imap_viewer_account(s), mailbox_viewer_state(imap_viewer(s)).mailbox, uids, g->count, wanted,
			  each_email, g);
}

static enum status gather_known(struct gathering *g)
{
	static const struct email nothing;

	for (size_t i = 0; i < g->count && !g->is_full; i++)
		g->is_full = !g->each(g->context, &g->messages[i], &nothing);
	return STATUS_OK;
}

enum status imap_gather(struct imap_session *s, const struct search_hits *hits, unsigned wanted, gather_each each,
			void *context)
{
	struct imap_set set = imap_set_of(imap_arena(s), hits->uids, hits->count);
	struct gathering g = {.each = each, .context = context};
	enum status status = STATUS_OK;
	struct imap_walk walk;
	size_t gathered = 0;

	imap_walk_begin(&walk, s, &set);
	while (status == STATUS_OK && imap_walk_next(&walk)) {
		imap_progress(s, gathered, hits->count);
		gathered += walk.count;
		g.messages = walk.messages;
		g.count = walk.count;
		g.next = 0;
		status = wanted ? scan(s, &g, wanted) : gather_known(&g);
		if (g.is_full)
			status = STATUS_LIMIT;
	}
	return status;
}
