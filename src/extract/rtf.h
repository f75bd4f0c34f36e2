/* rtf: the text of a Rich Text Format document (Microsoft's specification 1.9.1). Tolerant, linear; memory bounded by the text. Pure. */
#pragma once

#include "base/buf.h"

/* Appended in UTF-8. False: it is none. */
__attribute__((warn_unused_result)) bool rtf_to_text(struct buf *out, struct slice bytes);
