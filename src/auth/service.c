/* Invariants: nothing is looked up for a peer that is locked out. Every way to AUTH_REFUSED goes through `refuse`, which counts
 * and delays it. No lock is held while a password is checked or an answer is held back. */
#include "auth/service.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "auth/checks.h"
#include "auth/exchange.h"
#include "auth/password_scheme.h"
#include "auth/remember.h"
#include "auth/wire.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/thread.h"

#define DEFAULT_THREADS    2
#define DEFAULT_WAITING    64
#define DEFAULT_REMEMBER_S 300
#define DEFAULT_DELAY_FROM 3
#define DEFAULT_LOCK_FROM  10
#define DEFAULT_LOCKOUT_S  600
#define DEFAULT_DELAY_MS   1000
#define EXCHANGES_MAX      2048
#define SLEEPERS_MAX       32 /* answers held back at a time: each keeps a thread of the caller waiting */
#define NONCE_LENGTH       24
#define CHECKS_MAX         3 /* of one attempt, if the password changes while it is checked */

struct auth_service {
	struct credentials *credentials;
	const struct log *log;
	bool upgrades;
	void (*offence)(void *context, const struct net_address *peer);
	void *offence_context;
	struct lockout *lockout;
	struct remember *remember;
	struct checks *checks;
	struct exchange_list *exchanges;
	pthread_rwlock_t tokens_lock;
	struct token_issuers *tokens; /* NULL: none are taken */
	pthread_mutex_t sleep_mutex;
	pthread_cond_t stop;
	unsigned sleepers;
	bool stopping;
};

/* Who tries to log in, for counting and logging. */
struct caller {
	struct lockout_keys keys;
	struct slice user; /* prepared; as typed if it isn't an address */
	struct slice protocol;
	const struct net_address *address;
};

/* One try to log in with a password. */
struct attempt {
	struct auth_service *service;
	struct caller caller;
	struct slice password;
	struct arena *arena;
	struct credential credential; /* if known */
	bool known;
	struct remember_tag tag;
	enum auth_outcome outcome;
};

/* ---- life ---- */

static unsigned or_default(unsigned value, unsigned preset)
{
	return value > 0 ? value : preset;
}

static struct lockout *make_lockout(const struct auth_service_options *options)
{
	struct lockout_options lockout = {
		.failures_before_delay = or_default(options->failures_before_delay, DEFAULT_DELAY_FROM),
		.failures_before_lockout = or_default(options->failures_before_lockout, DEFAULT_LOCK_FROM),
		.lockout_ms = (options->lockout_s > 0 ? options->lockout_s : DEFAULT_LOCKOUT_S) * 1000,
		.delay_ms = options->delay_ms > 0 ? options->delay_ms : DEFAULT_DELAY_MS,
	};

	return lockout_new(&lockout);
}

static void init_sleep(struct auth_service *service)
{
	pthread_mutex_init(&service->sleep_mutex, NULL);
	thread_condition_init(&service->stop);
}

struct auth_service *auth_service_new(const struct auth_service_options *options, struct credentials *credentials,
				      const struct log *log)
{
	struct auth_service *service = calloc(1, sizeof *service);
	int remember_s = options->remember_s == 0 ? DEFAULT_REMEMBER_S : options->remember_s;

	if (!service)
		abort();
	service->credentials = credentials;
	service->log = log;
	service->upgrades = !options->keep_imported_hashes;
	service->offence = options->offence;
	service->offence_context = options->offence_context;
	service->lockout = make_lockout(options);
	service->remember = remember_new(remember_s * 1000);
	service->checks =
		checks_new(or_default(options->check_threads, DEFAULT_THREADS), or_default(options->waiting, DEFAULT_WAITING));
	service->exchanges = exchange_list_new(EXCHANGES_MAX);
	pthread_rwlock_init(&service->tokens_lock, NULL);
	service->tokens = options->tokens;
	init_sleep(service);
	return service;
}

void auth_service_free(struct auth_service *service)
{
	if (!service)
		return;
	pthread_mutex_lock(&service->sleep_mutex);
	service->stopping = true;
	pthread_cond_broadcast(&service->stop);
	while (service->sleepers > 0)
		pthread_cond_wait(&service->stop, &service->sleep_mutex);
	pthread_mutex_unlock(&service->sleep_mutex);
	checks_free(service->checks);
	exchange_list_free(service->exchanges);
	remember_free(service->remember);
	lockout_free(service->lockout);
	credentials_close(service->credentials);
	token_issuers_free(service->tokens);
	pthread_rwlock_destroy(&service->tokens_lock);
	pthread_cond_destroy(&service->stop);
	pthread_mutex_destroy(&service->sleep_mutex);
	free(service);
}

void auth_service_forget(struct auth_service *service, struct slice address)
{
	struct arena arena SCOPED_ARENA;
	struct slice prepared = SLICE_EMPTY;

	arena_init(&arena, 0);
	if (address.len == 0 || address_prepare(&arena, address, &prepared))
		remember_forget(service->remember, prepared);
}

void auth_service_set_tokens(struct auth_service *service, struct token_issuers *tokens)
{
	pthread_rwlock_wrlock(&service->tokens_lock);
	struct token_issuers *old = service->tokens;

	service->tokens = tokens;
	pthread_rwlock_unlock(&service->tokens_lock);
	token_issuers_free(old);
}

/* ---- failures ---- */

/* When too many wait already the answer is given at once: lock-out still bounds the guesses. */
static void hold_back(struct auth_service *service, int ms)
{
	if (ms == 0)
		return;
	int64_t until_ms = clock_monotonic_ms() + ms;

	pthread_mutex_lock(&service->sleep_mutex);
	if (service->sleepers < SLEEPERS_MAX) {
		service->sleepers++;
		while (!service->stopping && thread_wait_until(&service->stop, &service->sleep_mutex, until_ms))
			;
		service->sleepers--;
		if (service->stopping)
			pthread_cond_broadcast(&service->stop);
	}
	pthread_mutex_unlock(&service->sleep_mutex);
}

static void log_caller(const struct auth_service *service, enum log_level level, const char *event, const struct caller *caller)
{
	struct buf peer SCOPED_BUF;

	if (level < atomic_load_explicit(&service->log->level, memory_order_relaxed))
		return;
	buf_init(&peer, NULL, 0);
	net_address_format(&peer, caller->address);
	LOG_AT(service->log, level, event, LOG_STR("user", slice_sub(caller->user, 0, CREDENTIAL_ADDRESS_MAX)),
	       LOG_STR("protocol", caller->protocol), LOG_STR("peer", buf_slice(&peer)));
}

static void count_attempt(const struct auth_service *service, enum auth_outcome outcome)
{
	static const char *const names[] = {
		[AUTH_ACCEPTED] = "accepted", [AUTH_REFUSED] = "refused", [AUTH_LOCKED_OUT] = "locked-out", [AUTH_UNAVAILABLE] = "unavailable"};

	METRIC_ADD(service->log, METRIC_AUTH_ATTEMPTS, metrics_label(METRIC_AUTH_ATTEMPTS, slice_from_cstr(names[outcome])), 1);
}

/* Once its network is locked out, and not only one user for it. */
static void report_network(struct auth_service *service, const struct caller *caller)
{
	struct lockout_keys network = {.network = caller->keys.network};

	if (service->offence && network.network != 0 && lockout_is_locked(service->lockout, network, clock_monotonic_ms()))
		service->offence(service->offence_context, caller->address);
}

static enum auth_outcome refuse(struct auth_service *service, const struct caller *caller, uint64_t guess)
{
	int delay_ms = lockout_failure(service->lockout, caller->keys, guess, clock_monotonic_ms());

	count_attempt(service, AUTH_REFUSED);
	log_caller(service, LOG_LEVEL_INFO, "auth.refused", caller);
	report_network(service, caller);
	hold_back(service, delay_ms);
	return AUTH_REFUSED;
}

static void note_accepted(struct auth_service *service, const struct caller *caller)
{
	lockout_success(service->lockout, caller->keys);
	count_attempt(service, AUTH_ACCEPTED);
	log_caller(service, LOG_LEVEL_DEBUG, "auth.accepted", caller);
}

static bool is_locked(struct auth_service *service, const struct caller *caller)
{
	if (!lockout_is_locked(service->lockout, caller->keys, clock_monotonic_ms()))
		return false;
	count_attempt(service, AUTH_LOCKED_OUT);
	log_caller(service, LOG_LEVEL_INFO, "auth.locked_out", caller);
	return true;
}

/* The name as it is looked up and counted. What is no address is an unknown user like any other. */
static struct slice name_of(struct arena *arena, struct slice typed)
{
	struct slice prepared;

	return address_prepare(arena, typed, &prepared) ? prepared : typed;
}

/* ---- passwords ---- */

static bool fits(struct slice stored, struct slice password)
{
	struct arena arena SCOPED_ARENA;

	arena_init(&arena, 0);
	struct slice prepared = password_prepare(&arena, password);

	if (password_verify(stored, prepared))
		return true;
	/* A hash made elsewhere may be of the bytes as they were typed there. */
	return !slice_eq(prepared, password) && password_verify(stored, password);
}

static bool is_remembered(const struct attempt *attempt)
{
	if (!attempt->known || !attempt->credential.enabled ||
	    !remember_has(attempt->service->remember, &attempt->tag, clock_monotonic_ms()))
		return false;
	METRIC_ADD(attempt->service->log, METRIC_AUTH_REMEMBERED, 0, 1);
	return true;
}

static bool is_known_guess(const struct attempt *attempt)
{
	return lockout_is_known_guess(attempt->service->lockout, attempt->caller.keys, remember_guess(&attempt->tag),
				      clock_monotonic_ms());
}

static bool verify(const struct attempt *attempt)
{
	struct slice dummy = credentials_dummy_hash(attempt->service->credentials);
	const struct credential *credential = &attempt->credential;

	if (!attempt->known) {
		fits(dummy, attempt->password);
		return false;
	}
	if (fits(credential->password_hash, attempt->password) && credential->enabled)
		return true;
	/* A hash that is quicker to check than our own must not tell that its user exists. */
	if (!credential_is_current(attempt->service->credentials, credential))
		fits(dummy, attempt->password);
	return false;
}

static bool verify_timed(const struct attempt *attempt)
{
	struct metrics *metrics = attempt->service->log->metrics;
	int64_t began_us = metrics_now_us(metrics);
	bool is_right = verify(attempt);

	metrics_observe(metrics, METRIC_AUTH_SECONDS, (uint64_t)(metrics_now_us(metrics) - began_us));
	return is_right;
}

/* Its failure is no failure of the login. */
static void upgrade(struct attempt *attempt)
{
	struct auth_service *service = attempt->service;
	uint64_t version = attempt->credential.version;

	if (!service->upgrades || credential_is_current(service->credentials, &attempt->credential))
		return;
	enum status status =
		credential_upgrade(service->credentials, attempt->caller.user, version, attempt->password, &version);

	/* Changed meanwhile, perhaps by another login that did the same. */
	if (status == STATUS_NOT_FOUND)
		return;
	if (status != STATUS_OK) {
		LOG_WARNING(service->log, "auth.upgrade_failed", LOG_STR("user", attempt->caller.user),
			    LOG_STR("status", status_name(status)));
		return;
	}
	LOG_INFO(service->log, "auth.upgraded", LOG_STR("user", attempt->caller.user));
	/* What is remembered is bound to the new version. */
	attempt->credential.version = version;
	attempt->known = remember_make_tag(service->remember, attempt->caller.user, version, attempt->password, &attempt->tag);
}

/* The credential as it is now, and the tag that belongs to it. */
static bool read_credential(struct attempt *attempt)
{
	struct auth_service *service = attempt->service;
	enum status status =
		credential_find(service->credentials, attempt->arena, attempt->caller.user, &attempt->credential);

	attempt->known = status == STATUS_OK;
	return (status == STATUS_OK || status == STATUS_NOT_FOUND) &&
	       remember_make_tag(service->remember, attempt->caller.user, attempt->known ? attempt->credential.version : 0,
				 attempt->password, &attempt->tag);
}

/* A check takes its time, and the sessions of who is disabled or is given a new password meanwhile have been ended before this one
 * begins. AUTH_CONTINUE: what was checked is out of date. */
static enum auth_outcome settle(struct attempt *attempt)
{
	struct auth_service *service = attempt->service;
	struct credential now;
	enum status status = credential_find(service->credentials, attempt->arena, attempt->caller.user, &now);

	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? AUTH_REFUSED : AUTH_UNAVAILABLE;
	if (!now.enabled)
		return AUTH_REFUSED;
	if (now.version != attempt->credential.version)
		return AUTH_CONTINUE;
	if (attempt->known)
		remember_add(service->remember, &attempt->tag, attempt->caller.user, clock_monotonic_ms());
	return AUTH_ACCEPTED;
}

static enum auth_outcome check_once(struct attempt *attempt)
{
	if (lockout_is_locked(attempt->service->lockout, attempt->caller.keys, clock_monotonic_ms()))
		return AUTH_LOCKED_OUT;
	if (!read_credential(attempt))
		return AUTH_UNAVAILABLE;
	if (is_remembered(attempt))
		return AUTH_ACCEPTED;
	if (is_known_guess(attempt) || !verify_timed(attempt))
		return AUTH_REFUSED;
	upgrade(attempt);
	return settle(attempt);
}

/* On a check thread, perhaps after a wait: others may have settled the question meanwhile, or changed the password. */
static void check(void *context)
{
	struct attempt *attempt = context;

	for (int i = 0; i < CHECKS_MAX; i++) {
		attempt->outcome = check_once(attempt);
		if (attempt->outcome != AUTH_CONTINUE)
			return;
	}
	attempt->outcome = AUTH_UNAVAILABLE;
}

/* What can be said without a check, else AUTH_UNAVAILABLE and `checkable`. */
static enum auth_outcome what_is_known(struct attempt *attempt, bool *checkable)
{
	*checkable = false;
	if (is_locked(attempt->service, &attempt->caller))
		return AUTH_LOCKED_OUT;
	if (!read_credential(attempt))
		return AUTH_UNAVAILABLE;
	if (is_remembered(attempt))
		return AUTH_ACCEPTED;
	if (is_known_guess(attempt))
		return AUTH_REFUSED;
	*checkable = true;
	return AUTH_UNAVAILABLE;
}

static enum checked check_in_line(struct attempt *attempt, uint64_t question)
{
	uint64_t group = attempt->caller.keys.network ? attempt->caller.keys.network : attempt->caller.keys.account;

	return checks_run(attempt->service->checks, group, question, check, attempt);
}

/* A client that opens many connections at once asks the same many times; one check answers all, unless nothing is remembered. */
static enum auth_outcome decide(struct attempt *attempt)
{
	struct auth_service *service = attempt->service;
	bool checkable;
	enum auth_outcome outcome = what_is_known(attempt, &checkable);

	if (!checkable)
		return outcome;
	enum checked checked = check_in_line(attempt, remember_guess(&attempt->tag));

	if (checked == CHECKED_FOR_ANOTHER) {
		outcome = what_is_known(attempt, &checkable);
		if (!checkable)
			return outcome;
		checked = check_in_line(attempt, 0);
	}
	if (checked == CHECKED)
		return attempt->outcome;
	count_attempt(service, AUTH_UNAVAILABLE);
	LOG_WARNING(service->log, "auth.too_busy", LOG_STR("user", attempt->caller.user));
	return AUTH_UNAVAILABLE;
}

static struct auth_reply check_password(struct auth_service *service, struct arena *arena, struct slice protocol,
					const struct net_address *address, struct slice user, struct slice password)
{
	struct attempt attempt = {.service = service, .password = password, .arena = arena};

	if (password.len > CREDENTIAL_PASSWORD_MAX)
		return (struct auth_reply){.outcome = AUTH_MALFORMED};
	attempt.caller = (struct caller){.user = name_of(arena, user), .protocol = protocol, .address = address};
	attempt.caller.keys = lockout_keys(service->lockout, attempt.caller.user, address);
	struct auth_reply reply = {.outcome = decide(&attempt)};

	if (reply.outcome == AUTH_REFUSED) {
		refuse(service, &attempt.caller, remember_guess(&attempt.tag));
	} else if (reply.outcome == AUTH_ACCEPTED) {
		note_accepted(service, &attempt.caller);
		reply.account = attempt.credential.account;
		reply.address = attempt.caller.user;
	}
	return reply;
}

/* ---- SASL exchanges ---- */

static struct caller caller_of(const struct exchange *exchange)
{
	return (struct caller){exchange->keys, exchange->address, exchange->protocol, &exchange->peer};
}

static void name_caller(struct auth_service *service, struct exchange *exchange)
{
	exchange->address = name_of(&exchange->arena, exchange->sasl.user);
	exchange->keys = lockout_keys(service->lockout, exchange->address, &exchange->peer);
}

/* What SCRAM shows to a user that doesn't exist is of the same form and stays the same. */
static bool find_keys(struct auth_service *service, struct exchange *exchange, struct scram_keys *keys)
{
	enum scram_hash hash = sasl_hash(&exchange->sasl);
	struct credential credential;
	enum status status = credential_find(service->credentials, &exchange->arena, exchange->address, &credential);

	if (status != STATUS_OK && status != STATUS_NOT_FOUND)
		return false;
	if (status == STATUS_OK && scram_keys_parse(&exchange->arena, credential.scram, hash, keys)) {
		exchange->may_log_in = credential.enabled;
		exchange->account = credential.account;
		exchange->version = credential.version;
		return true;
	}
	struct slice fake = credentials_fake_scram(service->credentials, &exchange->arena, exchange->address, hash);

	return scram_keys_parse(&exchange->arena, fake, hash, keys);
}

static enum auth_outcome start_scram(struct auth_service *service, struct exchange *exchange)
{
	struct scram_keys keys;

	name_caller(service, exchange);
	struct caller caller = caller_of(exchange);

	if (is_locked(service, &caller))
		return AUTH_LOCKED_OUT;
	if (!find_keys(service, exchange, &keys))
		return AUTH_UNAVAILABLE;
	return sasl_supply_keys(&exchange->sasl, &keys) == SASL_CHALLENGE ? AUTH_CONTINUE : AUTH_MALFORMED;
}

/* The credential must still be the one whose keys were used. */
static enum auth_outcome end_scram(struct auth_service *service, struct exchange *exchange)
{
	struct credential credential;

	if (!exchange->may_log_in)
		return AUTH_REFUSED;
	enum status status = credential_find(service->credentials, &exchange->arena, exchange->address, &credential);

	if (status == STATUS_OK)
		return credential.enabled && credential.version == exchange->version ? AUTH_ACCEPTED : AUTH_REFUSED;
	return status == STATUS_NOT_FOUND ? AUTH_REFUSED : AUTH_UNAVAILABLE;
}

/* A refusal may come before the name was looked at: a binding that this connection has not. */
static enum auth_outcome refuse_exchange(struct auth_service *service, struct exchange *exchange)
{
	if (exchange->keys.account == 0)
		name_caller(service, exchange);
	struct caller caller = caller_of(exchange);

	return refuse(service, &caller, 0);
}

static struct auth_reply finish_scram(struct auth_service *service, struct exchange *exchange)
{
	struct auth_reply reply = {.outcome = end_scram(service, exchange)};

	if (reply.outcome == AUTH_REFUSED)
		refuse_exchange(service, exchange);
	if (reply.outcome != AUTH_ACCEPTED)
		return reply;
	struct caller caller = caller_of(exchange);

	note_accepted(service, &caller);
	reply.account = exchange->account;
	reply.address = exchange->address;
	reply.challenge = exchange->sasl.challenge;
	return reply;
}

/* ---- tokens and certificates: somebody else vouches for the name ---- */

static struct auth_reply admit(struct auth_service *service, struct exchange *exchange, struct slice address)
{
	struct credential credential;
	enum status status = credential_find(service->credentials, &exchange->arena, address, &credential);

	if (status != STATUS_OK && status != STATUS_NOT_FOUND)
		return (struct auth_reply){.outcome = AUTH_UNAVAILABLE};
	if (status == STATUS_NOT_FOUND || !credential.enabled)
		return (struct auth_reply){.outcome = AUTH_REFUSED};
	exchange->address = address;
	struct caller caller = caller_of(exchange);

	note_accepted(service, &caller);
	return (struct auth_reply){.outcome = AUTH_ACCEPTED, .account = credential.account, .address = address};
}

static bool verify_token(struct auth_service *service, struct exchange *exchange, struct slice *user)
{
	pthread_rwlock_rdlock(&service->tokens_lock);
	bool is_good = service->tokens &&
		       token_verify(service->tokens, exchange->sasl.password, clock_wall_ms(), &exchange->arena, user);

	pthread_rwlock_unlock(&service->tokens_lock);
	return is_good;
}

/* The user whom the client names must be the token's. */
static struct auth_reply admit_token(struct auth_service *service, struct exchange *exchange)
{
	struct slice user;

	if (!verify_token(service, exchange, &user))
		return (struct auth_reply){.outcome = AUTH_REFUSED};
	user = name_of(&exchange->arena, user);
	if (exchange->sasl.user.len > 0 && !slice_eq(user, exchange->address))
		return (struct auth_reply){.outcome = AUTH_REFUSED};
	return admit(service, exchange, user);
}

static struct auth_reply check_token(struct auth_service *service, struct exchange *exchange)
{
	name_caller(service, exchange);
	struct caller caller = caller_of(exchange);

	if (is_locked(service, &caller))
		return (struct auth_reply){.outcome = AUTH_LOCKED_OUT};
	struct auth_reply reply = admit_token(service, exchange);

	if (reply.outcome == AUTH_REFUSED && sasl_refuse_token(&exchange->sasl) == SASL_CHALLENGE)
		reply.outcome = AUTH_CONTINUE;
	return reply;
}

/* Of the certificate's addresses the one that is asked for, or the first that has an account. */
static struct auth_reply admit_certified(struct auth_service *service, struct exchange *exchange)
{
	struct auth_reply reply = {.outcome = AUTH_REFUSED};
	struct slice rest = exchange->certified;

	while (rest.len > 0 && reply.outcome == AUTH_REFUSED) {
		struct slice address = name_of(&exchange->arena, slice_cut(&rest, '\n'));

		if (exchange->sasl.user.len == 0 || slice_eq(address, exchange->address))
			reply = admit(service, exchange, address);
	}
	return reply;
}

static struct auth_reply check_identity(struct auth_service *service, struct exchange *exchange)
{
	name_caller(service, exchange);
	struct caller caller = caller_of(exchange);

	if (is_locked(service, &caller))
		return (struct auth_reply){.outcome = AUTH_LOCKED_OUT};
	struct auth_reply reply = admit_certified(service, exchange);

	if (reply.outcome == AUTH_REFUSED)
		refuse_exchange(service, exchange);
	return reply;
}

static struct auth_reply act_on(struct auth_service *service, struct exchange *exchange, enum sasl_result result)
{
	const struct sasl *sasl = &exchange->sasl;

	switch (result) {
	case SASL_CHALLENGE:
		return (struct auth_reply){.outcome = AUTH_CONTINUE};
	case SASL_NEED_PASSWORD:
		return check_password(service, &exchange->arena, exchange->protocol, &exchange->peer, sasl->user,
				      sasl->password);
	case SASL_NEED_KEYS:
		return (struct auth_reply){.outcome = start_scram(service, exchange)};
	case SASL_NEED_TOKEN:
		return check_token(service, exchange);
	case SASL_NEED_IDENTITY:
		return check_identity(service, exchange);
	case SASL_ACCEPT:
		return finish_scram(service, exchange);
	case SASL_REFUSE:
		return (struct auth_reply){.outcome = refuse_exchange(service, exchange)};
	case SASL_MALFORMED:
		break;
	}
	return (struct auth_reply){.outcome = AUTH_MALFORMED};
}

/* The reply is written before the exchange, whose memory it points into, goes. */
static void answer_and_keep(struct auth_service *service, struct exchange *exchange, enum sasl_result result, struct buf *out)
{
	struct auth_reply reply = act_on(service, exchange, result);

	if (reply.outcome == AUTH_CONTINUE) {
		reply.exchange = exchange->id;
		reply.challenge = exchange->sasl.challenge;
	}
	wire_pack_reply(out, &reply);
	if (reply.outcome == AUTH_CONTINUE && !arena_is_full(&exchange->arena))
		exchange_put(service->exchanges, exchange, clock_monotonic_ms());
	else
		exchange_free(exchange);
}

static struct exchange *new_exchange(const struct ipc_request *request, const struct auth_peer *peer)
{
	struct exchange *exchange = exchange_new((int)request->from, clock_monotonic_ms());

	exchange->protocol = slice_dup(&exchange->arena, peer->protocol);
	exchange->peer = peer->address;
	exchange->certified = slice_dup(&exchange->arena, peer->certified);
	return exchange;
}

static void begin(struct auth_service *service, const struct ipc_request *request, const struct auth_peer *peer,
		  struct slice mechanism_name, const struct slice *initial, struct buf *out)
{
	enum sasl_mechanism mechanism;
	struct sasl_bindings bindings = {peer->binding_exporter, peer->binding_unique, peer->binding_end_point};

	if (!sasl_mechanism_parse(mechanism_name, &mechanism)) {
		wire_pack_reply(out, &(struct auth_reply){.outcome = AUTH_MALFORMED});
		return;
	}
	struct exchange *exchange = new_exchange(request, peer);
	struct slice nonce = random_token(&exchange->arena, NONCE_LENGTH);
	enum sasl_result result = sasl_begin(&exchange->sasl, &exchange->arena, mechanism, &bindings, nonce, initial);

	answer_and_keep(service, exchange, result, out);
}

/* ---- requests ---- */

static enum status handle_begin(struct auth_service *service, struct ipc_request *request, struct buf *out)
{
	struct unpack in = unpack_begin(request->payload);
	struct auth_peer peer;

	wire_unpack_peer(&in, &peer);
	struct slice mechanism = unpack_slice(&in);
	bool has_initial = unpack_u8(&in) != 0;
	struct slice initial = unpack_slice(&in);

	if (!unpack_ok(&in))
		return STATUS_PEER;
	begin(service, request, &peer, mechanism, has_initial ? &initial : NULL, out);
	return STATUS_OK;
}

/* Many exchanges may have been begun before the first of them failed: the proof is not even looked at. */
static void step(struct auth_service *service, struct exchange *exchange, struct slice response, struct buf *out)
{
	struct caller caller = caller_of(exchange);

	if (caller.keys.account != 0 && is_locked(service, &caller)) {
		wire_pack_reply(out, &(struct auth_reply){.outcome = AUTH_LOCKED_OUT});
		exchange_free(exchange);
		return;
	}
	answer_and_keep(service, exchange, sasl_step(&exchange->sasl, response), out);
}

static enum status handle_step(struct auth_service *service, struct ipc_request *request, struct buf *out)
{
	struct unpack in = unpack_begin(request->payload);
	uint64_t id = unpack_u64(&in);
	struct slice response = unpack_slice(&in);

	if (!unpack_ok(&in))
		return STATUS_PEER;
	struct exchange *exchange = exchange_take(service->exchanges, id, (int)request->from, clock_monotonic_ms());

	if (exchange)
		step(service, exchange, response, out);
	else
		wire_pack_reply(out, &(struct auth_reply){.outcome = AUTH_UNAVAILABLE});
	return STATUS_OK;
}

static enum status handle_cancel(struct auth_service *service, struct ipc_request *request, struct buf *out)
{
	struct unpack in = unpack_begin(request->payload);
	uint64_t id = unpack_u64(&in);

	if (!unpack_ok(&in))
		return STATUS_PEER;
	exchange_free(exchange_take(service->exchanges, id, (int)request->from, clock_monotonic_ms()));
	wire_pack_reply(out, &(struct auth_reply){.outcome = AUTH_REFUSED});
	return STATUS_OK;
}

static enum status handle_password(struct auth_service *service, struct ipc_request *request, struct arena *arena,
				   struct buf *out)
{
	struct unpack in = unpack_begin(request->payload);
	struct auth_peer peer;

	wire_unpack_peer(&in, &peer);
	struct slice user = unpack_slice(&in);
	struct slice password = unpack_slice(&in);

	if (!unpack_ok(&in))
		return STATUS_PEER;
	struct auth_reply reply = check_password(service, arena, peer.protocol, &peer.address, user, password);

	wire_pack_reply(out, &reply);
	return STATUS_OK;
}

enum status auth_service_handle(void *service, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	switch (request->type) {
	case AUTH_REQUEST_BEGIN:
		return handle_begin(service, request, reply);
	case AUTH_REQUEST_STEP:
		return handle_step(service, request, reply);
	case AUTH_REQUEST_CANCEL:
		return handle_cancel(service, request, reply);
	case AUTH_REQUEST_PASSWORD:
		return handle_password(service, request, arena, reply);
	}
	return STATUS_PEER;
}
