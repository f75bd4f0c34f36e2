#include "relay/reporter.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/thread.h"
#include "deliver/deliver.h"
#include "relay/https.h"
#include "relay/relay_internal.h"
#include "relay/tls_document.h"
#include "relay/tls_mail.h"
#include "relay/tls_rua.h"

#define DAY_MS     (24 * 60 * 60 * 1000LL)
#define LOOK_MS    (60 * 1000)
#define LEASE_MS   (60 * 60 * 1000LL)
#define AGAIN_MS   (15 * 60 * 1000LL) /* after the first failure, then twice as long each time */
#define GIVE_UP_MS DAY_MS	      /* RFC 8460 section 5.5 */
#define ANSWER_MAX (64 * 1024)

struct reporter {
	struct relay *relay;
	int64_t offset_ms; /* after a day's end */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping;
};

/* One report on its way. */
struct sending {
	struct reporter *reporter;
	struct arena arena;
	struct tls_report report;
	struct slice packed;
};

static bool is_stopping(void *context)
{
	struct reporter *reporter = context;
	bool stopping;

	pthread_mutex_lock(&reporter->lock);
	stopping = reporter->stopping;
	pthread_mutex_unlock(&reporter->lock);
	return stopping;
}

/* ---- the report ---- */

static bool write_report(struct sending *sending)
{
	const struct relay *relay = sending->reporter->relay;
	const struct tls_document about = {relay->options.hostname, relay->options.tls_reports_from};
	struct tls_count *rows;
	struct buf json, packed;
	size_t count;

	if (tls_count_list(relay->environment.store, &sending->arena, sending->report.day, sending->report.domain, &rows, &count) !=
		    STATUS_OK ||
	    count == 0)
		return false;
	buf_init(&json, &sending->arena, 0);
	buf_init(&packed, &sending->arena, 0);
	tls_document_write(&json, &about, rows, count);
	if (!buf_ok(&json) || !tls_mail_pack(&packed, buf_slice(&json)))
		return false;
	sending->packed = buf_slice(&packed);
	return true;
}

/* "tlsrpt-20781-0-example.org": a day and place of a domain. */
static struct slice queue_id(struct sending *sending, unsigned number)
{
	struct buf id;

	buf_init(&id, &sending->arena, 0);
	buf_printf(&id, "tlsrpt-%lld-%u-%.*s", (long long)sending->report.day, number, SLICE_ARG(sending->report.domain));
	return buf_slice(&id);
}

static bool send_by_mail(struct sending *sending, const struct tls_rua *place, unsigned number, struct slice *reason)
{
	const struct relay *relay = sending->reporter->relay;
	struct tls_mail mail = {
		.hostname = relay->options.hostname,
		.from = relay->options.tls_reports_from,
		.to = place->address,
		.domain = sending->report.domain,
		.day = sending->report.day,
		.packed = sending->packed,
		.now_ms = clock_wall_ms(),
	};
	struct deliver_recipient to = {.address = place->address, .original = SLICE_EMPTY, .notify = NOTIFY_NEVER};
	struct deliver_envelope envelope = {
		.queue_id = queue_id(sending, number),
		.sender = {.address = relay->options.tls_reports_from, .login = SLICE_EMPTY, .may_relay = true},
		.envelope_id = SLICE_EMPTY,
		.again = true,
		.forwarded_by = SLICE_EMPTY,
		.recipients = &to,
		.recipient_count = 1,
		.trace_from = SLICE("report on TLS"),
	};
	struct buf bytes;

	buf_init(&bytes, &sending->arena, 0);
	tls_mail_write(&bytes, &mail);
	if (!buf_ok(&bytes))
		return false;
	struct deliver_verdict verdict = deliver_message(relay->environment.ipc, &sending->arena, &envelope, buf_slice(&bytes), -1);

	*reason = verdict.text;
	return verdict.code < 300;
}

/* RFC 8460 section 5.4 */
static bool send_by_https(struct sending *sending, const struct tls_rua *place, struct slice *reason)
{
	const struct relay_environment *environment = &sending->reporter->relay->environment;
	const struct https https = {&environment->resolver, environment->trust_anchors, environment->sts_port, is_stopping,
				    sending->reporter};
	const struct https_request request = {
		.host = place->host,
		.path = place->path,
		.content = sending->packed,
		.content_type = SLICE("application/tlsrpt+gzip"),
		.answer_max = ANSWER_MAX,
	};
	struct https_answer answer = {0};
	bool sent = https_ask(&https, &sending->arena, &request, &answer) == STATUS_OK && answer.code / 100 == 2;

	*reason = answer.code == 0 ? answer.reason : SLICE("the web server's answer is not 2xx");
	return sent;
}

/* True: all places have it. */
static bool send_to_all(struct sending *sending, const struct tls_rua *places, size_t count)
{
	const struct relay *relay = sending->reporter->relay;
	uint64_t all = (1ULL << count) - 1;

	for (unsigned i = 0; i < count; i++) {
		struct slice reason = SLICE_EMPTY, to = places[i].is_mail ? places[i].address : places[i].host;

		if (sending->report.done >> i & 1)
			continue;
		bool sent = places[i].is_mail ? send_by_mail(sending, &places[i], i, &reason) : send_by_https(sending, &places[i], &reason);

		if (sent)
			sending->report.done |= 1ULL << i;
		LOG_INFO(relay->environment.log, sent ? "relay.tls_report_sent" : "relay.tls_report_failed",
			 LOG_STR("domain", sending->report.domain), LOG_STR("to", to), LOG_STR("reason", reason));
	}
	return (sending->report.done & all) == all;
}

/* ---- what becomes of it ---- */

static enum status find_places(struct sending *sending, struct tls_rua *places, size_t *count)
{
	const struct resolver *resolver = &sending->reporter->relay->environment.resolver;
	const struct slice name[] = {SLICE("_smtp._tls."), sending->report.domain};
	struct slice *texts;
	size_t text_count;
	enum status status = resolver->txt(resolver->context, &sending->arena, slice_join(&sending->arena, name, 2), &texts, &text_count);

	return status == STATUS_OK ? tls_rua_find(&sending->arena, texts, text_count, places, count) : status;
}

/* 0: never. */
static int64_t next_try(const struct tls_report *report, int64_t now_ms)
{
	int64_t delay = AGAIN_MS << (report->tries < 5 ? report->tries : 5), day_end_ms = (report->day + 1) * DAY_MS;

	/* RFC 8460 section 5.5: a day, from the first try on; that was at most a day after the day's end. */
	return now_ms + delay < day_end_ms + DAY_MS + GIVE_UP_MS ? now_ms + delay : 0;
}

static bool deal_with(struct sending *sending)
{
	struct store *store = sending->reporter->relay->environment.store;
	struct tls_rua places[TLS_RUA_MAX];
	size_t count = 0;
	enum status status = find_places(sending, places, &count);
	bool is_over = status == STATUS_NOT_FOUND;

	if (status == STATUS_OK)
		is_over = write_report(sending) && send_to_all(sending, places, count);
	if (is_stopping(sending->reporter) && !is_over)
		return false; /* its lease ends */
	return tls_report_put(store, &sending->report, is_over ? 0 : next_try(&sending->report, clock_wall_ms())) == STATUS_OK;
}

static bool send_one(struct reporter *reporter)
{
	struct sending sending = {.reporter = reporter};
	bool goes_on;

	arena_init(&sending.arena, 0);
	goes_on = tls_report_take(reporter->relay->environment.store, &sending.arena, clock_wall_ms(), LEASE_MS, &sending.report) ==
			  STATUS_OK &&
		  deal_with(&sending);
	arena_free(&sending.arena);
	return goes_on;
}

/* ---- the thread ---- */

/* False: it is time to stop. */
static bool rest(struct reporter *reporter)
{
	int64_t until = clock_monotonic_ms() + LOOK_MS;
	bool goes_on;

	pthread_mutex_lock(&reporter->lock);
	while (!reporter->stopping && clock_monotonic_ms() < until)
		thread_wait_until(&reporter->wake, &reporter->lock, until);
	goes_on = !reporter->stopping;
	pthread_mutex_unlock(&reporter->lock);
	return goes_on;
}

static void *reporter_run(void *context)
{
	struct reporter *reporter = context;

	do {
		int64_t today = clock_wall_ms() / DAY_MS;
		enum status status = tls_report_plan(reporter->relay->environment.store, today - 1, today * DAY_MS + reporter->offset_ms);

		while (status == STATUS_OK && !is_stopping(reporter) && send_one(reporter))
			;
	} while (rest(reporter));
	return NULL;
}

/* RFC 8460 section 4.1: not everybody at midnight. */
struct reporter *reporter_start(struct relay *relay)
{
	struct reporter *reporter = calloc(1, sizeof(*reporter));
	int64_t spread = relay->options.tls_reports_spread_ms;

	if (!reporter)
		abort();
	reporter->relay = relay;
	reporter->offset_ms = spread > 0 ? 1 + (int64_t)(random_u64() % (uint64_t)spread) : 1;
	pthread_mutex_init(&reporter->lock, NULL);
	thread_condition_init(&reporter->wake);
	if (!thread_start(&reporter->thread, THREAD_STACK_STORE, reporter_run, reporter))
		abort();
	return reporter;
}

void reporter_stop(struct reporter *reporter)
{
	if (!reporter)
		return;
	pthread_mutex_lock(&reporter->lock);
	reporter->stopping = true;
	pthread_cond_signal(&reporter->wake);
	pthread_mutex_unlock(&reporter->lock);
	pthread_join(reporter->thread, NULL);
	pthread_cond_destroy(&reporter->wake);
	pthread_mutex_destroy(&reporter->lock);
	free(reporter);
}
