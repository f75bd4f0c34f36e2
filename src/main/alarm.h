/* alarm: what the administrator is told by mail, beside the log. */
#pragma once

#include "deliver/service.h"
#include "guard/service.h"

struct alarm_sender {
	struct deliver_service *deliver;
	struct slice hostname;
	struct slice recipient; /* "postmaster", or an address anywhere */
	const struct log *log;
};

/* For struct guard_service_options; context is an alarm_sender. */
void alarm_account_sends_too_much(void *context, const struct guard_alarm *alarm);
