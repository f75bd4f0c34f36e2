/* surrogate: messages with internationalised headers for sessions that haven't said UTF8 (RFC 6856 section 4): what mime/downgrade.h makes of
 * their headers, at all depths, and the rest as it stands. No more than one header (1 MB at most) and a chunk of the store are in memory. */
#pragma once

#include "pop3/session.h"
#include "store/surrogate.h"

struct email_reader;

/* Finds out which messages of the maildrop need one and how large it is. For most it is enough to look into the structure that is stored
 * with them; headers are read where a message has bytes beyond ASCII. What an earlier session has found isn't looked for again. */
MUST_CHECK enum status pop3_find_surrogates(struct pop3_session *s);
/* Has the message one? *size becomes its size in octets. */
bool pop3_has_surrogate(const struct pop3_session *s, uint32_t uid, uint64_t *size);
/* Gives it piece by piece, until the sink says false. */
MUST_CHECK enum status pop3_give_surrogate(struct pop3_session *s, const struct view_message *message,
					   struct email_reader *reader, surrogate_sink sink, void *context);
