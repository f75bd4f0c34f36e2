/* The parts of the command line that need no store: CSV, JSON, arguments, the table, certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/certificate.h"
#include "cli/commands.h"
#include "cli/csv.h"
#include "cli/files.h"
#include "cli/output.h"
#include "cli/password.h"

static void assert_slice(struct slice got, struct slice expected)
{
	if (!slice_eq(got, expected))
		fail_msg("got <%.*s>, expected <%.*s>", SLICE_ARG(got), SLICE_ARG(expected));
}

static void csv_rows(void **state)
{
	struct csv csv = csv_begin(SLICE("a@b.test, secret ,\"Doe, \"\"J\"\"\nJr\",5G\r\n\r\n\nb@b.test\nc@b.test,,"));
	struct arena arena SCOPED_ARENA;
	struct csv_row row;

	(void)state;
	assert_true(csv_next(&csv, &arena, &row));
	assert_int_equal(row.count, 4);
	assert_int_equal(row.line, 1);
	assert_slice(row.fields[1], SLICE("secret"));
	assert_slice(row.fields[2], SLICE("Doe, \"J\"\nJr"));
	assert_slice(row.fields[3], SLICE("5G"));
	assert_true(csv_next(&csv, &arena, &row));
	assert_int_equal(row.line, 5);
	assert_int_equal(row.count, 1);
	assert_true(csv_next(&csv, &arena, &row));
	assert_int_equal(row.count, 3);
	assert_int_equal(row.fields[1].len, 0);
	assert_false(csv_next(&csv, &arena, &row));
	assert_false(csv.failed);
}

static void csv_faults(void **state)
{
	static const char *const wrong[] = {"\"a", "\"a\"b,c", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct csv csv = csv_begin(slice_from_cstr(wrong[i]));
		struct arena arena SCOPED_ARENA;
		struct csv_row row;

		assert_false(csv_next(&csv, &arena, &row));
		assert_true(csv.failed);
	}
}

static void csv_marks_and_lines(void **state)
{
	struct csv csv = csv_begin(SLICE("\xEF\xBB\xBF"
					 "a@b.test,x\n\n\"b,\nc\n"));
	struct arena arena SCOPED_ARENA;
	struct csv_row row;

	(void)state;
	assert_true(csv_next(&csv, &arena, &row));
	assert_slice(row.fields[0], SLICE("a@b.test"));
	assert_false(csv_next(&csv, &arena, &row));
	assert_true(csv.failed);
	assert_int_equal(csv.line, 3);
}

static void json_rows(void **state)
{
	struct cli cli = {.json = true};
	struct listing list = listing_new(&cli, "address,size,enabled,due,last_reply,quota,limit");
	struct buf out SCOPED_BUF;

	(void)state;
	listing_text(&list, SLICE("a\"\\\n\x7f\xff"));
	listing_size(&list, 5000);
	listing_bool(&list, true);
	listing_time(&list, 0);
	listing_text(&list, SLICE("\xE2\x82\xAC"));
	listing_limit(&list, 0);
	listing_limit(&list, 7);
	listing_json_row(&list, 0, &out);
	assert_slice(buf_slice(&out),
		     SLICE("{\"address\":\"a\\\"\\\\\\u000a\\u007f\\u00ff\",\"size\":5000,\"enabled\":true,\"due\":null,"
			   "\"last_reply\":\"\xE2\x82\xAC\",\"quota\":null,\"limit\":7}"));
	arena_free(&cli.arena);
}

static const struct command a_command = {"do it", "THING [--name N]", "do it", NULL, NULL};

static void options_are_taken_out(void **state)
{
	char *arguments[] = {(char *)"one",       (char *)"--name", (char *)"N",    (char *)"--flag",
			     (char *)"--other=O", (char *)"--",     (char *)"--two"};
	struct cli cli = {.command = &a_command, .arguments = arguments, .argument_count = 7};

	(void)state;
	assert_string_equal(cli_option(&cli, "--name"), "N");
	assert_string_equal(cli_option(&cli, "--other"), "O");
	assert_null(cli_option(&cli, "--two"));
	assert_true(cli_flag(&cli, "--flag"));
	assert_false(cli_flag(&cli, "--flag"));
	assert_true(cli_finish(&cli, 2, 2));
	assert_slice(cli_argument(&cli, 1), SLICE("--two"));
	assert_int_equal(cli_argument(&cli, 2).len, 0);
}

static bool finishes(char *first, char *second, size_t least, size_t most)
{
	char *arguments[] = {first, second};
	struct cli cli = {.command = &a_command, .arguments = arguments, .argument_count = 2};
	bool finished = cli_finish(&cli, least, most);

	assert_int_equal(cli.failed, finished ? EXIT_OK : EXIT_USAGE);
	return finished;
}

static void wrong_usage_is_refused(void **state)
{
	(void)state;
	assert_int_not_equal(dup2(STDOUT_FILENO, STDERR_FILENO), -1);
	assert_false(finishes((char *)"a", (char *)"--unknown", 0, 5));
	assert_false(finishes((char *)"a", (char *)"b", 3, 3));
	assert_false(finishes((char *)"a", (char *)"b", 0, 1));
	assert_true(finishes((char *)"a", (char *)"-", 2, 2));
}

static void an_option_wants_its_value(void **state)
{
	char *at_end[] = {(char *)"a", (char *)"--name"}, *before_another[] = {(char *)"--name", (char *)"--flag"};
	struct cli cli = {.command = &a_command, .arguments = at_end, .argument_count = 2};
	struct cli other = {.command = &a_command, .arguments = before_another, .argument_count = 2};

	(void)state;
	assert_int_not_equal(dup2(STDOUT_FILENO, STDERR_FILENO), -1);
	assert_null(cli_option(&cli, "--name"));
	assert_false(cli_finish(&cli, 0, 1));
	assert_null(cli_option(&other, "--name"));
	assert_true(cli_flag(&other, "--flag"));
	assert_false(cli_finish(&other, 0, 1));
}

static void every_command_is_documented(void **state)
{
	static char page[64 * 1024];
	FILE *file = fopen(MANUAL_PAGE, "r");

	(void)state;
	assert_non_null(file);
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	fclose(file);
	for (size_t i = 0; i < command_count; i++) {
		struct slice name = slice_from_cstr(commands[i].name);
		struct buf escaped SCOPED_BUF;

		for (size_t at = 0; at < name.len; at++)
			buf_printf(&escaped, "%s%c", name.data[at] == '-' ? "\\" : "", name.data[at]);
		if (slice_find(slice_from_cstr(page), buf_slice(&escaped)) == SLICE_NOT_FOUND)
			fail_msg("%s is missing in %s", commands[i].name, MANUAL_PAGE);
		if (slice_find(slice_from_cstr(commands[i].help), SLICE("posthorn ")) == SLICE_NOT_FOUND)
			fail_msg("the help of %s has no example", commands[i].name);
	}
}

static void hashes_are_told_from_passwords(void **state)
{
	(void)state;
	assert_true(password_is_hash(SLICE("{SSHA}abc=")));
	assert_true(password_is_hash(SLICE("{BLF-CRYPT}$2y$05$abc")));
	assert_true(password_is_hash(SLICE("$6$salt$hash")));
	assert_false(password_is_hash(SLICE("{SSHA}")));
	assert_false(password_is_hash(SLICE("{not a scheme}x")));
	assert_false(password_is_hash(SLICE("$ecret")));
	assert_false(password_is_hash(SLICE("secret")));
}

static void a_certificate_names_its_hosts(void **state)
{
	const struct slice names[] = {SLICE("mail.example.test"), SLICE("localhost"), SLICE("127.0.0.1")};
	struct arena arena SCOPED_ARENA;
	struct slice pem, key_pem;
	X509 *certificate;
	EVP_PKEY *key;
	BIO *memory;

	(void)state;
	assert_true(certificate_make(names, 3, &arena, &pem, &key_pem));
	memory = BIO_new_mem_buf(pem.data, (int)pem.len);
	certificate = PEM_read_bio_X509(memory, NULL, NULL, NULL);
	BIO_free(memory);
	memory = BIO_new_mem_buf(key_pem.data, (int)key_pem.len);
	key = PEM_read_bio_PrivateKey(memory, NULL, NULL, NULL);
	BIO_free(memory);
	assert_non_null(certificate);
	assert_int_equal(X509_check_host(certificate, "mail.example.test", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(certificate, "localhost", 0, 0, NULL), 1);
	assert_int_equal(X509_check_ip_asc(certificate, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_host(certificate, "example.test", 0, 0, NULL), 0);
	assert_int_equal(X509_verify(certificate, key), 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static mode_t mode_of(const char *path)
{
	struct stat facts;

	assert_int_equal(lstat(path, &facts), 0);
	return facts.st_mode & 07777;
}

static void files_are_whole_new_and_hidden(void **state)
{
	char folder[] = "/tmp/posthorn-cli-XXXXXX", text[16] = {0};
	struct cli cli = {.config_path = NULL};
	mode_t mask = umask(022);
	FILE *file;

	(void)state;
	assert_int_not_equal(dup2(STDOUT_FILENO, STDERR_FILENO), -1);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	assert_true(file_make_folder(&cli, "a/b", 0700, FILE_OWNER_NONE));
	assert_int_equal(mode_of("a/b"), 0700);
	assert_int_equal(chmod("a/b", 0755), 0);
	assert_true(file_make_folder(&cli, "a/b", 0700, FILE_OWNER_NONE));
	assert_int_equal(mode_of("a/b"), 0700);
	assert_true(file_write_new(&cli, "a/b/c", 0600, FILE_OWNER_NONE, SLICE("one")));
	assert_int_equal(mode_of("a/b/c"), 0600);
	assert_false(file_write_new(&cli, "a/b/c", 0600, FILE_OWNER_NONE, SLICE("two")));
	assert_false(file_exists("a/b/c.new"));
	file = fopen("a/b/c", "r");
	assert_non_null(file);
	assert_int_equal(fread(text, 1, sizeof(text) - 1, file), 3);
	fclose(file);
	assert_string_equal(text, "one");
	assert_int_equal(symlink("/etc", "a/link"), 0);
	assert_false(file_make_folder(&cli, "a/link", 0755, FILE_OWNER_NONE));
	assert_false(file_make_folder(&cli, "a/b/c/d", 0755, FILE_OWNER_NONE));
	assert_int_equal(cli.failed, EXIT_FAILED);
	unlink("a/link");
	unlink("a/b/c");
	rmdir("a/b");
	rmdir("a");
	rmdir(folder);
	umask(mask);
	arena_free(&cli.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_rows),
		cmocka_unit_test(csv_faults),
		cmocka_unit_test(csv_marks_and_lines),
		cmocka_unit_test(json_rows),
		cmocka_unit_test(options_are_taken_out),
		cmocka_unit_test(wrong_usage_is_refused),
		cmocka_unit_test(an_option_wants_its_value),
		cmocka_unit_test(every_command_is_documented),
		cmocka_unit_test(hashes_are_told_from_passwords),
		cmocka_unit_test(a_certificate_names_its_hosts),
		cmocka_unit_test(files_are_whole_new_and_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
