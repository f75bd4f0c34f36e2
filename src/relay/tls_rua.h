/* tls_rua: where a domain wants reports on TLS: its TXT record at _smtp._tls.DOMAIN (RFC 8460 section 3). Pure. */
#pragma once

#include "base/arena.h"
#include "base/error.h"

#define TLS_RUA_MAX 8

struct tls_rua {
	bool is_mail;
	struct slice address;    /* of mail */
	struct slice host, path; /* of https, on its usual port; the path with its query */
};
/* NOT_FOUND: no report is wanted: there is no such record, more than one, or it names no place we could send to. *places has room for
 * TLS_RUA_MAX; those beyond are passed over, as is what can't be read. */
MUST_CHECK enum status tls_rua_find(struct arena *arena, const struct slice *texts, size_t count, struct tls_rua *places, size_t *place_count);
