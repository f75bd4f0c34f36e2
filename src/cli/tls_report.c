/* `posthorn tls-report`: how TLS with a domain's mail hosts went, in the form that RFC 8460 section 4.4 gives reports. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "store/tls_report.h"

#define DAY_MS INT64_C(86400000)

/* The rows of one domain and day. */
struct report {
	const struct cli *cli;
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
	struct slice hostname = slice_from_cstr(report->cli->config->hostname), domain = report->rows->domain;
	struct arena arena SCOPED_ARENA;
	struct buf text;

	text_of(report->out, "organization-name", hostname);
	buf_add_byte(report->out, ',');
	write_range(report);
	buf_init(&text, &arena, 0);
	buf_printf(&text, "postmaster@%.*s", SLICE_ARG(hostname));
	optional(report->out, "contact-info", buf_slice(&text));
	buf_clear(&text);
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

/* ---- the command ---- */

/* "2026-11-25" */
static bool parse_day(struct slice text, int64_t *day)
{
	struct slice rest = text, year = slice_cut(&rest, '-'), month = slice_cut(&rest, '-');
	struct civil_time civil = {0};
	uint32_t y, m, d;

	if (year.len != 4 || month.len != 2 || rest.len != 2 || !slice_to_u32(year, 9999, &y) || !slice_to_u32(month, 12, &m) ||
	    !slice_to_u32(rest, 31, &d) || y < 1970 || m == 0 || d == 0)
		return false;
	civil.year = (int)y;
	civil.month = (int)m;
	civil.day = (int)d;
	*day = clock_from_civil(&civil) / DAY_MS;
	return true;
}

static bool take_arguments(struct cli *cli, int64_t *day, struct slice *domain)
{
	*day = -1;
	*domain = SLICE_EMPTY;
	for (size_t i = 0; i < cli->argument_count; i++) {
		struct slice argument = cli_argument(cli, i);

		if (*day < 0 && parse_day(argument, day))
			continue;
		if (domain->len > 0 || argument.len == 0) {
			(void)cli_fail(cli, EXIT_USAGE, "give a day as 2026-11-25, a domain, or both");
			return false;
		}
		*domain = slice_lower(&cli->arena, argument);
	}
	return true;
}

static size_t rows_of_report(const struct tls_count *rows, size_t count)
{
	size_t n = 1;

	while (n < count && rows[n].day == rows->day && slice_eq(rows[n].domain, rows->domain))
		n++;
	return n;
}

int command_tls_report(struct cli *cli)
{
	struct tls_count *rows;
	enum status status;
	struct slice domain;
	size_t count, n;
	int64_t day;

	if (!cli_finish(cli, 1, 2) || !take_arguments(cli, &day, &domain) || !cli_open_store(cli))
		return cli->failed;
	status = tls_count_list(cli->store, &cli->arena, day, domain, &rows, &count);
	if (status != STATUS_OK)
		return cli_status(cli, status, SLICE("results of TLS"));
	if (count == 0)
		return cli_fail(cli, EXIT_FAILED, "nothing was sent by TLS then, or to there; results are kept for %u days",
				cli->config->retention.trace_days);
	for (size_t i = 0; i < count; i += n) {
		struct buf out SCOPED_BUF;
		struct report report = {cli, rows + i, n = rows_of_report(rows + i, count - i), &out};

		buf_init(&out, NULL, 0);
		write_report(&report);
		fwrite(out.data, 1, out.len, stdout);
	}
	return EXIT_OK;
}
