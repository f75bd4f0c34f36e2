#include "config/schema.h"

/* A section is a mapping of its own, whose pointer lies in the place of its first setting. */
static size_t first_of_section(size_t setting)
{
	struct slice section = setting_section(&settings[setting]);

	while (setting > 0 && slice_eq(setting_section(&settings[setting - 1]), section))
		setting--;
	return setting;
}

const struct raw *schema_get(const struct raw *root, size_t setting)
{
	size_t first = first_of_section(setting);
	const struct raw *section;

	if (setting_section(&settings[setting]).len == 0)
		return &root[setting];
	section = root[first].data;
	return section ? &section[setting - first] : NULL;
}

static const cyaml_schema_value_t text_value = {
	.type = CYAML_STRING,
	.flags = CYAML_FLAG_POINTER_NULL,
	.data_size = sizeof(char),
	.string = {0, CYAML_UNLIMITED},
};

static cyaml_schema_field_t text_field(const char *key, size_t offset)
{
	cyaml_schema_field_t field = {.key = key, .data_offset = (uint32_t)offset, .value = text_value};

	field.value.flags |= CYAML_FLAG_OPTIONAL;
	return field;
}

static const cyaml_schema_value_t *record_value(const struct setting *setting, struct arena *arena)
{
	cyaml_schema_field_t *fields = ARENA_ARRAY(arena, cyaml_schema_field_t, setting->field_count + 1);
	cyaml_schema_value_t *value = ARENA_NEW(arena, cyaml_schema_value_t);

	for (size_t i = 0; i < setting->field_count; i++)
		fields[i] = text_field(setting->fields[i].name, i * sizeof(char *));
	value->type = CYAML_MAPPING;
	value->data_size = (uint32_t)(setting->field_count * sizeof(char *));
	value->mapping.fields = fields;
	return value;
}

static cyaml_schema_field_t setting_field(const struct setting *setting, const char *key, size_t offset, struct arena *arena)
{
	cyaml_schema_field_t field = text_field(key, offset + offsetof(struct raw, data));

	if (setting->kind != SETTING_LIST && setting->kind != SETTING_RECORDS)
		return field;
	field.count_offset = (uint32_t)(offset + offsetof(struct raw, count));
	field.count_size = sizeof(((struct raw *)NULL)->count);
	field.value = (cyaml_schema_value_t){.type = CYAML_SEQUENCE, .flags = CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL};
	field.value.sequence.entry = setting->kind == SETTING_LIST ? &text_value : record_value(setting, arena);
	field.value.sequence.max = CYAML_UNLIMITED;
	field.value.data_size = setting->kind == SETTING_LIST ? sizeof(char *) : field.value.sequence.entry->data_size;
	return field;
}

static cyaml_schema_field_t section_field(size_t first, struct arena *arena)
{
	struct slice section = setting_section(&settings[first]);
	cyaml_schema_field_t *fields = ARENA_ARRAY(arena, cyaml_schema_field_t, setting_count + 1), field = {0};
	size_t count = 0;

	for (size_t i = first; i < setting_count && slice_eq(setting_section(&settings[i]), section); i++, count++)
		fields[count] = setting_field(&settings[i], setting_key(&settings[i]).data, count * sizeof(struct raw), arena);
	field.key = slice_cstr(arena, section);
	field.data_offset = (uint32_t)(first * sizeof(struct raw));
	field.value.type = CYAML_MAPPING;
	field.value.flags = CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL;
	field.value.data_size = (uint32_t)(count * sizeof(struct raw));
	field.value.mapping.fields = fields;
	return field;
}

const cyaml_schema_value_t *schema_new(struct arena *arena)
{
	cyaml_schema_field_t *fields = ARENA_ARRAY(arena, cyaml_schema_field_t, setting_count + 1);
	cyaml_schema_value_t *root = ARENA_NEW(arena, cyaml_schema_value_t);
	size_t count = 0;

	for (size_t i = 0; i < setting_count; i++) {
		if (setting_section(&settings[i]).len == 0)
			fields[count++] = setting_field(&settings[i], settings[i].name, i * sizeof(struct raw), arena);
		else if (first_of_section(i) == i)
			fields[count++] = section_field(i, arena);
	}
	root->type = CYAML_MAPPING;
	root->flags = CYAML_FLAG_POINTER;
	root->data_size = (uint32_t)(setting_count * sizeof(struct raw));
	root->mapping.fields = fields;
	return root;
}
