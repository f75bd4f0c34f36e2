#include "main/alarm.h"

#include "base/clock.h"
#include "base/random.h"
#include "deliver/wire.h"
#include "mime/auto_message.h"

static struct slice write_message(struct arena *arena, const struct alarm_sender *sender, const struct guard_alarm *alarm,
				  struct slice queue_id)
{
	struct buf out;

	buf_init(&out, arena, 0);
	auto_message_header(&out, &(struct auto_message){.hostname = sender->hostname,
							 .to = sender->recipient,
							 .queue_id = queue_id,
							 .subject = SLICE("An account sends too much"),
							 .now_ms = clock_wall_ms()});
	buf_printf(&out,
		   "The account %.*s wants to send more than one may in an hour (sending.messages_per_hour: %llu,\r\n"
		   "sending.recipients_per_hour: %llu; 0 is any number). What is above that is refused for now. Nothing\r\n"
		   "more will be said about it by mail for a day.\r\n\r\n",
		   SLICE_ARG(alarm->login), (unsigned long long)alarm->limits.messages_per_hour,
		   (unsigned long long)alarm->limits.recipients_per_hour);
	buf_printf(&out,
		   "If its user did not send all this, somebody else knows the password:\r\n\r\n"
		   "    posthorn account disable %.*s\r\n    posthorn account password %.*s\r\n",
		   SLICE_ARG(alarm->login), SLICE_ARG(alarm->login));
	return buf_slice(&out);
}

/* Like any message, as if this process had asked itself. "postmaster" without a domain: RFC 5321 section 4.5.1. */
static bool bring(const struct alarm_sender *sender, struct arena *arena, const struct guard_alarm *alarm)
{
	struct deliver_recipient recipient = {.address = sender->recipient, .original = SLICE_EMPTY};
	struct deliver_envelope envelope = {
		.queue_id = random_queue_id(arena),
		.sender = {.address = SLICE_EMPTY, .login = SLICE_EMPTY, .may_relay = true},
		.envelope_id = SLICE_EMPTY,
		.body_8bit = true,
		.recipients = &recipient,
		.recipient_count = 1,
		.trace_from = SLICE("alarm"),
	};
	struct ipc_request request = {.from = ROLE_SMTP, .type = DELIVER_REQUEST_MESSAGE, .fd = -1};
	struct deliver_verdict verdict;
	struct buf frame, reply;

	buf_init(&frame, arena, 0);
	buf_init(&reply, arena, 0);
	deliver_pack_envelope(&frame, false, &envelope);
	pack_slice(&frame, write_message(arena, sender, alarm, envelope.queue_id));
	request.payload = buf_slice(&frame);
	return deliver_service_handle(sender->deliver, &request, arena, &reply) == STATUS_OK &&
	       deliver_unpack_verdict(buf_slice(&reply), &verdict) && verdict.status == STATUS_OK;
}

void alarm_account_sends_too_much(void *context, const struct guard_alarm *alarm)
{
	const struct alarm_sender *sender = context;
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, 0);
	if (!bring(sender, &arena, alarm))
		LOG_ERROR(sender->log, "guard.alarm_not_delivered", LOG_STR("login", alarm->login),
			  LOG_CSTR("advice", "make an account or alias postmaster, or set sending.alert_to"));
}
