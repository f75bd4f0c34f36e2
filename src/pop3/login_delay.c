#include "pop3/login_delay.h"

#include <pthread.h>
#include <stdlib.h>

#define SLOTS 65536

struct pop3_logins {
	pthread_mutex_t mutex;
	struct {
		int64_t account, at_ms;
	} slots[SLOTS];
};

struct pop3_logins *pop3_logins_new(void)
{
	struct pop3_logins *logins = calloc(1, sizeof *logins);

	if (!logins)
		abort();
	pthread_mutex_init(&logins->mutex, NULL);
	return logins;
}

void pop3_logins_free(struct pop3_logins *logins)
{
	if (!logins)
		return;
	pthread_mutex_destroy(&logins->mutex);
	free(logins);
}

bool pop3_may_log_in(struct pop3_logins *logins, int64_t account, unsigned delay_s, int64_t now_ms)
{
	size_t slot = (size_t)((uint64_t)account % SLOTS);
	bool may;

	if (!logins)
		return true;
	pthread_mutex_lock(&logins->mutex);
	may = logins->slots[slot].account != account || now_ms - logins->slots[slot].at_ms >= (int64_t)delay_s * 1000;
	pthread_mutex_unlock(&logins->mutex);
	return may;
}

void pop3_note_login(struct pop3_logins *logins, int64_t account, int64_t now_ms)
{
	size_t slot = (size_t)((uint64_t)account % SLOTS);

	if (!logins)
		return;
	pthread_mutex_lock(&logins->mutex);
	logins->slots[slot].account = account;
	logins->slots[slot].at_ms = now_ms;
	pthread_mutex_unlock(&logins->mutex);
}
