/* Each claim is a query that counts what contradicts it. Sums are made once per table and joined, never counted row by row. Accounts
 * that are being removed (table `removal`) lose their rows in pieces and are left out. */
#include "store/invariants.h"

#include "store/store_internal.h"

#define COUNT      "SELECT count(*) FROM "
#define KEPT       " NOT IN (SELECT account FROM removal)"
#define OF(column) column " >= $1 AND " column " <= $2"

#define MAILBOXES(differs)                                                                                                \
	COUNT "mailbox m LEFT JOIN (SELECT account, mailbox, count(*) AS messages,"                                       \
	      " sum(CASE WHEN (flags & 1) = 0 THEN 1 ELSE 0 END) AS unseen,"                                              \
	      " sum(CASE WHEN (flags & 16) <> 0 THEN 1 ELSE 0 END) AS deleted, sum(size) AS bytes, max(uid) AS last_uid," \
	      " max(modseq) AS modseq FROM mailbox_email WHERE " OF(                                                      \
		      "account") " GROUP BY account, mailbox) e"                                                          \
				 " ON e.account = m.account AND e.mailbox = m.id WHERE " OF("m.account") " AND (" differs ")"
#define ACCOUNTS(differs)                                                                                        \
	COUNT "account a LEFT JOIN (SELECT account, count(*) AS messages, sum(size) AS bytes FROM mailbox_email" \
	      " WHERE " OF("account") " GROUP BY account) e ON e.account = a.id WHERE " OF("a.id") " AND " differs
#define CHUNKS(owner)                                                                                                          \
	" FROM blob b WHERE b.account = " owner ".account AND b.id >= " owner ".id AND b.id < " owner ".id + " owner ".chunks" \
	")"
#define GIVEN_OUT(table, row, size)                                                                   \
	COUNT "account a WHERE " OF("a.id") " AND EXISTS (SELECT 1 FROM " table " " row " WHERE " row \
					    ".account = a.id AND " row ".id + " size                  \
					    " > a.id * 4294967296 + a.next_email AND " row ".id < (a.id + 1) * 4294967296)"

/* Those without a range are asked of the whole only. */
static const struct claim {
	const char *text, *contradictions;
	bool has_range;
} claims[] = {
	{"a mailbox counts its messages", MAILBOXES("m.messages <> coalesce(e.messages, 0)"), true},
	{"a mailbox counts its unseen messages", MAILBOXES("m.unseen <> coalesce(e.unseen, 0)"), true},
	{"a mailbox counts its deleted messages", MAILBOXES("m.deleted <> coalesce(e.deleted, 0)"), true},
	{"a mailbox sums up its messages' sizes", MAILBOXES("m.size_bytes <> coalesce(e.bytes, 0)"), true},
	{"a mailbox's next uid is greater than all it has", MAILBOXES("m.uid_next <= coalesce(e.last_uid, 0)"), true},
	{"a mailbox's modseq is the highest of its messages at least", MAILBOXES("m.highest_modseq < coalesce(e.modseq, 0)"),
	 true},
	{"a mailbox that is only a level has no messages", MAILBOXES("m.selectable = 0 AND m.messages <> 0"), true},
	{"a mailbox has an account that is ahead of its numbers",
	 COUNT "mailbox m LEFT JOIN account a ON a.id = m.account WHERE " OF(
		 "m.account") " AND (a.id IS NULL"
			      " OR m.highest_modseq > a.modseq OR m.id >= a.next_mailbox OR m.uid_validity >= "
			      "a.next_uid_validity)",
	 true},
	{"an account has an INBOX",
	 COUNT "account a LEFT JOIN mailbox m ON m.account = a.id AND m.id = 1"
	       " WHERE " OF("a.id") " AND a.id > 0"
				    " AND (m.id IS NULL OR m.name <> 'INBOX' OR m.selectable = 0)",
	 true},
	{"an account is in a domain that is here",
	 COUNT "account a LEFT JOIN domain d ON d.name = a.domain WHERE " OF("a.id") " AND a.id > 0 AND d.name IS NULL", true},
	{"an account counts its messages", ACCOUNTS("a.used_messages <> coalesce(e.messages, 0)"), true},
	{"an account sums up its messages' sizes", ACCOUNTS("a.used_bytes <> coalesce(e.bytes, 0)"), true},
	{"an account's modseq is the highest of its changes at least",
	 COUNT "account a JOIN (SELECT account, max(modseq) AS modseq FROM change WHERE " OF(
		 "account") " GROUP BY account) c"
			    " ON c.account = a.id WHERE a.modseq < c.modseq",
	 true},
	{"an account is ahead of the numbers of its messages", GIVEN_OUT("email", "e", "e.chunks"), true},
	{"an account is ahead of the numbers of its bodies", GIVEN_OUT("blob", "b", "1"), true},
	{"the queue is ahead of the numbers of its recipients", GIVEN_OUT("queue_recipient", "r", "1"), true},
	{"a message is in as many mailboxes as it counts",
	 COUNT "email e LEFT JOIN (SELECT account, email, count(*) AS copies FROM (SELECT account, email FROM mailbox_email"
	       " WHERE " OF("account") " UNION ALL SELECT account, email FROM deleted_email WHERE " OF(
		       "account") ") r"
				  " GROUP BY account, email) m ON m.account = e.account AND m.email = e.id"
				  " WHERE " OF("e.account") " AND e.copies <> coalesce(m.copies, 0) AND e.account" KEPT,
	 true},
	{"a message in a mailbox is there, and as large as it is said to be",
	 COUNT "mailbox_email m LEFT JOIN email e ON e.account = m.account AND e.id = m.email"
	       " WHERE " OF("m.account") " AND (e.id IS NULL OR e.size <> m.size) AND m.account" KEPT,
	 true},
	{"a deleted message that may come back is there",
	 COUNT "deleted_email m LEFT JOIN email e ON e.account = m.account AND e.id = m.email"
	       " WHERE " OF("m.account") " AND (e.id IS NULL OR e.size <> m.size) AND m.account" KEPT,
	 true},
	{"a message is in a mailbox that is there",
	 COUNT "mailbox_email m LEFT JOIN mailbox b ON b.account = m.account AND b.id = m.mailbox"
	       " WHERE " OF("m.account") " AND b.id IS NULL AND m.account" KEPT,
	 true},
	{"what an import brought belongs to a source, and that to a mailbox",
	 "SELECT (SELECT count(*) FROM import_item i LEFT JOIN import_source s ON s.account = i.account AND s.id = i.source"
	 " WHERE " OF("i.account") " AND s.id IS NULL AND i.account" KEPT
				   ") + (SELECT count(*) FROM import_source s LEFT JOIN mailbox b ON b.account = s.account AND "
				   "b.id = s.mailbox"
				   " WHERE " OF("s.account") " AND b.id IS NULL AND s.account" KEPT ")",
	 true},
	{"a message has its body",
	 COUNT "email e WHERE " OF("e.account") " AND (e.size <> (SELECT coalesce(sum(b.size), 0)" CHUNKS(
		 "e") " OR e.chunks <> (SELECT count(*)" CHUNKS("e") ")",
	 true},
	{"a queued message has its body",
	 COUNT "queue_message q WHERE q.size <> (SELECT coalesce(sum(b.size), 0)" CHUNKS(
		 "q") " OR q.chunks <> (SELECT count(*)" CHUNKS("q"),
	 false},
	{"a body belongs to a message",
	 "SELECT CAST((SELECT count(*) FROM blob WHERE " OF(
		 "account") ") - (SELECT coalesce(sum(chunks), 0) FROM email"
			    " WHERE " OF("account") ") - (SELECT coalesce(sum(chunks), 0) FROM queue_message WHERE " OF(
				    "account") ") AS BIGINT)",
	 true},
	{"what was read in attachments belongs to a message",
	 COUNT "attachment_text t LEFT JOIN email e ON e.account = t.account AND e.id = t.email WHERE " OF(
		 "t.account") " AND e.id IS NULL AND t.account" KEPT,
	 true},
	{"a change of a message is in the log",
	 COUNT "mailbox_email m JOIN account a ON a.id = m.account WHERE " OF(
		 "m.account") " AND m.modseq > a.log_modseq"
			      " AND NOT EXISTS (SELECT 1 FROM change c WHERE c.account = m.account AND c.modseq = m.modseq"
			      " AND c.mailbox = m.mailbox AND c.first_uid <= m.uid AND c.last_uid >= m.uid AND c.kind = 1)",
	 true},
	{"a message in a thread is there, and the thread began before it",
	 COUNT "email_thread t LEFT JOIN email e ON e.account = t.account AND e.id = t.email LEFT JOIN thread_state s"
	       " ON s.account = t.account WHERE " OF("t.account") " AND t.account" KEPT
								   " AND (e.id IS NULL OR t.thread >= t.email OR"
								   " t.thread <= t.account * 4294967296 OR s.up_to IS NULL OR"
								   " t.email > s.up_to)",
	 true},
	{"threads are made of messages that an account has given out",
	 COUNT "thread_state s LEFT JOIN account a ON a.id = s.account WHERE " OF(
		 "s.account") " AND (a.id IS NULL OR s.up_to > a.id * 4294967296 + a.next_email)",
	 true},
	{"rights, and what others have seen, are of a mailbox that is there",
	 "SELECT (SELECT count(*) FROM mailbox_right r LEFT JOIN mailbox b ON b.account = r.account AND b.id = r.mailbox"
	 " LEFT JOIN account a ON a.id = r.account WHERE " OF(
		 "r.account") " AND (a.id IS NULL OR (b.id IS NULL AND r.mailbox <> 0)))"
			      " + (SELECT count(*) FROM mailbox_seen s LEFT JOIN mailbox b ON b.account = s.account AND b.id = s.mailbox"
			      " LEFT JOIN account v ON v.id = s.viewer WHERE " OF(
				      "s.account") " AND (b.id IS NULL OR v.id IS NULL))",
	 true},
	{"annotations are of a mailbox that is there, and somebody's or everybody's",
	 COUNT "annotation n LEFT JOIN mailbox b ON b.account = n.account AND b.id = n.mailbox LEFT JOIN account v ON v.id = n.viewer"
	       " WHERE " OF("n.account") " AND (v.id IS NULL OR (b.id IS NULL AND NOT (n.mailbox = 0 AND n.viewer = n.account)))",
	 true},
	{"keys of URLs are somebody's, of a mailbox that is there",
	 COUNT "url_key n LEFT JOIN mailbox b ON b.account = n.account AND b.id = n.mailbox LEFT JOIN account v ON v.id = n.viewer"
	       " WHERE " OF("n.account") " AND (v.id IS NULL OR b.id IS NULL)",
	 true},
	{"a member of a group is an account, and the group is there",
	 COUNT "group_member m LEFT JOIN account a ON a.id = m.account LEFT JOIN account_group g ON g.name = m.name"
	       " WHERE a.id IS NULL OR g.name IS NULL",
	 false},
	{"keywords and subscriptions belong to an account",
	 "SELECT (SELECT count(*) FROM keyword k LEFT JOIN account a ON a.id = k.account WHERE a.id IS NULL)"
	 " + (SELECT count(*) FROM subscription s LEFT JOIN account a ON a.id = s.account WHERE a.id IS NULL)",
	 false},
	{"a queued message counts its recipients, and has some",
	 COUNT "queue_message q LEFT JOIN (SELECT message, count(*) AS recipients FROM queue_recipient GROUP BY message) r"
	       " ON r.message = q.id WHERE q.recipients <> coalesce(r.recipients, 0) OR q.recipients = 0",
	 false},
	{"a queued recipient has its message",
	 COUNT "queue_recipient r LEFT JOIN queue_message q ON q.account = r.account AND q.id = r.message WHERE q.id IS NULL",
	 false},
};

struct range {
	int64_t first, last; /* accounts */
};

static struct range range_of(int64_t account)
{
	return account == INVARIANTS_ALL ? (struct range){0, INT32_MAX} : (struct range){account, account};
}

static int64_t ask(struct db *db, const struct claim *claim, struct range range)
{
	int64_t number = 0;
	struct db_query query = db_query(db, claim->contradictions);

	if (claim->has_range) {
		db_bind_i64(&query, range.first);
		db_bind_i64(&query, range.last);
	}
	if (db_row(&query))
		number = db_i64(&query, 0);
	db_done(&query);
	return number;
}

/* SQLite looks at its own structure too. */
static int64_t count_damages(struct db *db)
{
	int64_t damages = 0;
	struct db_query query = db_query(db, "PRAGMA integrity_check");

	while (db_row(&query))
		damages += !slice_eq(db_slice(&query, 0), SLICE("ok"));
	db_done(&query);
	return damages;
}

static void note(struct list *violations, const char *claim, int64_t rows)
{
	struct store_violation *violation = rows != 0 ? list_add(violations) : NULL;

	if (violation)
		*violation = (struct store_violation){slice_from_cstr(claim), rows};
}

enum status store_check_account(struct store *store, struct arena *arena, int64_t account, struct store_violation **violations,
				size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list found = LIST(arena, struct store_violation);
	bool all = account == INVARIANTS_ALL;

	if (!db || db_begin(db, DB_READ) != STATUS_OK)
		return STATUS_TEMPORARY;
	for (size_t i = 0; i < sizeof claims / sizeof claims[0] && db_status(db) == STATUS_OK; i++)
		if (all || claims[i].has_range)
			note(&found, claims[i].text, ask(db, &claims[i], range_of(account)));
	if (all && !db_pool_is_postgresql(store->pool))
		note(&found, "the database file is whole", count_damages(db));
	*violations = found.items;
	*count = found.count;
	return found.failed ? STATUS_LIMIT : db_status(db);
}

enum status store_check_invariants(struct store *store, struct arena *arena, struct store_violation **violations, size_t *count)
{
	return store_check_account(store, arena, INVARIANTS_ALL, violations, count);
}
