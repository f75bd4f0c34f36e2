/* config_document: the table for people. */
#include "base/buf.h"
#include "config/config.h"
#include "config/value.h"

static struct slice kind_in_words(const struct setting *setting)
{
	switch (setting->kind) {
	case SETTING_NUMBER:
		return SLICE("number");
	case SETTING_SIZE:
		return SLICE("size");
	case SETTING_DURATION:
		return SLICE("duration");
	case SETTING_LIST:
		return SLICE("list");
	case SETTING_RECORDS:
		return SLICE("list of entries");
	case SETTING_PATH:
		return SLICE("path");
	default:
		return SLICE_EMPTY;
	}
}

/* "number, 1 to 1000" */
static void add_form(struct buf *out, const struct setting *setting)
{
	struct slice kind = kind_in_words(setting);

	buf_add(out, kind);
	if (setting->kind == SETTING_RECORDS || setting->kind == SETTING_PATH)
		return;
	if (kind.len)
		buf_add_literal(out, ", ");
	value_allowed(setting, out);
}

static void add_form_and_default(struct buf *out, const struct setting *setting)
{
	add_form(out, setting);
	if (setting->default_text)
		buf_printf(out, "; default %s", setting->default_text);
}

static void add_as_text(struct buf *out, const struct setting *setting, int depth)
{
	buf_printf(out, "%*s%s  (", 2 * depth, "", setting->name);
	add_form_and_default(out, setting);
	buf_printf(out, ")\n%*s%s\n", 2 * depth + 4, "", setting->documentation);
}

/* A '-' is a hyphen to roff. None of the texts has a backslash, or begins with what roff takes as a request. */
static void add_roff(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '-')
			buf_add_byte(out, '\\');
		buf_add_byte(out, text.data[i]);
	}
}

static void add_as_man_page(struct buf *out, const struct setting *setting, int depth)
{
	struct buf form SCOPED_BUF;

	add_form_and_default(&form, setting);
	buf_printf(out, ".TP\n.B %s%s\n", depth ? "\\ \\ " : "", setting->name);
	add_roff(out, slice_from_cstr(setting->documentation));
	buf_add_literal(out, "\n(");
	add_roff(out, buf_slice(&form));
	buf_add_literal(out, ")\n");
}

/* A cell of a table: a '|' would end it. */
static void add_cell(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '|' || text.data[i] == '<')
			buf_add_byte(out, '\\');
		buf_add_byte(out, text.data[i]);
	}
	buf_add_literal(out, " |");
}

static void add_as_markdown(struct buf *out, const struct setting *setting, int depth)
{
	struct buf form SCOPED_BUF;

	add_form(&form, setting);
	buf_printf(out, "| %s`%s` | ", depth ? "&nbsp;&nbsp;" : "", setting->name);
	add_cell(out, buf_slice(&form));
	if (setting->default_text && setting->default_text[0])
		buf_printf(out, " `%s` | ", setting->default_text);
	else
		buf_add_literal(out, " | ");
	add_cell(out, slice_from_cstr(setting->documentation));
	buf_add_byte(out, '\n');
}

static void add_setting(struct buf *out, const struct setting *setting, int depth, enum config_document_form form)
{
	static void (*const add[])(struct buf *, const struct setting *, int) = {
		[CONFIG_AS_TEXT] = add_as_text,
		[CONFIG_AS_MAN_PAGE] = add_as_man_page,
		[CONFIG_AS_MARKDOWN] = add_as_markdown,
	};

	add[form](out, setting, depth);
	for (size_t i = 0; i < setting->field_count; i++)
		add_setting(out, &setting->fields[i], depth + 1, form);
}

static void begin_section(struct buf *out, struct slice section, enum config_document_form form)
{
	if (form == CONFIG_AS_MAN_PAGE && section.len)
		buf_printf(out, ".SS %.*s\n", SLICE_ARG(section));
	else if (form == CONFIG_AS_MARKDOWN)
		buf_printf(out, "\n## %.*s\n\n| setting | form | default | |\n| --- | --- | --- | --- |\n",
			   SLICE_ARG(section.len ? section : SLICE("General")));
	else if (section.len)
		buf_add_byte(out, '\n');
}

void config_document(struct buf *out, enum config_document_form form)
{
	struct slice section = SLICE_EMPTY;

	if (form == CONFIG_AS_MARKDOWN)
		buf_add_literal(out, "# Settings\n\n"
				     "All of them, as `posthorn help settings` shows them and posthorn.yaml(5) explains them. "
				     "`limits.recipients` "
				     "is the setting\n`recipients` in the group `limits`. This page is made from the program's "
				     "own table with "
				     "`tools/update-docs.sh`.\n");
	for (size_t i = 0; i < setting_count; i++) {
		if (i == 0 || !slice_eq(setting_section(&settings[i]), section)) {
			section = setting_section(&settings[i]);
			begin_section(out, section, form);
		}
		add_setting(out, &settings[i], 0, form);
	}
}
