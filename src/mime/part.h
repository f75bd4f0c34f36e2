/* part: what the header of one part says about its body (RFC 2045, RFC 2183, RFC 3282). Private to mime/. */
#pragma once

#include "mime/message.h"

/* Takes a field into `part` if it is one that matters here; the first of a name counts, but the last
 * Content-Disposition, as elsewhere. The value may be folded. At most
 * *parameters_left parameters are taken, and counted off. */
void part_take_field(struct arena *arena, struct message_part *part, struct slice name, struct slice value,
		     unsigned *parameters_left);
/* After the last field: the defaults (RFC 2045 section 5.2; RFC 2046 section 5.1.5 in a digest), and which kind it is. */
void part_conclude(struct message_part *part, bool in_digest);
/* Whether the content is what stands there: no encoding, or one that changes nothing. */
bool part_is_identity_encoded(const struct message_part *part);
