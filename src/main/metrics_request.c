#include "main/metrics_request.h"

/* Everything that may stand in a request line: no control characters, no space. */
static bool is_word(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] <= ' ' || (unsigned char)text.data[i] >= 0x7f)
			return false;
	return text.len > 0;
}

static enum metrics_answer answer_to(struct slice line)
{
	struct slice method = slice_cut(&line, ' '), target = slice_cut(&line, ' ');
	struct slice path = slice_sub(target, 0, slice_find_byte(target, '?'));

	if (!is_word(method) || !is_word(target) || !(slice_eq(line, SLICE("HTTP/1.1")) || slice_eq(line, SLICE("HTTP/1.0"))))
		return METRICS_BAD_REQUEST;
	if (!slice_eq(path, SLICE("/metrics")))
		return METRICS_NOT_FOUND;
	if (slice_eq(method, SLICE("GET")))
		return METRICS_PAGE;
	return slice_eq(method, SLICE("HEAD")) ? METRICS_PAGE_HEAD : METRICS_NOT_ALLOWED;
}

enum status metrics_request_parse(struct slice bytes, enum metrics_answer *answer)
{
	size_t end = slice_find(bytes, SLICE("\r\n\r\n"));

	*answer = METRICS_BAD_REQUEST;
	if (end == SLICE_NOT_FOUND)
		return bytes.len < METRICS_REQUEST_MAX ? STATUS_NEED_MORE : STATUS_OK;
	*answer = answer_to(slice_sub(bytes, 0, slice_find(bytes, SLICE("\r\n"))));
	return STATUS_OK;
}

void metrics_answer_write(struct buf *out, enum metrics_answer answer, size_t body_size)
{
	static const char *const lines[] = {
		[METRICS_PAGE] = "200 OK",
		[METRICS_PAGE_HEAD] = "200 OK",
		[METRICS_NOT_FOUND] = "404 Not Found",
		[METRICS_NOT_ALLOWED] = "405 Method Not Allowed",
		[METRICS_BAD_REQUEST] = "400 Bad Request",
	};
	bool is_page = answer == METRICS_PAGE || answer == METRICS_PAGE_HEAD;

	buf_printf(out, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n", lines[answer], is_page ? body_size : 0);
	if (is_page)
		buf_add_literal(out, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	if (answer == METRICS_NOT_ALLOWED)
		buf_add_literal(out, "Allow: GET, HEAD\r\n"); /* RFC 9110 section 15.5.6 */
	buf_add_literal(out, "\r\n");
}
