/* xml_text: the text of an XML document that an office program wrote. Tolerant, linear; no entity is expanded but the five of XML and numbers,
 * nothing outside of the document is looked at. Pure. */
#pragma once

#include "base/buf.h"

/* Names of elements without their prefix, separated by a space. */
struct xml_rules {
	const char *texts;  /* text stands in these; NULL: in all */
	const char *hidden; /* what is inside of these counts for nothing */
	const char *breaks; /* at their end, or where they are empty, a word ends */
	bool has_cells;     /* a spreadsheet: <c t="s"> holds the number of a text that stands elsewhere */
};
/* In UTF-8, or in UTF-16 with a byte order mark. The text is appended. */
void xml_to_text(struct buf *out, struct slice xml, const struct xml_rules *rules);
