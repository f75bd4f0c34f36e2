/* limit: how many messages one command works on (RFC 9738). What is more than that is left out from the lowest uids on, and the answer says
 * where; what can't be done in part isn't done. */
#pragma once

#include "imap/session.h"

struct message_limit {
	bool is_passed;
	uint32_t lowest; /* the lowest uid that is worked on */
};

/* 0: as many as there are. Of all commands, and of APPEND and COPY. */
uint32_t limit_of_messages(const struct imap_session *s);
uint32_t limit_of_saving(const struct imap_session *s);
/* Is the resolved set larger than `max` (0: nothing is)? Then *limit tells where it would have to end. */
void limit_find(struct imap_session *s, const struct imap_set *set, uint32_t max, struct message_limit *limit);
/* Cuts it there, by limit_of_messages. */
void limit_cut(struct imap_session *s, struct imap_set *set, struct message_limit *limit);
/* "MESSAGELIMIT 1000 23221" */
struct slice limit_code(struct imap_session *s, uint32_t max, const struct message_limit *limit);
/* As an untagged NO, where the answer has another code to tell; nothing if the limit isn't passed. */
void limit_tell(struct imap_session *s, const struct message_limit *limit);
/* imap_ok_code and imap_ok, with the limit told in the one way or the other. */
enum next limit_ok(struct imap_session *s, struct imap_command *command, const struct message_limit *limit, struct slice code,
		   struct slice text);
/* Nothing has been done. `limit` may be NULL: no uid is told. */
enum next limit_no(struct imap_session *s, struct imap_command *command, uint32_t max, const struct message_limit *limit);
