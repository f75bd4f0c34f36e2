#include "main/role_bans.h"

#include <stdlib.h>

#include "base/clock.h"
#include "main/network_role.h"
#include "main/roles.h"
#include "store/bans.h"

struct role_bans {
	struct ban_list *list;
	struct ban_keeper *keeper; /* NULL: not started */
	const struct log *log;
};

/* A friend may be mistaken: trusted networks are exempt like those of ban.exempt. */
static struct ban_list *make_list(struct role_setup *setup)
{
	const struct config *config = setup->config;
	size_t count = 0;
	const struct net_prefix *exempt = network_role_exempt(setup, config->ban.exempt, config->ban.exempt_count, &count);

	return ban_list_new(exempt, count);
}

struct role_bans *role_bans_new(struct role_setup *setup)
{
	struct role_bans *bans = calloc(1, sizeof(*bans));

	if (!bans)
		abort();
	bans->list = make_list(setup);
	bans->log = &setup->log;
	return bans;
}

void role_bans_start(struct role_bans *bans, ban_fetch fetch, void *context)
{
	bans->keeper = ban_keeper_new(bans->list, fetch, context, bans->log);
}

void role_bans_stop(struct role_bans *bans)
{
	ban_keeper_stop(bans->keeper);
}

void role_bans_free(struct role_bans *bans)
{
	ban_keeper_free(bans->keeper);
	ban_list_free(bans->list);
	free(bans);
}

void role_bans_changed(struct role_bans *bans)
{
	ban_keeper_wake(bans->keeper);
}

#define WORDS(literal)                       \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

static const struct {
	const char *listeners;
	struct slice for_a_while, for_good;
} words[] = {
	/* RFC 5321 section 3.1 */
	{"smtp submission submissions lmtp", WORDS("421 4.7.1 You are banned here for a while\r\n"), WORDS("554 You are banned here\r\n")},
	{"imap imaps", WORDS("* BYE You are banned here for a while\r\n"), WORDS("* BYE You are banned here\r\n")},
	{"pop3 pop3s", WORDS("-ERR You are banned here for a while\r\n"), WORDS("-ERR You are banned here\r\n")},
};

struct slice role_bans_turn_away(void *context, const struct listener *listener, const struct net_address *peer)
{
	struct role_bans *bans = context;
	int64_t until_ms = ban_list_until(bans->list, peer, clock_wall_ms());

	if (until_ms == 0)
		return (struct slice){NULL, 0};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (role_words_have(words[i].listeners, slice_from_cstr(listener->name)))
			return until_ms == BANS_FOREVER ? words[i].for_good : words[i].for_a_while;
	return SLICE_EMPTY;
}
