/* imap_source: an account on an IMAP server, into an importer. Each mailbox is listed once (uids, flags, sizes); what is new is fetched in
 * batches, without touching \Seen there. A message is known again by its mailbox, UIDVALIDITY and uid.
 */
#pragma once

#include "import/imap_client.h"
#include "import/importer.h"

struct imap_import {
	struct importer *importer;
	struct imap_client *client;
	struct slice label;           /* "imap:user@host": part of the sources' names */
	const struct slice *excluded; /* patterns with "*" and "%", of names here */
	size_t excluded_count;
};
/* TEMPORARY: the connection or the store is in trouble: run it again. PEER: the server refused something; the client tells what. */
MUST_CHECK enum status imap_import(const struct imap_import *import);
