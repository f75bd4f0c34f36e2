/* fake_roles: the deliver and auth roles of a small world, in place of their clients (link-time seam).
 *
 *     ok*@example.test    taken, and everything else there that isn't named here
 *     unknown@            550    full@ 452    temp@ 451
 *     elsewhere           550 unless may_relay
 *     a body that holds "FAIL": 451; "QUOTA": 452
 * Looked up: alice is account 7, all@ is an alias, many@ one with too many targets, temp@ isn't known now.
 * alice@example.test has the password "secret", may send as herself only, and is account 7.
 */
#pragma once

#include "deliver/deliver.h"

struct fake_message {
	struct slice sender, recipients, body; /* recipients separated by commas, with ORCPT and NOTIFY behind them */
	struct slice queue_id, envelope_id;
	enum dsn_return dsn_return;
	bool by_memfd, requires_tls, needs_utf8, body_8bit;
	int64_t account;
};
struct fake_roles {
	struct arena arena;
	struct fake_message last;
	bool counts_only; /* messages are taken unseen: for measuring */
	unsigned messages, recipients_checked, cancelled;
	void (*brought)(
		const struct fake_message *message); /* NULL, or hears of each message, also of one that is refused then */
};
extern struct fake_roles fake_roles;

void fake_roles_reset(void);
