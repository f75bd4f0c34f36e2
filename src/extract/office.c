#include "extract/office.h"

#include "extract/xml_text.h"
#include "extract/zip.h"
#include "mime/search_text.h"

/* Of one file, and of all together; a document that unpacks to more is read so far. */
#define FILE_BYTES_MAX ((size_t)32 * 1024 * 1024)
#define ALL_BYTES_MAX  ((size_t)64 * 1024 * 1024)

/* w:instrText and w:delText aren't in the list: fields' formulas, and what was deleted. */
static const struct xml_rules word_rules = {.texts = "t", .breaks = "p br cr tab"};
static const struct xml_rules slide_rules = {.texts = "t text", .breaks = "p br"};
static const struct xml_rules sheet_rules = {.texts = "t v", .hidden = "rPh", .breaks = "si c row", .has_cells = true};
static const struct xml_rules property_rules = {.texts = "title subject creator keyword keywords description",
						.breaks = "title subject creator keyword keywords description"};
static const struct xml_rules open_document_rules = {
	.hidden = "tracked-changes binary-data script styles font-face-decls automatic-styles",
	.breaks = "p h s tab line-break table-cell title subject keyword"};

/* Which files hold text; the first that fits counts. rules NULL: HTML. */
static const struct {
	struct slice start, end;
	const struct xml_rules *rules;
} files[] = {
	{{"word/document", 13}, {".xml", 4}, &word_rules},
	{{"word/header", 11}, {".xml", 4}, &word_rules},
	{{"word/footer", 11}, {".xml", 4}, &word_rules},
	{{"word/footnotes", 14}, {".xml", 4}, &word_rules},
	{{"word/endnotes", 13}, {".xml", 4}, &word_rules},
	{{"word/comments", 13}, {".xml", 4}, &word_rules},
	{{"xl/sharedStrings", 16}, {".xml", 4}, &sheet_rules},
	{{"xl/worksheets/", 14}, {".xml", 4}, &sheet_rules},
	{{"xl/comments", 11}, {".xml", 4}, &slide_rules},
	{{"xl/drawings/", 12}, {".xml", 4}, &slide_rules},
	{{"ppt/slides/", 11}, {".xml", 4}, &slide_rules},
	{{"ppt/notesSlides/", 16}, {".xml", 4}, &slide_rules},
	{{"ppt/comments", 12}, {".xml", 4}, &slide_rules},
	{{"docProps/core", 13}, {".xml", 4}, &property_rules},
	{{"content.xml", 11}, {"", 0}, &open_document_rules},
	{{"styles.xml", 10}, {"", 0}, &open_document_rules}, /* heads and feet of pages */
	{{"meta.xml", 8}, {"", 0}, &property_rules},
	{{"", 0}, {".xhtml", 6}, NULL},
	{{"", 0}, {".html", 5}, NULL},
	{{"", 0}, {".htm", 4}, NULL},
};

static bool find_rules(struct slice name, const struct xml_rules **rules)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (slice_starts_with(name, files[i].start) && slice_ends_with(name, files[i].end) &&
		    (files[i].end.len > 0 || name.len == files[i].start.len)) {
			*rules = files[i].rules;
			return true;
		}
	}
	return false;
}

bool office_to_text(struct buf *out, struct slice bytes)
{
	struct buf file SCOPED_BUF;
	const struct xml_rules *rules;
	struct zip_entry entry;
	struct zip zip;
	size_t left = ALL_BYTES_MAX;

	buf_init(&file, NULL, 0);
	if (!zip_open(&zip, bytes))
		return false;
	while (left > 0 && buf_ok(out) && zip_next(&zip, &entry)) {
		if (!find_rules(entry.name, &rules))
			continue;
		buf_clear(&file);
		zip_read(&entry, left < FILE_BYTES_MAX ? left : FILE_BYTES_MAX, &file);
		left -= file.len;
		if (rules)
			xml_to_text(out, buf_slice(&file), rules);
		else
			html_to_text(out, buf_slice(&file));
		buf_add_byte(out, '\n');
	}
	return true;
}
