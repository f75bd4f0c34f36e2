/* write: the pieces of IMAP responses (RFC 9051 section 7, 9), appended to a buf. Pure. */
#pragma once

#include "base/buf.h"
#include "imap/set.h"
#include "store/mailbox_view.h"

/* Quoted, or a literal where it can't be. `utf8`: quoted strings may hold UTF-8 (IMAP4rev2 enabled). */
void imap_put_string(struct buf *out, struct slice text, bool utf8);
/* "\Seen \Flagged $Label": names without parentheses. */
void imap_put_flags(struct buf *out, uint64_t flags, const struct keyword_table *keywords);
/* "17-Jul-1996 02:44:25 +0000" in quotes, in UTC. */
void imap_put_date_time(struct buf *out, int64_t wall_ms);
/* "1:3,7". */
void imap_put_set(struct buf *out, const struct imap_set *set);
void imap_put_numbers_as_set(struct buf *out, const uint32_t *numbers, size_t count);

/* For lines of which there are many: no call per piece. Each returns where the next byte goes; the caller has reserved room. */
#define IMAP_U64_MAX       20
#define IMAP_DATE_TIME_LEN 28
char *imap_write_u64(char *to, uint64_t value);
char *imap_write_date_time(char *to, int64_t wall_ms);
#define IMAP_EMAIL_ID_MAX 17
/* RFC 8474 section 5.1: an email's number is the account's and one that is never given out again. */
char *imap_write_email_id(char *to, int64_t email);
bool imap_email_id_parse(struct slice id, int64_t *email);
/* RFC 8474 section 5.2: likewise of a thread, by another letter. */
char *imap_write_thread_id(char *to, int64_t thread);
bool imap_thread_id_parse(struct slice id, int64_t *thread);
static inline char *imap_write(char *to, struct slice text)
{
	memcpy(to, text.data, text.len);
	return to + text.len;
}
