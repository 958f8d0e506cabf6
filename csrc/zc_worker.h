/* zc_worker.h - a bounded list of idle workers, shared by all threads of the process. */
#ifndef ZC_WORKER_H
#define ZC_WORKER_H

#include "zc.h"

/* Scratch above this many bytes is given back to the system when its worker is returned. */
#define ZC_SCRATCH_KEEP_NBYTES ((size_t)64 << 20)

/* A worker that nobody else uses, new or idle; NULL when memory is short.  Give it back with zc_worker_return. */
zc_worker *zc_worker_lease(void);

/* Put 'worker' back.  Past the list's bound, or after a fork in between, it is freed. */
void zc_worker_return(zc_worker *worker);

/* Free every idle worker (tests of leaks; memory pressure). */
void zc_worker_trim(void);

#endif
