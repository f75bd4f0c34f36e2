#include "cli/queue_select.h"

#include "base/clock.h"

static const struct slice phase_names[] = {
	[QUEUE_PHASE_ANY] = {"", 0},
	[QUEUE_PHASE_DUE] = {"due", 3},
	[QUEUE_PHASE_WAITING] = {"waiting", 7},
	[QUEUE_PHASE_SCHEDULED] = {"scheduled", 9},
	[QUEUE_PHASE_IN_HAND] = {"in-hand", 7},
	[QUEUE_PHASE_HELD] = {"held", 4},
};

struct slice queue_phase_name(enum queue_phase phase)
{
	return phase_names[phase];
}

static bool take_text(struct cli *cli, struct queue_selection *selection, const char *name, struct slice *text)
{
	const char *value = cli_option(cli, name);

	*text = slice_from_cstr(value);
	selection->is_narrow |= value != NULL;
	if (!value || value[0])
		return true;
	cli_fail(cli, EXIT_USAGE, "%s wants a value", name);
	return false;
}

static bool take_age(struct cli *cli, struct queue_selection *selection, const char *name, int64_t *at_ms)
{
	struct slice text;
	int64_t age_ms;

	if (!take_text(cli, selection, name, &text))
		return false;
	if (text.len == 0)
		return true;
	if (!config_duration(text, &age_ms)) {
		cli_fail(cli, EXIT_USAGE, "%s wants a time as 90s, 30m, 2h, 5d", name);
		return false;
	}
	*at_ms = clock_wall_ms() - age_ms;
	return true;
}

static bool take_phase(struct cli *cli, struct queue_selection *selection)
{
	struct slice text;

	if (!take_text(cli, selection, "--state", &text))
		return false;
	if (cli_flag(cli, "--held"))
		text = SLICE("held");
	selection->is_narrow |= text.len > 0;
	for (size_t i = 0; i < sizeof(phase_names) / sizeof(phase_names[0]); i++) {
		if (slice_eq(text, phase_names[i])) {
			selection->filter.phase = (enum queue_phase)i;
			return true;
		}
	}
	cli_fail(cli, EXIT_USAGE, "--state wants one of due, waiting, scheduled, in-hand, held");
	return false;
}

bool queue_select(struct cli *cli, struct queue_selection *selection)
{
	struct queue_filter *filter = &selection->filter;

	*selection = (struct queue_selection){.filter = {.state = -1}};
	selection->all = cli_flag(cli, "--all");
	return take_text(cli, selection, "--sender", &filter->sender) &&
	       take_text(cli, selection, "--recipient", &filter->recipient) &&
	       take_text(cli, selection, "--domain", &filter->recipient_domain) &&
	       take_text(cli, selection, "--hop", &filter->next_hop) &&
	       take_text(cli, selection, "--reason", &filter->reason) &&
	       take_age(cli, selection, "--older", &filter->created_before_ms) &&
	       take_age(cli, selection, "--newer", &filter->created_from_ms) && take_phase(cli, selection);
}
