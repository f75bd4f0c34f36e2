/* Lock order: relay->lock is never held while the store is asked. */
#include "relay/feeder.h"

#include "base/clock.h"
#include "base/thread.h"
#include "relay/relay_internal.h"
#include "relay/way.h"

#define PAGE              500              /* rows looked at, and taken, in one transaction */
#define LEASE_MS          (60 * 60 * 1000) /* of what is in hand; renewed in time, for what waits for long or is sent slowly */
#define RENEW_LEASES_MS   (LEASE_MS / 4)
#define GATHER_MS         10          /* announcements that come together cost one look into the queue */
#define LOOK_AT_LEAST_MS  (30 * 1000) /* at all that is due; also for a wall clock that was set */
#define LOOK_AGAIN_MS     1000        /* when the store is away, or there was no room */
#define DUE_APART_MS      500         /* between looks at what became due */
#define DUE_OVERLAP_MS    2000        /* between its time and our seeing it lies a transaction */
#define CIRCLE_REST       4           /* times as long as a circle took nobody begins another */
#define SWEEP_MS          (60 * 1000)
#define CLOCK_JUMP_MS     (60 * 1000)

static const struct queue_place START = {INT64_MIN, 0};

/* Once around all that is due. */
struct circle {
	bool is_running, is_whole, has_wrapped;
	struct queue_place place, start;
	int64_t began_ms, rests_until_ms; /* monotonic */
};

struct feeder {
	struct relay *relay;
	int64_t clock_offset_ms; /* wall minus monotonic */
	int64_t swept_ms;        /* monotonic, as the next */
	int64_t renewed_ms;
	int64_t circled_ms;
	int64_t newest; /* row: what came up to it has been looked at; negative: not known yet */
	struct queue_place due;
	int64_t due_looked_ms;
	struct circle circle;
};

/* Where the recipient's mail goes: the hop of a rule, the smarthost, the hop that deliver chose, or the domain. A hop with a port that no
 * rule has set is a smarthost of former times. */
static struct slice hop_of(const struct relay *relay, struct arena *arena, const struct queue_item *item)
{
	struct slice host;
	uint16_t port;

	if (hop_is_local(item->next_hop))
		return item->next_hop;
	if (route_is_rule(item->next_hop)) /* in lower case, but for a text */
		return way_of(item->next_hop).kind < WAY_ERROR ? slice_lower(arena, item->next_hop) : item->next_hop;
	if (relay->smarthost.len > 0)
		return relay->smarthost;
	if (item->next_hop.len > 0 && !route_parse_host_port(item->next_hop, &host, &port))
		return slice_lower(arena, item->next_hop);
	return route_domain_of(arena, item->recipient);
}

/* Due times are wall-clock times. When the clock is set back, what waits for a time that is now far away would be stuck: all of it
 * is made due, and gets new times from the new clock. A clock set forward only makes things due. */
static void watch_clock(struct feeder *feeder)
{
	struct relay *relay = feeder->relay;
	const struct queue_filter all = {.state = -1};
	int64_t offset = clock_wall_ms() - clock_monotonic_ms();
	size_t count = 0;

	if (offset < feeder->clock_offset_ms - CLOCK_JUMP_MS) {
		if (queue_retry(relay->environment.store, &all, &count) != STATUS_OK)
			return; /* noticed again next time */
		feeder->due = START;
		LOG_WARNING(relay->environment.log, "relay.clock_set_back", LOG_INT("ms", feeder->clock_offset_ms - offset),
			    LOG_INT("recipients", count));
		pthread_mutex_lock(&relay->lock);
		relay->is_asked_to_retry = true;
		pthread_mutex_unlock(&relay->lock);
	}
	feeder->clock_offset_ms = offset;
}

/* ---- a page ---- */

struct page {
	struct arena *arena;
	struct queue_item *items; /* as they were read */
	size_t count;
	size_t looked_at; /* of them; the next one found no room */
	int64_t now_ms;   /* wall */
	struct queue_item *taken;
	struct slice *hops; /* of those taken */
	size_t taken_count;
	struct queue_put_off *put_off;
	size_t put_off_count;
};

static void put_off(struct feeder *feeder, struct page *page, const struct queue_item *item, const struct hop *hop)
{
	int64_t until_ms = page->now_ms + hop->suspended_until_ms - clock_monotonic_ms();

	page->put_off[page->put_off_count++] = (struct queue_put_off){
		.item = item,
		.until_ms = outcome_put_off(&feeder->relay->policy, item, until_ms),
		.reason = slice_dup(page->arena, hop->failure.text),
	};
}

/* False: there is no room. */
static bool judge(struct feeder *feeder, struct page *page, const struct queue_item *item)
{
	struct relay *relay = feeder->relay;
	struct slice hop;
	struct booking booking;

	if (item->state != QUEUE_DUE || item->due_ms > page->now_ms)
		return true;
	hop = route_join_wish(page->arena, hop_of(relay, page->arena, item), item->tls_wish);
	booking = scheduler_book(relay->scheduler, item, hop, outcome_is_urgent(&relay->policy, item, page->now_ms),
				 clock_monotonic_ms());
	if (booking.outcome == BOOKED) {
		page->hops[page->taken_count] = hop;
		page->taken[page->taken_count++] = *item;
	} else if (booking.outcome == BOOKING_PUT_OFF) {
		put_off(feeder, page, item, booking.hop);
	}
	return booking.outcome != BOOKING_NO_ROOM;
}

static void judge_all(struct feeder *feeder, struct page *page)
{
	struct arena *arena = page->arena;

	page->taken = ARENA_ARRAY(arena, struct queue_item, page->count);
	page->hops = ARENA_ARRAY(arena, struct slice, page->count);
	page->put_off = ARENA_ARRAY(arena, struct queue_put_off, page->count);
	pthread_mutex_lock(&feeder->relay->lock);
	while (page->looked_at < page->count && judge(feeder, page, &page->items[page->looked_at]))
		page->looked_at++;
	pthread_mutex_unlock(&feeder->relay->lock);
}

/* What was booked is in hand, if the lease was had. */
static void take_in(struct feeder *feeder, struct page *page, const struct queue_item *booked, size_t booked_count)
{
	struct relay *relay = feeder->relay;
	int64_t now = clock_monotonic_ms();
	struct parcel *suspended;

	pthread_mutex_lock(&relay->lock);
	for (size_t i = 0, next = 0; i < booked_count; i++) {
		scheduler_unbook(relay->scheduler, &booked[i], page->hops[i]);
		if (next < page->taken_count && page->taken[next].id == booked[i].id &&
		    !scheduler_add(relay->scheduler, &page->taken[next++], page->hops[i], now))
			LOG_WARNING(relay->environment.log, "relay.taken_twice", LOG_STR("id", booked[i].queue_id));
	}
	suspended = scheduler_take_put_off(relay->scheduler, now);
	relay->put_off += page->put_off_count;
	workers_dispatch(relay);
	pthread_mutex_unlock(&relay->lock);
	relay_defer_list(relay, suspended);
}

static enum status write_page(struct feeder *feeder, struct page *page)
{
	struct relay *relay = feeder->relay;
	const struct queue_lease lease = {page->now_ms, LEASE_MS, relay->options.node};
	size_t booked_count = page->taken_count;
	struct queue_item *booked = ARENA_ARRAY(page->arena, struct queue_item, booked_count + 1);
	enum status status;

	memcpy(booked, page->taken, booked_count * sizeof(*booked));
	status = queue_put_off(relay->environment.store, page->put_off, page->put_off_count);
	if (status != STATUS_OK)
		page->put_off_count = page->taken_count = 0;
	else
		status = queue_take(relay->environment.store, &lease, page->taken, &page->taken_count);
	if (page->put_off_count > 0)
		LOG_INFO(relay->environment.log, "relay.put_off", LOG_INT("recipients", page->put_off_count),
			 LOG_STR("reply", page->put_off[0].reason));
	take_in(feeder, page, booked, booked_count);
	return status;
}

enum look_result {
	LOOK_ALL,     /* that was all there is */
	LOOK_MORE,    /* there may be more at once */
	LOOK_TROUBLE, /* no room, or no store */
};

/* From *place on, which moves. */
static enum look_result look(struct feeder *feeder, bool by_arrival, struct queue_place *place)
{
	struct arena arena SCOPED_ARENA;
	struct page page = {.arena = &arena, .now_ms = clock_wall_ms()};
	const struct queue_look look = {.by_arrival = by_arrival, .after = *place, .now_ms = page.now_ms, .max = PAGE};

	if (queue_look(feeder->relay->environment.store, &arena, &look, &page.items, &page.count) != STATUS_OK)
		return LOOK_TROUBLE;
	if (page.count == 0)
		return LOOK_ALL;
	judge_all(feeder, &page);
	if (write_page(feeder, &page) != STATUS_OK)
		return LOOK_TROUBLE;
	if (page.looked_at > 0)
		*place = (struct queue_place){page.items[page.looked_at - 1].due_ms, page.items[page.looked_at - 1].id};
	if (page.looked_at < page.count)
		return LOOK_TROUBLE;
	return page.count == PAGE ? LOOK_MORE : LOOK_ALL;
}

/* ---- three ways to look ---- */

static enum look_result look_at_arrivals(struct feeder *feeder)
{
	struct queue_place place = {0, feeder->newest};
	enum look_result result;

	/* At first all that is there is looked at by a circle. */
	if (feeder->newest < 0 && queue_newest(feeder->relay->environment.store, &feeder->newest) != STATUS_OK)
		return LOOK_TROUBLE;
	place.id = feeder->newest;
	result = look(feeder, true, &place);
	feeder->newest = place.id;
	return result;
}

/* *next_due_ms (wall): when to look again. */
static enum look_result look_at_due(struct feeder *feeder, int64_t *next_due_ms)
{
	int64_t now = clock_wall_ms(), behind;
	enum look_result result = look(feeder, false, &feeder->due);

	feeder->due_looked_ms = clock_monotonic_ms();
	*next_due_ms = now + LOOK_AGAIN_MS;
	if (result != LOOK_ALL)
		return result;
	feeder->due = (struct queue_place){now - DUE_OVERLAP_MS, 0};
	if (queue_next_due_after(feeder->relay->environment.store, now, &behind) == STATUS_OK)
		*next_due_ms = behind;
	return result;
}

static bool is_behind(const struct queue_place *a, const struct queue_place *b)
{
	return a->due_ms > b->due_ms || (a->due_ms == b->due_ms && a->id >= b->id);
}

static void begin_circle(struct circle *circle, bool is_whole)
{
	if (circle->is_running && !is_whole)
		return;
	*circle = (struct circle){
		.is_running = true,
		.is_whole = is_whole,
		.place = circle->place,
		.start = circle->place,
		.began_ms = clock_monotonic_ms(),
	};
}

static void end_circle(struct circle *circle)
{
	int64_t now = clock_monotonic_ms();

	circle->is_running = false;
	circle->rests_until_ms = now + CIRCLE_REST * (now - circle->began_ms);
}

/* It ends where it began; or before, when nobody is hungry any more. */
static void conclude_step(struct feeder *feeder, enum look_result result)
{
	struct circle *circle = &feeder->circle;
	struct relay *relay = feeder->relay;
	bool is_served;

	pthread_mutex_lock(&relay->lock);
	if (result == LOOK_ALL)
		scheduler_begin_lap(relay->scheduler);
	is_served = !circle->is_whole && !scheduler_has_hungry(relay->scheduler);
	pthread_mutex_unlock(&relay->lock);
	if (result == LOOK_ALL) {
		if (circle->has_wrapped || !is_behind(&circle->start, &(struct queue_place){INT64_MIN, 1}))
			end_circle(circle);
		circle->has_wrapped = true;
		circle->place = START;
	} else if (circle->has_wrapped && is_behind(&circle->place, &circle->start)) {
		end_circle(circle);
	}
	if (is_served || result == LOOK_TROUBLE)
		circle->is_running = false;
}

static enum look_result look_around(struct feeder *feeder)
{
	enum look_result result = look(feeder, false, &feeder->circle.place);

	conclude_step(feeder, result);
	return result;
}

/* ---- when ---- */

/* Why to look into the queue. */
struct reason {
	bool arrivals, due, circle;
};

/* With the lock held. */
static struct reason find_reason(struct feeder *feeder)
{
	struct relay *relay = feeder->relay;
	int64_t now = clock_monotonic_ms();
	struct reason reason = {.arrivals = relay->woken, .due = relay->next_due_ms <= clock_wall_ms()};
	bool is_time = now >= feeder->circled_ms + LOOK_AT_LEAST_MS || relay->is_asked_to_retry;

	reason.due = (reason.due && now >= feeder->due_looked_ms + DUE_APART_MS) || relay->is_asked_to_retry;
	if (is_time) {
		begin_circle(&feeder->circle, true);
		feeder->circled_ms = now;
		reason.arrivals = true;
	} else if (relay->scheduler->is_hungry && now >= feeder->circle.rests_until_ms) {
		begin_circle(&feeder->circle, false);
		relay->scheduler->is_hungry = false;
		reason.arrivals = true; /* there may have been no room for them */
	}
	reason.circle = feeder->circle.is_running;
	relay->woken = relay->is_asked_to_retry = false;
	return reason;
}

/* With the lock held. When to look for a reason again, by the monotonic clock. */
static int64_t next_reason(const struct feeder *feeder)
{
	const struct relay *relay = feeder->relay;
	int64_t now = clock_monotonic_ms(), due_in = relay->next_due_ms - clock_wall_ms();
	int64_t next = feeder->circled_ms + LOOK_AT_LEAST_MS, turn = scheduler_next_turn(relay->scheduler);

	if (due_in < next - now)
		next = now + due_in > feeder->due_looked_ms + DUE_APART_MS ? now + due_in : feeder->due_looked_ms + DUE_APART_MS;
	if (relay->scheduler->is_hungry && feeder->circle.rests_until_ms < next)
		next = feeder->circle.rests_until_ms;
	return turn < next ? turn : next;
}

/* With the lock held. */
static struct reason wait_for_reason(struct feeder *feeder)
{
	struct relay *relay = feeder->relay;
	struct reason reason = find_reason(feeder);

	while (!relay->stopping && !reason.arrivals && !reason.due && !reason.circle) {
		relay->feeder_waits_until_ms = next_reason(feeder);
		thread_wait_until(&relay->feed, &relay->lock, relay->feeder_waits_until_ms);
		relay->feeder_waits_until_ms = 0;
		workers_dispatch(relay); /* intervals may have ended */
		reason = find_reason(feeder);
	}
	return reason;
}

/* With the lock held, which it gives up while the store is asked. */
static void look_into_queue(struct feeder *feeder, const struct reason *reason)
{
	struct relay *relay = feeder->relay;
	enum look_result arrivals = LOOK_ALL, due = LOOK_ALL, around = LOOK_ALL;
	int64_t next_due_ms = INT64_MAX;

	if (reason->due)
		relay->next_due_ms = INT64_MAX;
	pthread_mutex_unlock(&relay->lock);
	if (reason->arrivals)
		arrivals = look_at_arrivals(feeder);
	if (reason->due)
		due = look_at_due(feeder, &next_due_ms);
	if (reason->circle)
		around = look_around(feeder);
	if (arrivals == LOOK_TROUBLE || due == LOOK_TROUBLE || around == LOOK_TROUBLE) /* all of it again, soon */
		feeder->circled_ms = clock_monotonic_ms() - LOOK_AT_LEAST_MS + LOOK_AGAIN_MS;
	if (due == LOOK_MORE) {
		next_due_ms = clock_wall_ms();
		feeder->due_looked_ms = 0;
	}
	pthread_mutex_lock(&relay->lock);
	relay->woken |= arrivals == LOOK_MORE;
	if (next_due_ms < relay->next_due_ms)
		relay->next_due_ms = next_due_ms;
}

/* ---- asked for by others ---- */

static bool forgive_hop(void *context, const struct queue_item *item)
{
	struct feeder *feeder = context;
	struct relay *relay = feeder->relay;
	struct arena arena SCOPED_ARENA;
	struct slice hop = route_join_wish(&arena, hop_of(relay, &arena, item), item->tls_wish);

	pthread_mutex_lock(&relay->lock);
	scheduler_forgive_hop(relay->scheduler, hop);
	pthread_mutex_unlock(&relay->lock);
	return true;
}

static void retry_domain(struct feeder *feeder, struct slice domain)
{
	const struct queue_filter filter = {.state = QUEUE_DUE, .recipient_domain = domain};
	struct relay *relay = feeder->relay;
	size_t count = 0;
	enum status status = queue_scan(relay->environment.store, &filter, forgive_hop, feeder);

	if (status == STATUS_OK)
		status = queue_retry(relay->environment.store, &filter, &count);
	LOG_INFO(relay->environment.log, "relay.domain_retried", LOG_STR("domain", domain), LOG_INT("recipients", count),
		 LOG_STR("status", status_name(status)));
	pthread_mutex_lock(&relay->lock);
	relay->is_asked_to_retry |= count > 0;
	pthread_mutex_unlock(&relay->lock);
}

static void serve_asked(struct feeder *feeder)
{
	struct relay *relay = feeder->relay;

	for (size_t i = 0; i < ASKED_MAX; i++) {
		char domain[DOMAIN_BYTES];
		bool is_waiting;
		size_t len;

		pthread_mutex_lock(&relay->lock);
		is_waiting = relay->asked[i].is_waiting;
		len = relay->asked[i].len;
		memcpy(domain, relay->asked[i].bytes, len);
		relay->asked[i].is_waiting = false;
		pthread_mutex_unlock(&relay->lock);
		if (is_waiting)
			retry_domain(feeder, slice_of(domain, len));
	}
}

/* ---- life ---- */

static void renew_leases(struct feeder *feeder)
{
	struct relay *relay = feeder->relay;
	struct arena arena SCOPED_ARENA;
	const struct recipient *recipient, *next;
	size_t count = 0;
	int64_t *rows;

	pthread_mutex_lock(&relay->lock);
	rows = ARENA_ARRAY(&arena, int64_t, HASH_COUNT(relay->scheduler->rows) + 1);
	HASH_ITER(hh, relay->scheduler->rows, recipient, next)
	rows[count++] = recipient->item.id;
	pthread_mutex_unlock(&relay->lock);
	if (queue_renew_leases(relay->environment.store, relay->options.node, rows, count, clock_wall_ms() + LEASE_MS) == STATUS_OK)
		feeder->renewed_ms = clock_monotonic_ms();
}

/* Now and then, without the lock. */
static void keep_house(struct feeder *feeder)
{
	struct relay *relay = feeder->relay;
	int64_t now = clock_monotonic_ms();

	watch_clock(feeder);
	serve_asked(feeder);
	if (now < feeder->swept_ms + SWEEP_MS)
		return;
	feeder->swept_ms = now;
	if (now >= feeder->renewed_ms + RENEW_LEASES_MS)
		renew_leases(feeder);
	pthread_mutex_lock(&relay->lock);
	scheduler_sweep(relay->scheduler, now);
	pthread_mutex_unlock(&relay->lock);
}

/* What this node had in hand in its former life is due again. Until that is done nothing is taken: it could not be told apart. */
static void release_leases(struct relay *relay)
{
	bool is_released = false;

	while (!is_released) {
		is_released = queue_release_leases(relay->environment.store, relay->options.node) == STATUS_OK;
		pthread_mutex_lock(&relay->lock);
		if (!is_released && !relay->stopping) {
			LOG_WARNING(relay->environment.log, "relay.leases_kept");
			thread_wait_until(&relay->feed, &relay->lock, clock_monotonic_ms() + LOOK_AGAIN_MS);
		}
		is_released |= relay->stopping;
		pthread_mutex_unlock(&relay->lock);
	}
}

void *feeder_run(void *context)
{
	struct relay *relay = context;
	struct feeder feeder = {
		.relay = relay,
		.clock_offset_ms = clock_wall_ms() - clock_monotonic_ms(),
		.renewed_ms = clock_monotonic_ms(),
		.circled_ms = clock_monotonic_ms() - LOOK_AT_LEAST_MS,
		.newest = -1,
		.due = START,
		.circle = {.place = START},
	};
	int64_t fed_ms = 0;

	release_leases(relay);
	pthread_mutex_lock(&relay->lock);
	while (!relay->stopping) {
		struct reason reason = wait_for_reason(&feeder);

		if (!relay->stopping)
			look_into_queue(&feeder, &reason);
		fed_ms = clock_monotonic_ms();
		pthread_mutex_unlock(&relay->lock);
		keep_house(&feeder);
		pthread_mutex_lock(&relay->lock);
		/* Announcements come one for each message: those of a moment are served together. */
		while (!relay->stopping && !feeder.circle.is_running && clock_monotonic_ms() < fed_ms + GATHER_MS)
			thread_wait_until(&relay->feed, &relay->lock, fed_ms + GATHER_MS);
	}
	pthread_mutex_unlock(&relay->lock);
	return NULL;
}
