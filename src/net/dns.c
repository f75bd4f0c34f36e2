/* Invariants: `lock` guards the list of questions and their states, and is never held over a call into libunbound.
 *
 * libunbound has no time limit for a question, so each is asked asynchronously. Its worker thread resolves; a thread of ours
 * (`deliver_answers`) hands answers to those who wait. Who waits too long leaves: the question is then freed when its answer comes after
 * all. No thread starts before the first question, so that all of them are inside the sandbox.
 */
#include "net/dns.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unbound.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "net/dns_rdata.h"

#define TIMEOUT_DEFAULT_MS 10000
#define QUESTIONS_MAX      4096 /* asked and not answered yet */
#define RECORDS_MAX        256  /* of an answer; what is beyond is passed over */
#define FILE_BYTES_MAX     (64 * 1024)
#define RESOLV_CONF        "/etc/resolv.conf"
#define ROOT_KEY           "/usr/share/dns/root.key"

/* RFC 1035 section 3.2.2, RFC 3596 section 2.1, RFC 6698 section 7.1 */
enum record_type { TYPE_A = 1, TYPE_CNAME = 5, TYPE_PTR = 12, TYPE_MX = 15, TYPE_TXT = 16, TYPE_AAAA = 28, TYPE_TLSA = 52 };
enum { CLASS_IN = 1, RCODE_OK = 0, RCODE_NXDOMAIN = 3 };

struct question {
	struct question *next, *previous;
	struct dns *dns;
	struct ub_result *result; /* NULL: none came */
	bool answered;
	bool left; /* nobody waits any more */
	pthread_cond_t changed;
};

struct dns {
	struct ub_ctx *unbound;
	int timeout_ms;
	int stop_fd;
	pthread_mutex_t lock;
	struct question *questions;
	size_t question_count;
	bool running; /* `thread` was started */
	pthread_t thread;
};

/* Options */

static bool set_option(struct dns *dns, const char *name, const char *value)
{
	return ub_ctx_set_option(dns->unbound, name, value) == 0;
}

static bool set_common_options(struct dns *dns)
{
	static const char *const options[][2] = {
		{"outgoing-range:", "256"},
		{"outgoing-num-tcp:", "32"},
		{"num-queries-per-thread:", "4096"},
		{"msg-cache-size:", "4m"},
		{"rrset-cache-size:", "8m"},
		{"key-cache-size:", "2m"},
		{"neg-cache-size:", "1m"},
		/* A forwarder that comes back is noticed. */
		{"infra-keep-probing:", "yes"},
		/* Reverse names of private networks are the forwarder's affair, or nobody's. */
		{"unblock-lan-zones:", "yes"},
		{"insecure-lan-zones:", "yes"},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (!set_option(dns, options[i][0], options[i][1]))
			return false;
	}
	return true;
}

static bool add_forwarder(struct dns *dns, struct arena *arena, struct slice address)
{
	return ub_ctx_set_fwd(dns->unbound, slice_cstr(arena, address)) == 0;
}

/* NULL data if the file can't be read. */
static struct slice read_file(struct arena *arena, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf text;
	ssize_t got;

	if (fd < 0)
		return slice_of(NULL, 0);
	buf_init(&text, arena, FILE_BYTES_MAX);
	do {
		char *to = buf_reserve(&text, 4096);

		got = to ? read(fd, to, 4096) : -1;
		if (got > 0)
			buf_advance(&text, (size_t)got);
	} while (got > 0);
	(void)close(fd);
	return got == 0 ? buf_slice(&text) : slice_of(NULL, 0);
}

/* The next word of *line, empty at its end. */
static struct slice cut_word(struct slice *line)
{
	size_t end = 0;

	*line = slice_trim(*line);
	while (end < line->len && line->data[end] != ' ' && line->data[end] != '\t')
		end++;
	struct slice word = slice_sub(*line, 0, end);
	*line = slice_skip(*line, end);
	return word;
}

/* The nameserver lines; a line that libunbound can't use is passed over. */
static size_t add_system_forwarders(struct dns *dns, struct arena *arena)
{
	struct slice text = read_file(arena, RESOLV_CONF);
	size_t count = 0;

	while (text.len) {
		struct slice line = slice_cut(&text, '\n');

		if (slice_eq(cut_word(&line), SLICE("nameserver")) && add_forwarder(dns, arena, cut_word(&line)))
			count++;
	}
	return count;
}

/* "192.0.2.53", "2001:db8::53@5353": stricter than libunbound. */
static bool is_forwarder(struct slice text)
{
	size_t at = slice_find_byte(text, '@');
	struct net_address address;
	uint32_t port = 1;

	if (at != SLICE_NOT_FOUND && !slice_to_u32(slice_skip(text, at + 1), UINT16_MAX, &port))
		return false;
	return port > 0 && net_address_parse(slice_sub(text, 0, at), &address);
}

static bool set_forwarders(struct dns *dns, const struct dns_options *options, struct arena *arena, struct error *error)
{
	size_t count = options->forwarder_count;

	for (size_t i = 0; i < options->forwarder_count; i++) {
		struct slice address = options->forwarders[i];

		if (is_forwarder(address) && add_forwarder(dns, arena, address))
			continue;
		(void)error_set(error, arena, STATUS_REFUSED,
				"\"%.*s\" is no address of a DNS server (192.0.2.53, 127.0.0.1@5353)", SLICE_ARG(address));
		return false;
	}
	if (count == 0)
		count = add_system_forwarders(dns, arena);
	/* Without forwarders the servers to ask are told by strangers: never one on this machine. */
	return set_option(dns, "do-not-query-localhost:", count ? "no" : "yes");
}

static bool set_anchors(struct dns *dns, const struct dns_options *options, struct arena *arena, struct error *error)
{
	struct slice text = options->trust_anchor_text.len ? options->trust_anchor_text : read_file(arena, ROOT_KEY);

	while (text.len) {
		struct slice line = slice_trim(slice_cut(&text, '\n'));

		if (line.len == 0 || line.data[0] == ';')
			continue;
		if (slice_find_byte(line, '\0') == SLICE_NOT_FOUND && ub_ctx_add_ta(dns->unbound, slice_cstr(arena, line)) == 0)
			continue;
		(void)error_set(error, arena, STATUS_REFUSED, "\"%.*s\" is no trust anchor (a DS or DNSKEY record)",
				SLICE_ARG(line));
		return false;
	}
	return true;
}

static bool set_insecure(struct dns *dns, const struct dns_options *options, struct arena *arena, struct error *error)
{
	for (size_t i = 0; i < options->insecure_domain_count; i++) {
		struct slice name;

		if (dns_name_check(arena, options->insecure_domains[i], &name) &&
		    set_option(dns, "domain-insecure:", slice_cstr(arena, name)))
			continue;
		(void)error_set(error, arena, STATUS_REFUSED, "\"%.*s\" is no domain name",
				SLICE_ARG(options->insecure_domains[i]));
		return false;
	}
	return true;
}

/* Zones that libunbound answers itself: "test" and "home.arpa" are the forwarder's affair. The first of these calls also ends the
 * configuration: whatever is read from files is read now. */
static bool finish_configuration(struct dns *dns, struct arena *arena, struct error *error)
{
	int result = ub_ctx_zone_remove(dns->unbound, "test.");

	if (result == 0)
		result = ub_ctx_zone_remove(dns->unbound, "home.arpa.");
	if (result != 0)
		(void)error_set(error, arena, STATUS_REFUSED, "the DNS resolver can't be set up: %s", ub_strerror(result));
	return result == 0;
}

static bool configure(struct dns *dns, const struct dns_options *options, struct arena *arena, struct error *error)
{
	/* Its log would go to standard error, in a form of its own. */
	(void)ub_ctx_debugout(dns->unbound, NULL);
	/* Threads, not processes. */
	return ub_ctx_async(dns->unbound, 1) == 0 && set_common_options(dns) && set_forwarders(dns, options, arena, error) &&
	       set_anchors(dns, options, arena, error) && set_insecure(dns, options, arena, error) &&
	       finish_configuration(dns, arena, error);
}

struct dns *dns_new(const struct dns_options *options, struct arena *arena, struct error *error)
{
	struct dns *dns = calloc(1, sizeof(*dns));

	(void)error_set(error, arena, STATUS_TEMPORARY, "the DNS resolver can't be set up");
	if (!dns)
		return NULL;
	dns->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
	(void)pthread_mutex_init(&dns->lock, NULL);
	dns->unbound = ub_ctx_create();
	dns->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (dns->unbound && dns->stop_fd >= 0 && configure(dns, options, arena, error))
		return dns;
	dns_free(dns);
	return NULL;
}

/* Questions */

/* With the lock held. */
static void link_question(struct dns *dns, struct question *question)
{
	question->next = dns->questions;
	if (question->next)
		question->next->previous = question;
	dns->questions = question;
	dns->question_count++;
}

static void unlink_question(struct dns *dns, struct question *question)
{
	if (question->next)
		question->next->previous = question->previous;
	if (question->previous)
		question->previous->next = question->next;
	else
		dns->questions = question->next;
	dns->question_count--;
}

static void free_question(struct question *question)
{
	ub_resolve_free(question->result);
	(void)pthread_cond_destroy(&question->changed);
	free(question);
}

/* libunbound's callback, in our thread. */
static void take_answer(void *context, int failure, struct ub_result *result)
{
	struct question *question = context;
	struct dns *dns = question->dns;
	bool left;

	(void)failure; /* there is no result then */
	(void)pthread_mutex_lock(&dns->lock);
	unlink_question(dns, question);
	question->result = result;
	question->answered = true;
	left = question->left;
	if (!left)
		(void)pthread_cond_signal(&question->changed);
	(void)pthread_mutex_unlock(&dns->lock);
	if (left)
		free_question(question);
}

static void *deliver_answers(void *context)
{
	struct dns *dns = context;
	struct pollfd sources[] = {{ub_fd(dns->unbound), POLLIN, 0}, {dns->stop_fd, POLLIN, 0}};

	while (sources[1].revents == 0) {
		if (poll(sources, 2, -1) < 0)
			sources[0].revents = sources[1].revents = 0;
		if (sources[0].revents & POLLIN)
			(void)ub_process(dns->unbound);
		else if (sources[0].revents)
			sources[0].fd = -1; /* the worker is gone: who asks runs into the time limit */
	}
	return NULL;
}

/* With the lock held. */
static bool start_thread(struct dns *dns)
{
	if (!dns->running)
		dns->running = thread_start(&dns->thread, 0, deliver_answers, dns);
	return dns->running;
}

static struct question *new_question(struct dns *dns)
{
	struct question *question = calloc(1, sizeof(*question));

	if (!question)
		return NULL;
	question->dns = dns;
	thread_condition_init(&question->changed);
	return question;
}

/* NULL if it could not be asked. */
static struct question *ask(struct dns *dns, const char *name, enum record_type type)
{
	struct question *question = new_question(dns);
	bool may;

	if (!question)
		return NULL;
	(void)pthread_mutex_lock(&dns->lock);
	may = dns->question_count < QUESTIONS_MAX && start_thread(dns);
	if (may)
		link_question(dns, question);
	(void)pthread_mutex_unlock(&dns->lock);
	if (may && ub_resolve_async(dns->unbound, name, (int)type, CLASS_IN, question, take_answer, NULL) == 0)
		return question;
	if (may) {
		(void)pthread_mutex_lock(&dns->lock);
		unlink_question(dns, question);
		(void)pthread_mutex_unlock(&dns->lock);
	}
	free_question(question);
	return NULL;
}

/* The result, which is the caller's; NULL if none came until then. The question is gone afterwards. */
static struct ub_result *await(struct question *question, int64_t deadline_ms)
{
	struct ub_result *result = NULL;
	bool answered, in_time = true;

	if (!question)
		return NULL;
	struct dns *dns = question->dns;
	(void)pthread_mutex_lock(&dns->lock);
	while (!question->answered && in_time)
		in_time = thread_wait_until(&question->changed, &dns->lock, deadline_ms);
	answered = question->answered;
	question->left = !answered;
	(void)pthread_mutex_unlock(&dns->lock);
	if (answered) {
		result = question->result;
		question->result = NULL;
		free_question(question);
	}
	return result;
}

void dns_free(struct dns *dns)
{
	uint64_t one = 1;

	if (!dns)
		return;
	if (dns->running && write(dns->stop_fd, &one, sizeof(one)) == sizeof(one))
		(void)pthread_join(dns->thread, NULL);
	/* Ends the worker; what was not answered yet isn't called back. */
	if (dns->unbound)
		ub_ctx_delete(dns->unbound);
	while (dns->questions) {
		struct question *question = dns->questions;

		unlink_question(dns, question);
		free_question(question);
	}
	if (dns->stop_fd >= 0)
		(void)close(dns->stop_fd);
	(void)pthread_mutex_destroy(&dns->lock);
	free(dns);
}

/* Answers */

static void free_result(struct ub_result **result)
{
	ub_resolve_free(*result);
}
#define SCOPED_RESULT __attribute__((cleanup(free_result)))

/* RFC 7672 section 2.1.1: a bogus answer is as good as none for now. */
static enum status judge(const struct ub_result *result)
{
	if (!result || result->bogus || (result->rcode != RCODE_OK && result->rcode != RCODE_NXDOMAIN))
		return STATUS_TEMPORARY;
	return result->havedata && result->data && result->data[0] ? STATUS_OK : STATUS_NOT_FOUND;
}

static size_t record_count(const struct ub_result *result)
{
	size_t count = 0;

	while (count < RECORDS_MAX && result->data[count])
		count++;
	return count;
}

static struct slice record(const struct ub_result *result, size_t at)
{
	return slice_of(result->data[at], result->len[at] > 0 ? (size_t)result->len[at] : 0);
}

/* Puts what a record says into array[at]; false if it is malformed. */
typedef bool record_parser(struct arena *arena, struct slice rdata, void *array, size_t at);

static size_t parse_records(const struct ub_result *result, struct arena *arena, record_parser *parse, void *array)
{
	size_t total = record_count(result), good = 0;

	for (size_t i = 0; i < total; i++) {
		if (parse(arena, record(result, i), array, good))
			good++;
	}
	return good;
}

struct record_kind {
	enum record_type type;
	size_t size;
	record_parser *parse;
	enum status malformed; /* what an answer is none of whose records can be read */
};

static enum status look_up(struct dns *dns, struct arena *arena, struct slice text, const struct record_kind *kind,
			   void *records, size_t *count, bool *secure, bool *exists)
{
	int64_t deadline_ms = clock_monotonic_ms() + dns->timeout_ms;
	SCOPED_RESULT struct ub_result *result = NULL;
	struct slice name;
	enum status status;

	*count = 0;
	*secure = *exists = false;
	/* A name that can't be asked for doesn't exist. */
	if (!dns_name_check(arena, text, &name))
		return STATUS_NOT_FOUND;
	result = await(ask(dns, slice_cstr(arena, name), kind->type), deadline_ms);
	status = judge(result);
	if (status == STATUS_TEMPORARY)
		return status;
	*secure = result->secure;
	*exists = !result->nxdomain;
	if (status == STATUS_OK) {
		void *array = arena_alloc_array(arena, record_count(result), kind->size);

		*count = parse_records(result, arena, kind->parse, array);
		memcpy(records, &array, sizeof(array)); /* a pointer to whatever the records are */
		if (*count == 0)
			return kind->malformed;
	}
	return status;
}

static bool parse_mx(struct arena *arena, struct slice rdata, void *array, size_t at)
{
	return dns_rdata_mx(arena, rdata, (struct dns_mx *)array + at);
}

static bool parse_txt(struct arena *arena, struct slice rdata, void *array, size_t at)
{
	return dns_rdata_txt(arena, rdata, (struct slice *)array + at);
}

static bool parse_ptr(struct arena *arena, struct slice rdata, void *array, size_t at)
{
	return dns_rdata_ptr(arena, rdata, (struct slice *)array + at);
}

static bool parse_tlsa(struct arena *arena, struct slice rdata, void *array, size_t at)
{
	return dns_rdata_tlsa(arena, rdata, (struct dns_tlsa *)array + at);
}

static bool parse_address(struct arena *arena, struct slice rdata, void *array, size_t at)
{
	(void)arena;
	return dns_rdata_address(rdata, (struct net_address *)array + at);
}

enum status dns_mx(struct dns *dns, struct arena *arena, struct slice domain, struct dns_mx **records, size_t *count,
		   bool *secure, bool *exists)
{
	static const struct record_kind mx = {TYPE_MX, sizeof(struct dns_mx), parse_mx, STATUS_TEMPORARY};
	bool ignored;
	enum status status = look_up(dns, arena, domain, &mx, records, count, secure, exists ? exists : &ignored);

	if (status == STATUS_OK)
		dns_mx_sort(*records, *count);
	return status;
}

enum status dns_ipv4_addresses(struct dns *dns, struct arena *arena, struct slice name, struct net_address **addresses, size_t *count)
{
	static const struct record_kind a = {TYPE_A, sizeof(struct net_address), parse_address, STATUS_TEMPORARY};
	bool secure, exists;

	return look_up(dns, arena, name, &a, addresses, count, &secure, &exists);
}

enum status dns_txt(struct dns *dns, struct arena *arena, struct slice name, struct slice **texts, size_t *count, bool *secure)
{
	static const struct record_kind txt = {TYPE_TXT, sizeof(struct slice), parse_txt, STATUS_TEMPORARY};
	bool exists;

	return look_up(dns, arena, name, &txt, texts, count, secure, &exists);
}

enum status dns_tlsa(struct dns *dns, struct arena *arena, struct slice name, struct dns_tlsa **records, size_t *count,
		     bool *secure)
{
	static const struct record_kind tlsa = {TYPE_TLSA, sizeof(struct dns_tlsa), parse_tlsa, STATUS_TEMPORARY};
	bool exists;

	return look_up(dns, arena, name, &tlsa, records, count, secure, &exists);
}

enum status dns_alias(struct dns *dns, struct arena *arena, struct slice name, bool *secure)
{
	static const struct record_kind cname = {TYPE_CNAME, sizeof(struct slice), parse_ptr, STATUS_TEMPORARY};
	struct slice *targets;
	size_t count;
	bool exists;

	return look_up(dns, arena, name, &cname, &targets, &count, secure, &exists);
}

enum status dns_reverse(struct dns *dns, struct arena *arena, const struct net_address *address, struct slice **names,
			size_t *count)
{
	static const struct record_kind ptr = {TYPE_PTR, sizeof(struct slice), parse_ptr, STATUS_NOT_FOUND};
	struct slice name;
	bool secure, exists;

	*count = 0;
	if (!dns_name_of_address(arena, address, &name))
		return STATUS_NOT_FOUND;
	return look_up(dns, arena, name, &ptr, names, count, &secure, &exists);
}

/* Appends the addresses of one family. */
static enum status take_addresses(const struct ub_result *result, struct arena *arena, struct net_address *addresses,
				  size_t *count)
{
	enum status status = judge(result);

	if (status == STATUS_OK)
		*count += parse_records(result, arena, parse_address, addresses + *count);
	return status;
}

/* What the answer's name is an alias of; empty: it is none. */
static struct slice canonical_name(struct arena *arena, struct slice name, const struct ub_result *result)
{
	struct slice canonical = slice_from_cstr(result ? result->canonname : NULL);

	if (slice_ends_with(canonical, SLICE(".")))
		canonical.len--;
	canonical = slice_lower(arena, canonical);
	return slice_eq(canonical, name) ? SLICE_EMPTY : canonical;
}

/* Both families are asked at once. If one can't be had the other serves, and `secure` is what that one says: an attacker who
 * makes an answer bogus takes addresses away, but never the protection of those left. */
enum status dns_host(struct dns *dns, struct arena *arena, struct slice text, struct dns_host *host)
{
	int64_t deadline_ms = clock_monotonic_ms() + dns->timeout_ms;
	SCOPED_RESULT struct ub_result *six = NULL, *four = NULL;
	struct slice name;

	*host = (struct dns_host){.canonical = SLICE_EMPTY};
	if (!dns_name_check(arena, text, &name))
		return STATUS_NOT_FOUND;
	const char *asked = slice_cstr(arena, name);
	struct question *asked_six = ask(dns, asked, TYPE_AAAA), *asked_four = ask(dns, asked, TYPE_A);
	six = await(asked_six, deadline_ms);
	four = await(asked_four, deadline_ms);
	host->addresses = ARENA_ARRAY(arena, struct net_address, 2 * RECORDS_MAX);
	enum status status_six = take_addresses(six, arena, host->addresses, &host->count);
	enum status status_four = take_addresses(four, arena, host->addresses, &host->count);
	bool known_six = status_six != STATUS_TEMPORARY, known_four = status_four != STATUS_TEMPORARY;
	host->secure = (known_six || known_four) && (!known_six || six->secure) && (!known_four || four->secure);
	if (known_six || known_four)
		host->canonical = canonical_name(arena, name, known_four ? four : six);
	if (host->count)
		return STATUS_OK;
	return known_six && known_four ? STATUS_NOT_FOUND : STATUS_TEMPORARY;
}

enum status dns_addresses(struct dns *dns, struct arena *arena, struct slice host, struct net_address **addresses,
			  size_t *count, bool *secure)
{
	struct dns_host found;
	enum status status = dns_host(dns, arena, host, &found);

	*addresses = found.addresses;
	*count = found.count;
	*secure = found.secure;
	return status;
}
