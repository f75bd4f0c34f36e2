/* verp: variable envelope return paths: to each recipient a message goes under a sender of its own, "list-owner+bob=example.org@lists.example",
 * so that a bounce names whom it is about, whatever it says. The form is that of qmail and Postfix (XVERP); no RFC has it. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"

#define VERP_DEFAULT SLICE("+=")

/* Two characters out of "-=+". */
bool verp_is_delimiters(struct slice text);
/* `sender` for that recipient. As it is: where one of them is no address, or the local part would be longer than 64 bytes (RFC 5321 section
 * 4.5.3.1.1), to which no bounce could come. */
struct slice verp_sender(struct arena *arena, struct slice sender, struct slice delimiters, struct slice recipient);
