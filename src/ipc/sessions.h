/* sessions: the request for who is logged in, which people make of the roles that serve sessions (ipc/client.h). The payload is u32 where
 * to go on (0: at the beginning). The reply: u32 where to go on (0: that was all), a count, and of each session: u64 its number, slices
 * user, listener and peer, u64 since when (wall ms).
 */
#pragma once

#define IPC_SESSIONS (UINT32_MAX - 1)

/* Who may not be logged in any more (the payload: an address) is told under this kind of announcement. */
#define IPC_SESSION_END "session"
