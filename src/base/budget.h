/* budget: how much of something all of a process may have together, such as memory for messages that are coming in. Any thread. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct budget {
	uint64_t limit; /* 0: none */
	_Atomic uint64_t taken;
};

/* False: not so much is left, and nothing was taken. NULL is a budget without limit. */
__attribute__((warn_unused_result)) static inline bool budget_take(struct budget *budget, uint64_t amount)
{
	if (!budget)
		return true;
	uint64_t before = atomic_fetch_add(&budget->taken, amount);

	if (budget->limit == 0 || (before <= budget->limit && amount <= budget->limit - before))
		return true;
	atomic_fetch_sub(&budget->taken, amount);
	return false;
}

static inline void budget_give(struct budget *budget, uint64_t amount)
{
	if (budget)
		atomic_fetch_sub(&budget->taken, amount);
}
