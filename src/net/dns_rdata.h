/* dns_rdata: record data of the DNS from its wire form, and names both ways. Pure functions on hostile input.
 *
 * Names in record data must stand uncompressed, as libunbound gives them. A parser that returns false has found its data
 * malformed; the caller passes over such a record. What is returned lives in the arena or points into the data.
 */
#pragma once

#include "net/dns.h"

/* RFC 1035 section 2.3.4 */
#define DNS_LABEL_MAX 63
#define DNS_NAME_MAX  253 /* as text without the final dot */

/* A name that may be asked for: labels of letters, digits, "-" and "_"; no final dot, not the root. *name is lower-case. */
MUST_CHECK bool dns_name_check(struct arena *arena, struct slice text, struct slice *name);
/* Takes a name off the front of *wire. Lower-case, no final dot, the root is empty. A label may hold what dns_name_check lets
 * through and "/" (RFC 2317 section 4): a name of other bytes, or with a compression pointer, is refused. */
MUST_CHECK bool dns_name_from_wire(struct arena *arena, struct slice *wire, struct slice *name);
/* "4.3.2.1.in-addr.arpa" (RFC 1035 section 3.5), "1.0...8.b.d.0.1.0.0.2.ip6.arpa" (RFC 3596 section 2.5); false without a family. */
MUST_CHECK bool dns_name_of_address(struct arena *arena, const struct net_address *address, struct slice *name);

MUST_CHECK bool dns_rdata_mx(struct arena *arena, struct slice rdata, struct dns_mx *mx);
/* The strings joined. */
MUST_CHECK bool dns_rdata_txt(struct arena *arena, struct slice rdata, struct slice *text);
/* Copies the data. */
MUST_CHECK bool dns_rdata_tlsa(struct arena *arena, struct slice rdata, struct dns_tlsa *tlsa);
MUST_CHECK bool dns_rdata_ptr(struct arena *arena, struct slice rdata, struct slice *name);
/* A or AAAA by length; port 0. An IPv4-mapped address becomes what it means. */
MUST_CHECK bool dns_rdata_address(struct slice rdata, struct net_address *address);

/* By preference; records of the same preference stay in their order. */
void dns_mx_sort(struct dns_mx *records, size_t count);
