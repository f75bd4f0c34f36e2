/* Cells lie one after the other: a metric without a label has one, with a label one for each value; a histogram has one for each bucket
 * (not cumulated; the last is +Inf) and one for the sum. */
#include "base/metrics.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/slice.h"

#define LISTENERS "smtp submission submissions lmtp imap imaps pop3 pop3s other"
#define CODES                                                                                                   \
	"220 221 235 250 251 252 334 354 421 450 451 452 454 455 500 501 502 503 504 521 523 530 534 535 538 " \
	"550 551 552 553 554 555 556 other"
#define NETWORK_ROLES "smtp imap"
#define STORE_ROLES   "deliver relay imap jobs"
#define ALL_ROLES     "smtp deliver relay imap auth jobs metrics convert"

#define CELLS_MAX   400

enum kind { COUNTER, GAUGE, TIME_COUNTER /* kept in microseconds */, TIME_HISTOGRAM, COUNT_HISTOGRAM, FROM_SUPERVISOR };

struct row {
	const char *name;
	enum kind kind;
	const char *roles; /* several: the role is a label */
	const char *label, *values; /* values NULL: dynamic */
	const char *help;
};

/* clang-format off */
static const struct row rows[METRIC_COUNT] = {
	[METRIC_ROLE_UP] = {"posthorn_role_up", FROM_SUPERVISOR, ALL_ROLES, NULL, NULL, "Whether the role's process runs."},
	[METRIC_ROLE_RESTARTS] = {"posthorn_role_restarts_total", FROM_SUPERVISOR, ALL_ROLES, NULL, NULL, "How often the supervisor had to start the role again."},
	[METRIC_ROLE_ANSWERED] = {"posthorn_role_answered", FROM_SUPERVISOR, ALL_ROLES, NULL, NULL, "Whether the role told its numbers in time; without, they are missing here."},
	[METRIC_MEMORY] = {"posthorn_memory_bytes", GAUGE, ALL_ROLES, NULL, NULL, "Resident memory of the role's process."},
	[METRIC_CPU] = {"posthorn_cpu_seconds_total", TIME_COUNTER, ALL_ROLES, NULL, NULL, "CPU time of the role's process, user and system."},

	[METRIC_CONNECTIONS] = {"posthorn_connections", GAUGE, NETWORK_ROLES, "listener", LISTENERS, "Connections now."},
	[METRIC_CONNECTIONS_TOTAL] = {"posthorn_connections_total", COUNTER, NETWORK_ROLES, "listener", LISTENERS, "Connections taken."},
	[METRIC_CONNECTIONS_REFUSED] = {"posthorn_connections_refused_total", COUNTER, NETWORK_ROLES, "listener", LISTENERS, "Connections refused by a limit or a ban, before a session began."},
	[METRIC_COMMANDS] = {"posthorn_commands_total", COUNTER, NETWORK_ROLES, NULL, NULL, "Commands of sessions."},

	[METRIC_SMTP_REPLIES] = {"posthorn_smtp_replies_total", COUNTER, "smtp", "code", CODES, "Replies to SMTP commands."},
	[METRIC_SMTP_MESSAGES] = {"posthorn_smtp_messages_total", COUNTER, "smtp", "code", CODES, "Messages that came in whole, by the answer they got: 250 is accepted and on disk."},
	[METRIC_SMTP_BYTES] = {"posthorn_smtp_message_bytes_total", COUNTER, "smtp", NULL, NULL, "Size of the messages that were accepted."},
	[METRIC_SMTP_RECIPIENTS] = {"posthorn_smtp_recipients_total", COUNTER, "smtp", NULL, NULL, "Recipients of the messages that were accepted."},

	[METRIC_DELIVER_REQUESTS] = {"posthorn_deliver_requests_total", COUNTER, "deliver", "kind", "recipient sender message other", "What the deliver role was asked."},
	[METRIC_DELIVER_VERDICTS] = {"posthorn_deliver_verdicts_total", COUNTER, "deliver", "verdict", "accepted temporary over-quota not-found refused other", "Answers about messages."},
	[METRIC_DELIVER_SECONDS] = {"posthorn_deliver_seconds", TIME_HISTOGRAM, "deliver", NULL, NULL, "Time from a message's arrival at the deliver role to its commit or refusal."},
	[METRIC_DELIVER_BYTES] = {"posthorn_deliver_bytes_total", COUNTER, "deliver", NULL, NULL, "Size of the messages that were asked to be delivered."},

	[METRIC_STORE_COMMIT_SECONDS] = {"posthorn_store_commit_seconds", TIME_HISTOGRAM, STORE_ROLES, NULL, NULL, "Time of write transactions from their beginning to the end of their commit, each shared by a batch."},
	[METRIC_STORE_BATCH] = {"posthorn_store_batch_works", COUNT_HISTOGRAM, STORE_ROLES, NULL, NULL, "Works that shared one commit."},
	[METRIC_STORE_ERRORS] = {"posthorn_store_errors_total", COUNTER, STORE_ROLES, "status", "temporary bug other", "Writes that failed by the store's fault: temporary is a full disk, or a database that is away or busy."},
	[METRIC_STORE_NO_CONNECTION] = {"posthorn_store_no_connection_total", COUNTER, STORE_ROLES, NULL, NULL, "Times that no connection to the database could be had."},

	[METRIC_RELAY_RECIPIENTS] = {"posthorn_relay_recipients_total", COUNTER, "relay", "outcome", "delivered deferred failed", "Results of attempts to send, by recipient."},
	[METRIC_RELAY_BOUNCES] = {"posthorn_relay_bounces_total", COUNTER, "relay", NULL, NULL, "Delivery status notifications made."},
	[METRIC_RELAY_CONNECTIONS] = {"posthorn_relay_connections_total", COUNTER, "relay", NULL, NULL, "Connections opened to other hosts."},
	[METRIC_RELAY_TRANSACTIONS] = {"posthorn_relay_transactions_total", COUNTER, "relay", NULL, NULL, "Mail transactions begun with other hosts."},
	[METRIC_RELAY_IN_HAND] = {"posthorn_relay_in_hand", GAUGE, "relay", NULL, NULL, "Recipients that the relay has in memory."},
	[METRIC_RELAY_WORKERS] = {"posthorn_relay_workers", GAUGE, "relay", NULL, NULL, "Threads of the relay, one for each connection."},
	[METRIC_RELAY_HOPS] = {"posthorn_relay_hops", GAUGE, "relay", NULL, NULL, "Next hops that the relay knows something of."},
	[METRIC_RELAY_HOP_CONNECTIONS] = {"posthorn_relay_hop_connections", GAUGE, "relay", "hop", NULL, "Connections to the twenty next hops that have the most in hand."},
	[METRIC_RELAY_HOP_IN_HAND] = {"posthorn_relay_hop_in_hand", GAUGE, "relay", "hop", NULL, "Recipients in hand for those next hops."},

	[METRIC_AUTH_ATTEMPTS] = {"posthorn_auth_attempts_total", COUNTER, "auth", "outcome", "accepted refused locked-out unavailable other", "Attempts to log in."},
	[METRIC_AUTH_REMEMBERED] = {"posthorn_auth_remembered_total", COUNTER, "auth", NULL, NULL, "Attempts answered from memory, without a password hash being computed."},
	[METRIC_AUTH_SECONDS] = {"posthorn_auth_hash_seconds", TIME_HISTOGRAM, "auth", NULL, NULL, "Time that checking a password against its hash took."},

	[METRIC_IMAP_LOGINS] = {"posthorn_imap_sessions_total", COUNTER, "imap", NULL, NULL, "IMAP sessions that logged in."},
	[METRIC_VIEW_HITS] = {"posthorn_imap_view_hits_total", COUNTER, "imap", NULL, NULL, "Mailboxes opened whose view was in memory."},
	[METRIC_VIEW_LOADS] = {"posthorn_imap_view_loads_total", COUNTER, "imap", NULL, NULL, "Mailbox views read from the store."},
	[METRIC_VIEWS] = {"posthorn_imap_views", GAUGE, "imap", NULL, NULL, "Mailbox views in memory."},
	[METRIC_VIEW_BYTES] = {"posthorn_imap_view_bytes", GAUGE, "imap", NULL, NULL, "Memory of mailbox views."},

	[METRIC_CONVERTED] = {"posthorn_converted_attachments_total", COUNTER, "convert", "outcome", "text cut failed late",
			      "Attachments that converters were given: read, read so far as is kept, not readable, not in time."},
	[METRIC_CONVERT_SECONDS] = {"posthorn_convert_seconds", TIME_HISTOGRAM, "convert", NULL, NULL, "Time that a converter took for an attachment."},
	[METRIC_QUEUE] = {"posthorn_queue_recipients", GAUGE, "jobs", "state", "due waiting in-hand held", "Recipients in the queue."},
};
/* clang-format on */

/* Microseconds. */
static const uint64_t time_bounds[] = {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 5000000};
static const char *const time_texts[] = {"0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01",
					 "0.025",  "0.05",    "0.1",    "0.25",  "1.0",    "5.0"};
static const uint64_t count_bounds[] = {1, 2, 4, 8, 16, 32, 64, 100};
static const char *const count_texts[] = {"1.0", "2.0", "4.0", "8.0", "16.0", "32.0", "64.0", "100.0"};

struct buckets {
	const uint64_t *bounds;
	const char *const *texts;
	size_t count; /* without +Inf */
};

static struct buckets buckets_of(enum kind kind)
{
	if (kind == COUNT_HISTOGRAM)
		return (struct buckets){count_bounds, count_texts, sizeof(count_bounds) / sizeof(count_bounds[0])};
	return (struct buckets){time_bounds, time_texts, sizeof(time_bounds) / sizeof(time_bounds[0])};
}

static bool is_histogram(const struct row *row)
{
	return row->kind == TIME_HISTOGRAM || row->kind == COUNT_HISTOGRAM;
}

static unsigned words(const char *text)
{
	struct slice rest = slice_from_cstr(text);
	unsigned count = 0;

	while (rest.len > 0) {
		slice_cut(&rest, ' ');
		count++;
	}
	return count;
}

static unsigned cells_of(const struct row *row)
{
	if (row->kind == FROM_SUPERVISOR || (row->label && !row->values))
		return 0;
	if (is_histogram(row))
		return (unsigned)buckets_of(row->kind).count + 2;
	return row->values ? words(row->values) : 1;
}

struct metrics {
	unsigned offset[METRIC_COUNT + 1];
	int statm; /* /proc/self/statm; -1 */
	_Atomic uint64_t cells[CELLS_MAX];
};

struct metrics *metrics_new(void)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		abort();
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		metrics->offset[i + 1] = metrics->offset[i] + cells_of(&rows[i]);
	if (metrics->offset[METRIC_COUNT] > CELLS_MAX)
		abort(); /* the table has grown: so must CELLS_MAX */
	metrics->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	if (metrics && metrics->statm >= 0)
		close(metrics->statm);
	free(metrics);
}

size_t metrics_cell_count(void)
{
	size_t count = 0;

	for (unsigned i = 0; i < METRIC_COUNT; i++)
		count += cells_of(&rows[i]);
	return count;
}

/* ---- counting ---- */

static _Atomic uint64_t *cell(struct metrics *metrics, enum metric metric, unsigned index)
{
	unsigned count = metrics->offset[metric + 1] - metrics->offset[metric];

	return count > 0 ? &metrics->cells[metrics->offset[metric] + (index < count ? index : count - 1)] : NULL;
}

void metrics_add(struct metrics *metrics, enum metric metric, unsigned label, int64_t by)
{
	_Atomic uint64_t *counted = metrics ? cell(metrics, metric, label) : NULL;

	if (counted)
		atomic_fetch_add_explicit(counted, (uint64_t)by, memory_order_relaxed);
}

void metrics_set(struct metrics *metrics, enum metric metric, unsigned label, uint64_t value)
{
	_Atomic uint64_t *set = metrics ? cell(metrics, metric, label) : NULL;

	if (set)
		atomic_store_explicit(set, value, memory_order_relaxed);
}

void metrics_observe(struct metrics *metrics, enum metric metric, uint64_t value)
{
	struct buckets buckets = buckets_of(rows[metric].kind);
	size_t i = 0;

	if (!metrics || !is_histogram(&rows[metric]))
		return;
	while (i < buckets.count && value > buckets.bounds[i])
		i++;
	metrics_add(metrics, metric, (unsigned)i, 1);
	metrics_add(metrics, metric, (unsigned)buckets.count + 1, (int64_t)value);
}

unsigned metrics_label(enum metric metric, struct slice value)
{
	struct slice rest = slice_from_cstr(rows[metric].values);
	unsigned i = 0;

	while (rest.len > 0 && !slice_eq(slice_cut(&rest, ' '), value))
		i++;
	return i; /* behind the last: taken for the last */
}

unsigned metrics_label_number(enum metric metric, unsigned value)
{
	char text[12];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0 && at > 0);
	return metrics_label(metric, slice_of(text + at, sizeof(text) - at));
}

static int64_t now_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t metrics_now_us(const struct metrics *metrics)
{
	return metrics ? now_us(CLOCK_MONOTONIC) : 0;
}

/* ---- reading ---- */

/* The second number of statm, in pages. lseek and read: what every sandbox allows. */
static uint64_t resident_bytes(const struct metrics *metrics)
{
	char text[128];
	uint64_t pages = 0;

	if (metrics->statm < 0 || lseek(metrics->statm, 0, SEEK_SET) != 0)
		return 0;
	ssize_t got = read(metrics->statm, text, sizeof(text));
	struct slice rest = slice_of(text, got > 0 ? (size_t)got : 0);

	slice_cut(&rest, ' ');
	return slice_to_u64(slice_cut(&rest, ' '), UINT32_MAX, &pages) ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

void metrics_read(struct metrics *metrics, uint64_t *cells)
{
	metrics_set(metrics, METRIC_MEMORY, 0, resident_bytes(metrics));
	metrics_set(metrics, METRIC_CPU, 0, (uint64_t)now_us(CLOCK_PROCESS_CPUTIME_ID));
	for (unsigned i = 0; i < metrics->offset[METRIC_COUNT]; i++)
		cells[i] = atomic_load_explicit(&metrics->cells[i], memory_order_relaxed);
}

/* ---- the text ---- */

struct writing {
	struct buf *out;
	const struct row *row;
	struct slice role; /* empty: no label */
};

static bool has_word(const char *text, struct slice word)
{
	struct slice rest = slice_from_cstr(text);

	while (rest.len > 0)
		if (slice_eq(slice_cut(&rest, ' '), word))
			return true;
	return false;
}

/* Escaped as the format wants it; what is no UTF-8 would spoil the whole. */
static void add_label(struct buf *out, const char *name, struct slice value, bool *first)
{
	bool is_utf8 = slice_is_utf8(value);

	buf_add(out, *first ? SLICE("{") : SLICE(","));
	*first = false;
	buf_printf(out, "%s=\"", name);
	for (size_t i = 0; i < value.len; i++) {
		char byte = value.data[i];

		if (byte == '\n')
			buf_add_literal(out, "\\n");
		else if (byte == '"' || byte == '\\')
			buf_printf(out, "\\%c", byte);
		else
			buf_add_byte(out, (unsigned char)byte < 0x80 || is_utf8 ? byte : '?');
	}
	buf_add_byte(out, '"');
}

static void begin_sample(const struct writing *w, const char *suffix, const char *label, struct slice value)
{
	bool first = true;

	buf_printf(w->out, "%s%s", w->row->name, suffix);
	if (w->role.len > 0)
		add_label(w->out, "role", w->role, &first);
	if (label)
		add_label(w->out, label, value, &first);
	if (!first)
		buf_add_byte(w->out, '}');
	buf_add_byte(w->out, ' ');
}

static void add_microseconds(struct buf *out, uint64_t us)
{
	buf_printf(out, "%llu.%06llu\n", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
}

static void add_number(struct buf *out, uint64_t number)
{
	buf_add_u64(out, number);
	buf_add_byte(out, '\n');
}

static void write_histogram(const struct writing *w, const uint64_t *cells)
{
	struct buckets buckets = buckets_of(w->row->kind);
	uint64_t total = 0;

	for (size_t i = 0; i <= buckets.count; i++) {
		total += cells[i];
		begin_sample(w, "_bucket", "le", slice_from_cstr(i < buckets.count ? buckets.texts[i] : "+Inf"));
		add_number(w->out, total);
	}
	begin_sample(w, "_sum", NULL, SLICE_EMPTY);
	if (w->row->kind == TIME_HISTOGRAM)
		add_microseconds(w->out, cells[buckets.count + 1]);
	else
		add_number(w->out, cells[buckets.count + 1]);
	begin_sample(w, "_count", NULL, SLICE_EMPTY);
	add_number(w->out, total);
}

/* A gauge never goes below nothing, whatever order its additions were seen in. */
static uint64_t shown(const struct row *row, uint64_t value)
{
	return row->kind == GAUGE && value > INT64_MAX ? 0 : value;
}

static void write_cells(const struct writing *w, const uint64_t *cells)
{
	struct slice values = slice_from_cstr(w->row->values);

	if (is_histogram(w->row)) {
		write_histogram(w, cells);
		return;
	}
	for (size_t i = 0; i == 0 || values.len > 0; i++) {
		struct slice value = slice_cut(&values, ' ');

		begin_sample(w, "", w->row->values ? w->row->label : NULL, value);
		if (w->row->kind == TIME_COUNTER)
			add_microseconds(w->out, cells[i]);
		else
			add_number(w->out, shown(w->row, cells[i]));
	}
}

static void write_extras(const struct writing *w, enum metric metric, const struct metric_source *source)
{
	for (size_t i = 0; i < source->extra_count; i++) {
		if (source->extras[i].metric != metric)
			continue;
		begin_sample(w, "", w->row->label, source->extras[i].label);
		add_number(w->out, source->extras[i].value);
	}
}

static void write_source(const struct writing *w, enum metric metric, unsigned offset, const struct metric_source *source)
{
	if (w->row->kind == FROM_SUPERVISOR) {
		if (!source->is_known && metric != METRIC_ROLE_ANSWERED)
			return;
		begin_sample(w, "", NULL, SLICE_EMPTY);
		add_number(w->out, metric == METRIC_ROLE_UP         ? source->is_up
				   : metric == METRIC_ROLE_RESTARTS ? source->restarts
								    : source->cells != NULL);
	} else if (cells_of(w->row) == 0) {
		write_extras(w, metric, source);
	} else if (source->cells) {
		write_cells(w, source->cells + offset);
	}
}

static bool is_counter(const struct row *row, enum metric metric)
{
	return row->kind == COUNTER || row->kind == TIME_COUNTER || metric == METRIC_ROLE_RESTARTS;
}

void metrics_write(struct buf *out, const struct metric_source *sources, size_t count)
{
	unsigned offset = 0;

	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		const struct row *row = &rows[i];
		bool has_role = words(row->roles) > 1;

		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
			   is_counter(row, (enum metric)i) ? "counter" : is_histogram(row) ? "histogram" : "gauge");
		for (size_t j = 0; j < count; j++) {
			struct writing w = {out, row, has_role ? sources[j].role : SLICE_EMPTY};

			if (has_word(row->roles, sources[j].role))
				write_source(&w, (enum metric)i, offset, &sources[j]);
		}
		offset += cells_of(row);
	}
}
