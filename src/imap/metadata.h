/* metadata: GETMETADATA's words (RFC 5464), which LIST takes too (RFC 9590). Private to imap/. */
#pragma once

#include "imap/session.h"
#include "store/annotation.h"

#define METADATA_ENTRIES_MAX 200 /* in one command */

enum metadata_depth { DEPTH_ENTRY, DEPTH_CHILDREN, DEPTH_ALL };

struct metadata_request {
	struct slice entries[METADATA_ENTRIES_MAX]; /* in lower case */
	size_t entry_count;
	enum metadata_depth depth;
	uint64_t max_size;
	/* what was longer than that */
	uint64_t longest;
};

/* "[(MAXSIZE n DEPTH d) ]" and an entry or "(entry ...)", from behind a space. In between, GETMETADATA has its mailbox: options first, as in
 * RFC 5464's grammar, or behind the mailbox, as in its examples. */
MUST_CHECK bool metadata_parse_options(struct imap_parser *p, struct metadata_request *request);
MUST_CHECK bool metadata_parse_entries(struct imap_parser *p, struct metadata_request *request);
/* Does the parser stand before options, not entries? */
bool metadata_at_options(const struct imap_parser *p);
/* "* METADATA name (entry value ...)": what was asked for, of a mailbox (name "": the server) that the session may see. */
MUST_CHECK enum status metadata_put(struct imap_session *s, int64_t account, int64_t mailbox, struct slice name,
				    struct metadata_request *request);
/* The code that tells of what was too long (RFC 5464 section 4.2.1). */
struct slice metadata_long_entries(struct imap_session *s, const struct metadata_request *request);
/* RFC 5464 section 3.3. */
bool metadata_may_see(unsigned rights);
