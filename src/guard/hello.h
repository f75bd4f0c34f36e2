/* hello: what a client calls itself, by its form alone. Pure. */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

/* RFC 5321 section 4.1.1.1, section 2.3.5: a host name in full ("mx.example.org", its labels in ASCII or UTF-8, none of them a number at
 * its end), or an address literal (section 4.1.3). Lenient: underscores, which many hosts have in their names. */
bool hello_is_well_formed(struct slice hello);
