/* rights: who may do what with whose mailbox (RFC 4314). The one place that knows, beneath all protocols. An account has all rights on its
 * own mailboxes, always and without a question to the database; others have what the mailbox's list gives them: the union of what its
 * entries give, without what entries of negative rights take.
 *
 * An identifier, as people write it:
 *     bob@example.org   an account
 *     $team             a group of accounts (group_*)
 *     @example.org      the accounts of a domain
 *     authenticated     the accounts of the domain that the mailbox's account is in
 *     anyone            likewise, and strangers who send mail to the mailbox
 *     -IDENTIFIER       what these are not to have
 *
 * Deviation: RFC 4314 section 2 has "anyone" mean everybody who can log in. A server has domains that don't know of each other, and one
 * user's grant would put a mailbox into the list of all.
 *
 * What somebody who isn't the owner has seen is kept apart for each (store/seen.h).
 */
#pragma once

#include "base/buf.h"
#include "store/mailbox.h"

enum mailbox_rights {
	RIGHT_LOOKUP = 1 << 0,         /* l */
	RIGHT_READ = 1 << 1,           /* r */
	RIGHT_SEEN = 1 << 2,           /* s */
	RIGHT_WRITE = 1 << 3,          /* w: flags but \Seen and \Deleted */
	RIGHT_INSERT = 1 << 4,         /* i */
	RIGHT_POST = 1 << 5,           /* p */
	RIGHT_CREATE = 1 << 6,         /* k: mailboxes below it */
	RIGHT_DELETE_MAILBOX = 1 << 7, /* x */
	RIGHT_DELETE = 1 << 8,         /* t: \Deleted */
	RIGHT_EXPUNGE = 1 << 9,        /* e */
	RIGHT_ADMINISTER = 1 << 10,    /* a */
	RIGHTS_ALL = (1 << 11) - 1,
	RIGHTS_NONE = 0,
};

/* In place of a mailbox's id: what mailboxes at the top of the account are made with, and who may make them. */
#define MAILBOX_ROOT_ID 0

/* Letters, also the old c and d (RFC 4314 section 2.1.1). False: there is no such right. */
MUST_CHECK bool rights_parse(struct slice letters, unsigned *rights);
/* With c and d for old clients. */
void rights_put(struct buf *out, unsigned rights);
/* Flags that one with these rights may change. */
uint64_t rights_flags(unsigned rights);

/* ---- what a viewer may do ---- */

/* An account's with one of its mailboxes, or another's. Mailboxes and accounts that don't exist: none. */
MUST_CHECK enum status rights_of(struct store *store, int64_t viewer, int64_t account, int64_t mailbox, unsigned *rights);
/* On the nearest mailbox above the name that there is (RFC 4314 section 4, CREATE). */
MUST_CHECK enum status rights_above(struct store *store, int64_t viewer, int64_t account, struct slice name, unsigned *rights);

/* Has who sends mail to a mailbox the right p on it? `sender`: an account, or 0: a stranger, who has what "anyone" has. */
MUST_CHECK enum status rights_to_post(struct store *store, int64_t sender, int64_t account, int64_t mailbox, bool *may);

/* All mailboxes of others that the viewer has the right l on, by account and name. */
struct shared_mailbox {
	int64_t account;
	struct slice address; /* the account's */
	bool is_shared;       /* it is nobody's own: directory.h */
	unsigned rights;
	struct mailbox mailbox;
};
MUST_CHECK enum status rights_shared(struct store *store, struct arena *arena, int64_t viewer,
				     struct shared_mailbox **mailboxes, size_t *count);

/* ---- lists of rights ---- */

struct acl_entry {
	struct slice identifier;
	unsigned rights;
};
/* By identifier. */
MUST_CHECK enum status acl_list(struct store *store, struct arena *arena, int64_t account, int64_t mailbox,
				struct acl_entry **entries, size_t *count);
enum acl_change { ACL_REPLACE, ACL_ADD, ACL_REMOVE };
/* No rights: no entry. PEER: that can't be an identifier; REFUSED: the account itself, which has all rights; NOT_FOUND: no such account,
 * group, domain or mailbox; LIMIT: too many entries. */
MUST_CHECK enum status acl_change(struct store *store, int64_t account, int64_t mailbox, struct slice identifier,
				  enum acl_change change, unsigned rights);

/* ---- groups: "$team" ---- */

/* Both EXISTS or NOT_FOUND where nothing was to do; REFUSED: not a name. A group that goes takes its rights with it. */
MUST_CHECK enum status group_add(struct store *store, struct slice name);
MUST_CHECK enum status group_remove(struct store *store, struct slice name);
MUST_CHECK enum status group_set_member(struct store *store, struct slice name, int64_t account, bool is_member);
struct group_entry {
	struct slice name, member; /* member empty: it has none */
};
/* By name and member. `name` empty: all. */
MUST_CHECK enum status group_list(struct store *store, struct arena *arena, struct slice name, struct group_entry **entries,
				  size_t *count);
