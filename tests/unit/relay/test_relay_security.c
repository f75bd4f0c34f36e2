/* What hosts demand by DANE and MTA-STS, obeyed by the relay (RFC 7672, RFC 8461). The real DNS and web servers are tests/system's. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "relay_fixture.h"
#include "store/sts_cache.h"
#include "store/tls_report.h"

static const char EHLO_TLS[] = "250-mx.remote.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n";

static void set_tlsa(struct relay_fixture *f, struct slice certificate_pem)
{
	BIO *bio = BIO_new_mem_buf(certificate_pem.data, (int)certificate_pem.len);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	unsigned char digest[32];

	assert_int_equal(X509_digest(certificate, EVP_sha256(), digest, NULL), 1);
	f->is_secure = true;
	f->tlsa_status = STATUS_OK;
	f->tlsa = (struct dns_tlsa){3, 0, 1, slice_dup(&f->store->arena, slice_of((const char *)digest, sizeof(digest)))};
	X509_free(certificate);
	BIO_free(bio);
}

/* Does a step of the message's trace (or of its bounce's) say that? */
static bool traced(struct relay_fixture *f, struct slice queue_id, const char *detail)
{
	struct trace_step *steps;
	size_t count;
	bool found = false;

	assert_int_equal(trace_find(f->store->store, &f->store->arena, queue_id, &steps, &count), STATUS_OK);
	for (size_t i = 0; i < count; i++)
		found = found || has(steps[i].detail, detail);
	return found;
}

static void dane(void **state)
{
	static const struct {
		enum { MATCHES, DIFFERS, UNUSABLE, TROUBLE, NOT_OFFERED, NOT_OFFERED_UNUSABLE, BROKEN } how;
		bool delivered;
		const char *detail;
	} TABLE[] = {
		{MATCHES, true, "verified by DANE"},
		{DIFFERS, false, "DANE: TLS handshake"},
		{UNUSABLE, true, "unusable TLSA records"},
		{TROUBLE, false, "DANE: the TLSA records of remote.example"},
		{NOT_OFFERED, false, "DANE: TLS is required"},
		{NOT_OFFERED_UNUSABLE, false, "DANE: TLS is required"},
		{BROKEN, false, "DANE: TLS handshake"},
	};
	struct relay_fixture *f = *state;
	struct slice certificate;
	struct tls_context *tls = fake_tls_server("another.example", &f->store->arena, &certificate);

	f->environment.tls_verified = tls_client_new(certificate);
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		bool is_offered = TABLE[i].how != NOT_OFFERED && TABLE[i].how != NOT_OFFERED_UNUSABLE;
		struct fake_server server = {.ehlo = is_offered ? EHLO_TLS : NULL, .tls = tls, .break_tls = TABLE[i].how == BROKEN};
		struct slice id;

		set_tlsa(f, certificate);
		if (TABLE[i].how == DIFFERS)
			((char *)f->tlsa.data.data)[0] ^= 1;
		if (TABLE[i].how == UNUSABLE || TABLE[i].how == NOT_OFFERED_UNUSABLE)
			f->tlsa.usage = 1;
		if (TABLE[i].how == TROUBLE)
			f->tlsa_status = STATUS_TEMPORARY;
		fake_server_start(&server);
		relay_fixture_start(f, server.port);
		id = relay_fixture_queue_to(f, "x@remote.example");
		assert_true(relay_fixture_wait(f, TABLE[i].delivered, !TABLE[i].delivered, 0));
		assert_true(traced(f, id, TABLE[i].detail));
		assert_int_equal(server.count, TABLE[i].delivered);
		relay_fixture_stop(f);
		fake_server_stop(&server);
	}
	tls_context_free(tls);
}

static enum status no_record(void *context, struct arena *arena, struct slice name, struct slice **texts, size_t *count)
{
	(void)context;
	(void)arena;
	(void)name;
	(void)texts;
	*count = 0;
	return STATUS_NOT_FOUND;
}

static void keep_policy(struct relay_fixture *f, const char *text)
{
	int64_t now = clock_wall_ms();
	const struct sts_cached cached = {SLICE("1"), slice_from_cstr(text), now, now + 100000, now + 100000};

	assert_int_equal(sts_cache_put(f->store->store, SLICE("remote.example"), &cached), STATUS_OK);
}

/* Of a domain whose record is gone, but whose policy is kept. */
static void mta_sts(void **state)
{
	static const struct {
		const char *policy;
		const char *certificate; /* whom it names */
		bool is_trusted, is_offered, delivered;
		const char *detail, *result;
	} TABLE[] = {
		{"version: STSv1\nmode: enforce\nmx: remote.example\nmax_age: 100\n", "remote.example", true, true, true,
		 "verified by MTA-STS", ""},
		{"version: STSv1\nmode: enforce\nmx: remote.example\nmax_age: 100\n", "other.example", true, true, false,
		 "MTA-STS: TLS handshake", "certificate-host-mismatch"},
		{"version: STSv1\nmode: enforce\nmx: remote.example\nmax_age: 100\n", "remote.example", false, true, false,
		 "MTA-STS: TLS handshake", "certificate-not-trusted"},
		{"version: STSv1\nmode: enforce\nmx: remote.example\nmax_age: 100\n", "remote.example", true, false, false,
		 "MTA-STS: TLS is required", "starttls-not-supported"},
		{"version: STSv1\nmode: enforce\nmx: *.remote.example\nmax_age: 100\n", "remote.example", true, true, false,
		 "doesn't name", "validation-failure"},
		{"version: STSv1\nmode: testing\nmx: remote.example\nmax_age: 100\n", "other.example", true, true, true, "would fail",
		 "certificate-host-mismatch"},
		{"version: STSv1\nmode: testing\nmx: mx.remote.example\nmax_age: 100\n", "remote.example", true, true, true, "would fail",
		 "validation-failure"},
		{"version: STSv1\nmode: testing\nmx: remote.example\nmax_age: 100\n", "remote.example", true, false, true, "250",
		 "starttls-not-supported"},
		{"version: STSv1\nmode: none\nmax_age: 100\n", "other.example", false, true, true, "not verified", ""},
	};
	struct relay_fixture *f = *state;
	struct tls_count *counts;
	size_t count, removed;

	f->environment.resolver.txt = no_record;
	f->environment.trust_anchors = SLICE("none is needed");
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct slice certificate;
		struct tls_context *tls = fake_tls_server(TABLE[i].certificate, &f->store->arena, &certificate);
		struct fake_server server = {.ehlo = TABLE[i].is_offered ? EHLO_TLS : NULL, .tls = tls};
		struct slice id;

		tls_context_free(f->environment.tls_verified);
		f->environment.tls_verified = tls_client_new(TABLE[i].is_trusted ? certificate : SLICE_EMPTY);
		keep_policy(f, TABLE[i].policy);
		assert_int_equal(tls_count_forget(f->store->store, INT64_MAX, 1, &removed), STATUS_OK);
		fake_server_start(&server);
		relay_fixture_start(f, server.port);
		id = relay_fixture_queue_to(f, "x@remote.example");
		assert_true(relay_fixture_wait(f, TABLE[i].delivered, !TABLE[i].delivered, 0));
		assert_true(traced(f, id, TABLE[i].detail));
		relay_fixture_stop(f);
		assert_int_equal(tls_count_list(f->store->store, &f->store->arena, -1, SLICE("remote.example"), &counts, &count),
				 STATUS_OK);
		assert_int_equal(count, 1);
		assert_int_equal(counts[0].sessions, 1);
		assert_true(slice_eq(counts[0].result, slice_from_cstr(TABLE[i].result)));
		assert_true(slice_eq(counts[0].policy_type, strstr(TABLE[i].policy, "none") ? SLICE("no-policy-found") : SLICE("sts")));
		fake_server_stop(&server);
		tls_context_free(tls);
	}
}

/* RFC 8461 section 2: with DANE the policy has no say. */
static void dane_beats_mta_sts(void **state)
{
	struct relay_fixture *f = *state;
	struct slice certificate, id;
	struct tls_context *tls = fake_tls_server("another.example", &f->store->arena, &certificate);
	struct fake_server server = {.ehlo = EHLO_TLS, .tls = tls};

	f->environment.tls_verified = tls_client_new(SLICE_EMPTY);
	f->environment.resolver.txt = no_record;
	f->environment.trust_anchors = SLICE("none is needed");
	keep_policy(f, "version: STSv1\nmode: enforce\nmx: other.example\nmax_age: 100\n");
	set_tlsa(f, certificate);
	fake_server_start(&server);
	relay_fixture_start(f, server.port);
	id = relay_fixture_queue_to(f, "x@remote.example");
	assert_true(relay_fixture_wait(f, 1, 0, 0));
	assert_true(traced(f, id, "verified by DANE"));
	relay_fixture_stop(f);
	fake_server_stop(&server);
	tls_context_free(tls);
}

/* RFC 8689: what the message itself asks for. */
static void wishes(void **state)
{
	static const char EHLO_REQUIRETLS[] = "250-mx.remote.example\r\n250-STARTTLS\r\n250 REQUIRETLS\r\n";
	static const struct {
		enum tls_wish wish;
		bool is_secure, is_trusted; /* the MX record, the certificate */
		enum { NO_TLSA, TLSA_FITS, TLSA_DIFFERS } tlsa;
		const char *ehlo;
		unsigned delivered, deferred, failed;
		const char *detail;
	} TABLE[] = {
		{TLS_WISH_REQUIRED, true, true, NO_TLSA, EHLO_REQUIRETLS, 1, 0, 0, "certificate verified, REQUIRETLS"},
		{TLS_WISH_REQUIRED, true, false, TLSA_FITS, EHLO_REQUIRETLS, 1, 0, 0, "verified by DANE, REQUIRETLS"},
		{TLS_WISH_REQUIRED, true, false, NO_TLSA, EHLO_REQUIRETLS, 0, 1, 0, "TLS handshake"},
		{TLS_WISH_REQUIRED, false, true, NO_TLSA, EHLO_REQUIRETLS, 0, 0, 1, "neither DNSSEC nor MTA-STS"},
		{TLS_WISH_REQUIRED, true, true, NO_TLSA, EHLO_TLS, 0, 0, 1, "REQUIRETLS: remote.example [127.0.0.1] doesn't offer it"},
		{TLS_WISH_REQUIRED, true, true, NO_TLSA, NULL, 0, 0, 1, "REQUIRETLS: TLS is required"},
		{TLS_WISH_OPTIONAL, true, false, TLSA_DIFFERS, EHLO_TLS, 1, 0, 0, "not verified"},
		{TLS_WISH_OPTIONAL, true, false, TLSA_DIFFERS, NULL, 1, 0, 0, "250"},
		{TLS_WISH_NONE, true, false, TLSA_DIFFERS, EHLO_TLS, 0, 1, 0, "DANE: TLS handshake"},
	};
	struct relay_fixture *f = *state;
	struct slice certificate;
	struct tls_context *tls = fake_tls_server("remote.example", &f->store->arena, &certificate);

	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct fake_server server = {.ehlo = TABLE[i].ehlo, .tls = tls};
		struct letter letter = {.recipients = {"x@remote.example"}, .tls_wish = TABLE[i].wish};
		struct slice id;

		tls_context_free(f->environment.tls_verified);
		f->environment.tls_verified = tls_client_new(TABLE[i].is_trusted ? certificate : SLICE_EMPTY);
		set_tlsa(f, certificate);
		f->is_secure = TABLE[i].is_secure;
		if (TABLE[i].tlsa == NO_TLSA)
			f->tlsa_status = STATUS_NOT_FOUND;
		else if (TABLE[i].tlsa == TLSA_DIFFERS)
			((char *)f->tlsa.data.data)[0] ^= 1;
		fake_server_start(&server);
		relay_fixture_start(f, server.port);
		id = relay_fixture_queue(f, &letter);
		assert_true(relay_fixture_wait(f, TABLE[i].delivered, TABLE[i].deferred, TABLE[i].failed));
		assert_true(traced(f, id, TABLE[i].detail));
		assert_int_equal(server.count, TABLE[i].delivered);
		if (server.count > 0)
			assert_int_equal(strstr(server.messages[0].mail_line, " REQUIRETLS") != NULL,
					 TABLE[i].wish == TLS_WISH_REQUIRED);
		relay_fixture_stop(f);
		fake_server_stop(&server);
	}
	tls_context_free(tls);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {RELAY_TEST(dane), RELAY_TEST(mta_sts), RELAY_TEST(dane_beats_mta_sts),
					    RELAY_TEST(wishes)};

	return FIXTURE_MAIN(argc, argv, "relay security", tests);
}
