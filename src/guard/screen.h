/* screen: how trustworthy a mail client looks from what the DNS says of its address and of the name it gives itself. Points are added up:
 * block lists and allow lists (dnslist.h), no confirmed reverse name ("iprev" of RFC 8601 section 3), a name in HELO that isn't there.
 *
 * Look-ups begin with screen_begin and run at the same time, on threads of the screen's own; whoever wants the result waits for what is
 * still missing, at most until the time limit. What isn't known by then, or can't be found out, counts nothing. Answers are remembered by
 * the resolver for as long as the DNS says. An assessment is its session's; the screen is shared.
 */
#pragma once

#include "base/log.h"
#include "guard/dnslist.h"

struct dns;
struct screen;
struct assessment;

/* What is asked of the DNS: STATUS_OK, NOT_FOUND, or anything else for trouble. Called from several threads, may block. */
struct screen_resolver {
	enum status (*ipv4)(void *context, struct arena *arena, struct slice name, struct net_address **addresses,
			    size_t *count);
	enum status (*addresses)(void *context, struct arena *arena, struct slice name, struct net_address **addresses,
				 size_t *count);
	enum status (*reverse)(void *context, struct arena *arena, const struct net_address *address, struct slice **names,
			       size_t *count);
	/* OK: it has MX records, *is_null: only one that says that it takes and sends no mail (RFC 7505). */
	enum status (*mail_hosts)(void *context, struct arena *arena, struct slice domain, bool *is_null);
	void *context;
};
struct screen_resolver screen_resolver_from_dns(struct dns *dns);

/* What is pointed to outlives the screen. */
struct screen_options {
	const struct dnslist *lists;
	size_t list_count;
	int no_reverse_points, bad_hello_points; /* 0: not asked */
	int no_pointer_points;                   /* in place of no_reverse's for who has no reverse name at all; 0: no difference */
	int malformed_hello_points;              /* in place of bad_hello's where no name server need be asked; 0: no difference */
	int timeout_ms;                          /* from screen_begin on */
	struct slice hostname;                   /* ours: who says so is no other */
};

/* Starts its threads. Never NULL. */
struct screen *screen_new(const struct screen_options *options, const struct screen_resolver *resolver, const struct log *log);
/* After the last session. */
void screen_free(struct screen *screen);
/* What is known of the peer's reverse name already, as by who has looked it up. */
enum screen_reverse {
	SCREEN_REVERSE_ASK,
	SCREEN_REVERSE_GIVEN, /* there is one that leads back */
	SCREEN_REVERSE_NONE,
	SCREEN_REVERSE_LATE, /* it could not be found out */
};
/* `hello` is the name or literal of EHLO or HELO. Never NULL; for assessment_free. */
struct assessment *screen_begin(struct screen *screen, const struct net_address *peer, struct slice hello,
				enum screen_reverse reverse);
/* The points; *reasons, in the assessment, says where they come from: "zen.example.net 3, no reverse name 1". May wait. */
int screen_points(struct assessment *assessment, struct slice *reasons);

/* Can a sender's domain be answered? */
enum screen_domain { SCREEN_DOMAIN_FINE, SCREEN_DOMAIN_UNKNOWN /* neither MX nor address */, SCREEN_DOMAIN_NULL_MX };
/* For screen_domain and assessment_free. Never NULL. */
struct assessment *screen_begin_domain(struct screen *screen, struct slice domain);
/* May wait, as screen_points. What can't be found out is fine. */
enum screen_domain screen_domain(struct assessment *assessment);
void assessment_free(struct assessment *assessment);
