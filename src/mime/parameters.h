/* parameters: the "; name=value" tail of Content-Type and Content-Disposition (RFC 2045 section 5.1, RFC 2231). Private to mime/. */
#pragma once

#include "mime/lexer.h"
#include "mime/message.h"

/* Reads to the lexer's end; what can't be read is passed over. At most *count pieces are looked at, and never more than 1,000; *count
 * becomes how many parameters they make. */
void parameters_parse(struct lexer *lexer, struct mime_parameter **parameters, unsigned *count);
/* Fills name and value from wire_name and wire_value. */
void parameter_decode(struct arena *arena, struct mime_parameter *parameter);
/* The first of that name (lower case), or NULL. */
const struct mime_parameter *parameter_find(const struct mime_parameter *parameters, unsigned count, struct slice name);
