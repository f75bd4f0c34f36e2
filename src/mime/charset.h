/* charset: what words.h doesn't need to say of charsets to other folders. Private to mime/. */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

/* A known charset in which ASCII bytes are ASCII; or none is named. (Some that are are not known as such.) */
bool charset_is_ascii_superset(struct slice charset);
/* To be called before anything of ICU's. */
void charset_use_icu(void);
