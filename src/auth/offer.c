/* Which mechanisms a connection is offered. */
#include "auth/auth.h"

#include "auth/sasl.h"

static bool is_offered(enum sasl_mechanism mechanism, const struct auth_offer *offer)
{
	bool has_privacy = offer->is_tls || offer->plaintext_allowed;

	switch (mechanism) {
	/* RFC 5802 section 6: -PLUS is named whenever the server can do it, so that a client which could too, but didn't see it, tells
	 * that by "y". */
	case SASL_SCRAM_SHA_256_PLUS:
	case SASL_SCRAM_SHA_1_PLUS:
		return offer->is_tls;
	case SASL_PLAIN:
	case SASL_LOGIN:
		return has_privacy;
	case SASL_OAUTHBEARER:
	case SASL_XOAUTH2:
		return has_privacy && offer->takes_tokens;
	case SASL_EXTERNAL:
		return offer->is_certified;
	default:
		return true;
	}
}

struct slice auth_mechanisms(struct arena *arena, const struct auth_offer *offer)
{
	struct buf out;

	buf_init(&out, arena, 0);
	for (size_t i = 0; i < SASL_MECHANISM_COUNT; i++) {
		if (!is_offered((enum sasl_mechanism)i, offer))
			continue;
		if (out.len > 0)
			buf_add_byte(&out, ' ');
		buf_add(&out, sasl_mechanism_name((enum sasl_mechanism)i));
	}
	return buf_slice(&out);
}

bool auth_mechanism_is_offered(struct slice name, const struct auth_offer *offer)
{
	enum sasl_mechanism mechanism;

	return sasl_mechanism_parse(name, &mechanism) && is_offered(mechanism, offer);
}
