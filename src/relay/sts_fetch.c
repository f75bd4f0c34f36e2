#include "relay/sts_fetch.h"

#include <curl/curl.h>

#include "relay/sts_policy.h"

#define CONNECT_MS 20000
#define FETCH_MS   60000 /* RFC 8461 section 3.3 */

struct fetching {
	const struct sts_fetch *fetch;
	struct buf body;
};

void sts_fetch_global_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take(char *data, size_t size, size_t count, void *context)
{
	struct fetching *fetching = context;

	buf_add(&fetching->body, slice_of(data, size * count));
	return buf_ok(&fetching->body) ? size * count : 0; /* too long: libcurl gives up */
}

static int goes_on(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
	const struct fetching *fetching = context;

	(void)total;
	(void)now;
	(void)up_total;
	(void)up_now;
	return fetching->fetch->is_stopping && fetching->fetch->is_stopping(fetching->fetch->context);
}

/* "mta-sts.example.org:443:192.0.2.1,[2001:db8::1]" */
static bool resolve(const struct sts_fetch *fetch, struct arena *arena, struct slice host, struct slice *entry)
{
	struct dns_host found;
	struct buf out;

	if (fetch->resolver->host(fetch->resolver->context, arena, host, &found) != STATUS_OK)
		return false;
	buf_init(&out, arena, 0);
	buf_printf(&out, "%.*s:%u:", SLICE_ARG(host), fetch->port);
	for (size_t i = 0; i < found.count; i++) {
		bool is_six = found.addresses[i].family == AF_INET6;

		buf_printf(&out, "%s%s", i > 0 ? "," : "", is_six ? "[" : "");
		net_address_format(&out, &found.addresses[i]);
		buf_printf(&out, "%s", is_six ? "]" : "");
	}
	*entry = buf_slice(&out);
	return found.count > 0;
}

static void set_up(CURL *curl, struct arena *arena, struct fetching *fetching, struct slice host)
{
	struct slice anchors = fetching->fetch->trust_anchors;
	struct curl_blob blob = {(void *)anchors.data, anchors.len, CURL_BLOB_NOCOPY};
	struct buf url;

	buf_init(&url, arena, 0);
	buf_printf(&url, "https://%.*s:%u/.well-known/mta-sts.txt", SLICE_ARG(host), fetching->fetch->port);
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
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)FETCH_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetching);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, goes_on);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, fetching);
}

static enum status fail(struct arena *arena, enum status status, struct slice *reason, const char *text)
{
	*reason = slice_dup(arena, slice_from_cstr(text));
	return status;
}

/* RFC 8461 section 3.3: only 200 will do. RFC 8461 section 3.2: text/plain, with or without parameters. */
static enum status judge(CURL *curl, struct arena *arena, CURLcode code, const struct fetching *fetching, struct slice *reason)
{
	const char *content_type = NULL;
	struct slice type;
	long status = 0;

	if (!buf_ok(&fetching->body))
		return fail(arena, STATUS_TEMPORARY, reason, "the policy is longer than 64 KB");
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return fail(arena, STATUS_PEER, reason, curl_easy_strerror(code));
	if (code != CURLE_OK)
		return fail(arena, STATUS_TEMPORARY, reason, curl_easy_strerror(code));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &content_type);
	if (status != 200)
		return fail(arena, STATUS_TEMPORARY, reason, "the web server's answer is not 200");
	type = slice_from_cstr(content_type);
	if (!slice_eq_nocase(slice_trim(slice_cut(&type, ';')), SLICE("text/plain")))
		return fail(arena, STATUS_TEMPORARY, reason, "the policy is not text/plain");
	return STATUS_OK;
}

enum status sts_fetch(const struct sts_fetch *fetch, struct arena *arena, struct slice domain, struct slice *text,
		      struct slice *reason)
{
	struct slice host = slice_join(arena, (const struct slice[]){SLICE("mta-sts."), domain}, 2), entry;
	struct fetching fetching = {.fetch = fetch};
	struct curl_slist *resolved;
	enum status status;
	CURL *curl;

	if (!resolve(fetch, arena, host, &entry))
		return fail(arena, STATUS_TEMPORARY, reason, "the address of the policy's web server can't be looked up");
	curl = curl_easy_init();
	if (!curl)
		return fail(arena, STATUS_TEMPORARY, reason, "libcurl can't be set up");
	buf_init(&fetching.body, arena, STS_POLICY_BYTES_MAX);
	resolved = curl_slist_append(NULL, slice_cstr(arena, entry));
	set_up(curl, arena, &fetching, host);
	curl_easy_setopt(curl, CURLOPT_RESOLVE, resolved);
	status = judge(curl, arena, curl_easy_perform(curl), &fetching, reason);
	*text = buf_slice(&fetching.body);
	curl_easy_cleanup(curl);
	curl_slist_free_all(resolved);
	return status;
}
