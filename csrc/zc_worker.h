/* zc_worker.h - a bounded list of idle workers, shared by all threads of the process. */
#ifndef ZC_WORKER_H
#define ZC_WORKER_H

#include "zc.h"

/*
 * What a returned worker may keep of its scratch memory, and what all idle workers may keep together; the rest is given
 * back to the system, the largest buffers first.  A chunk of 32 MiB and its encoded bytes stay: when each is read by a
 * call of its own, fresh memory would cost a twentieth of the time.
 */
#define ZC_WORKER_KEEP_NBYTES ((size_t)72 << 20)
#define ZC_IDLE_KEEP_NBYTES ((size_t)288 << 20)

/* A worker that nobody else uses, new or idle; NULL when memory is short.  Give it back with zc_worker_return. */
zc_worker *zc_worker_lease(void);

/* Put 'worker' back.  Past the list's bounds it is freed. */
void zc_worker_return(zc_worker *worker);

/* The scratch memory of all idle workers. */
size_t zc_worker_idle_nbytes(void);

/* Free every idle worker (tests of leaks; memory pressure). */
void zc_worker_trim(void);

#endif
