/* urls: what the smtp role asks the imap role: the bytes that an URL of a message names (RFC 4468), for a user who has authenticated with it.
 * They come back in a memfd that the asking side has made. */
#pragma once

#include "ipc/ipc.h"

#define IPC_URL_FETCH 3 /* type of the request: u64 account, slice address, slice url, u64 max; the answer: u64 size */

struct url_request {
	int64_t account;
	struct slice address; /* its */
	struct slice url;
	uint64_t max; /* bytes */
};
void url_request_pack(struct buf *out, const struct url_request *request);
MUST_CHECK bool url_request_unpack(struct slice payload, struct url_request *request);

/* NOT_FOUND: the URL isn't for this user, or is of nothing; LIMIT: of more than max; TEMPORARY. *body is sealed and mapped: ipc_body_unmap. */
MUST_CHECK enum status url_fetch(struct ipc *ipc, struct arena *arena, const struct url_request *request,
				 struct ipc_body *body);
