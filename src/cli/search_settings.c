#include "cli/search_settings.h"

#include <unistd.h>

#include "extract/extractor.h"

static bool is_there(const struct config_converter *converter)
{
	struct arena arena SCOPED_ARENA;
	struct slice command = slice_from_cstr(converter->command);

	return slice_starts_with(command, CONVERTER_INTERNAL) ||
	       access(slice_cstr(&arena, converter_program(command)), X_OK) == 0;
}

void extract_leave_out_missing(struct config *config, struct arena *arena, const struct log *log)
{
	struct config_converter *kept = ARENA_ARRAY(arena, struct config_converter, config->search.converters_count + 1);
	unsigned count = 0;

	for (unsigned i = 0; i < config->search.converters_count && config->search.attachments; i++) {
		if (i < CONVERTERS_MAX && is_there(&config->search.converters[i]))
			kept[count++] = config->search.converters[i];
		else if (log)
			LOG_INFO(log, "search.converter_not_installed",
				 LOG_CSTR("command", config->search.converters[i].command));
	}
	config->search.converters = kept;
	config->search.converters_count = count;
}

bool extract_is_on(const struct config *config)
{
	return config->search.attachments && config->search.converters_count > 0;
}

void extract_converters(const struct config *config, struct arena *arena, struct converters *converters)
{
	struct converter *list = ARENA_ARRAY(arena, struct converter, config->search.converters_count + 1);

	for (unsigned i = 0; i < config->search.converters_count; i++)
		list[i] = (struct converter){slice_from_cstr(config->search.converters[i].types),
					     slice_from_cstr(config->search.converters[i].command)};
	*converters = (struct converters){list, config->search.converters_count, config->search.attachment_size,
					  config->search.attachment_text};
}

void extract_options(const struct config *config, struct arena *arena, struct extractor_options *options)
{
	options->time_s = config->search.converter_time_s;
	extract_converters(config, arena, &options->converters);
}
