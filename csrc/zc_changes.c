#include "zc_changes.h"

#include <stdatomic.h>

/*
 * 512 KiB, of which those pages are real memory that were touched.  A write of n chunks moves about n counters, and drops
 * that share of what any cache holds by mistake: 1.5 % for 1000 chunks.
 */
#define N_COUNTERS ((size_t)1 << 16)

static _Atomic uint64_t counters[N_COUNTERS];
static _Atomic uint64_t n_changes_of_all;

/* The sum moves whenever one of the two does, because neither goes back. */
uint64_t zc_changes_of(uint64_t name)
{
	return atomic_load_explicit(&counters[(name >> 16) % N_COUNTERS], memory_order_acquire) +
	       atomic_load_explicit(&n_changes_of_all, memory_order_acquire);
}

void zc_changes_add(uint64_t name)
{
	atomic_fetch_add_explicit(&counters[(name >> 16) % N_COUNTERS], 1, memory_order_acq_rel);
}

void zc_changes_add_all(void)
{
	atomic_fetch_add_explicit(&n_changes_of_all, 1, memory_order_acq_rel);
}
