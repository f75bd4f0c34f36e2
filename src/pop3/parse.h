/* parse: a command's line taken apart (RFC 1939 section 3, RFC 2449 section 4). Pure. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

enum pop3_form {
	POP3_NOTHING,
	POP3_MESSAGE,
	POP3_MESSAGE_OR_NOTHING,
	POP3_MESSAGE_AND_LINES,
	POP3_TEXT, /* all that follows one space, as it stands: a password may hold spaces */
	POP3_TEXT_OR_NOTHING,
};

struct pop3_arguments {
	uint32_t message; /* 0: none was given */
	uint32_t lines;
	struct slice text;
};

/* The keyword, and what follows the space behind it. */
struct slice pop3_cut_keyword(struct slice line, struct slice *rest);
/* Lenient: space at the end of a line is passed over, but for texts. */
MUST_CHECK bool pop3_parse_arguments(enum pop3_form form, struct slice rest, struct pop3_arguments *arguments);
