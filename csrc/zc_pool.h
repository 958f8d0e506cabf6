/*
 * zc_pool.h - the process's threads.
 *
 * Started on first use, never more than asked for, made anew in a forked child.  A task never submits work and waits
 * for it, so any number of callers may share the threads without a deadlock: a caller does what no thread takes, and waits
 * up to 30 us without sleeping for what is left.
 */
#ifndef ZC_POOL_H
#define ZC_POOL_H

#include "zc.h"

#define ZC_POOL_MAX_THREADS 256

/* Where threads get their workers from (zc_worker.h, which another module may own).  Once, before the first job. */
void zc_pool_set_workers(zc_worker *(*lease)(void), void (*give_back)(zc_worker *worker));

/* Do items [first, first + count) of the job.  Non-zero: no further items are handed out. */
typedef int (*zc_task)(void *context, size_t first, size_t count, zc_worker *worker);

/* Called on the caller's thread about every 50 ms while a job runs.  Non-zero: no further items are handed out. */
typedef int (*zc_poll)(void *context);

/*
 * Run 'task' over the items [0, n), 'grain' at a time, on the caller's thread and at most n_threads - 1 others;
 * returns when no thread works on the job any more, whether it was stopped or not.
 * ZC_OK; ZC_ENOMEM if the caller's own worker could not be made (no item was done then); ZC_ECANCELLED in a child that was
 * forked in the middle of the job, where the items of threads that it does not have are lost.
 */
zc_status zc_pool_run(zc_task task, zc_poll poll, void *context, size_t n, size_t grain, int n_threads);

/* Threads that run now (tests). */
int zc_pool_n_threads(void);

#endif
