#include "ipc/metrics.h"

#include "base/buf.h"
#include "ipc/internal.h"
#include "ipc/pack.h"

#define CELLS_MAX 10000
#define LABEL_MAX 255

void metrics_report_add(struct metrics_report *report, enum metric metric, struct slice label, uint64_t value)
{
	if (report->extra_count == IPC_METRICS_EXTRAS_MAX)
		return;
	pack_u32(&report->extras, metric);
	pack_slice(&report->extras, slice_sub(label, 0, LABEL_MAX));
	pack_u64(&report->extras, value);
	report->extra_count++;
}

void ipc_set_metrics_reporter(struct ipc *ipc, metrics_reporter reporter, void *context)
{
	ipc->metrics_reporter = reporter;
	ipc->metrics_context = context;
}

enum status ipc_metrics_answer(struct ipc *ipc, struct buf *reply)
{
	struct arena arena SCOPED_ARENA;
	struct metrics_report report = {.metrics = ipc->log->metrics};
	size_t count = metrics_cell_count();
	uint64_t *cells = ARENA_ARRAY(&arena, uint64_t, count);

	if (!report.metrics)
		return STATUS_NOT_FOUND;
	buf_init(&report.extras, &arena, 0);
	if (ipc->metrics_reporter)
		ipc->metrics_reporter(ipc->metrics_context, &report);
	metrics_read(report.metrics, cells);
	pack_u32(reply, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		pack_u64(reply, cells[i]);
	pack_u32(reply, report.extra_count);
	buf_add(reply, buf_slice(&report.extras));
	return STATUS_OK;
}

bool ipc_metrics_unpack(struct arena *arena, struct slice frame, struct metric_source *source)
{
	struct unpack in = unpack_begin(frame);
	uint32_t count = unpack_count(&in, CELLS_MAX);
	uint64_t *cells = ARENA_ARRAY(arena, uint64_t, count + 1);

	for (uint32_t i = 0; i < count; i++)
		cells[i] = unpack_u64(&in);
	uint32_t extra_count = unpack_count(&in, IPC_METRICS_EXTRAS_MAX);
	struct metric_extra *extras = ARENA_ARRAY(arena, struct metric_extra, extra_count + 1);

	for (uint32_t i = 0; i < extra_count; i++) {
		uint32_t metric = unpack_u32(&in);

		extras[i].metric = metric < METRIC_COUNT ? (enum metric)metric : METRIC_COUNT;
		extras[i].label = unpack_slice(&in);
		extras[i].value = unpack_u64(&in);
	}
	if (!unpack_ok(&in) || count != metrics_cell_count())
		return false;
	source->cells = cells;
	source->extras = extras;
	source->extra_count = extra_count;
	return true;
}

void ipc_metrics_ask(struct ipc *ipc, enum role role, int timeout_ms, struct arena *arena, struct metric_source *source)
{
	struct slice reply;

	source->role = role_name(role);
	source->cells = NULL;
	source->extra_count = 0;
	if (ipc_call(ipc, role, IPC_METRICS, SLICE_EMPTY, -1, timeout_ms, arena, &reply) != STATUS_OK ||
	    !ipc_metrics_unpack(arena, reply, source))
		source->cells = NULL;
}
