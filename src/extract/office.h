/* office: the text of documents that are XML in a zip archive: Office Open XML (ECMA-376), OpenDocument, EPUB. Pure; to be run on hostile
 * bytes where it can do no harm. */
#pragma once

#include "base/buf.h"

/* Appended, as UTF-8 as the documents have it; `out` may have a limit, which ends it. False: it is no such document. */
__attribute__((warn_unused_result)) bool office_to_text(struct buf *out, struct slice bytes);
