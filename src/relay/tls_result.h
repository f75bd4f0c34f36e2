/* tls_result: how an attempt at TLS ended, as RFC 8460 section 4.3 names it. */
#pragma once

#include "base/slice.h"

enum tls_result {
	TLS_RESULT_SUCCESS,
	TLS_RESULT_STARTTLS_NOT_SUPPORTED,
	TLS_RESULT_HOST_MISMATCH,
	TLS_RESULT_EXPIRED,
	TLS_RESULT_NOT_TRUSTED,
	TLS_RESULT_VALIDATION_FAILURE,
	TLS_RESULT_TLSA_INVALID,
	TLS_RESULT_DNSSEC_INVALID,
	TLS_RESULT_STS_FETCH_ERROR,
	TLS_RESULT_STS_POLICY_INVALID,
	TLS_RESULT_STS_WEBPKI_INVALID,
	TLS_RESULT_COUNT,
};
/* "starttls-not-supported", ...; empty for a success. */
struct slice tls_result_name(enum tls_result result);
