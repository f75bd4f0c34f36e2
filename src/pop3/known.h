/* known: which messages of a maildrop have surrogates, from one session to the next: messages never change, so a client that looks in every
 * few minutes costs a look at what is new. Of many maildrops the latest are kept, at most 12 MB in all. May be called from any thread. Private
 * to pop3/, but for what pop3.h declares. */
#pragma once

#include "base/buf.h"
#include "pop3/pop3.h"

struct pop3_surrogate {
	uint32_t uid;
	uint64_t size; /* in octets */
};

struct pop3_maildrop {
	int64_t account, mailbox;
	uint32_t uid_validity;
};

/* Adds those that are known, ascending. Returns the uid up to which all are. `known` may be NULL. */
uint32_t pop3_known_take(struct pop3_known *known, const struct pop3_maildrop *maildrop, struct buf *surrogates);
void pop3_known_put(struct pop3_known *known, const struct pop3_maildrop *maildrop, uint32_t up_to, struct slice surrogates);
