/* when: points in time as people give them: how long ago (90s, 30m, 2h, 5d), or 2026-11-25, 2026-11-25T10:53, 2026-11-25T10:53:14Z (UTC). */
#pragma once

#include "cli/command.h"

MUST_CHECK bool when_parse(struct slice text, int64_t now_ms, int64_t *at_ms);
/* The other way: now, how far ahead, or a time. */
MUST_CHECK bool when_parse_ahead(struct slice text, int64_t now_ms, int64_t *at_ms);
/* Takes the option; tells what is wrong with it. Without it *at_ms stays. */
MUST_CHECK bool cli_when(struct cli *cli, const char *name, int64_t *at_ms);
