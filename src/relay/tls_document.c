#include "relay/tls_document.h"

#include "base/clock.h"
#include "base/json.h"

#define DAY_MS INT64_C(86400000)

/* The rows of one domain and day. */
struct report {
	const struct tls_document *about;
	const struct tls_count *rows;
	size_t count;
	struct buf *out;
};

/* ---- JSON ---- */

static void key(struct buf *out, const char *name)
{
	json_string(out, slice_from_cstr(name));
	buf_add_byte(out, ':');
}

static void text_of(struct buf *out, const char *name, struct slice text)
{
	key(out, name);
	json_string(out, text);
}

/* The lines of `text` (with that in front, which is taken off) as an array. */
static void lines_of(struct buf *out, const char *name, struct slice text, struct slice prefix)
{
	const char *separator = "";

	key(out, name);
	buf_add_byte(out, '[');
	while (text.len > 0) {
		struct slice line = slice_trim(slice_cut(&text, '\n'));

		if (line.len == 0 || !slice_starts_with(line, prefix))
			continue;
		buf_printf(out, "%s", separator);
		json_string(out, slice_trim(slice_skip(line, prefix.len)));
		separator = ",";
	}
	buf_add_byte(out, ']');
}

/* ---- a report ---- */

static bool is_tlsa(const struct tls_count *row)
{
	return slice_eq(row->policy_type, SLICE("tlsa"));
}

/* TLSA records belong to a host, a policy of MTA-STS to the domain. */
static bool is_same_policy(const struct tls_count *a, const struct tls_count *b)
{
	return slice_eq(a->policy_type, b->policy_type) && (!is_tlsa(a) || slice_eq(a->receiving_host, b->receiving_host));
}

static bool is_first_of_policy(const struct report *report, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (is_same_policy(&report->rows[i], &report->rows[at]))
			return false;
	return true;
}

static void write_policy(const struct report *report, const struct tls_count *first)
{
	struct buf *out = report->out;
	struct slice policy = SLICE_EMPTY;

	for (size_t i = 0; i < report->count; i++) /* trouble with fetching has none */
		if (is_same_policy(&report->rows[i], first) && report->rows[i].policy.len > 0)
			policy = report->rows[i].policy;
	key(out, "policy");
	buf_add_byte(out, '{');
	text_of(out, "policy-type", first->policy_type);
	if (policy.len > 0) {
		buf_add_byte(out, ',');
		lines_of(out, "policy-string", policy, SLICE_EMPTY);
	}
	buf_add_byte(out, ',');
	text_of(out, "policy-domain", first->domain);
	if (policy.len > 0) {
		buf_add_byte(out, ',');
		if (is_tlsa(first))
			lines_of(out, "mx-host", first->receiving_host, SLICE_EMPTY);
		else
			lines_of(out, "mx-host", policy, SLICE("mx:"));
	}
	buf_add_byte(out, '}');
}

static void write_summary(const struct report *report, const struct tls_count *first)
{
	uint64_t successes = 0, failures = 0;

	for (size_t i = 0; i < report->count; i++)
		if (is_same_policy(&report->rows[i], first))
			*(report->rows[i].result.len > 0 ? &failures : &successes) += report->rows[i].sessions;
	key(report->out, "summary");
	buf_printf(report->out, "{\"total-successful-session-count\":%llu,\"total-failure-session-count\":%llu}",
		   (unsigned long long)successes, (unsigned long long)failures);
}

/* What isn't known is left out. */
static void optional(struct buf *out, const char *name, struct slice text)
{
	if (text.len == 0)
		return;
	buf_add_byte(out, ',');
	text_of(out, name, text);
}

static void write_failure(struct buf *out, const struct tls_count *row)
{
	buf_add_byte(out, '{');
	text_of(out, "result-type", row->result);
	optional(out, "sending-mta-ip", row->sending_ip);
	optional(out, "receiving-mx-hostname", row->receiving_host);
	optional(out, "receiving-mx-helo", row->receiving_helo);
	optional(out, "receiving-ip", row->receiving_ip);
	buf_printf(out, ",\"failed-session-count\":%llu", (unsigned long long)row->sessions);
	optional(out, "failure-reason-code", row->reason);
	buf_add_byte(out, '}');
}

static void write_failures(const struct report *report, const struct tls_count *first)
{
	const char *separator = "";

	key(report->out, "failure-details");
	buf_add_byte(report->out, '[');
	for (size_t i = 0; i < report->count; i++) {
		const struct tls_count *row = &report->rows[i];

		if (!is_same_policy(row, first) || row->result.len == 0)
			continue;
		buf_printf(report->out, "%s", separator);
		write_failure(report->out, row);
		separator = ",";
	}
	buf_add_byte(report->out, ']');
}

static void write_range(const struct report *report)
{
	struct civil_time day = clock_civil(report->rows->day * DAY_MS, 0);

	key(report->out, "date-range");
	buf_printf(report->out,
		   "{\"start-datetime\":\"%04d-%02d-%02dT00:00:00Z\",\"end-datetime\":\"%04d-%02d-%02dT23:59:59Z\"}", day.year,
		   day.month, day.day, day.year, day.month, day.day);
}

static void write_head(const struct report *report)
{
	struct civil_time day = clock_civil(report->rows->day * DAY_MS, 0);
	struct slice hostname = report->about->hostname, domain = report->rows->domain;
	struct arena arena SCOPED_ARENA;
	struct buf text;

	text_of(report->out, "organization-name", hostname);
	buf_add_byte(report->out, ',');
	write_range(report);
	optional(report->out, "contact-info", report->about->contact);
	buf_init(&text, &arena, 0);
	buf_printf(&text, "%04d-%02d-%02d_%.*s@%.*s", day.year, day.month, day.day, SLICE_ARG(domain), SLICE_ARG(hostname));
	optional(report->out, "report-id", buf_slice(&text));
}

static void write_report(const struct report *report)
{
	struct buf *out = report->out;
	const char *separator = "";

	buf_add_byte(out, '{');
	write_head(report);
	buf_add_byte(out, ',');
	key(out, "policies");
	buf_add_byte(out, '[');
	for (size_t i = 0; i < report->count; i++) {
		if (!is_first_of_policy(report, i))
			continue;
		buf_printf(out, "%s{", separator);
		write_policy(report, &report->rows[i]);
		buf_add_byte(out, ',');
		write_summary(report, &report->rows[i]);
		buf_add_byte(out, ',');
		write_failures(report, &report->rows[i]);
		buf_add_byte(out, '}');
		separator = ",";
	}
	buf_add_literal(out, "]}\n");
}

void tls_document_write(struct buf *out, const struct tls_document *about, const struct tls_count *rows, size_t count)
{
	struct report report = {about, rows, count, out};

	write_report(&report);
}
