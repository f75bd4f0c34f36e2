/* confine: what is taken from the one role that must stay root where it was: local, which becomes Unix users. It keeps the powers to
 * change user and group and to end what it started, and no other; no_new_privs holds for it and for all that it starts. It can't have the
 * other roles' filters, since every command would inherit them; so it holds no socket but its channels, and looks at no message. */
#pragma once

#include "base/log.h"
#include "base/error.h"

MUST_CHECK bool confine(const struct log *log);
