/* record: writes results into the queue. Many parcels share one transaction; those that need a notification have one of their own,
 * in which the notification is delivered too, so that nobody is dropped without being told of, or told of twice.
 *
 * If the store is away results wait here, for as long as it takes; their recipients stay in hand and are not sent again.
 * Threads: one for plain results, RECORD_BOUNCE_THREADS for those with notifications.
 */
#pragma once

#include "base/log.h"
#include "ipc/ipc.h"
#include "relay/bounce.h"

#define RECORD_BOUNCE_THREADS 3

struct recorder;

/* Counts the results of one worker that are not yet committed. */
struct record_gate;

struct recorder_options {
	struct store *store;
	struct ipc *ipc; /* NULL: nothing is announced */
	const struct log *log;
	struct outcome_policy policy;
	struct bounce_options bounce;
	/* Recorded: the list (utlist's DL_*) is the callee's. `due_ms`: when the first of what was deferred comes again (INT64_MAX: none),
	 * `queued`: a notification went into the queue. Called on the recorder's threads, without its lock. */
	void (*done)(void *context, struct parcel *parcels, int64_t due_ms, bool queued);
	void *context;
};

struct recorder_counts {
	uint64_t delivered, deferred, failed, bounces;
};

struct recorder *recorder_new(const struct recorder_options *options);
struct record_gate *recorder_gate_new(void);
/* The worker is done with it; it goes away with its last result. */
void recorder_gate_drop(struct recorder *recorder, struct record_gate *gate);
/* Takes the parcel; `gate` (may be NULL) counts it until it is committed. Doesn't block. */
void recorder_submit(struct recorder *recorder, struct parcel *parcel, struct record_gate *gate);
/* Until nothing of the gate is uncommitted. False: not within timeout_ms, or the recorder gives up waiting. */
bool recorder_wait(struct recorder *recorder, struct record_gate *gate, int timeout_ms);
/* From now on recorder_wait returns false at once where it would wait. */
void recorder_break_waits(struct recorder *recorder);
struct recorder_counts recorder_counts(struct recorder *recorder);
/* Records what is there, with one last try for each. Nobody may submit or wait any more. What could not be recorded is logged and
 * handed to `done` too. */
void recorder_stop(struct recorder *recorder);
/* After recorder_stop. */
void recorder_free(struct recorder *recorder);
