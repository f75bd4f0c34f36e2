/* `account add --batch FILE`: the file is read and checked as a whole before anything is added. Then accounts are added by some
 * threads, whose transactions share commits, and passwords are hashed on all cores, chunk by chunk. A row whose account exists
 * without a credential is completed, so that a batch that was interrupted can be run again. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "auth/credential.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/csv.h"
#include "cli/output.h"
#include "cli/password.h"
#include "cli/rules.h"
#include "store/directory.h"

#define FILE_MAX    (256 * 1024 * 1024)
#define CHUNK       256
#define ADD_THREADS 8

struct row {
	unsigned line;
	struct slice address, name, password;
	uint64_t quota;
	bool has_quota; /* in the file; else the domain's */
	bool generated;
	int64_t account;
	enum status status;
};

struct batch {
	struct cli *cli;
	struct listing list; /* what was added, for JSON */
	struct row *rows;
	size_t count, capacity;
	size_t added, failed;
	int64_t started_ms, shown_ms;
};

/* ---- the file ---- */

static bool read_file(struct cli *cli, const char *path, struct slice *text)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	struct buf out;
	ssize_t got = -1;

	buf_init(&out, &cli->arena, FILE_MAX);
	while (fd >= 0) {
		char *to = buf_reserve(&out, 65536);

		got = to ? read(fd, to, 65536) : -1;
		if (got <= 0)
			break;
		buf_advance(&out, (size_t)got);
	}
	if (got < 0)
		cli_fail(cli, EXIT_FAILED, "%s can't be read: %s", path, buf_ok(&out) ? strerror(errno) : "it is too large");
	if (fd >= 0)
		close(fd);
	*text = buf_slice(&out);
	return got == 0;
}

static bool is_header(const struct csv_row *row)
{
	return slice_eq_nocase(row->fields[0], SLICE("address"));
}

static void add_row(struct batch *batch, const struct row *row)
{
	if (batch->count == batch->capacity) {
		size_t capacity = batch->capacity ? 2 * batch->capacity : 1024;
		struct row *rows = ARENA_ARRAY(&batch->cli->arena, struct row, capacity);

		if (batch->rows)
			memcpy(rows, batch->rows, batch->count * sizeof(*rows));
		batch->rows = rows;
		batch->capacity = capacity;
	}
	batch->rows[batch->count++] = *row;
}

static bool take_row(struct batch *batch, const struct csv_row *from, const char *path)
{
	struct row row = {.line = from->line,
			  .password = from->count > 1 ? from->fields[1] : SLICE_EMPTY,
			  .name = from->count > 2 ? from->fields[2] : SLICE_EMPTY};
	struct cli *cli = batch->cli;

	if (from->count > 4) {
		cli_fail(cli, EXIT_FAILED, "%s:%u: four columns are wanted: address,password-or-hash,name,quota", path,
			 from->line);
		return false;
	}
	if (!cli_address(cli, from->fields[0], &row.address)) {
		cli_fail(cli, EXIT_FAILED, "%s:%u: nothing was added", path, from->line);
		return false;
	}
	if (from->count > 3 && from->fields[3].len && !slice_eq(from->fields[3], SLICE("none")) &&
	    !config_size(from->fields[3], &row.quota)) {
		cli_fail(cli, EXIT_FAILED, "%s:%u: \"%.*s\" is not a size such as 5G, nor none; nothing was added", path, from->line,
			 SLICE_ARG(from->fields[3]));
		return false;
	}
	row.has_quota = from->count > 3 && from->fields[3].len > 0;
	row.generated = row.password.len == 0;
	if (row.generated)
		row.password = password_generate(&cli->arena);
	add_row(batch, &row);
	return true;
}

static bool read_rows(struct batch *batch, const char *path)
{
	struct csv_row row;
	struct slice text;
	struct csv csv;

	if (!read_file(batch->cli, path, &text))
		return false;
	csv = csv_begin(text);
	for (bool first = true; csv_next(&csv, &batch->cli->arena, &row); first = false) {
		if (!(first && is_header(&row)) && !take_row(batch, &row, path))
			return false;
	}
	if (csv.failed)
		cli_fail(batch->cli, EXIT_FAILED, "%s:%u: a quote isn't closed, or there are too many columns", path, csv.line);
	else if (batch->count == 0)
		cli_fail(batch->cli, EXIT_FAILED, "%s has no rows; a row is: address,password-or-hash,name,quota", path);
	return !csv.failed && batch->count > 0;
}

/* ---- a chunk ---- */

struct adding {
	struct batch *batch;
	size_t end;
	_Atomic size_t next;
};

/* An account that is there but has no credential is taken as ours. */
static enum status complete_account(struct cli *cli, struct row *row)
{
	struct arena arena SCOPED_ARENA;
	struct credential credential;
	struct account account;
	enum status status = credential_find(cli->credentials, &arena, row->address, &credential);

	if (status != STATUS_NOT_FOUND)
		return status == STATUS_OK ? STATUS_EXISTS : status;
	status = directory_find_account(cli->store, &arena, row->address, &account);
	row->account = account.id;
	return status == STATUS_NOT_FOUND ? STATUS_EXISTS : status; /* an alias has the address */
}

static struct slice domain_of(struct slice address)
{
	return slice_skip(address, slice_find_last_byte(address, '@') + 1);
}

static void *add_accounts(void *argument)
{
	struct adding *adding = argument;
	struct cli *cli = adding->batch->cli;
	size_t i;

	while ((i = atomic_fetch_add(&adding->next, 1)) < adding->end) {
		struct row *row = &adding->batch->rows[i];

		row->status = row->has_quota ? STATUS_OK
					     : routing_domain_limit(cli->store, RULE_DOMAIN_QUOTA, domain_of(row->address), &row->quota);
		if (row->status != STATUS_OK)
			continue;
		row->status = directory_add_account(cli->store, row->address, row->name, row->quota, &row->account);
		if (row->status == STATUS_EXISTS)
			row->status = complete_account(cli, row);
	}
	return NULL;
}

static void add_chunk_accounts(struct batch *batch, size_t begin, size_t end)
{
	struct adding adding = {.batch = batch, .end = end, .next = begin};
	pthread_t threads[ADD_THREADS];
	size_t started = 0;

	while (started < ADD_THREADS && pthread_create(&threads[started], NULL, add_accounts, &adding) == 0)
		started++;
	if (started == 0)
		add_accounts(&adding);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

static void set_chunk_passwords(struct batch *batch, size_t begin, size_t end)
{
	struct credential_entry entries[CHUNK];
	struct row *rows[CHUNK];
	size_t count = 0;
	enum status ignored;

	for (size_t i = begin; i < end; i++) {
		struct row *row = &batch->rows[i];
		bool is_hash = password_is_hash(row->password);

		if (row->status != STATUS_OK)
			continue;
		entries[count] = (struct credential_entry){.address = row->address, .account = row->account};
		*(is_hash ? &entries[count].hash : &entries[count].password) = row->password;
		rows[count++] = row;
	}
	if (count == 0)
		return;
	ignored = credentials_set_many(batch->cli->credentials, entries, count, 0);
	(void)ignored; /* each entry has its own */
	for (size_t i = 0; i < count; i++) {
		rows[i]->status = entries[i].status;
		if (rows[i]->status != STATUS_OK)
			ignored = directory_remove_account(batch->cli->store, rows[i]->address);
	}
}

/* ---- what is told ---- */

static void tell_failure(struct cli *cli, const struct row *row, const char *path)
{
	struct buf where;

	buf_init(&where, &cli->arena, 0);
	buf_printf(&where, "%s:%u: %.*s", path, row->line, SLICE_ARG(row->address));
	if (row->status == STATUS_NOT_FOUND)
		cli_not_ours(cli, buf_slice(&where));
	else if (row->status == STATUS_REFUSED)
		cli_fail(cli, EXIT_FAILED, "%.*s: the password or hash can't be taken", SLICE_ARG(buf_slice(&where)));
	else
		cli_status(cli, row->status, buf_slice(&where));
}

static void tell_row(struct batch *batch, const struct row *row, const char *path)
{
	if (row->status == STATUS_OK) {
		batch->added++;
		listing_text(&batch->list, row->address);
		listing_text(&batch->list, row->generated ? row->password : SLICE_EMPTY);
		if (row->generated && !batch->cli->json)
			printf("%.*s,%.*s\n", SLICE_ARG(row->address), SLICE_ARG(row->password));
		return;
	}
	batch->failed++;
	tell_failure(batch->cli, row, path);
}

/* On a terminal, and only for batches that take longer than a moment. */
static void show_progress(struct batch *batch, size_t done)
{
	int64_t now = clock_monotonic_ms(), passed = now - batch->started_ms;

	if (!isatty(STDERR_FILENO) || passed < 1500 || (now - batch->shown_ms < 500 && done < batch->count))
		return;
	batch->shown_ms = now;
	fprintf(stderr, "\r%zu of %zu, about %lld s left  ", done, batch->count,
		(long long)(passed * (int64_t)(batch->count - done) / (int64_t)done / 1000));
	if (done == batch->count)
		fputc('\n', stderr);
}

static void run_chunks(struct batch *batch, const char *path)
{
	batch->started_ms = clock_monotonic_ms();
	for (size_t begin = 0; begin < batch->count; begin += CHUNK) {
		size_t end = begin + CHUNK < batch->count ? begin + CHUNK : batch->count;

		add_chunk_accounts(batch, begin, end);
		set_chunk_passwords(batch, begin, end);
		for (size_t i = begin; i < end; i++)
			tell_row(batch, &batch->rows[i], path);
		show_progress(batch, end);
	}
}

int account_add_batch(struct cli *cli, const char *path)
{
	struct batch batch = {.cli = cli, .list = listing_new(cli, "address,password")};

	if (!read_rows(&batch, path) || !cli_open_store(cli) || !cli_open_credentials(cli))
		return cli->failed;
	run_chunks(&batch, path);
	if (cli->json)
		listing_print(&batch.list);
	if (batch.added) {
		cli_announce(cli, SLICE("directory"), SLICE_EMPTY);
		cli_announce(cli, SLICE("credential"), SLICE_EMPTY);
	}
	fprintf(stderr, "%zu accounts added", batch.added);
	if (batch.failed)
		fprintf(stderr, ", %zu not", batch.failed);
	fputc('\n', stderr);
	return cli->failed;
}
