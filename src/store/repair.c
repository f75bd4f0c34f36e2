/* What invariants.c finds, put right. Each repair is a statement that changes only rows that are wrong, so that a sound store stays as it
 * is; they stand in the order in which they need each other. */
#include "base/clock.h"
#include "store/invariants.h"
#include "store/store_internal.h"

#define OF(column) column " >= $1 AND " column " <= $2"
#define KEPT       " NOT IN (SELECT account FROM removal)"

/* Flags 1: \Seen, 16: \Deleted. */
#define COUNTED                                                                                                        \
	"(SELECT count(*), coalesce(sum(CASE WHEN (e.flags & 1) = 0 THEN 1 ELSE 0 END), 0),"                           \
	" coalesce(sum(CASE WHEN (e.flags & 16) <> 0 THEN 1 ELSE 0 END), 0), CAST(coalesce(sum(e.size), 0) AS BIGINT)" \
	" FROM mailbox_email e WHERE e.account = mailbox.account AND e.mailbox = mailbox.id)"
#define LAST_UID \
	"(SELECT coalesce(max(e.uid), 0) FROM mailbox_email e WHERE e.account = mailbox.account AND e.mailbox = mailbox.id)"
#define LAST_MODSEQ                                                                                                  \
	"(SELECT coalesce(max(e.modseq), 0) FROM mailbox_email e WHERE e.account = mailbox.account AND e.mailbox = " \
	"mailbox.id)"
#define USED "(SELECT count(*), CAST(coalesce(sum(e.size), 0) AS BIGINT) FROM mailbox_email e WHERE e.account = account.id)"
#define REFERENCES                                                                                       \
	"((SELECT count(*) FROM mailbox_email m WHERE m.account = email.account AND m.email = email.id)" \
	" + (SELECT count(*) FROM deleted_email d WHERE d.account = email.account AND d.email = email.id))"
/* The highest of a column of the account's rows. */
#define HIGHEST(column, table) "(SELECT coalesce(max(x." column "), 0) FROM " table " x WHERE x.account = account.id)"
#define HIGHEST_ID(table, size)                                                                                             \
	"(SELECT coalesce(max(x.id + " size "), 0) - account.id * 4294967296 FROM " table " x WHERE x.account = account.id" \
	" AND x.id >= account.id * 4294967296 AND x.id < (account.id + 1) * 4294967296)"
#define RAISE(column, at_least) "UPDATE account SET " column " = " at_least " WHERE " OF("id") " AND " column " < " at_least
/* The owner of a body: the one with the greatest number that isn't greater than the body's. */
#define HAS_OWNER(table)                                                                                            \
	"EXISTS (SELECT 1 FROM " table " o WHERE o.account = blob.account AND o.id + o.chunks > blob.id AND o.id =" \
	" (SELECT max(p.id) FROM " table " p WHERE p.account = blob.account AND p.id <= blob.id"                    \
	" AND p.id >= blob.account * 4294967296))"

static const struct repair {
	const char *done;
	const char *sql;
	bool has_range, has_time; /* $3: now */
} repairs[] = {
	{"domains of accounts were added",
	 "INSERT INTO domain (name, created_ms) SELECT DISTINCT a.domain, $3 + 0 * ($1 + $2) FROM account a LEFT JOIN domain d"
	 " ON d.name = a.domain WHERE " OF("a.id") " AND a.id > 0 AND d.name IS NULL",
	 true, true},
	{"entries of messages that are lost were removed",
	 "DELETE FROM mailbox_email WHERE " OF(
		 "account") " AND NOT EXISTS (SELECT 1 FROM email e WHERE e.account ="
			    " mailbox_email.account AND e.id = mailbox_email.email) AND account" KEPT,
	 true, false},
	{"deleted messages that are lost were forgotten",
	 "DELETE FROM deleted_email WHERE " OF(
		 "account") " AND NOT EXISTS (SELECT 1 FROM email e WHERE e.account ="
			    " deleted_email.account AND e.id = deleted_email.email) AND account" KEPT,
	 true, false},
	{"sizes of messages were corrected",
	 "UPDATE mailbox_email SET size = (SELECT e.size FROM email e WHERE e.account = mailbox_email.account AND e.id ="
	 " mailbox_email.email) WHERE " OF(
		 "account") " AND EXISTS (SELECT 1 FROM email e WHERE e.account = mailbox_email.account"
			    " AND e.id = mailbox_email.email AND e.size <> mailbox_email.size)",
	 true, false},
	{"sizes of deleted messages were corrected",
	 "UPDATE deleted_email SET size = (SELECT e.size FROM email e WHERE e.account = deleted_email.account AND e.id ="
	 " deleted_email.email) WHERE " OF(
		 "account") " AND EXISTS (SELECT 1 FROM email e WHERE e.account = deleted_email.account"
			    " AND e.id = deleted_email.email AND e.size <> deleted_email.size)",
	 true, false},
	{"messages that were nowhere can be brought back to INBOX",
	 "INSERT INTO deleted_email (account, mailbox, uid, email, flags, size, received_ms, deleted_ms)"
	 " SELECT account, 1, 0, id, 0, size, sent_ms, $3 FROM email WHERE " OF(
		 "account") " AND account" KEPT " AND NOT EXISTS (SELECT 1 FROM mailbox_email m WHERE m.account = "
						"email.account AND m.email = email.id)"
			    " AND NOT EXISTS (SELECT 1 FROM deleted_email d WHERE d.account = email.account AND d.email = "
			    "email.id)",
	 true, true},
	{"counts of messages' places were corrected",
	 "UPDATE email SET copies = " REFERENCES " WHERE " OF("account") " AND copies <> " REFERENCES " AND account" KEPT, true,
	 false},
	{"queued recipients without a message were removed",
	 "DELETE FROM queue_recipient WHERE NOT EXISTS (SELECT 1 FROM queue_message q WHERE q.account = queue_recipient.account"
	 " AND q.id = queue_recipient.message)",
	 false, false},
	{"queued messages without a recipient were removed",
	 "DELETE FROM queue_message WHERE NOT EXISTS (SELECT 1 FROM queue_recipient r WHERE r.message = queue_message.id)",
	 false, false},
	{"counts of queued messages' recipients were corrected",
	 "UPDATE queue_message SET recipients = (SELECT count(*) FROM queue_recipient r WHERE r.message = queue_message.id)"
	 " WHERE recipients <> (SELECT count(*) FROM queue_recipient r WHERE r.message = queue_message.id)",
	 false, false},
	{"bodies that belonged to no message were removed",
	 "DELETE FROM blob WHERE " OF("account") " AND NOT " HAS_OWNER("email") " AND NOT " HAS_OWNER(
		 "queue_message") " AND account" KEPT,
	 true, false},
	{"what was read in attachments of no message was removed",
	 "DELETE FROM attachment_text WHERE " OF(
		 "account") " AND NOT EXISTS (SELECT 1 FROM email e WHERE e.account = attachment_text.account"
			    " AND e.id = attachment_text.email) AND account" KEPT,
	 true, false},
	{"mailboxes that messages lay in were made again",
	 "INSERT INTO mailbox (account, id, uid_validity, uid_next, highest_modseq, messages, unseen, deleted, size_bytes,"
	 " selectable, role, name) SELECT m.account, m.mailbox, max(a.next_uid_validity), 1, 0, 0, 0, 0, 0, 1, '',"
	 " 'Recovered ' || CAST(m.mailbox AS TEXT) FROM mailbox_email m JOIN account a ON a.id = m.account"
	 " LEFT JOIN mailbox b ON b.account = m.account AND b.id = m.mailbox WHERE " OF(
		 "m.account") " AND b.id IS NULL"
			      " GROUP BY m.account, m.mailbox",
	 true, false},
	{"INBOXes were made again",
	 "INSERT INTO mailbox (account, id, uid_validity, uid_next, highest_modseq, messages, unseen, deleted, size_bytes,"
	 " selectable, role, name) SELECT a.id, 1, a.next_uid_validity, 1, 0, 0, 0, 0, 0, 1, 'inbox', 'INBOX' FROM account a"
	 " LEFT JOIN mailbox b ON b.account = a.id AND b.id = 1 WHERE " OF(
		 "a.id") " AND a.id > 0 AND b.id IS NULL"
			 " AND NOT EXISTS (SELECT 1 FROM mailbox n WHERE n.account = a.id AND n.name = 'INBOX')",
	 true, false},
	{"INBOXes were given their name",
	 "UPDATE mailbox SET name = 'INBOX', selectable = 1 WHERE " OF(
		 "account") " AND id = 1 AND (name <> 'INBOX' OR selectable = 0)"
			    " AND NOT EXISTS (SELECT 1 FROM mailbox n WHERE n.account = mailbox.account AND n.name = 'INBOX' "
			    "AND n.id <> 1)",
	 true, false},
	{"levels that hold messages became mailboxes",
	 "UPDATE mailbox SET selectable = 1 WHERE " OF(
		 "account") " AND selectable = 0 AND EXISTS (SELECT 1 FROM mailbox_email e"
			    " WHERE e.account = mailbox.account AND e.mailbox = mailbox.id)",
	 true, false},
	{"counts of mailboxes were corrected",
	 "UPDATE mailbox SET (messages, unseen, deleted, size_bytes) = " COUNTED
	 " WHERE " OF("account") " AND (messages, unseen, deleted, size_bytes) <> " COUNTED,
	 true, false},
	{"next uids were raised",
	 "UPDATE mailbox SET uid_next = " LAST_UID " + 1 WHERE " OF("account") " AND uid_next <= " LAST_UID, true, false},
	{"modseqs of mailboxes were raised",
	 "UPDATE mailbox SET highest_modseq = " LAST_MODSEQ " WHERE " OF("account") " AND highest_modseq < " LAST_MODSEQ, true,
	 false},
	{"what imports remembered of lost mailboxes was forgotten",
	 "DELETE FROM import_source WHERE " OF(
		 "account") " AND NOT EXISTS (SELECT 1 FROM mailbox b WHERE b.account ="
			    " import_source.account AND b.id = import_source.mailbox) AND account" KEPT,
	 true, false},
	{"what imports remembered of lost sources was forgotten",
	 "DELETE FROM import_item WHERE " OF("account") " AND NOT EXISTS (SELECT 1 FROM import_source s WHERE s.account ="
							" import_item.account AND s.id = import_item.source) AND account" KEPT,
	 true, false},
	{"rights on lost mailboxes were removed",
	 "DELETE FROM mailbox_right WHERE " OF(
		 "account") " AND (NOT EXISTS (SELECT 1 FROM account a WHERE a.id = mailbox_right.account)"
			    " OR (mailbox <> 0 AND NOT EXISTS (SELECT 1 FROM mailbox b WHERE b.account = mailbox_right.account"
			    " AND b.id = mailbox_right.mailbox)))",
	 true, false},
	{"what had been seen in lost mailboxes, or by lost accounts, was forgotten",
	 "DELETE FROM mailbox_seen WHERE " OF(
		 "account") " AND (NOT EXISTS (SELECT 1 FROM mailbox b WHERE b.account = mailbox_seen.account AND b.id ="
			    " mailbox_seen.mailbox) OR NOT EXISTS (SELECT 1 FROM account v WHERE v.id = mailbox_seen.viewer))",
	 true, false},
	{"annotations of lost mailboxes and accounts were removed",
	 "DELETE FROM annotation WHERE " OF(
		 "account") " AND (NOT EXISTS (SELECT 1 FROM account v WHERE v.id = annotation.viewer)"
			    " OR (NOT (mailbox = 0 AND viewer = account) AND NOT EXISTS (SELECT 1 FROM mailbox b"
			    " WHERE b.account = annotation.account AND b.id = annotation.mailbox)))",
	 true, false},
	{"keys of URLs of lost mailboxes and accounts were removed",
	 "DELETE FROM url_key WHERE " OF("account") " AND (NOT EXISTS (SELECT 1 FROM account v WHERE v.id = url_key.viewer)"
						    " OR NOT EXISTS (SELECT 1 FROM mailbox b WHERE b.account = url_key.account"
						    " AND b.id = url_key.mailbox))",
	 true, false},
	{"members of groups that aren't there were removed",
	 "DELETE FROM group_member WHERE account NOT IN (SELECT id FROM account) OR name NOT IN (SELECT name FROM account_group)",
	 false, false},
	{"sums of accounts were corrected",
	 "UPDATE account SET (used_messages, used_bytes) = " USED
	 " WHERE " OF("id") " AND (used_messages, used_bytes) <> " USED,
	 true, false},
	{"modseqs of accounts were raised above mailboxes'", RAISE("modseq", HIGHEST("highest_modseq", "mailbox")), true,
	 false},
	{"modseqs of accounts were raised above changes'", RAISE("modseq", HIGHEST("modseq", "change")), true, false},
	{"next numbers of mailboxes were raised", RAISE("next_mailbox", HIGHEST("id", "mailbox") " + 1"), true, false},
	{"next UIDVALIDITYs were raised", RAISE("next_uid_validity", HIGHEST("uid_validity", "mailbox") " + 1"), true, false},
	{"next numbers of messages were raised", RAISE("next_email", HIGHEST_ID("email", "x.chunks")), true, false},
	{"next numbers of bodies were raised", RAISE("next_email", HIGHEST_ID("blob", "1")), true, false},
	{"next numbers of the queue were raised", RAISE("next_email", HIGHEST_ID("queue_recipient", "1")), true, false},
	{"keywords of no account were removed", "DELETE FROM keyword WHERE account NOT IN (SELECT id FROM account)", false,
	 false},
	{"messages that are not there were taken out of threads",
	 "DELETE FROM email_thread WHERE " OF("account") " AND NOT EXISTS (SELECT 1 FROM email e WHERE e.account = email_thread.account"
							 " AND e.id = email_thread.email)",
	 true, false},
	{"messages became threads of their own",
	 "DELETE FROM email_thread WHERE " OF("account") " AND (thread >= email OR thread <= account * 4294967296"
							 " OR NOT EXISTS (SELECT 1 FROM thread_state s WHERE s.account = email_thread.account"
							 " AND s.up_to >= email_thread.email))",
	 true, false},
	{"threads of no account were forgotten", "DELETE FROM thread_state WHERE account NOT IN (SELECT id FROM account)", false,
	 false},
	{"threads were looked at anew",
	 "UPDATE thread_state SET up_to = 0 WHERE " OF("account") " AND up_to > account * 4294967296 +"
								  " (SELECT next_email FROM account a WHERE a.id = thread_state.account)",
	 true, false},
	{"subscriptions of no account were removed", "DELETE FROM subscription WHERE account NOT IN (SELECT id FROM account)",
	 false, false},
	/* Last: sessions and clients look at everything afresh. */
	{"accounts began a new log of changes",
	 "UPDATE account SET modseq = modseq + 1, log_modseq = modseq + 1 WHERE " OF(
		 "id") " AND EXISTS (SELECT 1 FROM mailbox_email m"
		       " WHERE m.account = account.id AND m.modseq > account.log_modseq AND NOT EXISTS (SELECT 1 FROM change c "
		       "WHERE"
		       " c.account = m.account AND c.modseq = m.modseq AND c.mailbox = m.mailbox AND c.first_uid <= m.uid AND "
		       "c.last_uid >= m.uid"
		       " AND c.kind = 1))",
	 true, false},
};

struct repair_work {
	struct arena *arena;
	int64_t first, last, now_ms;
	bool all;
	struct list done;
};

static int64_t run_repair(struct db *db, const struct repair_work *work, const struct repair *repair)
{
	struct db_query query = db_query(db, repair->sql);

	if (repair->has_range) {
		db_bind_i64(&query, work->first);
		db_bind_i64(&query, work->last);
	}
	if (repair->has_time)
		db_bind_i64(&query, work->now_ms);
	db_run(&query);
	return db_status(db) == STATUS_OK ? db_changes(db) : 0;
}

/* Whoever has a mailbox in memory must see that it isn't the same any more. */
static void begin_anew(struct db *db, const struct repair_work *work)
{
	struct db_query query =
		db_query(db, "UPDATE account SET modseq = modseq + 1, log_modseq = modseq + 1 WHERE " OF("id") " AND id > 0");

	db_bind_i64(&query, work->first);
	db_bind_i64(&query, work->last);
	db_run(&query);
	query = db_query(db, "UPDATE mailbox SET highest_modseq = (SELECT a.modseq FROM account a WHERE a.id = mailbox.account)"
			     " WHERE " OF("account"));
	db_bind_i64(&query, work->first);
	db_bind_i64(&query, work->last);
	db_run(&query);
	query = db_query(db, "DELETE FROM change WHERE " OF("account"));
	db_bind_i64(&query, work->first);
	db_bind_i64(&query, work->last);
	db_run(&query);
}

static enum status repair_all(struct db *db, void *context)
{
	struct repair_work *work = context;

	work->done = LIST(work->arena, struct store_violation);
	counters_drop(db);
	for (size_t i = 0; i < sizeof repairs / sizeof repairs[0] && db_status(db) == STATUS_OK; i++) {
		int64_t rows = work->all || repairs[i].has_range ? run_repair(db, work, &repairs[i]) : 0;
		struct store_violation *done = rows > 0 ? list_add(&work->done) : NULL;

		if (done)
			*done = (struct store_violation){slice_from_cstr(repairs[i].done), rows};
	}
	if (work->done.count > 0)
		begin_anew(db, work);
	return work->done.failed ? STATUS_LIMIT : db_status(db);
}

enum status store_repair(struct store *store, struct arena *arena, int64_t account, struct store_violation **done,
			 size_t *count)
{
	bool all = account == INVARIANTS_ALL;
	struct repair_work work = {.arena = arena,
				   .all = all,
				   .first = all ? 0 : account,
				   .last = all ? INT32_MAX : account,
				   .now_ms = clock_wall_ms()};
	enum status status = db_write(store->pool, repair_all, &work);

	*done = work.done.items;
	*count = status == STATUS_OK ? work.done.count : 0;
	return status;
}
