/*
 * zc_changes.h - how often objects of stores have been changed in this process: a table of counters that whoever changes an
 * object moves, and whoever keeps what was decoded from it looks at.
 *
 * An object is known by the 64 bits that name its lock (zc_locks.h).  Several share a counter, so that a number that has
 * moved says that the object may have changed; one that has not says that nobody in this process finished a change since.
 * Atomic, without locks.  A forked child goes on with counters of its own.
 */
#ifndef ZC_CHANGES_H
#define ZC_CHANGES_H

#include "zc.h"

/*
 * Taken before the object's bytes are fetched, and compared later: equal numbers mean that no change of it, of which the
 * caller can know that it was finished, came after the fetch.  Never goes back.
 */
uint64_t zc_changes_of(uint64_t name);

/* After a change of the object, and before its lock is given back. */
void zc_changes_add(uint64_t name);

/* After objects were changed whose locks nobody held (a node and all below it was deleted): the number of each moves. */
void zc_changes_add_all(void);

#endif
