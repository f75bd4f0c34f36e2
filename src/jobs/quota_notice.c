#include "jobs/quota_notice.h"

#include "base/clock.h"
#include "deliver/deliver.h"
#include "mime/auto_message.h"
#include "store/quota_watch.h"

#define AT_ONCE    100
#define HYSTERESIS 5 /* percent, so that who is on the edge isn't told again and again */

static unsigned percent_of(uint64_t used, uint64_t quota)
{
	return quota > 0 ? (unsigned)((double)used * 100 / (double)quota) : 0;
}

static void put_size(struct buf *out, uint64_t bytes)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB"};
	double size = (double)bytes / 1000;
	size_t unit = 0;

	while (size >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
		size /= 1000;
		unit++;
	}
	buf_printf(out, "%.1f %s", size, units[unit]);
}

static void write_text(struct buf *out, const struct quota_full *full)
{
	if (full->quota_bytes > 0) {
		buf_add_literal(out, "Of ");
		put_size(out, full->quota_bytes);
		buf_add_literal(out, ", ");
		put_size(out, full->used_bytes);
		buf_add_literal(out, " are used.\r\n");
	}
	if (full->quota_messages > 0)
		buf_printf(out, "Of %llu messages, %llu are there.\r\n", (unsigned long long)full->quota_messages,
			   (unsigned long long)full->used_messages);
	buf_add_literal(out, "\r\nWhen it is full no mail can come in, and who writes to you is told so. Please delete what you\r\n"
			     "don't need any more, and empty the trash; or ask for more room.\r\n");
}

static struct slice write_message(const struct quota_notices *notices, struct arena *arena, const struct quota_full *full,
				  struct slice queue_id)
{
	unsigned bytes = percent_of(full->used_bytes, full->quota_bytes),
		 messages = percent_of(full->used_messages, full->quota_messages);
	struct buf out, subject;

	buf_init(&out, arena, 0);
	buf_init(&subject, arena, 0);
	buf_printf(&subject, "Your mailbox is %u %% full", bytes > messages ? bytes : messages);
	auto_message_header(&out, &(struct auto_message){.hostname = notices->hostname,
							 .to = full->address,
							 .queue_id = queue_id,
							 .subject = buf_slice(&subject),
							 .now_ms = clock_wall_ms()});
	write_text(&out, full);
	return buf_slice(&out);
}

/* A crash between the delivery and our note of it brings the same message again under the same queue id. */
static enum status bring(const struct quota_notices *notices, struct arena *arena, const struct quota_full *full)
{
	struct deliver_recipient to = {.address = full->address, .original = SLICE_EMPTY, .notify = NOTIFY_NEVER};
	struct deliver_envelope envelope = {
		.sender = {.address = SLICE_EMPTY, .login = SLICE_EMPTY, .may_relay = true},
		.envelope_id = SLICE_EMPTY,
		.again = true,
		.body_8bit = true,
		.forwarded_by = SLICE_EMPTY,
		.recipients = &to,
		.recipient_count = 1,
		.trace_from = SLICE("quota"),
	};
	struct buf id;

	buf_init(&id, arena, 0);
	buf_printf(&id, "quota-%lld-%u", (long long)full->account, full->times + 1);
	envelope.queue_id = buf_slice(&id);
	struct deliver_verdict verdict =
		deliver_message(notices->ipc, arena, &envelope, write_message(notices, arena, full, envelope.queue_id), -1);

	if (verdict.status == STATUS_OK)
		LOG_INFO(notices->log, "jobs.quota_notice", LOG_STR("id", envelope.queue_id), LOG_STR("address", full->address),
			 LOG_INT("used", full->used_bytes), LOG_INT("quota", full->quota_bytes));
	return verdict.status;
}

/* Temporary trouble is the server's, and ends it; what else keeps a notice away, such as a mailbox that is quite full, is that account's. */
static enum status tell(const struct quota_notices *notices, struct arena *arena, const struct quota_full *full)
{
	enum status status = bring(notices, arena, full);

	if (status == STATUS_OK)
		return quota_set_told(notices->store, full->account);
	return status == STATUS_TEMPORARY ? status : STATUS_OK;
}

static enum status tell_all(const struct quota_notices *notices)
{
	enum status status = STATUS_OK;
	int64_t after = 0;
	size_t count = AT_ONCE;

	while (status == STATUS_OK && count == AT_ONCE) {
		struct arena arena SCOPED_ARENA;
		struct quota_full *full;

		status = quota_find_full(notices->store, &arena, notices->percent, after, AT_ONCE, &full, &count);
		for (size_t i = 0; status == STATUS_OK && i < count; i++) {
			after = full[i].account;
			status = tell(notices, &arena, &full[i]);
		}
	}
	return status;
}

void quota_notices_send(const struct quota_notices *notices)
{
	enum status status;

	if (notices->percent == 0)
		return;
	status = quota_forget_told(notices->store, notices->percent > HYSTERESIS ? notices->percent - HYSTERESIS : 1);
	if (status == STATUS_OK)
		status = tell_all(notices);
	if (status != STATUS_OK)
		LOG_WARNING(notices->log, "jobs.quota_notice", LOG_STR("status", status_name(status)));
}
