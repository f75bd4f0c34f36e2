/* status */
#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "ipc/ipc.h"
#include "store/queue.h"

/* One line per role: "smtp running pid=12 restarts=0 up_ms=1234". */
static bool ask_server(struct cli *cli, struct slice *report)
{
	int server = cli_connect_server(cli), fd = -1;
	enum control_type type;
	bool answered;

	if (server < 0)
		return false;
	answered = control_send(server, CONTROL_STATUS, SLICE_EMPTY, -1) &&
		   control_receive(server, &cli->arena, &type, report, &fd) && type == CONTROL_STATUS;
	if (fd >= 0)
		close(fd);
	close(server);
	return answered;
}

static int64_t number_of(struct slice *line, struct slice name)
{
	struct slice field = slice_cut(line, ' ');
	uint64_t number = 0;

	if (!slice_starts_with(field, name) || !slice_to_u64(slice_skip(field, name.len), INT64_MAX, &number))
		return 0;
	return (int64_t)number;
}

/* False if a role isn't running. */
static bool list_roles(struct listing *list, struct slice report)
{
	bool all_running = true;

	while (report.len) {
		struct slice line = slice_cut(&report, '\n');
		struct slice role = slice_cut(&line, ' '), state = slice_cut(&line, ' ');

		listing_text(list, role);
		listing_text(list, state);
		listing_number(list, number_of(&line, SLICE("pid=")));
		listing_number(list, number_of(&line, SLICE("restarts=")));
		listing_number(list, number_of(&line, SLICE("up_ms=")) / 1000);
		all_running &= slice_eq(state, SLICE("running"));
	}
	return all_running;
}

struct state {
	bool is_running, roles_running, store_good;
	struct slice store_error;
	int64_t queued;
};

static void look_at_store(struct cli *cli, struct state *state)
{
	struct error error = {0};
	struct queue_depth depth = {0};

	if (!cli_open_store(cli))
		return;
	state->store_good = store_check(cli->store, &cli->arena, &error) == STATUS_OK &&
			    queue_depth(cli->store, &depth) == STATUS_OK;
	state->queued = depth.due + depth.waiting + depth.in_hand + depth.held;
	state->store_error = error.text;
}

static void print_json(const struct state *state, const struct listing *roles)
{
	struct buf out SCOPED_BUF;

	buf_printf(&out, "{\"running\":%s,\"roles\":[", state->is_running ? "true" : "false");
	for (size_t i = 0; i < roles->cell_count / roles->column_count; i++) {
		if (i)
			buf_add_byte(&out, ',');
		listing_json_row(roles, i, &out);
	}
	buf_printf(&out, "],\"queue\":%lld,\"store\":%s}\n", (long long)state->queued, state->store_good ? "true" : "false");
	fwrite(out.data, 1, out.len, stdout);
}

static void print_state(const struct state *state, const struct listing *roles)
{
	if (state->is_running)
		listing_print(roles);
	else
		printf("the server is not running\n");
	printf("\nqueue: %lld\n", (long long)state->queued);
	if (state->store_good)
		printf("store: good\n");
	else
		printf("store: %.*s\n", SLICE_ARG(state->store_error.len ? state->store_error : SLICE("in trouble")));
}

int command_status(struct cli *cli)
{
	struct listing roles = listing_new(cli, "role,state,pid,restarts,up_seconds");
	struct state state = {.store_error = SLICE_EMPTY};
	struct slice report;

	if (!cli_finish(cli, 0, 0) || !cli_load_config(cli))
		return cli->failed;
	look_at_store(cli, &state);
	state.is_running = ask_server(cli, &report);
	if (state.is_running)
		state.roles_running = list_roles(&roles, report);
	if (cli->json)
		print_json(&state, &roles);
	else
		print_state(&state, &roles);
	return state.is_running && state.roles_running && state.store_good ? EXIT_OK : EXIT_FAILED;
}
