/* threads: which messages of an account belong together, for THREADID (RFC 8474 section 5.2).
 *
 * A message joins the thread of the first of these that is known: its own Message-ID, what it answers, what it refers to from the latest
 * to the earliest; if the base subjects (RFC 5256 section 2.1) are the same too, so that a new subject begins a new thread. So a thread
 * is made of what came first; a message's thread never changes, whatever comes later (which RFC 8474 demands), and an original that
 * comes after its answers joins them. A thread is named by its first message's id.
 *
 * They are made after the fact: a delivery has no part in it. Who asks first brings the account up to date, in the order of ids; from
 * then on jobs does it each minute. An account that nobody asks for has none.
 */
#pragma once

#include "store/store.h"

/* Makes what is missing, a few hundred messages a transaction. Cheap when nothing is. */
MUST_CHECK enum status threads_catch_up(struct store *store, int64_t account);
/* The threads of these messages, in any order. threads_catch_up has been called since they came. */
MUST_CHECK enum status threads_of(struct store *store, struct arena *arena, int64_t account, const int64_t *emails, size_t count,
				  int64_t *threads);
/* A thread's messages, ascending; none: there is no such thread. */
MUST_CHECK enum status thread_members(struct store *store, struct arena *arena, int64_t account, int64_t thread, int64_t **emails,
				      size_t *count);

/* ---- for the jobs role ---- */

/* The next account from *account on that somebody has asked for and that has new messages: *threaded of them; 0: there was none. */
MUST_CHECK enum status threads_step(struct store *store, int64_t *account, size_t *threaded);
/* Forgets names of threads of which nothing is left, of one account from *account on and a part of them (from *part on, begin with 0).
 * *more false: that was the last. */
MUST_CHECK enum status threads_tidy(struct store *store, int64_t *account, unsigned *part, size_t *removed, bool *more);
