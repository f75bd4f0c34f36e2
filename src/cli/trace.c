#include <stdio.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "store/queue.h"

int command_trace(struct cli *cli)
{
	struct listing list = listing_new(cli, "time,queue_id,event,subject,detail");
	struct trace_step *steps;
	enum status status;
	size_t count;

	if (!cli_finish(cli, 1, 1) || !cli_open_store(cli))
		return cli->failed;
	status = trace_find(cli->store, &cli->arena, cli_argument(cli, 0), &steps, &count);
	if (status == STATUS_NOT_FOUND || (status == STATUS_OK && count == 0))
		return cli_fail(cli, EXIT_FAILED,
				"no trace of %s; give a queue id or a Message-ID, and note that traces are kept for %u days",
				cli->arguments[0], cli->config->retention.trace_days);
	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("the trace"));
	for (size_t i = 0; i < count; i++) {
		listing_time(&list, steps[i].at_ms);
		listing_text(&list, steps[i].queue_id);
		listing_text(&list, steps[i].event);
		listing_text(&list, steps[i].subject);
		listing_text(&list, steps[i].detail);
	}
	listing_print(&list);
	return EXIT_OK;
}
