/* client: how the command line, which is no role, asks a role of the running server: by a channel that the supervisor makes for it, to
 * roles that the supervisor lets be asked by people.
 */
#pragma once

#include "ipc/ipc.h"

/* A channel over the connection to the supervisor; -1: there is none to be had. The caller's to close. */
int ipc_client_channel(int server, enum role to);
/* One request, one reply, as ipc_call. */
MUST_CHECK enum status ipc_client_call(int channel, uint32_t type, struct slice payload, int timeout_ms, struct arena *arena,
				       struct slice *reply);
