#include "pop3/known.h"

#include <pthread.h>
#include <stdlib.h>

#define SLOTS     1024
#define BYTES_MAX ((size_t)12 * 1024) /* of a maildrop; with more it isn't kept */

struct slot {
	struct pop3_maildrop maildrop;
	uint32_t up_to; /* 0: nothing is here */
	struct buf surrogates;
};

struct pop3_known {
	pthread_mutex_t mutex;
	struct slot slots[SLOTS];
};

struct pop3_known *pop3_known_new(void)
{
	struct pop3_known *known = calloc(1, sizeof(*known));

	if (!known)
		abort();
	pthread_mutex_init(&known->mutex, NULL);
	for (size_t i = 0; i < SLOTS; i++)
		buf_init(&known->slots[i].surrogates, NULL, 0);
	return known;
}

void pop3_known_free(struct pop3_known *known)
{
	for (size_t i = 0; i < SLOTS; i++)
		buf_free(&known->slots[i].surrogates);
	pthread_mutex_destroy(&known->mutex);
	free(known);
}

static struct slot *slot_of(struct pop3_known *known, const struct pop3_maildrop *maildrop)
{
	return &known->slots[((uint64_t)maildrop->account * 31 + (uint64_t)maildrop->mailbox) % SLOTS];
}

static bool is_of(const struct slot *slot, const struct pop3_maildrop *maildrop)
{
	return slot->up_to > 0 && slot->maildrop.account == maildrop->account && slot->maildrop.mailbox == maildrop->mailbox &&
	       slot->maildrop.uid_validity == maildrop->uid_validity;
}

uint32_t pop3_known_take(struct pop3_known *known, const struct pop3_maildrop *maildrop, struct buf *surrogates)
{
	uint32_t up_to = 0;

	if (!known)
		return 0;
	pthread_mutex_lock(&known->mutex);
	const struct slot *slot = slot_of(known, maildrop);

	if (is_of(slot, maildrop)) {
		buf_add(surrogates, buf_slice(&slot->surrogates));
		up_to = slot->up_to;
	}
	pthread_mutex_unlock(&known->mutex);
	return up_to;
}

void pop3_known_put(struct pop3_known *known, const struct pop3_maildrop *maildrop, uint32_t up_to, struct slice surrogates)
{
	if (!known || surrogates.len > BYTES_MAX)
		return;
	pthread_mutex_lock(&known->mutex);
	struct slot *slot = slot_of(known, maildrop);

	/* Another session may have seen more. */
	if (!is_of(slot, maildrop) || slot->up_to < up_to) {
		slot->maildrop = *maildrop;
		slot->up_to = up_to;
		buf_free(&slot->surrogates);
		buf_init(&slot->surrogates, NULL, 0);
		buf_add(&slot->surrogates, surrogates);
	}
	pthread_mutex_unlock(&known->mutex);
}
