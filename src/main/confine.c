#include "main/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEPT ((1u << CAP_SETUID) | (1u << CAP_SETGID) | (1u << CAP_KILL))

/* Powers that the kernel doesn't know end the list. */
static void drop_bounds(void)
{
	for (unsigned power = 0; prctl(PR_CAPBSET_READ, power, 0, 0, 0) >= 0; power++)
		if (power >= 32 || !(KEPT & 1u << power))
			(void)prctl(PR_CAPBSET_DROP, power, 0, 0, 0);
}

bool confine(const struct log *log)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct powers[2] = {{0}};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
		LOG_ERROR(log, "confine.no_new_privs_failed", LOG_INT("errno", errno));
		return false;
	}
	if (geteuid() == 0) {
		drop_bounds();
		powers[0].effective = powers[0].permitted = KEPT;
	}
	if (syscall(SYS_capset, &header, powers) == 0)
		return true;
	LOG_ERROR(log, "confine.powers_kept", LOG_INT("errno", errno));
	return false;
}
