/* DEFLATE over a connection (RFC 4978 section 3, RFC 1951), above TLS. A parked connection keeps none of zlib's states: what we send
 * begins anew after each pause, which any receiver takes, and of what the peer sent only the bytes that it may refer back to are kept. */
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "net/conn_private.h"

#define RAW_SIZE   (8 * 1024)
#define PIECE_SIZE (16 * 1024)
#define HISTORY    (32 * 1024) /* RFC 1951 section 2: how far back a sender may refer */
/* Of zlib: no header, a window of 16 KB; speed before size. */
#define OUT_LEVEL  2
#define OUT_WINDOW (-14)
#define OUT_MEMORY 7
#define IN_WINDOW  (-15)
#define AT_BLOCK   128 /* z_stream.data_type: between two blocks, none of them the last, on a whole byte */

struct conn_deflate {
	z_stream in, out;
	bool has_in, has_out, more; /* more: the last output was full, there may be more of the same input */
	char *raw;
	size_t raw_at, raw_end;
	char *history; /* of a peer whose state is put away */
	size_t history_len;
};

bool conn_start_deflate(struct conn *conn)
{
	size_t early = conn->input_end - conn->input_at;

	if (conn->deflate || !conn_flush(conn))
		return false;
	conn->deflate = calloc(1, sizeof(*conn->deflate));
	if (!conn->deflate)
		return false;
	/* What came behind the command is compressed already. */
	if (early > 0) {
		conn->deflate->raw = malloc(early > RAW_SIZE ? early : RAW_SIZE);
		if (!conn->deflate->raw)
			return false;
		memcpy(conn->deflate->raw, conn->input + conn->input_at, early);
		conn->deflate->raw_end = early;
		conn->input_at = conn->input_end;
	}
	return true;
}

void conn_end_deflate(struct conn *conn)
{
	(void)conn_flush(conn);
	conn_deflate_free(conn);
}

bool conn_is_deflated(const struct conn *conn)
{
	return conn->deflate != NULL;
}

/* ---- in ---- */

static bool wake_in(struct conn_deflate *d)
{
	if (d->has_in)
		return true;
	d->in = (z_stream){0};
	if (inflateInit2(&d->in, IN_WINDOW) != Z_OK)
		return false;
	d->has_in = true;
	if (d->history_len > 0 && inflateSetDictionary(&d->in, (const Bytef *)d->history, (uInt)d->history_len) != Z_OK)
		return false;
	free(d->history);
	d->history = NULL;
	d->history_len = 0;
	return true;
}

static bool bring_raw(struct conn *conn, bool wait)
{
	struct conn_deflate *d = conn->deflate;

	if (d->raw_at < d->raw_end || d->more)
		return true;
	if (!wait && !(conn->ssl && conn_tls_has_input(conn)))
		return false;
	if (!d->raw && !(d->raw = malloc(RAW_SIZE))) {
		conn_fail(conn, CONN_RESET);
		return false;
	}
	d->raw_at = 0;
	d->raw_end = conn_receive_raw(conn, d->raw, RAW_SIZE);
	return d->raw_end > 0;
}

size_t conn_deflate_read(struct conn *conn, void *out, size_t cap, bool wait)
{
	struct conn_deflate *d = conn->deflate;
	size_t got = 0;

	while (got == 0 && bring_raw(conn, wait)) {
		int result;

		if (!wake_in(d)) {
			conn_fail(conn, CONN_RESET);
			return 0;
		}
		d->in.next_in = (Bytef *)d->raw + d->raw_at;
		d->in.avail_in = (uInt)(d->raw_end - d->raw_at);
		d->in.next_out = out;
		d->in.avail_out = (uInt)cap;
		result = inflate(&d->in, Z_SYNC_FLUSH);
		d->raw_at = d->raw_end - d->in.avail_in;
		got = cap - d->in.avail_out;
		d->more = d->in.avail_out == 0;
		if (result != Z_OK && result != Z_BUF_ERROR) {
			conn_fail(conn, CONN_RESET);
			return 0;
		}
	}
	return got;
}

/* Only where a new state can take over: at the end of what the peer has flushed. */
static void put_in_away(struct conn_deflate *d)
{
	Bytef history[HISTORY];
	uInt len = 0;

	if (!d->has_in || d->more || d->raw_at < d->raw_end || d->in.data_type != AT_BLOCK ||
	    inflateGetDictionary(&d->in, history, &len) != Z_OK)
		return;
	d->history = malloc(len > 0 ? len : 1);
	if (!d->history)
		return;
	memcpy(d->history, history, len);
	d->history_len = len;
	inflateEnd(&d->in);
	d->has_in = false;
}

/* ---- out ---- */

static bool wake_out(struct conn_deflate *d)
{
	if (d->has_out)
		return true;
	d->out = (z_stream){0};
	d->has_out = deflateInit2(&d->out, OUT_LEVEL, Z_DEFLATED, OUT_WINDOW, OUT_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
	return d->has_out;
}

void conn_deflate_send(struct conn *conn, struct slice bytes)
{
	struct conn_deflate *d = conn->deflate;
	char piece[PIECE_SIZE];

	if (bytes.len == 0)
		return;
	if (!wake_out(d)) {
		conn_fail(conn, CONN_RESET);
		return;
	}
	d->out.next_in = (Bytef *)(uintptr_t)bytes.data;
	d->out.avail_in = (uInt)bytes.len;
	do {
		d->out.next_out = (Bytef *)piece;
		d->out.avail_out = sizeof(piece);
		(void)deflate(&d->out, Z_SYNC_FLUSH);
		conn_send_raw(conn, slice_of(piece, sizeof(piece) - d->out.avail_out));
	} while (d->out.avail_out == 0 && conn->error == CONN_OK);
}

/* ---- the end, of a command and of all ---- */

static void end_out(struct conn_deflate *d)
{
	if (d->has_out)
		deflateEnd(&d->out);
	d->has_out = false;
}

void conn_deflate_park(struct conn *conn)
{
	struct conn_deflate *d = conn->deflate;

	end_out(d);
	put_in_away(d);
	if (d->raw_at == d->raw_end && !d->more) {
		free(d->raw);
		d->raw = NULL;
		d->raw_at = d->raw_end = 0;
	}
}

void conn_deflate_free(struct conn *conn)
{
	struct conn_deflate *d = conn->deflate;

	if (!d)
		return;
	end_out(d);
	if (d->has_in)
		inflateEnd(&d->in);
	free(d->raw);
	free(d->history);
	free(d);
	conn->deflate = NULL;
}
