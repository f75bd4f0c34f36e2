/* search_settings: search.* as extract/ takes it. */
#pragma once

#include "base/log.h"
#include "config/config.h"

struct converters;
struct extractor_options;

/* Leaves out converters whose program isn't there, and all if search.attachments is off. `log` NULL: quietly. */
void extract_leave_out_missing(struct config *config, struct arena *arena, const struct log *log);
/* Are there converters at all? After that. */
bool extract_is_on(const struct config *config);
/* In the arena, as far as it isn't the configuration's. */
void extract_converters(const struct config *config, struct arena *arena, struct converters *converters);
void extract_options(const struct config *config, struct arena *arena, struct extractor_options *options);
