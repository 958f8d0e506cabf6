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

/* Wait until nobody holds the lock of that name, then hold it.  'lock' must stay where it is until it is released. */
void zc_lock_acquire(zc_lock *lock, uint64_t seed, const char *key, size_t key_nbytes);

/* Counts as a change of the object (zc_changes.h): who takes the lock changes it, or may have. */
void zc_lock_release(zc_lock *lock);

/* The number that zc_changes_of gives for the object of that name. */
uint64_t zc_lock_changes(uint64_t seed, const char *key, size_t key_nbytes);

#endif
