/* config_to_text: the table written out. */
#include "base/buf.h"
#include "config/config.h"
#include "config/value.h"

/* Double-quoted YAML; what needs an escape there is written as in JSON. */
static void write_quoted(struct buf *out, struct slice text)
{
	buf_add_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '"' || text.data[i] == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, text.data[i]);
	}
	buf_add_byte(out, '"');
}

/* `key: "value"`; false and nothing written if there is none. */
static bool write_scalar(struct buf *out, const struct setting *setting, const void *base, const char *before)
{
	struct buf text SCOPED_BUF;

	if (!value_text(setting, base, &text))
		return false;
	buf_printf(out, "%s%.*s: ", before, SLICE_ARG(setting_key(setting)));
	write_quoted(out, buf_slice(&text));
	return true;
}

static void write_list(struct buf *out, char *const *items, unsigned count)
{
	buf_add_byte(out, '[');
	for (unsigned i = 0; i < count; i++) {
		if (i)
			buf_add_literal(out, ", ");
		write_quoted(out, slice_from_cstr(items[i]));
	}
	buf_add_byte(out, ']');
}

static void write_records(struct buf *out, const struct setting *setting, const char *records, unsigned count)
{
	buf_add_byte(out, '[');
	for (unsigned i = 0; i < count; i++) {
		buf_add(out, i ? SLICE(", {") : SLICE("{"));
		for (size_t field = 0, written = 0; field < setting->field_count; field++)
			written += write_scalar(out, &setting->fields[field], records + i * setting->record_size,
						written ? ", " : "");
		buf_add_byte(out, '}');
	}
	buf_add_byte(out, ']');
}

static void write_setting(struct buf *out, const struct setting *setting, const struct config *config)
{
	const char *indent = setting_section(setting).len ? "  " : "";
	const char *base = (const char *)config;
	void *items;
	unsigned count;

	if (setting->kind != SETTING_LIST && setting->kind != SETTING_RECORDS) {
		if (write_scalar(out, setting, config, indent))
			buf_add_byte(out, '\n');
		return;
	}
	memcpy(&items, base + setting->offset, sizeof(items));
	memcpy(&count, base + setting->count_offset, sizeof(count));
	buf_printf(out, "%s%.*s: ", indent, SLICE_ARG(setting_key(setting)));
	if (setting->kind == SETTING_LIST)
		write_list(out, items, items ? count : 0);
	else
		write_records(out, setting, items, items ? count : 0);
	buf_add_byte(out, '\n');
}

bool config_to_text(const struct config *config, struct arena *arena, struct slice *text)
{
	struct slice section = SLICE_EMPTY;
	struct buf out;

	buf_init(&out, arena, 0);
	for (size_t i = 0; i < setting_count; i++) {
		if (!slice_eq(setting_section(&settings[i]), section)) {
			section = setting_section(&settings[i]);
			buf_printf(&out, "%.*s:\n", SLICE_ARG(section));
		}
		write_setting(&out, &settings[i], config);
	}
	*text = buf_slice(&out);
	return buf_ok(&out);
}
