/* forward: the text of a .forward file, as sendmail, Postfix and Exim know it: targets separated by commas and line ends; "..." around
 * one keeps commas and spaces in it; # begins a comment; a line that begins with white space goes on with the one before. Pure. */
#pragma once

#include "local/local.h"

/* Targets: an address, |COMMAND, /FILE, \NAME, "~/" made /HOME/. False: something in it is none of these, or there are too many. No target
 * at all is a file that says nothing: true, with a count of 0. */
MUST_CHECK bool forward_parse(struct arena *arena, struct slice text, struct slice home, struct slice **targets, size_t *count);
