#include "main/roles.h"

#include "main/role.h"

#define ASK(role) (1u << (role))
#define ASK_ALL                                                                                             \
	(ASK(ROLE_SMTP) | ASK(ROLE_DELIVER) | ASK(ROLE_RELAY) | ASK(ROLE_IMAP) | ASK(ROLE_AUTH) | ASK(ROLE_JOBS) | ASK(ROLE_LOCAL) | \
	 ASK(ROLE_CONVERT))

static const struct role_definition definitions[] = {
	{ROLE_SMTP, "SMTP and submission sessions", POWER_ACCEPT, ASK(ROLE_DELIVER) | ASK(ROLE_AUTH) | ASK(ROLE_IMAP), "ban session", "smtp submission submissions lmtp local",
	 role_run_smtp},
	{ROLE_DELIVER, "routing, and the transaction into accounts and queue", POWER_STORE, ASK(ROLE_LOCAL), "directory offence", "", role_run_deliver},
	{ROLE_RELAY, "sends what is due in the queue", POWER_STORE | POWER_CONNECT, ASK(ROLE_DELIVER) | ASK(ROLE_LOCAL), "queue", "", role_run_relay},
	{ROLE_IMAP, "IMAP and POP3 sessions", POWER_ACCEPT | POWER_STORE, ASK(ROLE_AUTH) | ASK(ROLE_CONVERT), "mailbox ban session", "imap imaps pop3 pop3s", role_run_imap},
	{ROLE_AUTH, "verifies credentials", POWER_AUTH, 0, "credential", "", role_run_auth},
	{ROLE_JOBS, "clean-up", POWER_STORE, ASK(ROLE_DELIVER) | ASK(ROLE_CONVERT), "", "", role_run_jobs},
	{ROLE_CONVERT, "reads attachments", POWER_PROGRAMS, 0, "", "", role_run_convert},
	{ROLE_LOCAL, "mail for Unix users and programs", POWER_USERS, 0, "", "", role_run_local},
	/* Numbers only: ipc/metrics.h. */
	{ROLE_METRICS, "tells whoever watches the numbers of all roles", POWER_ACCEPT, ASK_ALL, "roles", "metrics", role_run_metrics},
};

const struct role_definition *role_definition(enum role role)
{
	for (size_t i = 0; i < sizeof(definitions) / sizeof(definitions[0]); i++) {
		if (definitions[i].role == role)
			return &definitions[i];
	}
	return NULL;
}

bool role_words_have(const char *words, struct slice word)
{
	struct slice rest = slice_from_cstr(words);

	while (rest.len > 0) {
		if (slice_eq(slice_cut(&rest, ' '), word))
			return word.len > 0;
	}
	return false;
}
