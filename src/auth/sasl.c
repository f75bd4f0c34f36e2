#include "auth/sasl.h"

#include "base/base64.h"

static const struct slice names[SASL_MECHANISM_COUNT] = {
	[SASL_SCRAM_SHA_256_PLUS] = SLICE("SCRAM-SHA-256-PLUS"),
	[SASL_SCRAM_SHA_1_PLUS] = SLICE("SCRAM-SHA-1-PLUS"),
	[SASL_SCRAM_SHA_256] = SLICE("SCRAM-SHA-256"),
	[SASL_SCRAM_SHA_1] = SLICE("SCRAM-SHA-1"),
	[SASL_PLAIN] = SLICE("PLAIN"),
	[SASL_LOGIN] = SLICE("LOGIN"),
	[SASL_OAUTHBEARER] = SLICE("OAUTHBEARER"),
	[SASL_XOAUTH2] = SLICE("XOAUTH2"),
	[SASL_EXTERNAL] = SLICE("EXTERNAL"),
};

struct slice sasl_mechanism_name(enum sasl_mechanism mechanism)
{
	return names[mechanism];
}

bool sasl_mechanism_parse(struct slice name, enum sasl_mechanism *mechanism)
{
	for (size_t i = 0; i < SASL_MECHANISM_COUNT; i++) {
		if (slice_eq_nocase(names[i], name)) {
			*mechanism = (enum sasl_mechanism)i;
			return true;
		}
	}
	return false;
}

static enum sasl_result finish(struct sasl *sasl, enum sasl_result result)
{
	sasl->state = SASL_DONE;
	return result;
}

static enum sasl_result challenge(struct sasl *sasl, enum sasl_state next, struct slice text)
{
	sasl->state = next;
	sasl->challenge = text;
	return SASL_CHALLENGE;
}

/* Nobody may act for another here: the authorization identity is empty or the user's own name. */
static bool may_act_as(struct slice user, struct slice authorization)
{
	return authorization.len == 0 || slice_eq_nocase(authorization, user);
}

/* RFC 4616 section 2: [authzid] NUL authcid NUL passwd */
static enum sasl_result plain_message(struct sasl *sasl, struct slice message)
{
	size_t first = slice_find_byte(message, '\0');

	if (first == SLICE_NOT_FOUND)
		return finish(sasl, SASL_MALFORMED);
	struct slice rest = slice_skip(message, first + 1);
	size_t second = slice_find_byte(rest, '\0');

	if (second == SLICE_NOT_FOUND || second == 0)
		return finish(sasl, SASL_MALFORMED);
	sasl->user = slice_sub(rest, 0, second);
	sasl->password = slice_skip(rest, second + 1);
	if (sasl->password.len == 0 || slice_find_byte(sasl->password, '\0') != SLICE_NOT_FOUND || !slice_is_utf8(sasl->user))
		return finish(sasl, SASL_MALFORMED);
	return finish(sasl, may_act_as(sasl->user, slice_sub(message, 0, first)) ? SASL_NEED_PASSWORD : SASL_REFUSE);
}

static enum sasl_result login_user(struct sasl *sasl, struct slice message)
{
	/* Lenient: Windows clients end the name with a NUL. */
	if (slice_ends_with(message, slice_of("", 1)))
		message = slice_sub(message, 0, message.len - 1);
	if (message.len == 0 || slice_find_byte(message, '\0') != SLICE_NOT_FOUND || !slice_is_utf8(message))
		return finish(sasl, SASL_MALFORMED);
	sasl->user = message;
	return challenge(sasl, SASL_WAIT_PASSWORD, SLICE("Password:"));
}

static enum sasl_result login_password(struct sasl *sasl, struct slice message)
{
	if (message.len == 0 || slice_find_byte(message, '\0') != SLICE_NOT_FOUND)
		return finish(sasl, SASL_MALFORMED);
	sasl->password = message;
	return finish(sasl, SASL_NEED_PASSWORD);
}

/* The data of the binding that the client named; empty: this connection has none of that type. */
static struct slice binding_data(const struct sasl *sasl)
{
	struct slice type = sasl->first.binding_type;

	if (slice_eq(type, SLICE("tls-exporter")))
		return sasl->bindings.exporter;
	if (slice_eq(type, SLICE("tls-unique")))
		return sasl->bindings.unique;
	if (slice_eq(type, SLICE("tls-server-end-point")))
		return sasl->bindings.end_point;
	return SLICE_EMPTY;
}

static bool offers_plus(const struct sasl *sasl)
{
	return sasl->bindings.exporter.len + sasl->bindings.unique.len + sasl->bindings.end_point.len > 0;
}

/* RFC 5802 section 6: "p" belongs to -PLUS and to nothing else. "y" from a client that was offered -PLUS says that somebody
 * took it out of the list on the way. */
static enum sasl_result check_binding(const struct sasl *sasl)
{
	bool plus = sasl->mechanism == SASL_SCRAM_SHA_256_PLUS || sasl->mechanism == SASL_SCRAM_SHA_1_PLUS;

	if (plus != (sasl->first.binding == SCRAM_BINDING_USED))
		return SASL_MALFORMED;
	if (plus && binding_data(sasl).len == 0)
		return SASL_REFUSE;
	if (sasl->first.binding == SCRAM_BINDING_NOT_OFFERED && offers_plus(sasl))
		return SASL_REFUSE;
	return SASL_NEED_KEYS;
}

static enum sasl_result scram_first(struct sasl *sasl, struct slice message)
{
	if (!scram_parse_client_first(sasl->arena, message, &sasl->first))
		return finish(sasl, SASL_MALFORMED);
	enum sasl_result result = check_binding(sasl);

	sasl->user = sasl->first.user;
	if (result != SASL_NEED_KEYS)
		return finish(sasl, result);
	if (!may_act_as(sasl->user, sasl->first.authorization))
		return finish(sasl, SASL_REFUSE);
	sasl->state = SASL_WAIT_KEYS;
	return SASL_NEED_KEYS;
}

enum scram_hash sasl_hash(const struct sasl *sasl)
{
	return sasl->mechanism == SASL_SCRAM_SHA_1 || sasl->mechanism == SASL_SCRAM_SHA_1_PLUS ? SCRAM_SHA_1 : SCRAM_SHA_256;
}

enum sasl_result sasl_supply_keys(struct sasl *sasl, const struct scram_keys *keys)
{
	struct buf out;

	if (sasl->state != SASL_WAIT_KEYS)
		return finish(sasl, SASL_MALFORMED);
	sasl->keys = *keys;
	buf_init(&out, sasl->arena, 0);
	buf_add_literal(&out, "r=");
	buf_add(&out, sasl->first.nonce);
	buf_add(&out, sasl->nonce);
	buf_add_literal(&out, ",s=");
	base64_encode(&out, slice_of((const char *)keys->salt, keys->salt_len));
	buf_printf(&out, ",i=%u", keys->iterations);
	sasl->server_first = buf_slice(&out);
	return challenge(sasl, SASL_WAIT_PROOF, sasl->server_first);
}

static struct slice concat(struct arena *arena, struct slice a, struct slice b)
{
	return slice_join(arena, (const struct slice[]){a, b}, 2);
}

/* RFC 5802 section 5.1: c= is the header once more and the channel's data, r= both nonces. */
static bool final_is_for_us(const struct sasl *sasl, const struct scram_client_final *final)
{
	struct slice binding = concat(sasl->arena, sasl->first.header, binding_data(sasl));
	struct slice nonce = concat(sasl->arena, sasl->first.nonce, sasl->nonce);

	return slice_eq(final->binding, binding) && slice_eq(final->nonce, nonce);
}

static struct slice auth_message(const struct sasl *sasl, struct slice without_proof)
{
	const struct slice parts[] = {sasl->first.bare, SLICE(","), sasl->server_first, SLICE(","), without_proof};

	return slice_join(sasl->arena, parts, sizeof parts / sizeof parts[0]);
}

static enum sasl_result scram_final(struct sasl *sasl, struct slice message)
{
	struct scram_client_final final;
	uint8_t signature[SCRAM_HASH_MAX];
	struct buf out;

	if (!scram_parse_client_final(sasl->arena, message, sasl_hash(sasl), &final))
		return finish(sasl, SASL_MALFORMED);
	struct slice said = auth_message(sasl, final.without_proof);

	if (!final_is_for_us(sasl, &final) || !scram_verify_proof(&sasl->keys, said, final.proof) ||
	    !scram_server_signature(&sasl->keys, said, signature))
		return finish(sasl, SASL_REFUSE);
	buf_init(&out, sasl->arena, 0);
	buf_add_literal(&out, "v=");
	base64_encode(&out, slice_of((const char *)signature, scram_hash_length(sasl->keys.hash)));
	sasl->challenge = buf_slice(&out);
	return finish(sasl, SASL_ACCEPT);
}

/* ---- bearer tokens ---- */

/* RFC 6750 section 2.1: "Bearer", without regard to case (RFC 9110 section 11.1), and a b64token. */
static bool take_bearer(struct sasl *sasl, struct slice value)
{
	struct slice scheme = slice_cut(&value, ' '), token = slice_trim(value);

	for (size_t i = 0; i < token.len; i++)
		if (token.data[i] <= ' ' || token.data[i] > '~')
			return false;
	sasl->password = token;
	return slice_eq_nocase(scheme, SLICE("Bearer")) && token.len > 0;
}

/* RFC 7628 section 3.1: key=value pairs, a 0x01 behind each and one at the end. `user`: what a key "user" holds (XOAUTH2). */
static bool take_pairs(struct sasl *sasl, struct slice pairs, struct slice *user)
{
	bool has_token = false;

	while (!slice_eq(pairs, SLICE("\1"))) {
		size_t end = slice_find_byte(pairs, '\1');

		if (end == SLICE_NOT_FOUND || end == 0)
			return false;
		struct slice value = slice_sub(pairs, 0, end), key = slice_cut(&value, '=');

		pairs = slice_skip(pairs, end + 1);
		if (slice_eq_nocase(key, SLICE("user")))
			*user = value;
		else if (slice_eq_nocase(key, SLICE("auth")) && !(has_token = take_bearer(sasl, value)))
			return false;
	}
	return has_token;
}

static bool is_name(struct slice user)
{
	return slice_is_utf8(user) && slice_find_byte(user, '\0') == SLICE_NOT_FOUND;
}

/* RFC 7628 section 3.1: a gs2-header without channel binding, whose a= is the user, then the pairs. */
static enum sasl_result bearer_message(struct sasl *sasl, struct slice message)
{
	struct slice header = slice_sub(message, 0, slice_find_byte(message, '\1')), unused = SLICE_EMPTY;

	if (header.len == message.len || !scram_parse_header(sasl->arena, header, &sasl->user) ||
	    !take_pairs(sasl, slice_skip(message, header.len + 1), &unused) || !is_name(sasl->user))
		return finish(sasl, SASL_MALFORMED);
	sasl->state = SASL_WAIT_TOKEN;
	return SASL_NEED_TOKEN;
}

/* Google's: "user=" in place of the header. */
static enum sasl_result xoauth2_message(struct sasl *sasl, struct slice message)
{
	sasl->user = SLICE_EMPTY;
	if (!take_pairs(sasl, message, &sasl->user) || sasl->user.len == 0 || !is_name(sasl->user))
		return finish(sasl, SASL_MALFORMED);
	sasl->state = SASL_WAIT_TOKEN;
	return SASL_NEED_TOKEN;
}

enum sasl_result sasl_refuse_token(struct sasl *sasl)
{
	if (sasl->state != SASL_WAIT_TOKEN)
		return finish(sasl, SASL_MALFORMED);
	/* RFC 7628 section 3.2.2; XOAUTH2 has an HTTP status there. */
	return challenge(sasl, SASL_WAIT_ACKNOWLEDGEMENT,
			 sasl->mechanism == SASL_XOAUTH2 ? SLICE("{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"\"}")
							 : SLICE("{\"status\":\"invalid_token\"}"));
}

/* RFC 4422 appendix A: the name to act as, or nothing. */
static enum sasl_result external_message(struct sasl *sasl, struct slice message)
{
	sasl->user = message;
	return finish(sasl, is_name(message) ? SASL_NEED_IDENTITY : SASL_MALFORMED);
}

static enum sasl_result first_message(struct sasl *sasl, struct slice message)
{
	switch (sasl->mechanism) {
	case SASL_OAUTHBEARER:
		return bearer_message(sasl, message);
	case SASL_XOAUTH2:
		return xoauth2_message(sasl, message);
	case SASL_EXTERNAL:
		return external_message(sasl, message);
	case SASL_PLAIN:
		return plain_message(sasl, message);
	case SASL_LOGIN:
		return login_user(sasl, message);
	default:
		return scram_first(sasl, message);
	}
}

enum sasl_result sasl_step(struct sasl *sasl, struct slice response)
{
	if (response.len > SASL_MESSAGE_MAX)
		return finish(sasl, SASL_MALFORMED);
	struct slice message = slice_dup(sasl->arena, response);

	sasl->challenge = SLICE_EMPTY;
	switch (sasl->state) {
	case SASL_WAIT_INITIAL:
		return first_message(sasl, message);
	case SASL_WAIT_PASSWORD:
		return login_password(sasl, message);
	case SASL_WAIT_PROOF:
		return scram_final(sasl, message);
	case SASL_WAIT_ACKNOWLEDGEMENT: /* %x01, or nothing; it changes nothing */
		return finish(sasl, SASL_REFUSE);
	default:
		return finish(sasl, SASL_MALFORMED);
	}
}

enum sasl_result sasl_begin(struct sasl *sasl, struct arena *arena, enum sasl_mechanism mechanism,
			    const struct sasl_bindings *bindings, struct slice nonce, const struct slice *initial)
{
	*sasl = (struct sasl){.mechanism = mechanism, .arena = arena};
	sasl->nonce = slice_dup(arena, nonce);
	sasl->bindings.exporter = slice_dup(arena, bindings->exporter);
	sasl->bindings.unique = slice_dup(arena, bindings->unique);
	sasl->bindings.end_point = slice_dup(arena, bindings->end_point);
	if (initial)
		return sasl_step(sasl, *initial);
	/* RFC 4422 section 3: the client speaks first, asked by an empty challenge. LOGIN's server asks by name. */
	return challenge(sasl, SASL_WAIT_INITIAL, mechanism == SASL_LOGIN ? SLICE("Username:") : SLICE_EMPTY);
}
