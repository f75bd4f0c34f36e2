/* `posthorn tls-report`: how TLS with a domain's mail hosts went, in the form that RFC 8460 section 4.4 gives reports. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "relay/tls_document.h"
#include "store/tls_report.h"

#define DAY_MS INT64_C(86400000)

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

static struct slice contact_of(struct cli *cli)
{
	const char *from = cli->config->relay.tls_reports_from;
	const struct slice postmaster[] = {SLICE("postmaster@"), slice_from_cstr(cli->config->hostname)};

	return from && from[0] ? slice_from_cstr(from) : slice_join(&cli->arena, postmaster, 2);
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
	const struct tls_document about = {slice_from_cstr(cli->config->hostname), contact_of(cli)};

	if (count == 0)
		return cli_fail(cli, EXIT_FAILED, "nothing was sent by TLS then, or to there; results are kept for %u days",
				cli->config->retention.trace_days);
	for (size_t i = 0; i < count; i += n) {
		struct buf out SCOPED_BUF;

		n = rows_of_report(rows + i, count - i);
		buf_init(&out, NULL, 0);
		tls_document_write(&out, &about, rows + i, n);
		fwrite(out.data, 1, out.len, stdout);
	}
	return EXIT_OK;
}
