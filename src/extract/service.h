/* service: the role convert's work: an attachment in, its text out, by a process that search.converters names. The attachments are hostile, so
 * it looks at none itself; nor does it know whose they are. Threads: one a request; some at a time do something. */
#pragma once

#include "base/log.h"
#include "extract/converters.h"
#include "extract/process.h"
#include "ipc/ipc.h"

enum convert_request_type {
	/* u64 edition, u32 number of the converter, with the attachment as a sealed memfd. The reply: u8 convert_result, slice reason, with
	 * the text as a sealed memfd. */
	CONVERT_REQUEST = 1,
};

struct convert_service_options {
	struct converters converters;
	unsigned at_once;
	uint32_t time_s;    /* for one */
	uint64_t memory;    /* bytes */
	bool only_internal; /* programs can't be confined here: what they would read counts as without text */
};
struct convert_service;

/* Slices of the options outlive the service. */
struct convert_service *convert_service_new(const struct convert_service_options *options, const struct log *log);
/* What runs is ended, and no more is begun. Any thread. */
void convert_service_stop(struct convert_service *service);
void convert_service_free(struct convert_service *service);
/* An ipc_handler; context is the service. */
enum status convert_service_handle(void *service, struct ipc_request *request, struct arena *arena, struct buf *reply);
