/* What the guard keeps in the store, on both back ends. */
#include "../store/store_fixture.h"

#include "guard/outflow.h"
#include "store/bans.h"
#include "store/greylist.h"
#include "store/rates.h"

#define T0     INT64_C(1800000000000)
#define HOUR   SENDING_HOUR_MS
#define MINUTE INT64_C(60000)

/* ---- bans ---- */

static const struct ban_growth growth = {.first_ms = 10 * MINUTE, .longest_ms = 30 * MINUTE, .remember_ms = 2 * HOUR};

static int64_t offend(struct fixture *f, int64_t now_ms)
{
	struct ban_row row;
	enum status status = bans_offence(f->store, SLICE("192.0.2.1"), SLICE("passwords"), &growth, now_ms, &row);

	assert_true(status == STATUS_OK || status == STATUS_EXISTS);
	return status == STATUS_OK ? (row.until_ms - now_ms) / MINUTE : -1;
}

static void bans_grow(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(offend(f, T0), 10);
	assert_int_equal(offend(f, T0 + MINUTE), -1);
	assert_int_equal(offend(f, T0 + 11 * MINUTE), 20);
	assert_int_equal(offend(f, T0 + 40 * MINUTE), 30);
	assert_int_equal(offend(f, T0 + 80 * MINUTE), 30);
	/* Forgotten two hours after its end. */
	assert_int_equal(offend(f, T0 + 110 * MINUTE + 2 * HOUR + 1), 10);
}

static void bans_are_listed_and_removed(void **state)
{
	struct fixture *f = *state;
	struct ban_row by_hand = {SLICE("2001:db8::/64"), SLICE("by hand"), T0, BANS_FOREVER, 1}, *rows;
	size_t count;

	assert_int_equal(offend(f, T0), 10);
	assert_int_equal(bans_set(f->store, &by_hand), STATUS_OK);
	assert_int_equal(bans_list(f->store, &f->arena, SLICE_EMPTY, T0, 10, &rows, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_true(slice_eq(rows[0].network, SLICE("192.0.2.1")) && slice_eq(rows[0].reason, SLICE("passwords")));
	assert_true(rows[1].until_ms == BANS_FOREVER && rows[1].times == 1);
	assert_int_equal(bans_list(f->store, &f->arena, rows[0].network, T0, 10, &rows, &count), STATUS_OK);
	assert_int_equal(count, 1);
	/* One is over. */
	assert_int_equal(bans_list(f->store, &f->arena, SLICE_EMPTY, T0 + HOUR, 10, &rows, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(bans_remove(f->store, SLICE("2001:db8::/64")), STATUS_OK);
	assert_int_equal(bans_remove(f->store, SLICE("2001:db8::/64")), STATUS_NOT_FOUND);
	assert_int_equal(bans_forget(f->store, T0, 10, &count), STATUS_OK);
	assert_int_equal(count, 0);
	assert_int_equal(bans_forget(f->store, T0 + HOUR, 10, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(offend(f, T0 + HOUR), 10);
}

/* ---- what accounts send ---- */

static struct outflow *make(struct fixture *f, uint64_t messages, uint64_t recipients)
{
	return outflow_new(&(struct outflow_limits){messages, recipients}, f->store, &f->log);
}

static unsigned sends(struct outflow *outflow, int64_t account, unsigned tries, int64_t now_ms, unsigned *alarms)
{
	unsigned count = 0;

	while (tries-- > 0) {
		enum outflow_outcome outcome = outflow_spend(outflow, account, 1, now_ms);

		assert_true(outcome != OUTFLOW_UNKNOWN);
		count += outcome == OUTFLOW_OK;
		if (alarms)
			*alarms += outcome == OUTFLOW_ALARM;
	}
	return count;
}

static void an_account_sends_so_much_in_an_hour(void **state)
{
	struct fixture *f = *state;
	struct outflow *outflow = make(f, 10, 0);
	int64_t start = T0 / HOUR * HOUR;
	unsigned alarms = 0;

	assert_int_equal(sends(outflow, f->alice, 15, start, &alarms), 10);
	assert_int_equal(alarms, 1);
	assert_int_equal(sends(outflow, f->bob, 5, start, NULL), 5);
	outflow_flush(outflow, start);
	assert_int_equal(sends(outflow, f->alice, 1, start + 59 * MINUTE, NULL), 0);
	/* The hour slides: in the middle of the next, five of the ten are more than an hour ago. */
	assert_int_equal(sends(outflow, f->alice, 10, start + HOUR + 30 * MINUTE, &alarms), 5);
	assert_int_equal(alarms, 1);
	outflow_flush(outflow, start + HOUR + 30 * MINUTE);
	assert_int_equal(sends(outflow, f->alice, 15, start + 4 * HOUR, NULL), 10);
	/* Who has been told is told again when a day is over. */
	outflow_flush(outflow, start + 4 * HOUR);
	assert_int_equal(sends(outflow, f->alice, 15, start + 23 * HOUR, &alarms), 10);
	assert_int_equal(alarms, 1);
	outflow_flush(outflow, start + 23 * HOUR);
	assert_int_equal(sends(outflow, f->alice, 15, start + 30 * HOUR, &alarms), 10);
	assert_int_equal(alarms, 2);
	outflow_free(outflow);
}

static void recipients_count(void **state)
{
	struct fixture *f = *state;
	struct outflow *outflow = make(f, 0, 100);

	assert_int_equal(outflow_spend(outflow, f->alice, 60, T0), OUTFLOW_OK);
	assert_int_equal(outflow_spend(outflow, f->alice, 60, T0), OUTFLOW_ALARM);
	assert_int_equal(outflow_spend(outflow, f->alice, 40, T0), OUTFLOW_OK);
	assert_int_equal(outflow_spend(outflow, f->alice, 1, T0), OUTFLOW_REFUSED);
	outflow_free(outflow);
}

static void the_count_outlives_a_restart(void **state)
{
	struct fixture *f = *state;
	struct outflow *outflow = make(f, 10, 0);
	unsigned alarms = 0;

	assert_int_equal(sends(outflow, f->alice, 7, T0, NULL), 7);
	outflow_flush(outflow, T0);
	outflow_free(outflow);
	outflow = make(f, 10, 0);
	assert_int_equal(sends(outflow, f->alice, 10, T0, &alarms), 3);
	assert_int_equal(alarms, 1);
	outflow_free(outflow);
	/* Nor is the alarm raised again. */
	outflow = make(f, 5, 0);
	assert_int_equal(sends(outflow, f->alice, 10, T0, &alarms), 0);
	assert_int_equal(alarms, 1);
	outflow_free(outflow);
}

static void nodes_share_the_count(void **state)
{
	struct fixture *f = *state;
	struct outflow *one = make(f, 10, 0), *other = make(f, 10, 0);

	assert_int_equal(sends(one, f->alice, 4, T0, NULL), 4);
	assert_int_equal(sends(other, f->alice, 4, T0, NULL), 4);
	outflow_flush(one, T0);
	outflow_flush(other, T0); /* learns of the other's four */
	assert_int_equal(sends(other, f->alice, 10, T0, NULL), 2);
	outflow_flush(other, T0);
	assert_int_equal(sends(one, f->alice, 1, T0, NULL), 1); /* it has heard of nothing yet */
	outflow_flush(one, T0);
	assert_int_equal(sends(one, f->alice, 1, T0, NULL), 0);
	outflow_free(one);
	outflow_free(other);
}

static void old_hours_are_forgotten(void **state)
{
	struct fixture *f = *state;
	struct outflow *outflow = make(f, 10, 0);
	struct sending_count count;
	size_t removed;

	sends(outflow, f->alice, 1, T0, NULL);
	sends(outflow, f->bob, 1, T0, NULL);
	outflow_flush(outflow, T0);
	sends(outflow, f->alice, 2, T0 + 3 * HOUR, NULL);
	outflow_flush(outflow, T0 + 3 * HOUR);
	assert_int_equal(sending_forget(f->store, T0 + 2 * HOUR, 100, &removed), STATUS_OK);
	assert_int_equal(removed, 2);
	assert_int_equal(sending_read(f->store, f->alice, (T0 + 3 * HOUR) / HOUR, &count), STATUS_OK);
	assert_int_equal(count.messages, 2);
	outflow_free(outflow);
}

/* ---- the greylist ---- */

static enum greylist_outcome ask(struct fixture *f, const char *triplet, const char *network, unsigned trust, int64_t now_ms,
				 int64_t *left_ms)
{
	struct greylist_question question = {
		slice_from_cstr(triplet), slice_from_cstr(network), 5 * MINUTE, 24 * HOUR, 720 * HOUR, trust, now_ms};
	enum greylist_outcome outcome;
	int64_t left;

	assert_int_equal(greylist_ask(f->store, &question, &outcome, left_ms ? left_ms : &left), STATUS_OK);
	return outcome;
}

static void who_comes_again_in_time_is_let_in(void **state)
{
	struct fixture *f = *state;
	int64_t left_ms;

	assert_int_equal(ask(f, "t1", "n1", 0, T0, &left_ms), GREYLIST_FIRST);
	assert_int_equal(left_ms, 5 * MINUTE);
	assert_int_equal(ask(f, "t1", "n1", 0, T0 + MINUTE, &left_ms), GREYLIST_EARLY);
	assert_int_equal(left_ms, 4 * MINUTE);
	assert_int_equal(ask(f, "t2", "n1", 0, T0 + MINUTE, NULL), GREYLIST_FIRST);
	assert_int_equal(ask(f, "t1", "n1", 0, T0 + 5 * MINUTE, &left_ms), GREYLIST_PASS);
	assert_int_equal(left_ms, 0);
	assert_int_equal(ask(f, "t1", "n1", 0, T0 + 600 * HOUR, NULL), GREYLIST_PASS);
	/* That was seen: it is known for another 720 hours. */
	assert_int_equal(ask(f, "t1", "n1", 0, T0 + 1300 * HOUR, NULL), GREYLIST_PASS);
	assert_int_equal(ask(f, "t1", "n1", 0, T0 + 2100 * HOUR, NULL), GREYLIST_FIRST);
	/* Too late. */
	assert_int_equal(ask(f, "t3", "n1", 0, T0, NULL), GREYLIST_FIRST);
	assert_int_equal(ask(f, "t3", "n1", 0, T0 + 25 * HOUR, NULL), GREYLIST_FIRST);
}

static void a_network_earns_trust(void **state)
{
	struct fixture *f = *state;
	static const char *const triplets[] = {"a", "b", "c"};
	size_t removed;

	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(ask(f, triplets[i], "good", 3, T0, NULL), GREYLIST_FIRST);
		assert_int_equal(ask(f, triplets[i], "good", 3, T0 + 6 * MINUTE, NULL), GREYLIST_PASS);
	}
	assert_int_equal(ask(f, "d", "good", 3, T0 + HOUR, NULL), GREYLIST_PASS);
	assert_int_equal(ask(f, "d", "bad", 3, T0 + HOUR, NULL), GREYLIST_FIRST);
	/* The same triplet over and over earns nothing. */
	assert_int_equal(ask(f, "e", "new", 3, T0, NULL), GREYLIST_FIRST);
	for (int i = 1; i < 6; i++)
		assert_int_equal(ask(f, "e", "new", 3, T0 + i * HOUR, NULL), GREYLIST_PASS);
	assert_int_equal(ask(f, "f", "new", 3, T0 + 6 * HOUR, NULL), GREYLIST_FIRST);
	assert_int_equal(greylist_forget(f->store, T0 + 2000 * HOUR, 1000, &removed), STATUS_OK);
	assert_true(removed >= 6);
	assert_int_equal(ask(f, "g", "good", 3, T0 + 7 * HOUR, NULL), GREYLIST_FIRST);
}

/* ---- shared rates ---- */

#define NOW (T0 * 1000)

static int64_t add(struct fixture *f, uint64_t bucket, int64_t taken_us, int64_t now_us)
{
	struct rate_change change = {bucket, taken_us, 0};

	assert_int_equal(rates_add(f->store, &change, 1, now_us), STATUS_OK);
	assert_true(change.bucket == bucket);
	return change.full_us - now_us;
}

static void buckets_add_up(void **state)
{
	const uint64_t bucket = UINT64_MAX;
	struct fixture *f = *state;
	struct rate_change changes[] = {{9, 10, 0}, {3, 30, 0}, {bucket, 5, 0}};
	size_t removed;

	assert_int_equal(add(f, bucket, 1000, NOW), 1000);
	assert_int_equal(add(f, bucket, 500, NOW), 1500);
	/* It runs full again. */
	assert_int_equal(add(f, bucket, 500, NOW + 1000), 1000);
	assert_int_equal(add(f, bucket, 500, NOW + 5000), 500);
	assert_int_equal(rates_add(f->store, changes, 3, NOW + 5000), STATUS_OK);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(changes[i].full_us - NOW - 5000,
				 changes[i].bucket == 9 ? 10 : changes[i].bucket == 3 ? 30 : 505);
	assert_int_equal(rates_forget(f->store, T0, 1000, &removed), STATUS_OK);
	assert_int_equal(removed, 0);
	assert_int_equal(rates_forget(f->store, T0 + MINUTE, 2, &removed), STATUS_OK);
	assert_int_equal(removed, 2);
	assert_int_equal(rates_forget(f->store, T0 + MINUTE, 2, &removed), STATUS_OK);
	assert_int_equal(removed, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(bans_grow),
		FIXTURE_TEST(bans_are_listed_and_removed),
		FIXTURE_TEST(an_account_sends_so_much_in_an_hour),
		FIXTURE_TEST(recipients_count),
		FIXTURE_TEST(the_count_outlives_a_restart),
		FIXTURE_TEST(nodes_share_the_count),
		FIXTURE_TEST(old_hours_are_forgotten),
		FIXTURE_TEST(who_comes_again_in_time_is_let_in),
		FIXTURE_TEST(a_network_earns_trust),
		FIXTURE_TEST(buckets_add_up),
	};

	return FIXTURE_MAIN(argc, argv, "guard/kept", tests);
}
