/* importer: takes messages from whatever source, mailbox by mailbox, and brings them into an account's store: some hundred at a time in
 * one transaction, each once (store/import.h). The source asks before it reads a message whether it is wanted.
 */
#pragma once

#include "store/import.h"

#define IMPORT_MESSAGE_MAX (256 * 1024 * 1024)

struct import_report {
	uint64_t mailboxes, added, known, changed, removed, skipped, bytes;
};

struct importer {
	struct store *store;
	int64_t account;
	bool removes; /* what the source has no more is removed here too */
	/* Told now and then; may be NULL. `done` of `expected` messages of the mailbox in hand. */
	void (*progress)(void *context, const struct import_report *report, struct slice mailbox, size_t done, size_t expected);
	/* What was left out, and why. */
	void (*warn)(void *context, struct slice what, const char *why);
	void *context;
	struct import_report report;
	struct importer_state *state;
};

/* `importer` is filled by the caller but for its last two members. */
void importer_begin(struct importer *importer);
void importer_end(struct importer *importer);

struct import_mailbox {
	struct slice source; /* its name for ever */
	struct slice name;   /* "Lists/Café" */
	struct slice role;   /* "sent"; empty: by name */
	uint32_t uid_validity, next_uid;
	bool items_are_uids;
	size_t expected;
	bool subscribed;
};
/* NOT_FOUND: it can't be imported, which was told; go on with the next. */
MUST_CHECK enum status importer_open(struct importer *importer, const struct import_mailbox *mailbox);
/* A flag or keyword by its IMAP name; 0: there is no room for another keyword, or it is \Recent. */
uint64_t importer_flag(struct importer *importer, struct slice name);
/* Is the message wanted? If it came before, its flags are compared. */
bool importer_wants(struct importer *importer, int64_t item, uint64_t flags);
/* The bytes are copied, bare LFs become CRLF. By uid, ascending; those without a uid last. */
struct import_brought {
	int64_t item;
	uint32_t uid;
	uint64_t flags;
	int64_t received_ms;
	struct slice bytes;
};
MUST_CHECK enum status importer_add(struct importer *importer, const struct import_brought *message);
void importer_skip(struct importer *importer, struct slice what, const char *why);
/* The mailbox's last message was added. `is_complete`: all its messages were asked for, so others may be gone. */
MUST_CHECK enum status importer_close(struct importer *importer, bool is_complete);

/* An item's name as a number. */
int64_t import_hash(struct slice text);
