#include "local/verdict.h"

#include <sys/wait.h>
#include <sysexits.h>

#define REASON_MAX 400

struct meaning {
	int status;
	const char *enhanced, *text;
};
static const struct meaning meanings[] = {
	{EX_USAGE, "5.3.0", "command line usage error"},
	{EX_DATAERR, "5.6.0", "data format error"},
	{EX_NOINPUT, "5.3.0", "cannot open input"},
	{EX_NOUSER, "5.1.1", "user unknown"},
	{EX_NOHOST, "5.1.2", "host name unknown"},
	{EX_UNAVAILABLE, "5.3.0", "service unavailable"},
	{EX_SOFTWARE, "5.3.0", "internal software error"},
	{EX_OSERR, "4.3.0", "system resource problem"},
	{EX_OSFILE, "5.3.0", "critical file missing"},
	{EX_CANTCREAT, "5.2.0", "can't create user output file"},
	{EX_IOERR, "5.3.0", "input/output error"},
	{EX_TEMPFAIL, "4.3.0", "temporary failure"},
	{EX_PROTOCOL, "5.5.0", "remote error in protocol"},
	{EX_NOPERM, "5.7.0", "permission denied"},
	{EX_CONFIG, "5.3.5", "local configuration error"},
	{126, "4.3.0", "the command can't be executed"},
	{127, "4.3.0", "the command isn't there"},
};

static const struct meaning *meaning_of(int status)
{
	static const struct meaning other = {0, "5.3.0", "the command failed"};

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].status == status)
			return &meanings[i];
	return &other;
}

/* The first line that says something, in printable characters. */
static struct slice first_line(struct arena *arena, struct slice output)
{
	struct slice line = SLICE_EMPTY;
	struct buf out;

	while (output.len > 0 && line.len == 0)
		line = slice_trim(slice_cut(&output, '\n'));
	buf_init(&out, arena, 0);
	for (size_t i = 0; i < line.len && i < REASON_MAX; i++)
		buf_add_byte(&out, line.data[i] >= ' ' && line.data[i] <= '~' ? line.data[i] : '?');
	return buf_slice(&out);
}

void local_verdict(struct arena *arena, int status, struct slice output, struct local_outcome *outcome)
{
	struct slice said = first_line(arena, output);
	struct buf text;

	buf_init(&text, arena, 0);
	if (WIFSIGNALED(status)) {
		*outcome = (struct local_outcome){.result = LOCAL_DEFERRED, .enhanced = SLICE("4.3.0")};
		buf_printf(&text, "the command was ended by signal %d", WTERMSIG(status));
	} else if (WEXITSTATUS(status) == EX_OK) {
		*outcome = (struct local_outcome){.result = LOCAL_DELIVERED, .enhanced = SLICE("2.0.0")};
		buf_add_literal(&text, "delivered to command");
	} else {
		const struct meaning *meaning = meaning_of(WEXITSTATUS(status));

		*outcome = (struct local_outcome){.result = meaning->enhanced[0] == '4' ? LOCAL_DEFERRED : LOCAL_FAILED,
						  .enhanced = slice_from_cstr(meaning->enhanced)};
		buf_printf(&text, "%s (exit status %d)", meaning->text, WEXITSTATUS(status));
	}
	if (said.len > 0 && outcome->result != LOCAL_DELIVERED)
		buf_printf(&text, ". Command output: %.*s", SLICE_ARG(said));
	outcome->text = buf_slice(&text);
}
