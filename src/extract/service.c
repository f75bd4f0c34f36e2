#include "extract/service.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "ipc/pack.h"

struct convert_service {
	struct convert_service_options options;
	int64_t edition;
	const struct log *log;
	int stop_fd; /* readable: all is to end */
	pthread_mutex_t lock;
	pthread_cond_t freed;
	unsigned running;
	bool stopping;
};

struct convert_service *convert_service_new(const struct convert_service_options *options, const struct log *log)
{
	struct convert_service *service = calloc(1, sizeof(*service));

	if (!service)
		abort();
	service->options = *options;
	service->edition = converters_edition(&options->converters);
	service->log = log;
	service->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&service->lock, NULL);
	thread_condition_init(&service->freed);
	return service;
}

void convert_service_stop(struct convert_service *service)
{
	pthread_mutex_lock(&service->lock);
	service->stopping = true;
	pthread_cond_broadcast(&service->freed);
	pthread_mutex_unlock(&service->lock);
	eventfd_write(service->stop_fd, 1);
}

void convert_service_free(struct convert_service *service)
{
	close(service->stop_fd);
	pthread_cond_destroy(&service->freed);
	pthread_mutex_destroy(&service->lock);
	free(service);
}

/* ---- who is next ---- */

static bool take_turn(struct convert_service *service, int64_t until_ms)
{
	bool in_time = true;

	pthread_mutex_lock(&service->lock);
	while (service->running >= service->options.at_once && !service->stopping && in_time)
		in_time = thread_wait_until(&service->freed, &service->lock, until_ms);
	bool mine = service->running < service->options.at_once && !service->stopping;

	service->running += mine;
	pthread_mutex_unlock(&service->lock);
	return mine;
}

static void end_turn(struct convert_service *service)
{
	pthread_mutex_lock(&service->lock);
	service->running--;
	pthread_cond_signal(&service->freed);
	pthread_mutex_unlock(&service->lock);
}

/* ---- one attachment ---- */

static void convert(struct convert_service *service, const struct converter *converter, int attachment, struct arena *arena,
		    struct buf *text, struct convert_outcome *outcome)
{
	const struct convert_service_options *options = &service->options;
	struct convert_job job = {converter->command, options->memory, options->time_s, (uint32_t)getpid()};
	struct convert_process process = {&job, attachment, service->stop_fd,
					  clock_monotonic_ms() + options->time_s * INT64_C(1000)};
	int64_t since_us = metrics_now_us(service->log->metrics);

	if (options->only_internal && !slice_starts_with(converter->command, CONVERTER_INTERNAL))
		*outcome = (struct convert_outcome){CONVERT_FAILED, SLICE("programs can't be confined on this system")};
	else
		convert_process_run(&process, arena, text, outcome);
	if (service->log->metrics)
		metrics_observe(service->log->metrics, METRIC_CONVERT_SECONDS,
				(uint64_t)(metrics_now_us(service->log->metrics) - since_us));
	METRIC_ADD(service->log, METRIC_CONVERTED, (unsigned)outcome->result, 1);
	LOG_DEBUG(service->log, "convert.done", LOG_STR("command", converter->command), LOG_INT("result", outcome->result),
		  LOG_STR("reason", outcome->reason), LOG_INT("text", text->len));
}

enum status convert_service_handle(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	struct convert_service *service = context;
	struct unpack in = unpack_begin(request->payload);
	int64_t edition = (int64_t)unpack_u64(&in);
	uint32_t number = unpack_u32(&in);
	struct convert_outcome outcome;
	struct buf text SCOPED_BUF;

	if (request->type != CONVERT_REQUEST || (request->from != ROLE_IMAP && request->from != ROLE_JOBS))
		return STATUS_REFUSED;
	if (!unpack_ok(&in) || request->fd < 0 || edition != service->edition || number >= service->options.converters.count)
		return STATUS_PEER;
	if (!take_turn(service, request->deadline_ms))
		return STATUS_TEMPORARY;
	buf_init(&text, NULL, (size_t)service->options.converters.attachment_text);
	convert(service, &service->options.converters.list[number], request->fd, arena, &text, &outcome);
	end_turn(service);
	/* What we were told to end says nothing about the attachment. */
	if (service->stopping)
		return STATUS_TEMPORARY;
	request->reply_fd = ipc_memfd(buf_slice(&text));
	if (request->reply_fd < 0)
		return STATUS_TEMPORARY;
	pack_u8(reply, (uint8_t)outcome.result);
	pack_slice(reply, outcome.reason);
	return STATUS_OK;
}
