/* mbox_source: a file of messages, or a folder of such files, into an importer. A message is known again by its content (and, of equal
 * ones, by its number), whatever its Status. */
#pragma once

#include "import/importer.h"
#include "import/opener.h"

/* `into`: the mailbox of a file; empty: by the file's name. NOT_FOUND: there is no such file or folder. */
MUST_CHECK enum status mbox_import(struct importer *importer, struct opener *opener, struct slice path, struct slice into);
