/* quota_notice: who has nearly used up a quota is told so by mail, once until there is room again. */
#pragma once

#include "base/log.h"
#include "base/slice.h"

struct ipc;
struct store;

struct quota_notices {
	struct store *store;
	struct ipc *ipc;
	struct slice hostname;
	unsigned percent; /* of the quota, from which on they are told; 0: nobody is */
	const struct log *log;
};
/* Tells those there are. One that can't be delivered now, as the mailbox is quite full, is tried again the next time. */
void quota_notices_send(const struct quota_notices *notices);
