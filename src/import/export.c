#include "import/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/write.h"
#include "imap/name.h"
#include "import/maildir.h"
#include "import/mbox.h"
#include "store/email.h"

#define SCAN_AT_ONCE 500
#define FLUSH_AT     (1024 * 1024)

struct mailbox_out {
	struct export *export;
	const struct mailbox *mailbox;
	struct keyword_table keywords;
	struct mailbox_entry *entries; /* malloc'd */
	size_t count, at;
	struct arena arena;
	struct slice place; /* the mailbox's folder or file */
	struct buf list;    /* dovecot-uidlist */
	struct buf text;    /* mbox: what wasn't written yet */
	int fd;             /* mbox */
	bool failed;
};

static const char *join(struct arena *arena, struct slice folder, struct slice name)
{
	return slice_cstr(arena, slice_join(arena, (const struct slice[]){folder, SLICE("/"), name}, 3));
}

static bool fail(struct export *export, const char *path)
{
	if (export->trouble.len == 0)
		export->trouble = slice_from_cstr(path);
	return false;
}

static bool write_file(struct export *export, const char *path, struct slice bytes)
{
	int fd = opener_open(export->opener, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	bool good = fd >= 0 && write_all(fd, bytes);

	if (fd >= 0 && close(fd) != 0)
		good = false;
	return good || fail(export, path);
}

static bool make_folder(struct export *export, const char *path)
{
	return opener_make_folder(export->opener, path) || fail(export, path);
}

/* ---- one mailbox's messages, in order ---- */

typedef bool (*put_message)(struct mailbox_out *out, const struct mailbox_entry *entry, struct slice bytes);

struct scan {
	struct mailbox_out *out;
	put_message put;
};

/* One that is too large to come in one piece. */
static struct slice read_large(struct mailbox_out *out, const struct mailbox_entry *entry, struct arena *arena)
{
	struct email_reader *reader;
	struct slice piece;
	struct buf bytes;

	buf_init(&bytes, arena, 0);
	if (email_open(out->export->store, arena, out->export->account, entry->email, &reader) != STATUS_OK)
		return slice_of(NULL, 0);
	enum status status;

	do {
		status = email_read(reader, bytes.len, &piece);
		if (status == STATUS_OK)
			buf_add(&bytes, piece);
	} while (status == STATUS_OK && piece.len > 0);
	email_close(reader);
	return status == STATUS_OK && buf_ok(&bytes) ? buf_slice(&bytes) : slice_of(NULL, 0);
}

static bool put_email(void *context, const struct email *email)
{
	struct scan *scan = context;
	struct mailbox_out *out = scan->out;
	struct slice bytes = email->bytes;
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, 0);
	while (out->at < out->count && out->entries[out->at].uid < email->uid)
		out->at++;
	if (out->at == out->count || out->entries[out->at].uid != email->uid)
		return true;
	if (!bytes.data)
		bytes = read_large(out, &out->entries[out->at], &arena);
	if (!bytes.data || !scan->put(out, &out->entries[out->at], bytes)) {
		out->failed = true;
		return false;
	}
	out->export->messages++;
	out->export->bytes += bytes.len;
	return true;
}

static enum status put_messages(struct mailbox_out *out, put_message put)
{
	uint32_t uids[SCAN_AT_ONCE];
	struct scan scan = {out, put};
	enum status status = STATUS_OK;

	for (size_t from = 0; from < out->count && status == STATUS_OK && !out->failed; from += SCAN_AT_ONCE) {
		size_t count = 0;

		for (size_t i = from; i < out->count && count < SCAN_AT_ONCE; i++)
			uids[count++] = out->entries[i].uid;
		status = email_scan(out->export->store, out->export->account, out->mailbox->id, uids, count, EMAIL_BYTES,
				    put_email, &scan);
	}
	return status == STATUS_OK && out->failed ? STATUS_REFUSED : status;
}

/* ---- Maildir ---- */

/* The 26 letters stand for the account's first keywords, in the order of their bits. */
static void put_keyword_letters(struct buf *out, uint64_t flags, const struct keyword_table *keywords)
{
	char letter = 'a';

	for (unsigned bit = FLAG_KEYWORD_FIRST; bit <= FLAG_KEYWORD_LAST && letter <= 'z'; bit++) {
		if (keywords->names[bit].len == 0)
			continue;
		if (flags & (UINT64_C(1) << bit))
			buf_add_byte(out, letter);
		letter++;
	}
}

static bool put_maildir_message(struct mailbox_out *out, const struct mailbox_entry *entry, struct slice bytes)
{
	struct arena arena SCOPED_ARENA;
	struct buf base, name;

	arena_init(&arena, 0);
	buf_init(&base, &arena, 0);
	buf_init(&name, &arena, 0);
	buf_printf(&base, "%lld.M%u_%u.%.*s,S=%zu,W=%zu", (long long)(entry->received_ms / 1000), out->mailbox->uid_validity,
		   entry->uid, SLICE_ARG(out->export->host), bytes.len, bytes.len);
	buf_add_literal(&name, "cur/");
	buf_add(&name, buf_slice(&base));
	buf_add_literal(&name, ":2,");
	maildir_put_flags(&name, entry->flags);
	put_keyword_letters(&name, entry->flags, &out->keywords);
	buf_printf(&out->list, "%u :%.*s\n", entry->uid, SLICE_ARG(buf_slice(&base)));
	const char *path = join(&arena, out->place, buf_slice(&name));

	if (!write_file(out->export, path, bytes) || !opener_set_time(out->export->opener, path, entry->received_ms)) {
		out->export->trouble = slice_dup(&out->arena, slice_from_cstr(path));
		return false;
	}
	return true;
}

static bool write_keywords(struct mailbox_out *out)
{
	struct buf text SCOPED_BUF;
	unsigned number = 0;

	buf_init(&text, NULL, 0);
	for (unsigned bit = FLAG_KEYWORD_FIRST; bit <= FLAG_KEYWORD_LAST && number < MAILDIR_KEYWORDS; bit++)
		if (out->keywords.names[bit].len > 0)
			buf_printf(&text, "%u %.*s\n", number++, SLICE_ARG(out->keywords.names[bit]));
	return text.len == 0 ||
	       write_file(out->export, join(&out->arena, out->place, SLICE("dovecot-keywords")), buf_slice(&text));
}

static enum status maildir_mailbox(struct mailbox_out *out)
{
	static const struct slice parts[] = {{"cur", 3}, {"new", 3}, {"tmp", 3}};
	struct buf folder;

	buf_init(&folder, &out->arena, 0);
	buf_add(&folder, out->export->folder);
	if (!slice_eq(out->mailbox->name, SLICE("INBOX"))) {
		buf_add_byte(&folder, '/');
		maildir_folder_encode(&folder, out->mailbox->name);
	}
	out->place = buf_slice(&folder);
	if (!make_folder(out->export, slice_cstr(&out->arena, out->place)))
		return STATUS_REFUSED;
	for (size_t i = 0; i < 3; i++)
		if (!make_folder(out->export, join(&out->arena, out->place, parts[i])))
			return STATUS_REFUSED;
	if (!slice_eq(out->mailbox->name, SLICE("INBOX")) &&
	    !write_file(out->export, join(&out->arena, out->place, SLICE("maildirfolder")), SLICE_EMPTY))
		return STATUS_REFUSED;
	buf_printf(&out->list, "3 V%u N%u\n", out->mailbox->uid_validity, out->mailbox->uid_next);
	enum status status = put_messages(out, put_maildir_message);

	if (status != STATUS_OK)
		return status;
	return write_file(out->export, join(&out->arena, out->place, SLICE("dovecot-uidlist")), buf_slice(&out->list)) &&
			       write_keywords(out)
		       ? STATUS_OK
		       : STATUS_REFUSED;
}

/* ---- mbox ---- */

static bool flush_text(struct mailbox_out *out)
{
	bool good = write_all(out->fd, buf_slice(&out->text));

	buf_clear(&out->text);
	return good || fail(out->export, slice_cstr(&out->arena, out->place));
}

static struct slice keywords_of(struct arena *arena, uint64_t flags, const struct keyword_table *keywords)
{
	struct buf text;

	buf_init(&text, arena, 0);
	for (unsigned bit = FLAG_KEYWORD_FIRST; bit <= FLAG_KEYWORD_LAST; bit++)
		if ((flags & (UINT64_C(1) << bit)) && keywords->names[bit].len > 0)
			buf_printf(&text, "%s%.*s", text.len > 0 ? " " : "", SLICE_ARG(keywords->names[bit]));
	return buf_slice(&text);
}

static bool put_mbox_message(struct mailbox_out *out, const struct mailbox_entry *entry, struct slice bytes)
{
	struct arena arena SCOPED_ARENA;
	bool is_first = entry == out->entries;

	arena_init(&arena, 0);
	struct mbox_facts facts = {
		.sender = SLICE_EMPTY,
		.received_ms = entry->received_ms,
		.flags = entry->flags,
		.keywords = keywords_of(&arena, entry->flags, &out->keywords),
		.uid = entry->uid,
		.uid_validity = is_first ? out->mailbox->uid_validity : 0,
		.last_uid = is_first ? out->mailbox->uid_next - 1 : 0,
	};

	mbox_put(&out->text, &facts, bytes);
	return buf_ok(&out->text) && (out->text.len < FLUSH_AT || flush_text(out));
}

/* The folders above a file; "Lists" itself may be a file: what is below is in "Lists.sbd". */
static bool make_above(struct mailbox_out *out, struct buf *path)
{
	struct slice rest = out->mailbox->name;

	for (;;) {
		struct slice level = slice_cut(&rest, '/');

		buf_add_byte(path, '/');
		/* A file that begins with a dot would be hidden, and passed over by the import. */
		if (slice_starts_with(level, SLICE(".")))
			level = slice_join(&out->arena, (const struct slice[]){SLICE("_"), level}, 2);
		buf_add(path, level);
		if (rest.len == 0)
			return true;
		buf_add_literal(path, ".sbd");
		if (!make_folder(out->export, slice_cstr(&out->arena, buf_slice(path))))
			return false;
	}
}

static enum status mbox_mailbox(struct mailbox_out *out)
{
	struct buf path;

	buf_init(&path, &out->arena, 0);
	buf_add(&path, out->export->folder);
	if (!make_above(out, &path))
		return STATUS_REFUSED;
	out->place = buf_slice(&path);
	out->fd = opener_open(out->export->opener, slice_cstr(&out->arena, out->place), O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (out->fd < 0) {
		fail(out->export, slice_cstr(&out->arena, out->place));
		return STATUS_REFUSED;
	}
	enum status status = put_messages(out, put_mbox_message);

	if (status == STATUS_OK && !flush_text(out))
		status = STATUS_REFUSED;
	if (close(out->fd) != 0 && status == STATUS_OK)
		status = STATUS_REFUSED;
	return status;
}

/* ---- the account ---- */

static enum status put_mailbox(struct export *export, const struct mailbox *mailbox,
			       enum status (*put)(struct mailbox_out *out))
{
	struct mailbox_out *out = calloc(1, sizeof *out);
	struct mailbox now;

	if (!out)
		return STATUS_TEMPORARY;
	out->export = export;
	arena_init(&out->arena, 0);
	buf_init(&out->list, NULL, 0);
	buf_init(&out->text, NULL, 0);
	enum status status = keyword_list(export->store, &out->arena, export->account, &out->keywords);

	if (status == STATUS_OK)
		status = mailbox_load(export->store, &out->arena, export->account, mailbox->id, &now, &out->entries,
				      &out->count);
	out->mailbox = &now;
	if (status == STATUS_OK)
		status = put(out);
	export->mailboxes += status == STATUS_OK;
	free(out->entries);
	buf_free(&out->list);
	buf_free(&out->text);
	arena_free(&out->arena);
	free(out);
	return status;
}

static enum status write_subscriptions(struct export *export, struct arena *arena)
{
	struct slice *names;
	size_t count;
	struct buf text;
	enum status status = mailbox_subscriptions(export->store, arena, export->account, SLICE_EMPTY, &names, &count);

	buf_init(&text, arena, 0);
	buf_add_literal(&text, "V\t2\n\n");
	for (size_t i = 0; status == STATUS_OK && i < count; i++) {
		struct slice rest = names[i];

		for (bool first = true; rest.len > 0; first = false) {
			if (!first)
				buf_add_byte(&text, '\t');
			imap_utf7_encode(&text, slice_cut(&rest, '/'));
		}
		buf_add_byte(&text, '\n');
	}
	if (status != STATUS_OK)
		return status;
	return write_file(export, join(arena, export->folder, SLICE("subscriptions")), buf_slice(&text)) ? STATUS_OK
													 : STATUS_REFUSED;
}

static bool begin(struct export *export, struct arena *arena)
{
	const char *folder = slice_cstr(arena, export->folder);
	struct slice *names;
	size_t count;

	export->trouble = SLICE_EMPTY;
	if (!make_folder(export, folder) || !opener_set_root(export->opener, folder) ||
	    !opener_list(export->opener, arena, folder, &names, &count))
		return fail(export, folder);
	errno = ENOTEMPTY;
	return count == 0 || fail(export, folder);
}

static enum status put_all(struct export *export, enum status (*put)(struct mailbox_out *out), bool subscriptions)
{
	struct arena arena SCOPED_ARENA;
	struct mailbox *mailboxes;
	size_t count;
	enum status status;

	arena_init(&arena, 0);
	if (!begin(export, &arena)) {
		int error = errno;

		export->trouble = export->folder;
		errno = error;
		return STATUS_REFUSED;
	}
	status = mailbox_list(export->store, &arena, export->account, &mailboxes, &count);
	for (size_t i = 0; status == STATUS_OK && i < count; i++)
		if (mailboxes[i].selectable)
			status = put_mailbox(export, &mailboxes[i], put);
	if (status == STATUS_OK && subscriptions)
		status = write_subscriptions(export, &arena);
	if (status == STATUS_REFUSED)
		export->trouble = export->folder;
	return status;
}

enum status export_maildir(struct export *export)
{
	return put_all(export, maildir_mailbox, true);
}

enum status export_mbox(struct export *export)
{
	return put_all(export, mbox_mailbox, false);
}
