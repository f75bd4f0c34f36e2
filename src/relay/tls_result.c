#include "relay/tls_result.h"

struct slice tls_result_name(enum tls_result result)
{
	static const struct slice NAMES[TLS_RESULT_COUNT] = {
		[TLS_RESULT_STARTTLS_NOT_SUPPORTED] = SLICE("starttls-not-supported"),
		[TLS_RESULT_HOST_MISMATCH] = SLICE("certificate-host-mismatch"),
		[TLS_RESULT_EXPIRED] = SLICE("certificate-expired"),
		[TLS_RESULT_NOT_TRUSTED] = SLICE("certificate-not-trusted"),
		[TLS_RESULT_VALIDATION_FAILURE] = SLICE("validation-failure"),
		[TLS_RESULT_TLSA_INVALID] = SLICE("tlsa-invalid"),
		[TLS_RESULT_DNSSEC_INVALID] = SLICE("dnssec-invalid"),
		[TLS_RESULT_STS_FETCH_ERROR] = SLICE("sts-policy-fetch-error"),
		[TLS_RESULT_STS_POLICY_INVALID] = SLICE("sts-policy-invalid"),
		[TLS_RESULT_STS_WEBPKI_INVALID] = SLICE("sts-webpki-invalid"),
	};

	return result < TLS_RESULT_COUNT && NAMES[result].data ? NAMES[result] : SLICE_EMPTY;
}
