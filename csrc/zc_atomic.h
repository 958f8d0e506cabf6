/* zc_atomic.h - the atomic steps that Cython code needs; C11 atomics have no spelling there. */
#ifndef ZC_ATOMIC_H
#define ZC_ATOMIC_H

#include <sched.h>
#include <time.h>

/* True for exactly one caller of all threads. */
static inline int zc_claim(int *flag)
{
	return __atomic_exchange_n(flag, 1, __ATOMIC_ACQ_REL) == 0;
}

static inline void zc_raise_flag(int *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_RELAXED);
}

static inline int zc_flag_is_raised(const int *flag)
{
	return __atomic_load_n(flag, __ATOMIC_RELAXED);
}

/* An atomic_bool: a byte. */
static inline int zc_bool_is_set(const void *flag)
{
	return __atomic_load_n((const unsigned char *)flag, __ATOMIC_RELAXED);
}

/* For a few instructions; not across a call that may wait. */
static inline void zc_spin_lock(int *lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0)
		sched_yield();
}

static inline void zc_spin_unlock(int *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

/* Let another thread, which is at work on what this one needs, go on. */
static inline void zc_pause_briefly(void)
{
	struct timespec pause = { 0, 50000 };

	nanosleep(&pause, NULL);
}

#endif
