/*
 * zc_locks.h - one lock for each object of each store, in this process.
 *
 * A lock is named by 128 bits, a hash of the store's identity and the object's key; two names that collide only wait
 * for each other.  Nothing is allocated: a held lock is a node on its holder's stack.  In a forked child all are free.
 */
#ifndef ZC_LOCKS_H
#define ZC_LOCKS_H

#include "zc.h"

typedef struct zc_lock {
	uint64_t name[2];
	struct zc_lock *next;
} zc_lock;

/* Asked at times by whoever waits: whether to do so no more. */
typedef int (*zc_lock_give_up)(void *context);

/*
 * Wait until nobody holds the lock of that name, then hold it.  'lock' must stay where it is until it is released.
 * ZC_ECANCELLED, and nothing is held, if 'give_up' said so: a holder may be at a slow store.
 */
zc_status zc_lock_wait(zc_lock *lock, uint64_t seed, const char *key, size_t key_nbytes, zc_lock_give_up give_up,
		       void *context);

/* Counts as a change of the object (zc_changes.h): who takes the lock changes it, or may have. */
void zc_lock_release(zc_lock *lock);

/* The number that zc_changes_of gives for the object of that name. */
uint64_t zc_lock_changes(uint64_t seed, const char *key, size_t key_nbytes);

#endif
