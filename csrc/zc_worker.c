#include "zc_worker.h"

#include <pthread.h>
#include <string.h>

/*
 * As many as can be busy at once on a large node; beyond it, or beyond the memory that all may keep, a worker is made and
 * freed for each lease.
 */
#define ZC_MAX_IDLE_WORKERS 128

static pthread_mutex_t idle_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t idle_once = PTHREAD_ONCE_INIT;
static zc_worker *idle_first;
static size_t idle_count;
static size_t idle_nbytes;	/* of scratch */

static void lock_idle(void)
{
	pthread_mutex_lock(&idle_mutex);
}

static void unlock_idle(void)
{
	pthread_mutex_unlock(&idle_mutex);
}

/* The list is whole at the moment of a fork, so the child may go on using it. */
static void register_fork_handlers(void)
{
	pthread_atfork(lock_idle, unlock_idle, unlock_idle);
}

static void free_worker(zc_worker *worker)
{
	for (size_t i = 0; i < ZC_N_SCRATCH; i++)
		zc_scratch_free(&worker->scratch[i]);
	for (size_t i = 0; i < ZC_N_CONTEXTS; i++)
		if (worker->context[i] != NULL)
			worker->context_free[i](worker->context[i]);
	free(worker);
}

static size_t scratch_nbytes(const zc_worker *worker)
{
	size_t nbytes = 0;

	for (size_t i = 0; i < ZC_N_SCRATCH; i++)
		nbytes += worker->scratch[i].capacity;
	return nbytes;
}

/* Free the largest buffers until no more than 'limit' bytes are left; returns how many are. */
static size_t shrink_scratch(zc_worker *worker, size_t limit)
{
	size_t nbytes = scratch_nbytes(worker);

	while (nbytes > limit) {
		zc_scratch *largest = &worker->scratch[0];

		for (size_t i = 1; i < ZC_N_SCRATCH; i++)
			if (worker->scratch[i].capacity > largest->capacity)
				largest = &worker->scratch[i];
		nbytes -= largest->capacity;
		zc_scratch_free(largest);
	}
	return nbytes;
}

zc_worker *zc_worker_lease(void)
{
	zc_worker *worker;

	pthread_once(&idle_once, register_fork_handlers);
	lock_idle();
	worker = idle_first;
	if (worker != NULL) {
		idle_first = worker->next;
		idle_count--;
		idle_nbytes -= scratch_nbytes(worker);
	}
	unlock_idle();
	if (worker == NULL)
		worker = calloc(1, sizeof(*worker));
	if (worker != NULL) {
		worker->next = NULL;
		worker->error_number = 0;
		worker->detail = NULL;
	}
	return worker;
}

void zc_worker_return(zc_worker *worker)
{
	size_t nbytes;

	if (worker == NULL)
		return;
	nbytes = shrink_scratch(worker, ZC_WORKER_KEEP_NBYTES);
	lock_idle();
	if (idle_count < ZC_MAX_IDLE_WORKERS && nbytes <= ZC_IDLE_KEEP_NBYTES - idle_nbytes) {
		worker->next = idle_first;
		idle_first = worker;
		idle_count++;
		idle_nbytes += nbytes;
		worker = NULL;
	}
	unlock_idle();
	if (worker != NULL)
		free_worker(worker);
}

size_t zc_worker_idle_nbytes(void)
{
	size_t nbytes;

	lock_idle();
	nbytes = idle_nbytes;
	unlock_idle();
	return nbytes;
}

void zc_worker_trim(void)
{
	zc_worker *worker;

	lock_idle();
	worker = idle_first;
	idle_first = NULL;
	idle_count = 0;
	idle_nbytes = 0;
	unlock_idle();
	while (worker != NULL) {
		zc_worker *next = worker->next;

		free_worker(worker);
		worker = next;
	}
}
