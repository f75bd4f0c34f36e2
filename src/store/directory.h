/* directory: domains, accounts, aliases: who receives mail here. Names are normalised by the caller's email_address (lower-case
 * domain); local parts are compared without case (as every peer does; RFC 5321 section 2.4 lets the host choose). */
#pragma once

#include "store/store.h"

struct account {
	int64_t id;           /* 1 .. 2^31-1 */
	struct slice address; /* "alice@example.test" */
	struct slice name;    /* for people; may be empty */
	bool enabled;
	bool is_shared;                   /* nobody's own: a shared mailbox, which nobody logs in to (rights.h) */
	uint64_t quota_bytes, used_bytes; /* quota 0: none */
	uint64_t quota_messages, used_messages;
	int64_t created_ms;
};

MUST_CHECK enum status directory_add_domain(struct store *store, struct slice domain);
/* Refused (STATUS_REFUSED) while accounts are in it. */
MUST_CHECK enum status directory_remove_domain(struct store *store, struct slice domain);
MUST_CHECK enum status directory_list_domains(struct store *store, struct arena *arena, struct slice **domains, size_t *count);
MUST_CHECK enum status directory_has_domain(struct store *store, struct slice domain);

/* Makes the account with its mailboxes: INBOX, Drafts, Sent, Junk, Trash, Archive with their special use (RFC 6154).
 * NOT_FOUND: no such domain. EXISTS: an account or alias has the address. */
MUST_CHECK enum status directory_add_account(struct store *store, struct slice address, struct slice name, uint64_t quota_bytes,
					     int64_t *account_id);
/* The same with INBOX only, for what is nobody's own. */
MUST_CHECK enum status directory_add_shared_account(struct store *store, struct slice address, struct slice name,
						    uint64_t quota_bytes, int64_t *account_id);
MUST_CHECK enum status directory_remove_account(struct store *store, struct slice address);
/* Goes on with what a crash left of removed accounts: for clean-up. */
MUST_CHECK enum status directory_finish_removals(struct store *store);
MUST_CHECK enum status directory_enable_account(struct store *store, struct slice address, bool enabled);
MUST_CHECK enum status directory_set_quota(struct store *store, struct slice address, uint64_t bytes, uint64_t messages);
MUST_CHECK enum status directory_find_account(struct store *store, struct arena *arena, struct slice address,
					      struct account *account);
MUST_CHECK enum status directory_get_account(struct store *store, struct arena *arena, int64_t id, struct account *account);
MUST_CHECK enum status directory_list_accounts(struct store *store, struct arena *arena, struct slice domain /* empty: all */,
					       struct account **accounts, size_t *count);

/* address: "sales@example.test", or "@example.test" for the catch-all. Targets: addresses here or elsewhere,
 * or local:NAME (routing.h). */
struct alias {
	struct slice address, target;
};
MUST_CHECK enum status directory_add_alias(struct store *store, struct slice address, struct slice target);
/* target empty: all of the address. */
MUST_CHECK enum status directory_remove_alias(struct store *store, struct slice address, struct slice target);
MUST_CHECK enum status directory_list_aliases(struct store *store, struct arena *arena, struct alias **aliases, size_t *count);

/* One look-up for routing, in one read transaction: is the domain ours, and whose is the address? */
enum directory_kind {
	DIRECTORY_NOT_LOCAL, /* the domain isn't ours */
	DIRECTORY_UNKNOWN,   /* ours, but nobody there */
	DIRECTORY_ACCOUNT,
	DIRECTORY_ALIAS, /* targets, by exact address, domain alias or catch-all */
	DIRECTORY_RELAY, /* another host's, for which we take it (routing.h) */
};
struct directory_entry {
	enum directory_kind kind;
	struct account account;
	struct slice *targets;
	size_t target_count;
	bool is_catch_all;
	bool is_domain_alias; /* the one target is the same address in the domain that this one stands for */
	/* Who may write to an alias: RULE_MEMBERS, addresses, "@domain"; none: everybody. */
	struct slice *senders;
	size_t sender_count;
};
/* `address` as local@domain; exact account, exact alias, then (if `separator` is set and in the local part) the same without
 * "+detail", then the catch-all. */
MUST_CHECK enum status directory_look_up(struct store *store, struct arena *arena, struct slice address, char separator,
					 struct directory_entry *entry);
