/* maildir_source: a Maildir, with its folders in Maildir++ (".Lists.foo") or as folders ("Lists/foo"), into an importer. Dovecot's files in
 * it are honoured: uids, UIDVALIDITY, keywords, subscriptions. A message is known again by the unique part of its file's name, whatever
 * its flags or folder's place on disk.
 */
#pragma once

#include "import/importer.h"
#include "import/opener.h"

/* Trouble with a file is told by the importer's `warn`. NOT_FOUND: there is no Maildir. */
MUST_CHECK enum status maildir_import(struct importer *importer, struct opener *opener, struct slice path);
