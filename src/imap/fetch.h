/* fetch: what a FETCH asks for (RFC 9051 section 6.4.5), and how a section of a message's body is found and sent. */
#pragma once

#include "imap/parse.h"
#include "imap/search.h"
#include "mime/message.h"
#include "store/email.h"
#include "store/mailbox_view.h"

#define FETCH_SECTIONS_MAX 100
#define FETCH_FIELDS_MAX   200

enum {
	FETCH_UID = 1 << 0,
	FETCH_FLAGS = 1 << 1,
	FETCH_INTERNALDATE = 1 << 2,
	FETCH_SIZE = 1 << 3,
	FETCH_ENVELOPE = 1 << 4,
	FETCH_BODY = 1 << 5,
	FETCH_BODYSTRUCTURE = 1 << 6,
	FETCH_MODSEQ = 1 << 7,
	FETCH_EMAIL_ID = 1 << 8,
	FETCH_THREAD_ID = 1 << 9,
	FETCH_PREVIEW = 1 << 10,
	FETCH_SAVE_DATE = 1 << 11,
	FETCH_UID_ONLY = 1 << 12, /* the form of the response: UIDFETCH (RFC 9586 section 3.3) */
};

enum fetch_kind { FETCH_RAW, FETCH_BINARY, FETCH_BINARY_SIZE };
enum fetch_text { FETCH_WHOLE, FETCH_HEADER, FETCH_HEADER_FIELDS, FETCH_HEADER_FIELDS_NOT, FETCH_TEXT, FETCH_MIME };

struct fetch_section {
	enum fetch_kind kind;
	enum fetch_text text;
	uint32_t numbers[IMAP_PARTS_MAX];
	unsigned number_count;
	struct slice *fields;
	size_t field_count;
	bool is_partial;
	uint64_t offset, length; /* of a partial */
	struct slice label;      /* "BODY[1.TEXT]<0>" */
	struct fetch_section *next;
};

struct fetch_request {
	unsigned items;
	struct fetch_section *sections;
	size_t section_count;
	unsigned wanted; /* EMAIL_* that it takes */
	bool sets_seen;
	bool is_conditional; /* RFC 7162 section 3.1.4.1: only what is newer than changed_since */
	uint64_t changed_since;
	bool vanished;
	bool is_windowed; /* RFC 9394 section 3.4 */
	struct search_window window;
};
MUST_CHECK bool imap_parse_fetch(struct imap_parser *p, struct fetch_request *request);
/* What may stand behind: RFC 4466 section 2.4. */
MUST_CHECK bool imap_parse_fetch_modifiers(struct imap_parser *p, struct fetch_request *request);

/* ---- responses ---- */

/* "* 7 FETCH (UID 9 FLAGS (\Seen) ", or "* 9 UIDFETCH (FLAGS (\Seen) ": what is known without the message's texts; more items may follow, each with a space behind. */
void fetch_begin(struct buf *out, const struct view_message *message, unsigned items, struct slice flags);
/* Puts the bracket in place of the last space. */
void fetch_end(struct buf *out);

/* ---- sections ---- */

/* A message's bytes: in memory, or read piece by piece. */
struct fetch_source {
	struct slice bytes;
	struct email_reader *reader; /* NULL: in memory */
	uint64_t size;
	bool failed; /* the reader did */
};
/* Bytes from `offset` on, as many as there are at once but not beyond `end`; empty at the end or on failure. */
struct slice fetch_source_read(struct fetch_source *source, uint64_t offset, uint64_t end);

/* The header at the front of a message, without the blank line. */
struct slice fetch_header_of(struct slice bytes);

/* Where bytes go: appended to `out`; `flush` (may be NULL) is called now and then. */
struct fetch_sink {
	struct buf *out;
	void (*flush)(void *context);
	void *context;
};

enum fetch_outcome {
	FETCH_SENT,
	FETCH_ABSENT,           /* NIL was sent: there is no such part */
	FETCH_UNKNOWN_ENCODING, /* NIL was sent; RFC 3516 section 4.3: UNKNOWN-CTE */
	FETCH_BROKEN,           /* a literal was begun and can't be ended: the connection is of no more use */
};
/* The label and its value. `message` may be NULL if the section needs no structure (see fetch_section_needs). */
enum fetch_outcome fetch_put_section(const struct fetch_section *section, const struct message *message,
				     struct fetch_source *source, struct arena *arena, const struct fetch_sink *sink);
/* EMAIL_* that the section takes. */
unsigned fetch_section_needs(const struct fetch_section *section);
