/* https: one request to a stranger's web server, by libcurl: HTTPS only, certificate verified, no redirects, no proxy, no cookies, limits of
 * size and time, addresses from our own resolver, no file opened. Thread-safe. */
#pragma once

#include "relay/relay.h"

struct https {
	const struct resolver *resolver;
	struct slice trust_anchors;
	uint16_t port;
	bool (*is_stopping)(void *context); /* NULL, or asked once a second at least */
	void *context;
};
struct https_request {
	struct slice host;               /* a name */
	struct slice path;               /* "/.well-known/mta-sts.txt", with its query if it has one */
	struct slice content, content_type; /* content_type not empty: this is posted */
	size_t answer_max;
};
struct https_answer {
	unsigned code;      /* 200, ... */
	struct slice type;  /* Content-Type */
	struct slice body;
	struct slice reason; /* why there is none */
};

/* Once per process, before threads and the sandbox. */
void https_global_init(void);
/* OK: *answer, whatever its code. PEER: the certificate is bad; TEMPORARY: everything else; `reason` tells. */
MUST_CHECK enum status https_ask(const struct https *https, struct arena *arena, const struct https_request *request,
				 struct https_answer *answer);
