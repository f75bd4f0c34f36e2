#include "local/job.h"

#include "ipc/pack.h"

void local_job_pack(struct buf *out, const struct local_job *job)
{
	struct buf request SCOPED_BUF;

	local_request_pack(&request, &job->request);
	pack_slice(out, buf_slice(&request));
	pack_slice(out, job->user);
	pack_slice(out, job->target);
	pack_u8(out, job->is_settings);
	pack_slice(out, job->mailbox);
	pack_slice(out, job->mailbox_command);
	pack_u8(out, job->forward);
	pack_u32(out, job->minimum_uid);
	pack_u32(out, job->time_limit_s);
	pack_u8(out, (uint8_t)job->separator);
	pack_slice(out, job->hostname);
	out->failed = out->failed || !buf_ok(&request);
}

bool local_job_unpack(struct slice frame, struct local_job *job)
{
	struct unpack in = unpack_begin(frame);
	struct slice request = unpack_slice(&in);

	job->user = unpack_slice(&in);
	job->target = unpack_slice(&in);
	job->is_settings = unpack_u8(&in) != 0;
	job->mailbox = unpack_slice(&in);
	job->mailbox_command = unpack_slice(&in);
	job->forward = unpack_u8(&in) != 0;
	job->minimum_uid = unpack_u32(&in);
	job->time_limit_s = unpack_u32(&in);
	job->separator = (char)unpack_u8(&in);
	job->hostname = unpack_slice(&in);
	return unpack_ok(&in) && local_request_unpack(request, &job->request);
}
