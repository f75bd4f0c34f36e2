/* login_delay: when accounts logged in last, for who must not come too often (LOGIN-DELAY, RFC 2449 section 6.5). Of two accounts that share a
 * place the one that came last is remembered, so that at worst somebody may come too soon. May be called from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pop3/pop3.h"

/* May it log in at this moment (monotonic ms)? `logins` may be NULL: it may. */
bool pop3_may_log_in(struct pop3_logins *logins, int64_t account, unsigned delay_s, int64_t now_ms);
/* It has. */
void pop3_note_login(struct pop3_logins *logins, int64_t account, int64_t now_ms);
