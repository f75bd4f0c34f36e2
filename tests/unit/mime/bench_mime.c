/* bench_mime [ROUNDS]: nanoseconds for what a delivery asks of mime/: parse, envelope, body, body structure, packed structure. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mime/imap_structure.h"

static const char header[] =
	"Return-Path: <alice@example.org>\r\n"
	"Received: from mx1.example.org (mx1.example.org [192.0.2.1])\r\n"
	"\tby mx.example.net (Posthorn) with ESMTPS id BCDFGHJKLMNPQRST\r\n"
	"\tfor <bob@example.net>; Tue, 24 Nov 2026 15:00:01 +0100 (CET)\r\n"
	"Received: from client.example.org ([192.0.2.7]) by mx1.example.org with ESMTPSA;\r\n"
	"\tTue, 24 Nov 2026 15:00:00 +0100\r\n"
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1; t=1795528800;\r\n"
	"\th=from:to:subject:date:message-id:mime-version:content-type; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n"
	"\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\r\n"
	"From: Alice Example <alice@example.org>\r\n"
	"To: Bob Example <bob@example.net>, \"Carol, the third\" <carol@example.com>\r\n"
	"Cc: list@lists.example.org\r\n"
	"Subject: Minutes of the meeting on Tuesday\r\n"
	"Date: Tue, 24 Nov 2026 15:00:00 +0100\r\n"
	"Message-ID: <20261124140000.1234@client.example.org>\r\n"
	"In-Reply-To: <20261123140000.1233@client.example.net>\r\n"
	"References: <20261122140000.1232@client.example.org> <20261123140000.1233@client.example.net>\r\n"
	"MIME-Version: 1.0\r\n";

static void add_lines(struct buf *out, size_t bytes, const char *line)
{
	for (size_t end = out->len + bytes; out->len < end;)
		buf_add(out, slice_from_cstr(line));
}

static void make_text(struct buf *out)
{
	buf_add(out, slice_from_cstr(header));
	buf_add_literal(out, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
	add_lines(out, 4096 - out->len, "The quick brown fox jumps over the lazy dog, as it has for so many years.\r\n");
}

static void make_multipart(struct buf *out)
{
	buf_add(out, slice_from_cstr(header));
	buf_add_literal(out,
			"Content-Type: multipart/mixed; boundary=\"=_outer_0123456789\"\r\n\r\n--=_outer_0123456789\r\n"
			"Content-Type: multipart/alternative; boundary=\"=_inner_0123456789\"\r\n\r\n--=_inner_0123456789\r\n"
			"Content-Type: text/plain; charset=utf-8\r\n\r\n");
	add_lines(out, 4000, "The quick brown fox jumps over the lazy dog, as it has for so many years.\r\n");
	buf_add_literal(out, "--=_inner_0123456789\r\nContent-Type: text/html; charset=utf-8\r\n"
			     "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
	add_lines(out, 6000, "<p>The quick brown fox jumps over the lazy dog, as it has for so =\r\n");
	buf_add_literal(
		out, "--=_inner_0123456789--\r\n--=_outer_0123456789\r\nContent-Type: application/pdf; name=\"minutes.pdf\"\r\n"
		     "Content-Disposition: attachment; filename=\"minutes.pdf\"; size=65000\r\n"
		     "Content-Transfer-Encoding: base64\r\n\r\n");
	add_lines(out, 100000 - out->len, "JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURl\r\n");
	buf_add_literal(out, "--=_outer_0123456789--\r\n");
}

static double now_ns(void)
{
	struct timespec at;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static void work(struct arena *arena, struct slice text, unsigned steps)
{
	struct message *message = message_parse(arena, text, NULL);
	struct buf out[4];

	for (unsigned i = 0; i < 4; i++)
		buf_init(&out[i], arena, 0);
	if (steps > 0)
		imap_envelope(&out[0], arena, message_header(message, message->root));
	if (steps > 1)
		imap_body_structure(&out[1], arena, message);
	if (steps > 2)
		imap_body(&out[2], arena, message);
	if (steps > 3)
		message_pack(&out[3], message);
}

static void bench(const char *name, struct slice text, unsigned rounds)
{
	static const char *const labels[] = {"parse", "+ envelope", "+ bodystructure", "+ body", "+ pack"};
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, 0);
	for (unsigned steps = 0; steps < 5; steps++) {
		double best = 1e18;

		for (unsigned series = 0; series < 5; series++) {
			double start = now_ns();

			for (unsigned i = 0; i < rounds / 5; i++) {
				work(&arena, text, steps);
				arena_reset(&arena);
			}
			double each = (now_ns() - start) / (rounds / 5);

			best = each < best ? each : best;
		}
		printf("%-16s %-16s %8.0f ns\n", name, labels[steps], best);
	}
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 50000;
	struct buf text SCOPED_BUF, multipart SCOPED_BUF;

	buf_init(&text, NULL, 0);
	buf_init(&multipart, NULL, 0);
	make_text(&text);
	make_multipart(&multipart);
	bench("text, 4 KB", buf_slice(&text), rounds < 5 ? 5 : rounds);
	bench("multipart, 100 KB", buf_slice(&multipart), rounds < 5 ? 5 : rounds);
	return 0;
}
