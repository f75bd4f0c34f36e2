/* url_service: URLs for the submission server on this machine (RFC 4468): it acts for the user who has authenticated there, who is all that
 * submit+ asks for. */
#pragma once

#include "imap/imap.h"
#include "ipc/ipc.h"

/* An ipc_handler for IPC_URL_FETCH (ipc/urls.h); context: a struct imap_context with a store. */
enum status imap_url_serve(const struct imap_context *context, struct ipc_request *request, struct arena *arena,
			   struct buf *reply);
