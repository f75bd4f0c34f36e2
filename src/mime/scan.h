/* scan: what is looked for in every byte of a message, sixteen bytes at a time. Private to mime/. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

bool scan_has_8bit(struct slice text);
uint64_t scan_count_lf(struct slice text);
/* How many bytes can be passed over before a line that begins with '-' (whether the text itself begins with one is not looked at);
 * *lf_count grows by the LFs in them. It may stop early. */
size_t scan_pass_undashed(struct slice text, uint64_t *lf_count);
