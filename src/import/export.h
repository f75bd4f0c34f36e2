/* export: an account's mail as a Maildir++ or as mbox files, with folders, flags, keywords, dates and uids, in a form that an import takes
 * back as it was. Into a new or empty folder only.
 */
#pragma once

#include "import/opener.h"
#include "store/mailbox.h"

struct export
{
	struct store *store;
	struct opener *opener;
	int64_t account;
	struct slice folder;
	struct slice host;    /* in file names */
	struct slice trouble; /* the file that failed; errno tells why */
	uint64_t mailboxes, messages, bytes;
};
/* REFUSED: the folder isn't empty, or a file can't be written. */
MUST_CHECK enum status export_maildir(struct export *export);
MUST_CHECK enum status export_mbox(struct export *export);
