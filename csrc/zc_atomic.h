/* zc_atomic.h - the atomic steps that Cython code needs; C11 atomics have no spelling there. */
#ifndef ZC_ATOMIC_H
#define ZC_ATOMIC_H

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

#endif
