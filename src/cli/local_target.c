#include "cli/local_target.h"

#include "cli/commands.h"
#include "store/routing.h"

bool local_target_is(struct slice text)
{
	return slice_starts_with(text, HOP_LOCAL);
}

static struct slice word_for(struct cli *cli, const struct config_local_target *target)
{
	const struct slice parts[] = {HOP_LOCAL, slice_lower(&cli->arena, slice_from_cstr(target->name))};

	return slice_join(&cli->arena, parts, 2);
}

bool local_target_take(struct cli *cli, struct slice text, struct slice *target)
{
	if (!cli_load_config(cli))
		return false;
	for (unsigned i = 0; i < cli->config->local.targets_count; i++) {
		*target = word_for(cli, &cli->config->local.targets[i]);
		if (slice_eq_nocase(*target, text))
			return true;
	}
	cli_fail(cli, EXIT_USAGE, "there is no \"%.*s\" in local.targets of posthorn.yaml", SLICE_ARG(slice_skip(text, HOP_LOCAL.len)));
	return false;
}

bool local_target_find(struct cli *cli, struct slice to, struct slice *target)
{
	for (unsigned i = 0; i < cli->config->local.targets_count; i++)
		if (slice_eq(slice_from_cstr(cli->config->local.targets[i].to), to)) {
			*target = word_for(cli, &cli->config->local.targets[i]);
			return true;
		}
	return false;
}
