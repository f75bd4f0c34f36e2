#include "relay/https.h"

#include <curl/curl.h>

#define CONNECT_MS 20000
#define TOTAL_MS   60000 /* RFC 8461 section 3.3 */

struct asking {
	const struct https *https;
	struct buf body;
};

void https_global_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take(char *data, size_t size, size_t count, void *context)
{
	struct asking *asking = context;

	buf_add(&asking->body, slice_of(data, size * count));
	return buf_ok(&asking->body) ? size * count : 0; /* too long: libcurl gives up */
}

static int goes_on(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
	const struct asking *asking = context;

	(void)total;
	(void)now;
	(void)up_total;
	(void)up_now;
	return asking->https->is_stopping && asking->https->is_stopping(asking->https->context);
}

/* "mta-sts.example.org:443:192.0.2.1,[2001:db8::1]" */
static bool resolve(const struct https *https, struct arena *arena, struct slice host, struct slice *entry)
{
	struct dns_host found;
	struct buf out;

	if (https->resolver->host(https->resolver->context, arena, host, &found) != STATUS_OK)
		return false;
	buf_init(&out, arena, 0);
	buf_printf(&out, "%.*s:%u:", SLICE_ARG(host), https->port);
	for (size_t i = 0; i < found.count; i++) {
		bool is_six = found.addresses[i].family == AF_INET6;

		buf_printf(&out, "%s%s", i > 0 ? "," : "", is_six ? "[" : "");
		net_address_format(&out, &found.addresses[i]);
		buf_printf(&out, "%s", is_six ? "]" : "");
	}
	*entry = buf_slice(&out);
	return found.count > 0;
}

static void set_up(CURL *curl, struct arena *arena, struct asking *asking, const struct https_request *request)
{
	struct slice anchors = asking->https->trust_anchors;
	struct curl_blob blob = {(void *)anchors.data, anchors.len, CURL_BLOB_NOCOPY};
	struct buf url;

	buf_init(&url, arena, 0);
	buf_printf(&url, "https://%.*s:%u%.*s", SLICE_ARG(request->host), asking->https->port, SLICE_ARG(request->path));
	buf_add_byte(&url, '\0');
	curl_easy_setopt(curl, CURLOPT_URL, buf_slice(&url).data);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TOTAL_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, asking);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, goes_on);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, asking);
}

static void set_up_post(CURL *curl, const struct https_request *request)
{
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->content.data);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->content.len);
}

static enum status fail(struct arena *arena, enum status status, struct https_answer *answer, const char *text)
{
	answer->reason = slice_dup(arena, slice_from_cstr(text));
	return status;
}

static enum status take_answer(CURL *curl, struct arena *arena, CURLcode code, const struct asking *asking, struct https_answer *answer)
{
	const char *type = NULL;
	long status = 0;

	if (!buf_ok(&asking->body))
		return fail(arena, STATUS_TEMPORARY, answer, "the web server's answer is too long");
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return fail(arena, STATUS_PEER, answer, curl_easy_strerror(code));
	if (code != CURLE_OK)
		return fail(arena, STATUS_TEMPORARY, answer, curl_easy_strerror(code));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	*answer = (struct https_answer){(unsigned)status, slice_dup(arena, slice_from_cstr(type)), buf_slice(&asking->body), SLICE_EMPTY};
	return STATUS_OK;
}

/* An empty "Expect:" keeps libcurl from waiting for a 100. */
static struct curl_slist *fields_for(struct arena *arena, const struct https_request *request)
{
	const struct slice type[] = {SLICE("Content-Type: "), request->content_type};
	struct curl_slist *fields;

	if (request->content_type.len == 0)
		return NULL;
	fields = curl_slist_append(NULL, slice_cstr(arena, slice_join(arena, type, 2)));
	return curl_slist_append(fields, "Expect:");
}

enum status https_ask(const struct https *https, struct arena *arena, const struct https_request *request, struct https_answer *answer)
{
	struct asking asking = {.https = https};
	struct curl_slist *resolved, *fields;
	struct slice entry;
	enum status status;
	CURL *curl;

	if (!resolve(https, arena, request->host, &entry))
		return fail(arena, STATUS_TEMPORARY, answer, "the address of the web server can't be looked up");
	curl = curl_easy_init();
	if (!curl)
		return fail(arena, STATUS_TEMPORARY, answer, "libcurl can't be set up");
	buf_init(&asking.body, arena, request->answer_max);
	resolved = curl_slist_append(NULL, slice_cstr(arena, entry));
	fields = fields_for(arena, request);
	set_up(curl, arena, &asking, request);
	curl_easy_setopt(curl, CURLOPT_RESOLVE, resolved);
	if (fields) {
		set_up_post(curl, request);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
	}
	status = take_answer(curl, arena, curl_easy_perform(curl), &asking, answer);
	curl_easy_cleanup(curl);
	curl_slist_free_all(resolved);
	curl_slist_free_all(fields);
	return status;
}
