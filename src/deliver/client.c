#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "deliver/verdict.h"
#include "deliver/wire.h"

#define ASK_TIMEOUT_MS     30000
#define MESSAGE_TIMEOUT_MS 120000
/* A role that has died is there again in less, and most databases too; a client waits ten minutes (RFC 5321 section 4.5.3.2.6). */
#define AGAIN_FOR_MS   60000
#define AGAIN_AFTER_MS 100

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* STATUS_TEMPORARY: the role could not be asked, or died over it. */
static enum status ask(struct ipc *ipc, struct arena *arena, enum deliver_request_type type, const struct buf *request, int fd,
		       int timeout_ms, struct deliver_verdict *verdicts, size_t count)
{
	struct slice frame;
	enum status status = ipc_call(ipc, ROLE_DELIVER, type, buf_slice(request), fd, timeout_ms, arena, &frame);

	if (status == STATUS_OK && !deliver_unpack_verdicts(frame, verdicts, count))
		status = STATUS_BUG;
	for (size_t i = 0; i < count && status != STATUS_OK; i++)
		verdicts[i] = verdict_make(VERDICT_TEMPORARY);
	return status;
}

struct deliver_verdict deliver_check_sender(struct ipc *ipc, struct arena *arena, const struct deliver_sender *sender)
{
	struct deliver_verdict verdict;
	struct buf request;

	buf_init(&request, arena, IPC_FRAME_MAX);
	deliver_pack_sender(&request, sender);
	(void)ask(ipc, arena, DELIVER_REQUEST_SENDER, &request, -1, ASK_TIMEOUT_MS, &verdict, 1);
	return verdict;
}

struct deliver_verdict deliver_check_recipient(struct ipc *ipc, struct arena *arena, const struct deliver_sender *sender,
					       struct slice recipient, uint64_t size)
{
	struct deliver_verdict verdict;
	struct buf request;

	buf_init(&request, arena, IPC_FRAME_MAX);
	deliver_pack_sender(&request, sender);
	pack_slice(&request, recipient);
	pack_u64(&request, size);
	(void)ask(ipc, arena, DELIVER_REQUEST_RECIPIENT, &request, -1, ASK_TIMEOUT_MS, &verdict, 1);
	return verdict;
}

enum status deliver_look_up(struct ipc *ipc, struct arena *arena, struct slice address, struct deliver_who *who)
{
	struct buf request;
	struct slice frame;

	buf_init(&request, arena, IPC_FRAME_MAX);
	pack_slice(&request, address);
	*who = (struct deliver_who){.kind = DIRECTORY_UNKNOWN};
	enum status status =
		ipc_call(ipc, ROLE_DELIVER, DELIVER_REQUEST_WHO, buf_slice(&request), -1, ASK_TIMEOUT_MS, arena, &frame);

	if (status == STATUS_OK && !deliver_unpack_who(frame, arena, who))
		status = STATUS_BUG;
	return status == STATUS_OK || status == STATUS_LIMIT ? status : STATUS_TEMPORARY;
}

static void wait_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = AGAIN_AFTER_MS * 1000000L}, NULL);
}

static void bring(struct ipc *ipc, struct arena *arena, struct buf *request, int fd, struct deliver_verdict *verdicts,
		  size_t count)
{
	int64_t until_ms = clock_monotonic_ms() + AGAIN_FOR_MS;

	while (ask(ipc, arena, DELIVER_REQUEST_MESSAGE, request, fd, MESSAGE_TIMEOUT_MS, verdicts, count) == STATUS_TEMPORARY &&
	       clock_monotonic_ms() < until_ms) {
		wait_a_little();
		request->data[WIRE_AGAIN_OFFSET] = 1;
	}
}

static void pack_and_bring(struct ipc *ipc, struct arena *arena, const struct deliver_envelope *envelope, struct slice bytes,
			   int fd, struct deliver_verdict *verdicts, size_t count)
{
	__attribute__((cleanup(close_fd))) int own_fd = -1;
	struct buf request;
	bool fits;

	buf_init(&request, arena, IPC_FRAME_MAX);
	buf_reserve(&request, bytes.data && bytes.len < IPC_FRAME_MAX - 1024 ? bytes.len + 1024 : 1024);
	deliver_pack_envelope(&request, envelope->again, envelope);
	fits = bytes.data && bytes.len + sizeof(uint32_t) <= IPC_FRAME_MAX - request.len;
	if (fits)
		pack_slice(&request, bytes);
	else if (bytes.data)
		fd = own_fd = ipc_memfd(bytes);
	for (size_t i = 0; i < count; i++)
		verdicts[i] = verdict_make(VERDICT_TEMPORARY);
	if (buf_ok(&request) && (fits || fd >= 0))
		bring(ipc, arena, &request, fits ? -1 : fd, verdicts, count);
}

struct deliver_verdict deliver_message(struct ipc *ipc, struct arena *arena, const struct deliver_envelope *envelope,
				       struct slice bytes, int fd)
{
	struct deliver_verdict verdict;

	pack_and_bring(ipc, arena, envelope, bytes, fd, &verdict, 1);
	return verdict;
}

void deliver_message_to_each(struct ipc *ipc, struct arena *arena, const struct deliver_envelope *envelope, struct slice bytes,
			     int fd, struct deliver_verdict *verdicts)
{
	struct deliver_envelope each = *envelope;

	each.each = true;
	pack_and_bring(ipc, arena, &each, bytes, fd, verdicts, envelope->recipient_count);
}
