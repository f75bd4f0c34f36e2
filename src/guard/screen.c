/* Invariants: no lock is held while the DNS is asked. An assessment belongs to its session and to each question that is open; whoever
 * leaves last frees it. */
#include "guard/screen.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "guard/hello.h"
#include "net/dns.h"

#define THREADS     32
#define STACK_BYTES (256 * 1024)
#define WAITING_MAX 2048
#define NAMES_MAX   10 /* RFC 8601 section 3 asks for a limit */
#define REASONS_MAX 400
#define NAME_ROOM   256

enum question_kind { ASK_LIST, ASK_REVERSE, ASK_HELLO, ASK_DOMAIN };

struct question {
	struct assessment *assessment;
	enum question_kind kind;
	size_t list;
};

struct screen {
	struct screen_options options;
	struct screen_resolver resolver;
	const struct log *log;
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct question waiting[WAITING_MAX]; /* a ring */
	size_t first, count;
	bool stopping;
	pthread_t threads[THREADS];
	size_t thread_count;
};

struct assessment {
	struct screen *screen;
	struct net_address peer;
	char name[NAME_ROOM]; /* that it gives itself; or the domain that is asked for */
	size_t name_len;
	int64_t deadline_ms;
	/* By `mutex`: */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	unsigned holders, open;
	int points;
	char reasons[REASONS_MAX];
	size_t reasons_len;
};

/* ---- assessments ---- */

static void let_go(struct assessment *assessment)
{
	pthread_mutex_lock(&assessment->mutex);
	bool last = --assessment->holders == 0;

	pthread_mutex_unlock(&assessment->mutex);
	if (!last)
		return;
	pthread_cond_destroy(&assessment->changed);
	pthread_mutex_destroy(&assessment->mutex);
	free(assessment);
}

void assessment_free(struct assessment *assessment)
{
	if (assessment)
		let_go(assessment);
}

/* With the lock held. What doesn't fit isn't said. */
static void add_reason(struct assessment *assessment, struct slice what, int points)
{
	struct buf text SCOPED_BUF;

	buf_init(&text, NULL, 0);
	buf_printf(&text, "%s%.*s %d", assessment->reasons_len > 0 ? ", " : "", SLICE_ARG(what), points);
	if (assessment->reasons_len + text.len > REASONS_MAX)
		return;
	memcpy(assessment->reasons + assessment->reasons_len, text.data, text.len);
	assessment->reasons_len += text.len;
}

static void settle(struct assessment *assessment, struct slice what, int points)
{
	pthread_mutex_lock(&assessment->mutex);
	assessment->open--;
	assessment->points += points;
	if (points != 0)
		add_reason(assessment, what, points);
	if (assessment->open == 0)
		pthread_cond_signal(&assessment->changed);
	pthread_mutex_unlock(&assessment->mutex);
	let_go(assessment);
}

int screen_points(struct assessment *assessment, struct slice *reasons)
{
	pthread_mutex_lock(&assessment->mutex);
	while (assessment->open > 0 && thread_wait_until(&assessment->changed, &assessment->mutex, assessment->deadline_ms))
		;
	int points = assessment->points;

	*reasons = slice_of(assessment->reasons, assessment->reasons_len);
	pthread_mutex_unlock(&assessment->mutex);
	return points;
}

/* ---- the questions ---- */

static bool is_listed(struct screen *screen, struct arena *arena, const struct dnslist *list, const struct net_address *peer)
{
	struct net_address *answers;
	size_t count = 0;

	if (screen->resolver.ipv4(screen->resolver.context, arena, dnslist_query(arena, list, peer), &answers, &count) !=
	    STATUS_OK)
		return false;
	for (size_t i = 0; i < count; i++)
		if (dnslist_matches(list, &answers[i]))
			return true;
	return false;
}

static bool has_address(const struct net_address *addresses, size_t count, const struct net_address *peer)
{
	for (size_t i = 0; i < count; i++)
		if (addresses[i].family == peer->family &&
		    memcmp(addresses[i].bytes, peer->bytes, peer->family == AF_INET ? 4 : 16) == 0)
			return true;
	return false;
}

enum reverse_name { REVERSE_FINE, REVERSE_LEADS_ELSEWHERE, REVERSE_NONE };

/* RFC 8601 section 3: "fail" and "permerror". Trouble, which is "temperror", counts nothing. */
static enum reverse_name reverse_name_of(struct screen *screen, struct arena *arena, const struct net_address *peer)
{
	struct slice *names;
	size_t name_count = 0;
	enum status status = screen->resolver.reverse(screen->resolver.context, arena, peer, &names, &name_count);

	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? REVERSE_NONE : REVERSE_FINE;
	for (size_t i = 0; i < name_count && i < NAMES_MAX; i++) {
		struct net_address *addresses;
		size_t count = 0;

		status = screen->resolver.addresses(screen->resolver.context, arena, names[i], &addresses, &count);
		if (status == STATUS_OK && has_address(addresses, count, peer))
			return REVERSE_FINE;
		if (status != STATUS_OK && status != STATUS_NOT_FOUND)
			return REVERSE_FINE;
	}
	return REVERSE_LEADS_ELSEWHERE;
}

static int points_of_none(const struct screen *screen)
{
	return screen->options.no_pointer_points ? screen->options.no_pointer_points : screen->options.no_reverse_points;
}

static int reverse_points(struct screen *screen, struct arena *arena, const struct net_address *peer)
{
	switch (reverse_name_of(screen, arena, peer)) {
	case REVERSE_FINE:
		return 0;
	case REVERSE_LEADS_ELSEWHERE:
		return screen->options.no_reverse_points;
	case REVERSE_NONE:
		break;
	}
	return points_of_none(screen);
}

/* RFC 5321 section 4.1.3 */
static bool is_own_literal(struct slice hello, const struct net_address *peer)
{
	struct slice inside = slice_sub(hello, 1, hello.len - 1);
	struct net_address address;

	if (slice_starts_with_nocase(inside, SLICE("IPv6:")))
		inside = slice_skip(inside, 5);
	return slice_ends_with(hello, SLICE("]")) && net_address_parse(inside, &address) && has_address(&address, 1, peer);
}

/* RFC 5321 section 2.3.5: a name that has an address, and none that is ours.
 * RFC 5321 section 4.1.4 lets nobody be refused because it isn't the peer's own address: that is not looked at. */
static bool is_bad_hello(struct screen *screen, struct arena *arena, struct slice hello, const struct net_address *peer)
{
	struct net_address *addresses;
	size_t count;

	if (slice_starts_with(hello, SLICE("[")))
		return !is_own_literal(hello, peer);
	if (slice_find_byte(hello, '.') == SLICE_NOT_FOUND || slice_eq_nocase(hello, screen->options.hostname))
		return true;
	return screen->resolver.addresses(screen->resolver.context, arena, slice_lower(arena, hello), &addresses, &count) ==
	       STATUS_NOT_FOUND;
}

/* RFC 5321 section 5.1: where there is no MX record, an address will do. */
static enum screen_domain judge_domain(struct screen *screen, struct arena *arena, struct slice domain)
{
	struct net_address *addresses;
	size_t count;
	bool is_null = false;
	enum status status = screen->resolver.mail_hosts(screen->resolver.context, arena, domain, &is_null);

	if (status == STATUS_OK)
		return is_null ? SCREEN_DOMAIN_NULL_MX : SCREEN_DOMAIN_FINE;
	if (status != STATUS_NOT_FOUND)
		return SCREEN_DOMAIN_FINE;
	status = screen->resolver.addresses(screen->resolver.context, arena, domain, &addresses, &count);
	return status == STATUS_NOT_FOUND ? SCREEN_DOMAIN_UNKNOWN : SCREEN_DOMAIN_FINE;
}

static void answer(struct screen *screen, const struct question *question)
{
	struct assessment *assessment = question->assessment;
	const struct dnslist *list = &screen->options.lists[question->list];
	struct slice name = slice_of(assessment->name, assessment->name_len);
	struct arena arena SCOPED_ARENA;
	bool counts = false;

	arena_init(&arena, 0);
	switch (question->kind) {
	case ASK_LIST:
		counts = is_listed(screen, &arena, list, &assessment->peer);
		settle(assessment, list->zone, counts ? list->points : 0);
		break;
	case ASK_REVERSE:
		settle(assessment, SLICE("no reverse name"), reverse_points(screen, &arena, &assessment->peer));
		break;
	case ASK_HELLO:
		counts = is_bad_hello(screen, &arena, name, &assessment->peer);
		settle(assessment, SLICE("bad HELO"), counts ? screen->options.bad_hello_points : 0);
		break;
	case ASK_DOMAIN:
		settle(assessment, name, (int)judge_domain(screen, &arena, slice_lower(&arena, name)));
		break;
	}
}

/* ---- threads ---- */

/* False: stop. */
static bool next_question(struct screen *screen, struct question *question)
{
	pthread_mutex_lock(&screen->mutex);
	while (!screen->stopping && screen->count == 0)
		pthread_cond_wait(&screen->work, &screen->mutex);
	bool any = screen->count > 0 && !screen->stopping;

	if (any) {
		*question = screen->waiting[screen->first];
		screen->first = (screen->first + 1) % WAITING_MAX;
		screen->count--;
	}
	pthread_mutex_unlock(&screen->mutex);
	return any;
}

/* What nobody waits for any more isn't asked. */
static void *run(void *context)
{
	struct screen *screen = context;
	struct question question;

	while (next_question(screen, &question)) {
		if (clock_monotonic_ms() < question.assessment->deadline_ms)
			answer(screen, &question);
		else
			settle(question.assessment, SLICE_EMPTY, 0);
	}
	return NULL;
}

/* Too many at a time: it counts nothing. */
static void ask(struct screen *screen, struct assessment *assessment, enum question_kind kind, size_t list)
{
	pthread_mutex_lock(&screen->mutex);
	if (screen->count < WAITING_MAX && screen->thread_count > 0) {
		pthread_mutex_lock(&assessment->mutex);
		assessment->holders++;
		assessment->open++;
		pthread_mutex_unlock(&assessment->mutex);
		screen->waiting[(screen->first + screen->count++) % WAITING_MAX] = (struct question){assessment, kind, list};
		pthread_cond_signal(&screen->work);
	}
	pthread_mutex_unlock(&screen->mutex);
}

static struct assessment *begin(struct screen *screen, const struct net_address *peer, struct slice name)
{
	struct assessment *assessment = calloc(1, sizeof(*assessment));

	if (!assessment)
		abort();
	name = slice_sub(name, 0, NAME_ROOM);
	*assessment = (struct assessment){.screen = screen,
					  .peer = *peer,
					  .name_len = name.len,
					  .deadline_ms = clock_monotonic_ms() + screen->options.timeout_ms,
					  .holders = 1};
	if (name.len > 0)
		memcpy(assessment->name, name.data, name.len);
	pthread_mutex_init(&assessment->mutex, NULL);
	thread_condition_init(&assessment->changed);
	return assessment;
}

/* What is known without asking, before anything is asked. */
static void note(struct assessment *assessment, const char *what, int points)
{
	assessment->points += points;
	if (points != 0)
		add_reason(assessment, slice_from_cstr(what), points);
}

struct assessment *screen_begin(struct screen *screen, const struct net_address *peer, struct slice hello,
				enum screen_reverse reverse)
{
	const struct screen_options *options = &screen->options;
	struct assessment *assessment = begin(screen, peer, hello);
	bool is_malformed = options->malformed_hello_points != 0 && !hello_is_well_formed(hello);

	if (is_malformed)
		note(assessment, "malformed HELO", options->malformed_hello_points);
	if (reverse == SCREEN_REVERSE_NONE)
		note(assessment, "no reverse name", points_of_none(screen));
	for (size_t i = 0; i < options->list_count; i++)
		ask(screen, assessment, ASK_LIST, i);
	if (reverse == SCREEN_REVERSE_ASK && (options->no_reverse_points != 0 || options->no_pointer_points != 0))
		ask(screen, assessment, ASK_REVERSE, 0);
	if (!is_malformed && options->bad_hello_points != 0)
		ask(screen, assessment, ASK_HELLO, 0);
	return assessment;
}

struct assessment *screen_begin_domain(struct screen *screen, struct slice domain)
{
	const struct net_address nobody = {0};
	struct assessment *assessment = begin(screen, &nobody, domain);

	ask(screen, assessment, ASK_DOMAIN, 0);
	return assessment;
}

enum screen_domain screen_domain(struct assessment *assessment)
{
	struct slice reasons;

	return (enum screen_domain)screen_points(assessment, &reasons);
}

struct screen *screen_new(const struct screen_options *options, const struct screen_resolver *resolver, const struct log *log)
{
	struct screen *screen = calloc(1, sizeof(*screen));

	if (!screen)
		abort();
	screen->options = *options;
	screen->resolver = *resolver;
	screen->log = log;
	pthread_mutex_init(&screen->mutex, NULL);
	pthread_cond_init(&screen->work, NULL);
	while (screen->thread_count < THREADS && thread_start(&screen->threads[screen->thread_count], STACK_BYTES, run, screen))
		screen->thread_count++;
	if (screen->thread_count == 0)
		LOG_ERROR(log, "guard.no_thread");
	return screen;
}

void screen_free(struct screen *screen)
{
	if (!screen)
		return;
	pthread_mutex_lock(&screen->mutex);
	screen->stopping = true;
	pthread_cond_broadcast(&screen->work);
	pthread_mutex_unlock(&screen->mutex);
	for (size_t i = 0; i < screen->thread_count; i++)
		pthread_join(screen->threads[i], NULL);
	for (; screen->count > 0; screen->count--, screen->first = (screen->first + 1) % WAITING_MAX)
		settle(screen->waiting[screen->first].assessment, SLICE_EMPTY, 0);
	pthread_cond_destroy(&screen->work);
	pthread_mutex_destroy(&screen->mutex);
	free(screen);
}

/* ---- the real resolver ---- */

static enum status ask_ipv4(void *dns, struct arena *arena, struct slice name, struct net_address **addresses, size_t *count)
{
	return dns_ipv4_addresses(dns, arena, name, addresses, count);
}

static enum status ask_addresses(void *dns, struct arena *arena, struct slice name, struct net_address **addresses,
				 size_t *count)
{
	bool secure;

	return dns_addresses(dns, arena, name, addresses, count, &secure);
}

static enum status ask_reverse(void *dns, struct arena *arena, const struct net_address *address, struct slice **names,
			       size_t *count)
{
	return dns_reverse(dns, arena, address, names, count);
}

static enum status ask_mail_hosts(void *dns, struct arena *arena, struct slice domain, bool *is_null)
{
	struct dns_mx *records;
	size_t count;
	bool secure;
	enum status status = dns_mx(dns, arena, domain, &records, &count, &secure, NULL);

	*is_null = status == STATUS_OK && count == 1 && records[0].host.len == 0;
	return status;
}

struct screen_resolver screen_resolver_from_dns(struct dns *dns)
{
	return (struct screen_resolver){ask_ipv4, ask_addresses, ask_reverse, ask_mail_hosts, dns};
}
