#include "auth_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "auth/auth.h"
#include "auth/scram.h"
#include "auth/service.h"
#include "base/base64.h"
#include "base/clock.h"
#include "scram_client.h"
#include "token_maker.h"

#define ALICE SLICE("alice@example.test")
#define BOB   SLICE("bob@example.test")

/* The linker puts this in front of password_verify: checks are counted, and one may be held up. */
bool __real_password_verify(struct slice stored, struct slice password);
bool __wrap_password_verify(struct slice stored, struct slice password);

static struct {
	_Atomic unsigned argon2, others;
	_Atomic bool hold;    /* the next check waits until it is false again */
	_Atomic bool holding; /* one does */
} verified;

bool __wrap_password_verify(struct slice stored, struct slice password)
{
	atomic_fetch_add(slice_starts_with(stored, SLICE("{ARGON2ID}")) ? &verified.argon2 : &verified.others, 1);
	while (verified.hold) {
		verified.holding = true;
		usleep(1000);
	}
	return __real_password_verify(stored, password);
}

/* The client's side talks to the service without a process between them: `ipc` is the service. */
enum status ipc_call(struct ipc *ipc, enum role to, uint32_t type, struct slice payload, int fd, int timeout_ms,
		     struct arena *arena, struct slice *reply)
{
	struct ipc_request request = {.from = ROLE_IMAP, .type = type, .payload = payload, .fd = -1};
	struct buf out;

	(void)fd;
	(void)timeout_ms;
	assert_int_equal(to, ROLE_AUTH);
	buf_init(&out, arena, IPC_FRAME_MAX);
	enum status status = auth_service_handle(ipc, &request, arena, &out);

	*reply = buf_slice(&out);
	return status;
}

struct setting {
	struct auth_fixture fixture;
	struct auth_service *service;
};

static struct ipc *ipc_of(struct setting *setting)
{
	return (struct ipc *)setting->service;
}

static struct setting *setting_new(struct auth_service_options options, uint32_t memory_kb)
{
	struct setting *setting = calloc(1, sizeof *setting);

	auth_fixture_init(&setting->fixture, memory_kb);
	assert_int_equal(credential_set_password(setting->fixture.credentials, ALICE, 1, SLICE("secret")), STATUS_OK);
	assert_int_equal(credential_set_password(setting->fixture.credentials, BOB, 2, SLICE("hidden")), STATUS_OK);
	setting->service = auth_service_new(&options, setting->fixture.credentials, &setting->fixture.log);
	return setting;
}

static void setting_free(struct setting *setting)
{
	auth_service_free(setting->service);
	auth_fixture_remove(&setting->fixture);
	free(setting);
}

static int setup(void **state)
{
	*state = setting_new((struct auth_service_options){.delay_ms = 1}, 64);
	return 0;
}

static int teardown(void **state)
{
	setting_free(*state);
	return 0;
}

static struct auth_peer peer(uint8_t last)
{
	return (struct auth_peer){
		.protocol = SLICE("imap"),
		.address = {.family = AF_INET, .bytes = {192, 0, 2, last}},
		.is_tls = true,
		.binding_exporter = SLICE("exporter-data"),
	};
}

static enum auth_outcome try_from(struct setting *setting, uint8_t last, struct slice user, struct slice password)
{
	struct arena arena SCOPED_ARENA;
	struct auth_peer from = peer(last);

	arena_init(&arena, 0);
	return auth_password(ipc_of(setting), &arena, &from, user, password).outcome;
}

static enum auth_outcome try(struct setting *setting, struct slice user, struct slice password)
{
	return try_from(setting, 1, user, password);
}

static void passwords(void **state)
{
	struct setting *setting = *state;
	struct auth_peer from = peer(1);
	struct arena *arena = &setting->fixture.arena;
	struct auth_reply reply = auth_password(ipc_of(setting), arena, &from, SLICE("ALICE@Example.test"), SLICE("secret"));

	assert_int_equal(reply.outcome, AUTH_ACCEPTED);
	assert_int_equal(reply.account, 1);
	assert_true(slice_eq(reply.address, ALICE));
	reply = auth_password(ipc_of(setting), arena, &from, ALICE, SLICE("Secret"));
	assert_int_equal(reply.outcome, AUTH_REFUSED);
	assert_int_equal(reply.account, 0);
	assert_int_equal(reply.address.len, 0);
	assert_int_equal(try(setting, SLICE("carol@example.test"), SLICE("secret")), AUTH_REFUSED);
	assert_int_equal(try(setting, SLICE("alice"), SLICE("secret")), AUTH_REFUSED);
	assert_int_equal(try(setting, SLICE(""), SLICE("secret")), AUTH_REFUSED);
	assert_int_equal(try(setting, ALICE, SLICE("")), AUTH_REFUSED);
	assert_int_equal(try(setting, BOB, SLICE("secret")), AUTH_REFUSED);
	assert_int_equal(try(setting, BOB, SLICE("hidden")), AUTH_ACCEPTED);
}

/* Remembered, then changed under our feet as the command line does it: another process, another connection. */
static void a_changed_password_is_forgotten(void **state)
{
	struct setting *setting = *state;
	struct auth_fixture *fixture = &setting->fixture;
	struct credentials *ours = fixture->credentials;

	for (int i = 0; i < 3; i++)
		assert_int_equal(try(setting, ALICE, SLICE("secret")), AUTH_ACCEPTED);
	auth_fixture_open(fixture);
	assert_int_equal(credential_set_password(fixture->credentials, ALICE, 0, SLICE("changed")), STATUS_OK);
	assert_int_equal(try(setting, ALICE, SLICE("secret")), AUTH_REFUSED);
	assert_int_equal(try(setting, ALICE, SLICE("changed")), AUTH_ACCEPTED);
	assert_int_equal(credential_enable(fixture->credentials, ALICE, false), STATUS_OK);
	assert_int_equal(try(setting, ALICE, SLICE("changed")), AUTH_REFUSED);
	assert_int_equal(credential_enable(fixture->credentials, ALICE, true), STATUS_OK);
	assert_int_equal(try(setting, ALICE, SLICE("changed")), AUTH_ACCEPTED);
	assert_int_equal(credential_remove(fixture->credentials, ALICE), STATUS_OK);
	assert_int_equal(try(setting, ALICE, SLICE("changed")), AUTH_REFUSED);
	credentials_close(fixture->credentials);
	fixture->credentials = ours;
}

/* The hot path: no check at all. */
static void a_remembered_login_checks_nothing(void **state)
{
	struct setting *setting = *state;

	assert_int_equal(try(setting, ALICE, SLICE("secret")), AUTH_ACCEPTED);
	verified.argon2 = verified.others = 0;
	for (int i = 0; i < 200; i++)
		assert_int_equal(try(setting, ALICE, SLICE("secret")), AUTH_ACCEPTED);
	assert_int_equal(verified.argon2 + verified.others, 0);
	/* so does the wrong password that was refused last */
	assert_int_equal(try(setting, ALICE, SLICE("wrong")), AUTH_REFUSED);
	assert_int_equal(try(setting, ALICE, SLICE("wrong")), AUTH_REFUSED);
	assert_int_equal(verified.argon2, 1);
}

static void forgetting_on_demand(void **state)
{
	struct setting *setting = *state;

	assert_int_equal(try(setting, ALICE, SLICE("secret")), AUTH_ACCEPTED);
	verified.argon2 = 0;
	for (int i = 0; i < 20; i++) {
		auth_service_forget(setting->service, i % 2 ? SLICE("Alice@example.test") : SLICE_EMPTY);
		assert_int_equal(try(setting, ALICE, SLICE("secret")), AUTH_ACCEPTED);
	}
	assert_int_equal(verified.argon2, 20);
	auth_service_forget(setting->service, BOB);
	assert_int_equal(try(setting, ALICE, SLICE("secret")), AUTH_ACCEPTED);
	assert_int_equal(verified.argon2, 20);
}

static void lockout(void **state)
{
	struct setting *setting = *state;
	char guess[16];

	/* The same wrong password again and again: a telephone, no guesser. */
	for (int i = 0; i < 50; i++)
		assert_int_equal(try(setting, ALICE, SLICE("old password")), AUTH_REFUSED);
	assert_int_equal(try(setting, ALICE, SLICE("secret")), AUTH_ACCEPTED);
	for (int i = 0; i < 10; i++) {
		snprintf(guess, sizeof guess, "guess %d", i);
		assert_int_equal(try(setting, ALICE, slice_from_cstr(guess)), AUTH_REFUSED);
	}
	/* Right or wrong, remembered or not. */
	assert_int_equal(try(setting, ALICE, SLICE("guess 11")), AUTH_LOCKED_OUT);
	assert_int_equal(try(setting, ALICE, SLICE("secret")), AUTH_LOCKED_OUT);
	assert_int_equal(try(setting, BOB, SLICE("hidden")), AUTH_ACCEPTED);
	assert_int_equal(try_from(setting, 2, ALICE, SLICE("secret")), AUTH_ACCEPTED);
	/* An unknown user is locked out just as well. */
	for (int i = 0; i < 10; i++) {
		snprintf(guess, sizeof guess, "guess %d", i);
		assert_int_equal(try(setting, SLICE("nobody"), slice_from_cstr(guess)), AUTH_REFUSED);
	}
	assert_int_equal(try(setting, SLICE("nobody"), SLICE("x")), AUTH_LOCKED_OUT);
}

static void note_offence(void *context, const struct net_address *peer)
{
	unsigned *offences = context;

	assert_int_equal(peer->family, AF_INET);
	(*offences)++;
}

/* Five users' worth of wrong passwords lock out the network: that is an offence, a user's lock-out is none. */
static void an_offence_is_reported(void **state)
{
	unsigned offences = 0;
	struct auth_service_options options = {
		.delay_ms = 1, .failures_before_lockout = 2, .offence = note_offence, .offence_context = &offences};
	struct setting *setting = setting_new(options, 64);
	char user[32];

	(void)state;
	assert_int_equal(try(setting, ALICE, SLICE("one")), AUTH_REFUSED);
	assert_int_equal(try(setting, ALICE, SLICE("two")), AUTH_REFUSED);
	assert_int_equal(try(setting, ALICE, SLICE("three")), AUTH_LOCKED_OUT);
	for (int i = 0; i < 7; i++) {
		snprintf(user, sizeof user, "user%d@example.test", i);
		assert_int_equal(try(setting, slice_from_cstr(user), SLICE("guess")), AUTH_REFUSED);
	}
	assert_int_equal(offences, 0);
	assert_int_equal(try(setting, BOB, SLICE("guess")), AUTH_REFUSED);
	assert_int_equal(offences, 1);
	assert_int_equal(try_from(setting, 2, BOB, SLICE("hidden")), AUTH_ACCEPTED);
	setting_free(setting);
}

static void delays_grow(void **state)
{
	struct setting *setting = setting_new((struct auth_service_options){.delay_ms = 40}, 64);

	(void)state;
	assert_int_equal(try(setting, ALICE, SLICE("1")), AUTH_REFUSED);
	assert_int_equal(try(setting, ALICE, SLICE("2")), AUTH_REFUSED);
	int64_t start = clock_monotonic_ms();

	/* Never less than was promised; more is the machine's affair. */
	assert_int_equal(try(setting, ALICE, SLICE("3")), AUTH_REFUSED);
	assert_int_equal(try(setting, ALICE, SLICE("4")), AUTH_REFUSED);
	assert_true(clock_monotonic_ms() - start >= 120);
	setting_free(setting);
}

/* Unknown, known, disabled (even with the right password) and imported: the same answer after one check of our own kind. */
static void users_can_not_be_told_apart(void **state)
{
	struct setting *setting = *state;
	struct credentials *credentials = setting->fixture.credentials;
	struct slice imported = SLICE("imported@example.test"), old = SLICE("old@example.test");
	struct slice ssha = SLICE("{SSHA}YEEngMWf+CVaXA++TA0kvuMCeeF22Ss0");
	const struct {
		struct slice user, password;
	} tries[] = {
		{ALICE, SLICE("wrong")},
		{SLICE("unknown@example.test"), SLICE("wrong")},
		{SLICE("unknown"), SLICE("wrong")},
		{BOB, SLICE("wrong")},
		{BOB, SLICE("hidden")},
		{imported, SLICE("wrong")},
		{old, SLICE("tanstaaftanstaaf")},
	};

	assert_int_equal(credential_set_hash(credentials, imported, 3, ssha), STATUS_OK);
	assert_int_equal(credential_set_hash(credentials, old, 4, ssha), STATUS_OK);
	assert_int_equal(credential_enable(credentials, BOB, false), STATUS_OK);
	assert_int_equal(credential_enable(credentials, old, false), STATUS_OK);
	for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
		verified.argon2 = 0;
		assert_int_equal(try(setting, tries[i].user, tries[i].password), AUTH_REFUSED);
		assert_int_equal(verified.argon2, 1);
	}
}

static void imported_hashes_are_upgraded(void **state)
{
	struct setting *setting = *state;
	struct auth_fixture *fixture = &setting->fixture;
	struct slice ssha = SLICE("{SSHA}YEEngMWf+CVaXA++TA0kvuMCeeF22Ss0");
	struct credential credential;

	assert_int_equal(credential_set_hash(fixture->credentials, ALICE, 0, ssha), STATUS_OK);
	assert_int_equal(try(setting, ALICE, SLICE("wrong")), AUTH_REFUSED);
	assert_int_equal(credential_find(fixture->credentials, &fixture->arena, ALICE, &credential), STATUS_OK);
	assert_true(slice_eq(credential.password_hash, ssha));
	assert_int_equal(try(setting, ALICE, SLICE("tanstaaftanstaaf")), AUTH_ACCEPTED);
	assert_int_equal(credential_find(fixture->credentials, &fixture->arena, ALICE, &credential), STATUS_OK);
	assert_true(credential_is_current(fixture->credentials, &credential));
	assert_int_equal(credential.account, 1);
	assert_int_equal(try(setting, ALICE, SLICE("tanstaaftanstaaf")), AUTH_ACCEPTED);
	assert_int_equal(try(setting, ALICE, SLICE("wrong")), AUTH_REFUSED);
}

static void upgrading_can_be_off(void **state)
{
	struct setting *setting = setting_new((struct auth_service_options){.keep_imported_hashes = true}, 64);
	struct slice ssha = SLICE("{SSHA}YEEngMWf+CVaXA++TA0kvuMCeeF22Ss0");
	struct credential credential;

	(void)state;
	assert_int_equal(credential_set_hash(setting->fixture.credentials, ALICE, 0, ssha), STATUS_OK);
	assert_int_equal(try(setting, ALICE, SLICE("tanstaaftanstaaf")), AUTH_ACCEPTED);
	assert_int_equal(credential_find(setting->fixture.credentials, &setting->fixture.arena, ALICE, &credential), STATUS_OK);
	assert_true(slice_eq(credential.password_hash, ssha));
	setting_free(setting);
}

/* The same letters, composed and decomposed. */
static void unicode_passwords(void **state)
{
	struct setting *setting = *state;

	assert_int_equal(credential_set_password(setting->fixture.credentials, ALICE, 0, SLICE("caf\xC3\xA9")), STATUS_OK);
	assert_int_equal(try(setting, ALICE, SLICE("cafe\xCC\x81")), AUTH_ACCEPTED);
	assert_int_equal(try(setting, ALICE, SLICE("cafe")), AUTH_REFUSED);
}

static struct auth_reply scram_with(struct setting *setting, struct arena *arena, const char *mechanism, const char *header,
				    struct slice binding, struct slice user, struct slice password)
{
	struct scram_client client = {.arena = arena, .header = slice_from_cstr(header), .binding = binding};
	struct auth_peer from = peer(1);
	struct slice first = scram_client_first_message(&client, user, SLICE("clientnonce"));
	struct auth_reply reply = auth_begin(ipc_of(setting), arena, &from, slice_from_cstr(mechanism), &first);

	if (reply.outcome != AUTH_CONTINUE)
		return reply;
	reply = auth_step(ipc_of(setting), arena, reply.exchange,
			  scram_client_final_message(&client, reply.challenge, password));
	if (reply.outcome == AUTH_ACCEPTED)
		assert_true(scram_client_trusts(&client, reply.challenge));
	return reply;
}

static void scram(void **state)
{
	struct setting *setting = *state;
	struct arena *arena = &setting->fixture.arena;
	struct auth_reply reply =
		scram_with(setting, arena, "SCRAM-SHA-256", "n,,", SLICE_EMPTY, SLICE("Alice@example.test"), SLICE("secret"));

	assert_int_equal(reply.outcome, AUTH_ACCEPTED);
	assert_int_equal(reply.account, 1);
	assert_true(slice_eq(reply.address, ALICE));
	reply = scram_with(setting, arena, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", SLICE("exporter-data"), ALICE,
			   SLICE("secret"));
	assert_int_equal(reply.outcome, AUTH_ACCEPTED);
	reply = scram_with(setting, arena, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", SLICE("man in the middle"), ALICE,
			   SLICE("secret"));
	assert_int_equal(reply.outcome, AUTH_REFUSED);
	reply = scram_with(setting, arena, "SCRAM-SHA-256", "y,,", SLICE_EMPTY, ALICE, SLICE("secret"));
	assert_int_equal(reply.outcome, AUTH_REFUSED);
	reply = scram_with(setting, arena, "SCRAM-SHA-256", "n,,", SLICE_EMPTY, ALICE, SLICE("wrong"));
	assert_int_equal(reply.outcome, AUTH_REFUSED);
	reply = scram_with(setting, arena, "SCRAM-SHA-256", "n,,", SLICE_EMPTY, SLICE("carol@example.test"), SLICE("secret"));
	assert_int_equal(reply.outcome, AUTH_REFUSED);
	assert_int_equal(credential_enable(setting->fixture.credentials, ALICE, false), STATUS_OK);
	reply = scram_with(setting, arena, "SCRAM-SHA-256", "n,,", SLICE_EMPTY, ALICE, SLICE("secret"));
	assert_int_equal(reply.outcome, AUTH_REFUSED);
}

/* "r=...,s=...,i=..." without the nonce. */
static struct slice salt_shown_to(struct setting *setting, struct slice user)
{
	struct auth_peer from = peer(1);
	struct scram_client client = {.arena = &setting->fixture.arena, .header = SLICE("n,,")};
	struct slice first = scram_client_first_message(&client, user, SLICE("abc"));
	struct auth_reply reply = auth_begin(ipc_of(setting), client.arena, &from, SLICE("SCRAM-SHA-256"), &first);
	struct slice challenge = reply.challenge;

	assert_int_equal(reply.outcome, AUTH_CONTINUE);
	auth_cancel(ipc_of(setting), reply.exchange);
	assert_int_equal(auth_step(ipc_of(setting), client.arena, reply.exchange, SLICE("x")).outcome, AUTH_UNAVAILABLE);
	slice_cut(&challenge, ',');
	return challenge;
}

static void unknown_users_have_salts_too(void **state)
{
	struct setting *setting = *state;
	struct slice alice = salt_shown_to(setting, ALICE), carol = salt_shown_to(setting, SLICE("carol@example.test"));
	struct slice imported = SLICE("imported@example.test");

	assert_true(slice_eq(alice, salt_shown_to(setting, SLICE("ALICE@example.test"))));
	assert_true(slice_eq(carol, salt_shown_to(setting, SLICE("CAROL@example.test"))));
	assert_false(slice_eq(carol, salt_shown_to(setting, SLICE("dave@example.test"))));
	assert_int_equal(alice.len, carol.len);
	assert_true(slice_ends_with(carol, SLICE(",i=4096")));
	/* An account without SCRAM keys is shown what it was shown before it existed. */
	struct slice before = salt_shown_to(setting, imported);

	assert_int_equal(
		credential_set_hash(setting->fixture.credentials, imported, 3, SLICE("{SSHA}YEEngMWf+CVaXA++TA0kvuMCeeF22Ss0")),
		STATUS_OK);
	assert_true(slice_eq(before, salt_shown_to(setting, imported)));
	assert_int_equal(salt_shown_to(setting, SLICE("not an address")).len, alice.len);
}

/* Exchanges that were begun before the lock-out tell nothing after it, be their proof right or wrong. */
static void scram_is_locked_out_too(void **state)
{
	struct setting *setting = *state;
	struct arena *arena = &setting->fixture.arena;
	struct auth_peer from = peer(1);
	struct scram_client clients[2];
	struct auth_reply begun[2];

	for (int i = 0; i < 2; i++) {
		clients[i] = (struct scram_client){.arena = arena, .header = SLICE("n,,")};
		struct slice first = scram_client_first_message(&clients[i], ALICE, SLICE("abc"));

		begun[i] = auth_begin(ipc_of(setting), arena, &from, SLICE("SCRAM-SHA-256"), &first);
		assert_int_equal(begun[i].outcome, AUTH_CONTINUE);
	}
	for (int i = 0; i < 10; i++)
		assert_int_equal(scram_with(setting, arena, "SCRAM-SHA-256", "n,,", SLICE_EMPTY, ALICE, SLICE("guess")).outcome,
				 AUTH_REFUSED);
	for (int i = 0; i < 2; i++) {
		struct slice proof =
			scram_client_final_message(&clients[i], begun[i].challenge, i ? SLICE("secret") : SLICE("x"));

		assert_int_equal(auth_step(ipc_of(setting), arena, begun[i].exchange, proof).outcome, AUTH_LOCKED_OUT);
	}
	assert_int_equal(try(setting, ALICE, SLICE("secret")), AUTH_LOCKED_OUT);
}

static void plain_and_login(void **state)
{
	struct setting *setting = *state;
	struct arena *arena = &setting->fixture.arena;
	struct auth_peer from = peer(1);
	struct slice right = SLICE("\0alice@example.test\0secret"), wrong = SLICE("\0alice@example.test\0wrong"),
		     none = SLICE("");
	struct auth_reply reply = auth_begin(ipc_of(setting), arena, &from, SLICE("plain"), &right);

	assert_int_equal(reply.outcome, AUTH_ACCEPTED);
	assert_true(slice_eq(reply.address, ALICE));
	assert_int_equal(auth_begin(ipc_of(setting), arena, &from, SLICE("PLAIN"), &wrong).outcome, AUTH_REFUSED);
	assert_int_equal(auth_begin(ipc_of(setting), arena, &from, SLICE("PLAIN"), &none).outcome, AUTH_MALFORMED);
	assert_int_equal(auth_begin(ipc_of(setting), arena, &from, SLICE("CRAM-MD5"), NULL).outcome, AUTH_MALFORMED);

	reply = auth_begin(ipc_of(setting), arena, &from, SLICE("LOGIN"), NULL);
	assert_int_equal(reply.outcome, AUTH_CONTINUE);
	assert_true(slice_eq(reply.challenge, SLICE("Username:")));
	reply = auth_step(ipc_of(setting), arena, reply.exchange, ALICE);
	assert_int_equal(reply.outcome, AUTH_CONTINUE);
	uint64_t exchange = reply.exchange;

	assert_int_equal(auth_step(ipc_of(setting), arena, exchange, SLICE("secret")).outcome, AUTH_ACCEPTED);
	assert_int_equal(auth_step(ipc_of(setting), arena, exchange, SLICE("secret")).outcome, AUTH_UNAVAILABLE);
}

static void malformed_requests(void **state)
{
	struct setting *setting = *state;
	struct arena *arena = &setting->fixture.arena;
	char noise[64];
	struct slice reply;

	for (uint32_t type = 0; type < 6; type++) {
		for (size_t len = 0; len < sizeof noise; len++) {
			memset(noise, (int)(len * 37), sizeof noise);
			if (type == AUTH_REQUEST_STEP && len == 12)
				continue;
			if (type == AUTH_REQUEST_CANCEL && len == 8)
				continue;
			assert_int_equal(ipc_call(ipc_of(setting), ROLE_AUTH, type, slice_of(noise, len), -1, 0, arena, &reply),
					 STATUS_PEER);
		}
	}
}

/* ---- many at a time ---- */

struct crowd {
	struct setting *setting;
	_Atomic unsigned outcomes[AUTH_UNAVAILABLE + 1];
	_Atomic unsigned number;
	_Atomic bool wrong_was_accepted;
};

static void *log_in_often(void *context)
{
	struct crowd *crowd = context;

	for (int i = 0; i < 40; i++) {
		unsigned number = atomic_fetch_add(&crowd->number, 1);
		bool right = number % 3 != 0;
		enum auth_outcome outcome =
			try_from(crowd->setting, (uint8_t)number, number % 2 ? ALICE : BOB,
				 !right ? SLICE("wrong") : (number % 2 ? SLICE("secret") : SLICE("hidden")));

		if (!right && outcome == AUTH_ACCEPTED)
			crowd->wrong_was_accepted = true;
		atomic_fetch_add(&crowd->outcomes[outcome], 1);
		if (number % 16 == 0)
			auth_service_forget(crowd->setting->service, ALICE);
	}
	return NULL;
}

static void run_crowd(struct crowd *crowd, int count)
{
	pthread_t threads[16];

	for (int i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_in_often, crowd), 0);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	assert_false(crowd->wrong_was_accepted);
	assert_int_equal(crowd->outcomes[AUTH_MALFORMED] + crowd->outcomes[AUTH_CONTINUE] + crowd->outcomes[AUTH_LOCKED_OUT],
			 0);
}

static void a_crowd(void **state)
{
	struct crowd crowd = {.setting = *state};

	run_crowd(&crowd, 8);
	assert_int_equal(crowd.outcomes[AUTH_UNAVAILABLE], 0);
	assert_int_equal(crowd.outcomes[AUTH_ACCEPTED], 213);
	assert_int_equal(crowd.outcomes[AUTH_REFUSED], 107);
}

/* With one check at a time and one waiting the others are told to come again: memory stays bounded. */
static void a_crowd_at_a_narrow_door(void **state)
{
	struct auth_service_options options = {.check_threads = 1, .waiting = 1, .remember_s = -1, .delay_ms = 1};
	struct crowd crowd = {.setting = setting_new(options, 4096)};

	(void)state;
	run_crowd(&crowd, 16);
	assert_true(crowd.outcomes[AUTH_UNAVAILABLE] > 0);
	assert_true(crowd.outcomes[AUTH_ACCEPTED] > 0);
	setting_free(crowd.setting);
}

static void *log_in_once(void *context)
{
	struct crowd *crowd = context;

	atomic_fetch_add(&crowd->number, 1);
	atomic_fetch_add(&crowd->outcomes[try_from(crowd->setting, 1, ALICE, SLICE("secret"))], 1);
	return NULL;
}

/* A client that opens all its connections at once: one check answers for all, and nobody needs a place in the line. */
static void a_client_with_many_connections(void **state)
{
	struct auth_service_options options = {.check_threads = 1, .waiting = 1, .delay_ms = 1};
	struct crowd crowd = {.setting = setting_new(options, 64)};
	unsigned before = verified.argon2;
	pthread_t threads[16];

	(void)state;
	verified.holding = false;
	verified.hold = true;
	for (int i = 0; i < 16; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, log_in_once, &crowd), 0);
		while (!verified.holding)
			usleep(1000);
	}
	while (crowd.number < 16)
		usleep(1000);
	usleep(20000); /* that they wait by now; if not, they find it remembered */
	verified.hold = false;
	for (int i = 0; i < 16; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crowd.outcomes[AUTH_ACCEPTED], 16);
	assert_int_equal(verified.argon2 - before, 1);
	setting_free(crowd.setting);
}

/* ---- tokens and certificates ---- */

static const char *claims_for(struct setting *setting, struct slice user)
{
	struct buf text;

	buf_init(&text, &setting->fixture.arena, 0);
	buf_printf(&text, "{\"iss\":\"https://id.test\",\"aud\":\"mail\",\"exp\":99999999999,\"email\":\"%.*s\"}", SLICE_ARG(user));
	return slice_cstr(&setting->fixture.arena, buf_slice(&text));
}

static struct slice bearer_message(struct setting *setting, cjose_jwk_t *key, struct slice as, struct slice of)
{
	struct buf text;

	buf_init(&text, &setting->fixture.arena, 0);
	buf_printf(&text, "n,%s%.*s,\1auth=Bearer %.*s\1\1", as.len > 0 ? "a=" : "", SLICE_ARG(as),
		   SLICE_ARG(token_maker_token(&setting->fixture.arena, key, "RS256", NULL, claims_for(setting, of))));
	return buf_slice(&text);
}

static struct token_issuers *issuers_of(struct setting *setting, cjose_jwk_t *key)
{
	struct token_issuer issuer = {SLICE("https://id.test"), SLICE("mail"), SLICE("email"),
				      token_maker_set(&setting->fixture.arena, &key, 1)};

	return token_issuers_new(&issuer, 1, &setting->fixture.arena, NULL);
}

static struct auth_reply begin_with(struct setting *setting, struct slice mechanism, struct slice message, struct slice certified)
{
	struct auth_peer from = peer(1);

	from.certified = certified;
	return auth_begin(ipc_of(setting), &setting->fixture.arena, &from, mechanism, &message);
}

static void tokens(void **state)
{
	struct setting *setting = *state;
	cjose_jwk_t *key = token_maker_key(false, NULL), *next = token_maker_key(false, NULL);
	struct slice mechanism = SLICE("OAUTHBEARER"), good = bearer_message(setting, key, ALICE, ALICE);

	/* Nobody's are taken, then this issuer's. */
	assert_int_equal(begin_with(setting, mechanism, good, SLICE_EMPTY).outcome, AUTH_CONTINUE);
	auth_service_set_tokens(setting->service, issuers_of(setting, key));
	struct auth_reply reply = begin_with(setting, mechanism, good, SLICE_EMPTY);

	assert_int_equal(reply.outcome, AUTH_ACCEPTED);
	assert_int_equal(reply.account, 1);
	assert_true(slice_eq(reply.address, ALICE));
	/* The token says who it is; the name that the client gives may not differ. */
	reply = begin_with(setting, mechanism, bearer_message(setting, key, SLICE_EMPTY, SLICE("BOB@example.test")), SLICE_EMPTY);
	assert_int_equal(reply.outcome, AUTH_ACCEPTED);
	assert_int_equal(reply.account, 2);
	reply = begin_with(setting, mechanism, bearer_message(setting, key, ALICE, BOB), SLICE_EMPTY);
	assert_int_equal(reply.outcome, AUTH_CONTINUE);
	assert_true(slice_eq(reply.challenge, SLICE("{\"status\":\"invalid_token\"}")));
	assert_int_equal(auth_step(ipc_of(setting), &setting->fixture.arena, reply.exchange, SLICE("\1")).outcome, AUTH_REFUSED);
	/* No account; a disabled one; a key that is not taken any more. */
	reply = begin_with(setting, mechanism, bearer_message(setting, key, SLICE_EMPTY, SLICE("carol@example.test")), SLICE_EMPTY);
	assert_int_equal(reply.outcome, AUTH_CONTINUE);
	assert_int_equal(credential_enable(setting->fixture.credentials, ALICE, false), STATUS_OK);
	assert_int_equal(begin_with(setting, mechanism, good, SLICE_EMPTY).outcome, AUTH_CONTINUE);
	assert_int_equal(credential_enable(setting->fixture.credentials, ALICE, true), STATUS_OK);
	auth_service_set_tokens(setting->service, issuers_of(setting, next));
	assert_int_equal(begin_with(setting, mechanism, good, SLICE_EMPTY).outcome, AUTH_CONTINUE);
	cjose_jwk_release(key);
	cjose_jwk_release(next);
}

/* What is refused counts as a wrong password does. */
static void tokens_are_locked_out_too(void **state)
{
	struct setting *setting = *state;
	struct slice bad = SLICE("n,a=alice@example.test,\1auth=Bearer x\1\1");
	struct auth_reply reply;

	for (int i = 0; i < 10; i++) {
		reply = begin_with(setting, SLICE("OAUTHBEARER"), bad, SLICE_EMPTY);
		assert_int_equal(reply.outcome, AUTH_CONTINUE);
		assert_int_equal(auth_step(ipc_of(setting), &setting->fixture.arena, reply.exchange, SLICE("\1")).outcome, AUTH_REFUSED);
	}
	assert_int_equal(begin_with(setting, SLICE("OAUTHBEARER"), bad, SLICE_EMPTY).outcome, AUTH_LOCKED_OUT);
}

static void certificates(void **state)
{
	struct setting *setting = *state;
	struct slice both = SLICE("carol@example.test\nBob@example.test\nalice@example.test\n");

	struct auth_reply reply = begin_with(setting, SLICE("EXTERNAL"), SLICE_EMPTY, both);

	assert_int_equal(reply.outcome, AUTH_ACCEPTED);
	assert_int_equal(reply.account, 2);
	reply = begin_with(setting, SLICE("EXTERNAL"), SLICE("ALICE@example.test"), both);
	assert_int_equal(reply.outcome, AUTH_ACCEPTED);
	assert_int_equal(reply.account, 1);
	assert_int_equal(begin_with(setting, SLICE("EXTERNAL"), SLICE("carol@example.test"), both).outcome, AUTH_REFUSED);
	assert_int_equal(begin_with(setting, SLICE("EXTERNAL"), ALICE, SLICE("bob@example.test\n")).outcome, AUTH_REFUSED);
	assert_int_equal(begin_with(setting, SLICE("EXTERNAL"), ALICE, SLICE_EMPTY).outcome, AUTH_REFUSED);
	assert_int_equal(begin_with(setting, SLICE("EXTERNAL"), SLICE_EMPTY, SLICE_EMPTY).outcome, AUTH_REFUSED);
}

/* A login in a thread of its own. */
struct login {
	struct setting *setting;
	struct slice user, password;
	enum auth_outcome outcome;
	pthread_t thread;
};

static void *run_login(void *context)
{
	struct login *login = context;

	login->outcome = try(login->setting, login->user, login->password);
	return NULL;
}

static void start_login(struct login *login)
{
	assert_int_equal(pthread_create(&login->thread, NULL, run_login, login), 0);
}

static enum auth_outcome outcome_of(struct login *login)
{
	assert_int_equal(pthread_join(login->thread, NULL), 0);
	return login->outcome;
}

/* Who waits in line when a password changes is held to the new one. */
static void a_password_changes_while_one_waits(void **state)
{
	struct setting *setting = setting_new((struct auth_service_options){.check_threads = 1, .delay_ms = 1}, 64);
	struct login bob = {setting, BOB, SLICE("hidden")}, alice = {setting, ALICE, SLICE("secret")};

	(void)state;
	verified.hold = true;
	start_login(&bob);
	while (!verified.holding)
		usleep(1000);
	start_login(&alice);
	usleep(200000);
	assert_int_equal(credential_set_password(setting->fixture.credentials, ALICE, 0, SLICE("changed")), STATUS_OK);
	verified.hold = verified.holding = false;
	assert_int_equal(outcome_of(&bob), AUTH_ACCEPTED);
	assert_int_equal(outcome_of(&alice), AUTH_REFUSED);
	setting_free(setting);
}

/* Alice's log-in with "secret", while whose check `change` happens. */
static enum auth_outcome log_in_while(struct setting *setting, void (*change)(struct credentials *credentials))
{
	struct login alice = {setting, ALICE, SLICE("secret")};

	verified.hold = true;
	start_login(&alice);
	while (!verified.holding)
		usleep(1000);
	change(setting->fixture.credentials);
	verified.hold = verified.holding = false;
	return outcome_of(&alice);
}

static void disable_alice(struct credentials *credentials)
{
	assert_int_equal(credential_enable(credentials, ALICE, false), STATUS_OK);
}

static void remove_alice(struct credentials *credentials)
{
	assert_int_equal(credential_remove(credentials, ALICE), STATUS_OK);
}

static void change_alice(struct credentials *credentials)
{
	assert_int_equal(credential_set_password(credentials, ALICE, 0, SLICE("changed")), STATUS_OK);
}

static void rehash_alice(struct credentials *credentials)
{
	assert_int_equal(credential_set_password(credentials, ALICE, 0, SLICE("secret")), STATUS_OK);
}

/* What was right when the check began needn't be when it ends. */
static void what_changes_during_a_check(void **state)
{
	struct setting *setting = *state;

	assert_int_equal(log_in_while(setting, rehash_alice), AUTH_ACCEPTED);
	auth_service_forget(setting->service, ALICE);
	assert_int_equal(log_in_while(setting, disable_alice), AUTH_REFUSED);
	assert_int_equal(credential_enable(setting->fixture.credentials, ALICE, true), STATUS_OK);
	assert_int_equal(log_in_while(setting, change_alice), AUTH_REFUSED);
	assert_int_equal(try(setting, ALICE, SLICE("secret")), AUTH_REFUSED);
	assert_int_equal(try(setting, ALICE, SLICE("changed")), AUTH_ACCEPTED);
	rehash_alice(setting->fixture.credentials);
	assert_int_equal(log_in_while(setting, remove_alice), AUTH_REFUSED);
}

/* A service that is to end doesn't wait until the last held-back answer is due: if it did, so many times, the test would run out of
 * the time that it is given. */
static void stopping_ends_delays(void **state)
{
	struct auth_service_options options = {.failures_before_delay = 1, .delay_ms = 5000};

	(void)state;
	for (int i = 0; i < 26; i++) {
		struct setting *setting = setting_new(options, 64);
		struct login guess = {setting, ALICE, SLICE("x")};

		verified.argon2 = 0;
		start_login(&guess);
		while (verified.argon2 == 0)
			usleep(1000);
		usleep(100000);
		setting_free(setting);
		assert_int_equal(outcome_of(&guess), AUTH_REFUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(passwords, setup, teardown),
		cmocka_unit_test_setup_teardown(a_changed_password_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(a_remembered_login_checks_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(forgetting_on_demand, setup, teardown),
		cmocka_unit_test_setup_teardown(lockout, setup, teardown),
		cmocka_unit_test(an_offence_is_reported),
		cmocka_unit_test(delays_grow),
		cmocka_unit_test_setup_teardown(users_can_not_be_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(imported_hashes_are_upgraded, setup, teardown),
		cmocka_unit_test(upgrading_can_be_off),
		cmocka_unit_test_setup_teardown(unicode_passwords, setup, teardown),
		cmocka_unit_test_setup_teardown(scram, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_users_have_salts_too, setup, teardown),
		cmocka_unit_test_setup_teardown(scram_is_locked_out_too, setup, teardown),
		cmocka_unit_test_setup_teardown(plain_and_login, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens_are_locked_out_too, setup, teardown),
		cmocka_unit_test_setup_teardown(certificates, setup, teardown),
		cmocka_unit_test_setup_teardown(malformed_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(a_crowd, setup, teardown),
		cmocka_unit_test(a_crowd_at_a_narrow_door),
		cmocka_unit_test(a_client_with_many_connections),
		cmocka_unit_test(a_password_changes_while_one_waits),
		cmocka_unit_test_setup_teardown(what_changes_during_a_check, setup, teardown),
		cmocka_unit_test(stopping_ends_delays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
