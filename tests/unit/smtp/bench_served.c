/* bench_served [MESSAGES]: messages of 4 KB over one connection to the real engine, roles played; for time, and for `strace -f -c`. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "served.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void send_one(struct served *s, struct slice message)
{
	served_say(s, SLICE("MAIL FROM:<a@b.test> SIZE=4096\r\nRCPT TO:<ok@example.test>\r\nDATA\r\n"));
	must(served_wait_for(s, SLICE("354 ")));
	served_say(s, message);
	must(served_wait_for(s, SLICE("250 ")));
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
	struct buf message SCOPED_BUF;
	struct served s;
	int64_t start_ms;

	buf_add_literal(&message, "From: <a@b.test>\r\nSubject: x\r\nDate: Tue, 24 Nov 2026 16:00:00 +0000\r\n\r\n");
	while (message.len < 4096)
		buf_add_literal(&message,
				"Lines of ordinary length, as people and their programs write them to each other.\r\n");
	buf_add_literal(&message, ".\r\n");
	served_init(&s);
	served_start(&s);
	served_connect(&s);
	must(served_wait_for(&s, SLICE("220 ")));
	served_say(&s, SLICE("EHLO c.test\r\n"));
	must(served_wait_for(&s, SLICE("250 ")));
	start_ms = clock_monotonic_ms();
	for (unsigned long i = 0; i < count; i++)
		send_one(&s, buf_slice(&message));
	printf("%lld ns for a message, its client included\n",
	       (long long)((clock_monotonic_ms() - start_ms) * 1000000 / (int64_t)count));
	served_free(&s);
	return 0;
}
