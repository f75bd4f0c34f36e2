#include "ipc/urls.h"

#include "base/buf.h"
#include "ipc/pack.h"

void url_request_pack(struct buf *out, const struct url_request *request)
{
	pack_u64(out, (uint64_t)request->account);
	pack_slice(out, request->address);
	pack_slice(out, request->url);
	pack_u64(out, request->max);
}

bool url_request_unpack(struct slice payload, struct url_request *request)
{
	struct unpack in = unpack_begin(payload);

	*request = (struct url_request){.account = (int64_t)unpack_u64(&in)};
	request->address = unpack_slice(&in);
	request->url = unpack_slice(&in);
	request->max = unpack_u64(&in);
	return unpack_ok(&in);
}
