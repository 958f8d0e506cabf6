#include "zc_worker.h"

#include <pthread.h>
#include <string.h>

/* As many as can be busy at once on a large node; beyond it a worker is made and freed for each lease. */
#define ZC_MAX_IDLE_WORKERS 128

static pthread_mutex_t idle_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t idle_once = PTHREAD_ONCE_INIT;
static zc_worker *idle_first;
static size_t idle_count;

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
		free(worker->scratch[i].data);
	for (size_t i = 0; i < ZC_N_CONTEXTS; i++)
		if (worker->context[i] != NULL)
			worker->context_free[i](worker->context[i]);
	free(worker);
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
	if (worker == NULL)
		return;
	for (size_t i = 0; i < ZC_N_SCRATCH; i++) {
		zc_scratch *scratch = &worker->scratch[i];

		if (scratch->capacity > ZC_SCRATCH_KEEP_NBYTES) {
			free(scratch->data);
			scratch->data = NULL;
			scratch->capacity = 0;
		}
	}
	lock_idle();
	if (idle_count < ZC_MAX_IDLE_WORKERS) {
		worker->next = idle_first;
		idle_first = worker;
		idle_count++;
		worker = NULL;
	}
	unlock_idle();
	if (worker != NULL)
		free_worker(worker);
}

void zc_worker_trim(void)
{
	zc_worker *worker;

	lock_idle();
	worker = idle_first;
	idle_first = NULL;
	idle_count = 0;
	unlock_idle();
	while (worker != NULL) {
		zc_worker *next = worker->next;

		free_worker(worker);
		worker = next;
	}
}
