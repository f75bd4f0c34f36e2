#include "guard/door.h"

#include <stdlib.h>

#include "base/clock.h"
#include "guard/client.h"
#include "guard/rate_exchange.h"

struct door {
	struct door_options options;
	struct ipc *ipc;
	const struct log *log;
	struct limiter *limiter;
	struct rate_exchange *exchange; /* NULL: rates are this node's alone */
	struct limiter *waited; /* apart: a flood of strangers is remembered at nobody else's cost. NULL: nobody waits */
};

enum counted {
	CONNECTIONS = 1,
	MESSAGES,
	RECIPIENTS,
	FAILURES,
	UNKNOWN_RECIPIENTS,
	DOMAIN_MESSAGES,
	ACCOUNT_MESSAGES,
	EARLY_TALKERS,
	WAITED,
};

static const struct door_answer pass = {.code = 0};

#define ANSWER(a_code, an_enhanced, a_text, it_ends) \
	((struct door_answer){.code = (a_code), .enhanced = SLICE(an_enhanced), .text = SLICE(a_text), .ends = (it_ends)})

static bool ask_others(void *ipc, struct arena *arena, const struct guard_rate *taken, size_t count, struct guard_rates *answer)
{
	return guard_exchange_rates(ipc, arena, taken, count, answer);
}

struct door *door_new(const struct door_options *options, struct ipc *ipc, const struct log *log)
{
	struct door *door = calloc(1, sizeof(*door));

	if (!door)
		abort();
	*door = (struct door){.options = *options, .ipc = ipc, .log = log, .limiter = limiter_new()};
	if (options->delays.greeting_ms > 0)
		door->waited = limiter_new();
	if (options->shares_rates)
		door->exchange = rate_exchange_new(door->limiter, ask_others, ipc, log);
	rate_exchange_start(door->exchange);
	return door;
}

void door_stop_sharing(struct door *door)
{
	rate_exchange_free(door->exchange);
	door->exchange = NULL;
}

void door_free(struct door *door)
{
	if (door) {
		door_stop_sharing(door);
		limiter_free(door->limiter);
		limiter_free(door->waited);
	}
	free(door);
}

/* ---- rates ---- */

static bool is_exempt(const struct door *door, const struct net_address *peer)
{
	if (peer->family != AF_INET && peer->family != AF_INET6)
		return true;
	for (size_t i = 0; i < door->options.exempt_count; i++)
		if (net_prefix_contains(&door->options.exempt[i], peer))
			return true;
	return false;
}

static bool is_guest(const struct visitor *visitor, int64_t account)
{
	return visitor->door && visitor->is_counted && account == 0;
}

bool door_is_stranger(const struct visitor *visitor, int64_t account)
{
	return is_guest(visitor, account);
}

/* One from the address's bucket and one from its network's. */
static bool take(const struct visitor *visitor, enum counted what, struct rate rate)
{
	const struct door *door = visitor->door;
	struct rate network = {rate.count * door->options.rates.network_factor, rate.per_s};
	int64_t now_ms = clock_monotonic_ms();

	if (rate.count == 0)
		return true;
	return limiter_take(door->limiter, limiter_key_address(door->limiter, what, &visitor->peer), rate, now_ms) &&
	       limiter_take(door->limiter, limiter_key_network(door->limiter, what, &visitor->peer), network, now_ms);
}

static bool take_named(const struct door *door, enum counted what, struct slice whom, struct rate rate)
{
	return limiter_take(door->limiter, limiter_key(door->limiter, what, whom), rate, clock_monotonic_ms());
}

/* Domains are compared without case, and nobody writes 320 bytes of one. */
static bool take_for_domain(const struct door *door, struct slice sender)
{
	size_t at = slice_find_last_byte(sender, '@');
	char domain[320];
	size_t len = 0;

	if (door->options.rates.domain_messages.count == 0 || at == SLICE_NOT_FOUND)
		return true;
	for (size_t i = at + 1; i < sender.len && len < sizeof(domain); i++)
		domain[len++] = ascii_lower(sender.data[i]);
	return take_named(door, DOMAIN_MESSAGES, slice_of(domain, len), door->options.rates.domain_messages);
}

static void log_refused(const struct visitor *visitor, const char *limit)
{
	struct buf address SCOPED_BUF;

	buf_init(&address, NULL, 0);
	net_address_format(&address, &visitor->peer);
	LOG_INFO(visitor->door->log, "guard.refused", LOG_STR("peer", buf_slice(&address)), LOG_CSTR("limit", limit));
}

/* ---- the steps ---- */

struct door_answer door_connect(struct door *door, struct visitor *visitor, const struct net_address *peer, bool is_trusted)
{
	*visitor = (struct visitor){.door = door, .peer = *peer};
	if (!door)
		return pass;
	visitor->is_counted = !is_trusted && !is_exempt(door, peer);
	if (!visitor->is_counted || take(visitor, CONNECTIONS, door->options.rates.connections))
		return pass;
	log_refused(visitor, "rates.connections");
	return ANSWER(421, "4.7.0", "Too many connections from you, try again later", true);
}

/* ---- waiting ---- */

static uint64_t waited_key(const struct visitor *visitor)
{
	const struct limiter *limiter = visitor->door->waited;

	return visitor->peer.family == AF_INET ? limiter_key_address(limiter, WAITED, &visitor->peer)
					       : limiter_key_network(limiter, WAITED, &visitor->peer);
}

static struct rate once(const struct door *door)
{
	return (struct rate){1, door->options.delays.remember_s};
}

int door_greeting_wait(const struct visitor *visitor)
{
	struct door *door = visitor->door;

	if (!is_guest(visitor, 0) || !door->waited ||
	    !limiter_has(door->waited, waited_key(visitor), once(door), clock_monotonic_ms()))
		return 0;
	return door->options.delays.greeting_ms;
}

void door_has_waited(struct visitor *visitor)
{
	/* Another connection of it may have waited at the same time: one is enough. */
	if (is_guest(visitor, 0) && visitor->door->waited &&
	    limiter_take(visitor->door->waited, waited_key(visitor), once(visitor->door), clock_monotonic_ms()))
		LOG_DEBUG(visitor->door->log, "guard.waited");
}

static void report(const struct visitor *visitor, const char *limit, struct slice reason)
{
	log_refused(visitor, limit);
	guard_report(visitor->door->ipc, &visitor->peer, reason);
}

void door_early_talker(struct visitor *visitor)
{
	struct door *door = visitor->door;

	if (is_guest(visitor, 0) &&
	    !limiter_take(door->limiter, limiter_key_address(door->limiter, EARLY_TALKERS, &visitor->peer),
			  door->options.rates.early_talkers, clock_monotonic_ms()))
		report(visitor, "ban.early_talkers", SLICE("spoke before the greeting"));
}

static bool account_may_send(const struct door *door, int64_t account)
{
	return take_named(door, ACCOUNT_MESSAGES, slice_of((const char *)&account, sizeof(account)),
			  door->options.rates.account_messages);
}

/* The first recipient waits for the answer. */
static void ask_for_domain(struct visitor *visitor, struct slice sender)
{
	const struct door_options *options = &visitor->door->options;
	size_t at = slice_find_last_byte(sender, '@');

	assessment_free(visitor->sender);
	visitor->sender = NULL;
	if (options->unknown_sender != DOOR_SENDER_ANY && options->screen && at != SLICE_NOT_FOUND &&
	    !slice_ends_with(sender, SLICE("]")))
		visitor->sender = screen_begin_domain(options->screen, slice_skip(sender, at + 1));
}

struct door_answer door_sender(struct visitor *visitor, int64_t account, struct slice sender)
{
	if (visitor->door && account != 0 && !account_may_send(visitor->door, account)) {
		log_refused(visitor, "rates.account_messages");
		return ANSWER(450, "4.7.1", "You send too many messages, try again later", false);
	}
	if (!is_guest(visitor, account))
		return pass;
	if (!take(visitor, MESSAGES, visitor->door->options.rates.messages)) {
		log_refused(visitor, "rates.messages");
		return ANSWER(450, "4.7.1", "Too many messages from you, try again later", false);
	}
	if (!take_for_domain(visitor->door, sender)) {
		log_refused(visitor, "rates.domain_messages");
		return ANSWER(450, "4.7.1", "Too many messages from this domain, try again later", false);
	}
	ask_for_domain(visitor, sender);
	return pass;
}

/* ---- points ---- */

void door_hello(struct visitor *visitor, struct slice hello, enum screen_reverse reverse)
{
	if (is_guest(visitor, 0) && visitor->door->options.screen && !visitor->assessment)
		visitor->assessment = screen_begin(visitor->door->options.screen, &visitor->peer, hello, reverse);
}

void door_leave(struct visitor *visitor)
{
	assessment_free(visitor->assessment);
	assessment_free(visitor->sender);
	visitor->assessment = visitor->sender = NULL;
}

static bool is_reached(int points, int at)
{
	return at > 0 && points >= at;
}

/* Once a session: the first recipient waits for what the DNS has not said yet. */
static void judge(struct visitor *visitor)
{
	struct buf address SCOPED_BUF;
	struct slice reasons;

	if (!visitor->assessment || visitor->is_judged)
		return;
	visitor->is_judged = true;
	visitor->points = screen_points(visitor->assessment, &reasons);
	if (reasons.len == 0)
		return;
	buf_init(&address, NULL, 0);
	net_address_format(&address, &visitor->peer);
	LOG_INFO(visitor->door->log, "guard.screened", LOG_STR("peer", buf_slice(&address)), LOG_INT("points", visitor->points),
		 LOG_STR("reasons", reasons));
}

static struct door_answer answer_to_points(struct visitor *visitor)
{
	const struct door_options *options = &visitor->door->options;

	judge(visitor);
	if (is_reached(visitor->points, options->reject_at))
		return ANSWER(550, "5.7.1", "Your address or name is on lists that we heed, or lacks a reverse name", false);
	if (is_reached(visitor->points, options->tempfail_at))
		return ANSWER(450, "4.7.1", "Your address or name is on lists that we heed, or lacks a reverse name", false);
	return pass;
}

/* RFC 7505 section 4.2, RFC 3463: X.1.8, and X.7.27 of the IANA's registry. */
static struct door_answer answer_to_sender(const struct visitor *visitor)
{
	bool refuses = visitor->door->options.unknown_sender == DOOR_SENDER_REFUSE;

	switch (visitor->sender ? screen_domain(visitor->sender) : SCREEN_DOMAIN_FINE) {
	case SCREEN_DOMAIN_FINE:
		break;
	case SCREEN_DOMAIN_UNKNOWN:
		return refuses ? ANSWER(550, "5.1.8", "The sender's domain has neither MX nor address", false)
			       : ANSWER(450, "4.1.8", "The sender's domain has neither MX nor address", false);
	case SCREEN_DOMAIN_NULL_MX:
		return refuses ? ANSWER(550, "5.7.27", "The sender's domain says that it has no mail (null MX)", false)
			       : ANSWER(450, "4.7.27", "The sender's domain says that it has no mail (null MX)", false);
	}
	return pass;
}

static int compare(const void *left, const void *right)
{
	return slice_compare(*(const struct slice *)left, *(const struct slice *)right);
}

/* Nobody has been told of these addresses: who writes there has found them where only programs look. */
static bool is_trap(const struct door *door, struct slice recipient)
{
	char lower[320];
	struct slice wanted;

	if (door->options.trap_count == 0 || recipient.len > sizeof(lower))
		return false;
	for (size_t i = 0; i < recipient.len; i++)
		lower[i] = ascii_lower(recipient.data[i]);
	wanted = slice_of(lower, recipient.len);
	return bsearch(&wanted, door->options.traps, door->options.trap_count, sizeof(wanted), compare) != NULL;
}

static bool is_greylisted(const struct visitor *visitor)
{
	const struct door_options *options = &visitor->door->options;

	/* Whoever is on more allow lists than block lists is known well enough. */
	return is_reached(visitor->points, options->greylist_at) || (options->greylists && visitor->points >= 0);
}

struct door_answer door_recipient(struct visitor *visitor, int64_t account, struct slice recipient)
{
	if (!is_guest(visitor, account))
		return pass;
	/* As if it weren't there: nobody learns which addresses are traps. */
	if (is_trap(visitor->door, recipient)) {
		report(visitor, "ban.traps", SLICE("spam trap"));
		return ANSWER(550, "5.1.1", "No such user here", false);
	}
	if (!take(visitor, RECIPIENTS, visitor->door->options.rates.recipients)) {
		log_refused(visitor, "rates.recipients");
		return ANSWER(450, "4.7.1", "Too many recipients from you, try again later", false);
	}
	struct door_answer answer = answer_to_points(visitor);

	return answer.code != 0 ? answer : answer_to_sender(visitor);
}

struct door_answer door_unknown_recipient(struct visitor *visitor, int64_t account)
{
	struct door *door = visitor->door;

	if (!is_guest(visitor, account) ||
	    limiter_take(door->limiter, limiter_key_address(door->limiter, UNKNOWN_RECIPIENTS, &visitor->peer),
			 door->options.rates.unknown_recipients, clock_monotonic_ms()))
		return pass;
	report(visitor, "ban.unknown_recipients", SLICE("unknown recipients"));
	return ANSWER(421, "4.7.1", "Too many unknown recipients, closing connection", true);
}

/* RFC 6647 section 5: 451 4.7.1. A mail server that waits for its turn isn't refused because we don't know. */
struct door_answer door_known_recipient(struct visitor *visitor, struct arena *arena, int64_t account, struct slice sender,
					struct slice recipient)
{
	int64_t wait_ms;

	if (!is_guest(visitor, account) || !is_greylisted(visitor) ||
	    guard_greylist(visitor->door->ipc, arena, &visitor->peer, sender, recipient, &wait_ms) != STATUS_LIMIT)
		return pass;
	LOG_INFO(visitor->door->log, "guard.greylisted", LOG_STR("from", sender), LOG_STR("to", recipient),
		 LOG_INT("wait_s", (wait_ms + 999) / 1000));
	return ANSWER(451, "4.7.1", "Greylisted, try again later", false);
}

struct door_answer door_message(struct visitor *visitor, struct arena *arena, int64_t account, struct slice login,
				size_t recipients)
{
	if (!visitor->door || account == 0 || !visitor->door->options.limits_accounts)
		return pass;
	switch (guard_spend(visitor->door->ipc, arena, account, login, recipients)) {
	case STATUS_OK:
		return pass;
	case STATUS_LIMIT:
		return ANSWER(451, "4.7.1", "You have sent too much in this hour, try again later", false);
	default:
		return ANSWER(451, "4.3.0", "Temporary trouble, try again later", false);
	}
}

struct door_answer door_failure(struct visitor *visitor, int64_t account)
{
	visitor->failures++;
	if (!is_guest(visitor, account) || take(visitor, FAILURES, visitor->door->options.rates.failures))
		return pass;
	log_refused(visitor, "rates.failures");
	return ANSWER(421, "4.7.0", "Too many errors from you, try again later", true);
}

int door_failure_delay(const struct visitor *visitor, int64_t account)
{
	const struct door_delays *delays = visitor->door ? &visitor->door->options.delays : NULL;

	if (!is_guest(visitor, account) || visitor->failures <= delays->free_failures)
		return 0;
	int64_t delay_ms = (int64_t)(visitor->failures - delays->free_failures) * delays->step_ms;

	return delay_ms < delays->longest_ms ? (int)delay_ms : delays->longest_ms;
}
