#define _GNU_SOURCE	/* sched_getcpu, cpu_set_t */
#include "zc_pool.h"

#include <errno.h>
#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#endif
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#define POLL_INTERVAL_NS 50000000LL

/* How long the caller waits for its helpers' last items without sleeping: to be woken takes as long. */
#define SPIN_NS 30000LL

/* A job lives on its caller's stack.  'next_item' and 'stopped' are shared without a lock, the rest under pool_mutex. */
typedef struct zc_job {
	zc_task task;
	void *context;
	size_t n;
	size_t grain;
	int helpers_wanted;	/* threads that may still join */
	atomic_int helpers;	/* threads at work; changed under pool_mutex only */
	bool listed;
	unsigned generation;	/* of the process that began the job */
	pthread_t caller;
	int cpu;		/* that the caller was on; -1 where that is not known */
	struct zc_job *next;
	pthread_cond_t left;	/* a helper left */
	_Alignas(64) atomic_size_t next_item;
	atomic_bool stopped;
} zc_job;

static pthread_mutex_t pool_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pool_wake = PTHREAD_COND_INITIALIZER;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;
static zc_job *jobs;
static int n_threads_running;
static unsigned generation;	/* how often the process was forked, from its first ancestor that had a pool */
static zc_worker *(*lease_worker)(void);
static void (*give_back_worker)(zc_worker *worker);

void zc_pool_set_workers(zc_worker *(*lease)(void), void (*give_back)(zc_worker *worker))
{
	lease_worker = lease;
	give_back_worker = give_back;
}

static void before_fork(void)
{
	pthread_mutex_lock(&pool_mutex);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&pool_mutex);
}

/* The child has none of the threads, and none of the callers whose jobs were listed. */
static void after_fork_child(void)
{
	pthread_mutex_init(&pool_mutex, NULL);
	pthread_cond_init(&pool_wake, NULL);
	jobs = NULL;
	n_threads_running = 0;
	generation++;
}

static void register_fork_handlers(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static inline void pause_cpu(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#endif
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Take the job's next items; false when there are none left. */
static bool take_items(zc_job *job, size_t *first_ret, size_t *count_ret)
{
	size_t first;

	if (atomic_load_explicit(&job->stopped, memory_order_relaxed))
		return false;
	/* Checked before adding too, so that late threads cannot make the counter wrap around. */
	if (atomic_load_explicit(&job->next_item, memory_order_relaxed) >= job->n)
		return false;
	first = atomic_fetch_add_explicit(&job->next_item, job->grain, memory_order_relaxed);
	if (first >= job->n)
		return false;
	*first_ret = first;
	*count_ret = job->n - first < job->grain ? job->n - first : job->grain;
	return true;
}

static void stop_job(zc_job *job)
{
	atomic_store_explicit(&job->stopped, true, memory_order_relaxed);
}

static void help(zc_job *job)
{
	zc_worker *worker = lease_worker();
	size_t first, count;

	if (worker == NULL)
		return;		/* the caller does it all */
	worker->stopped = &job->stopped;
	while (take_items(job, &first, &count))
		if (job->task(job->context, first, count, worker) != 0)
			stop_job(job);
	worker->stopped = NULL;
	give_back_worker(worker);
}

/* The first job that wants one more thread, with that thread counted in; pool_mutex is held. */
static zc_job *join_a_job(void)
{
	for (zc_job *job = jobs; job != NULL; job = job->next) {
		if (job->helpers_wanted > 0) {
			job->helpers_wanted--;
			atomic_fetch_add(&job->helpers, 1);
			return job;
		}
	}
	return NULL;
}

static int current_cpu(void)
{
#ifdef __linux__
	return sched_getcpu();
#else
	return -1;
#endif
}

/*
 * A helper that finds itself on its caller's processor goes to another one of those that the caller may use.  What it is
 * allowed in general stays as it is: a codec in Python may start programs, which inherit that.
 * In a virtual machine the idle ones look taken to Linux once the host has stopped them: it then puts a thread on the
 * processor of whoever wakes it, and the two take turns there.  16 chunks of 80 kB, blosc, after a pause: 250 -> 155 us.
 */
static void make_way(const zc_job *job)
{
#ifdef __linux__
	cpu_set_t allowed, others;

	if (job->cpu < 0 || job->cpu != sched_getcpu() ||
	    pthread_getaffinity_np(job->caller, sizeof(others), &others) != 0 ||
	    sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return;
	CPU_CLR((size_t)job->cpu, &others);
	/* It is moved at once. */
	if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof(others), &others) == 0)
		(void)sched_setaffinity(0, sizeof(allowed), &allowed);
#else
	(void)job;
#endif
}

static void *run_thread(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&pool_mutex);
	for (;;) {
		zc_job *job = join_a_job();

		if (job == NULL) {
			pthread_cond_wait(&pool_wake, &pool_mutex);
			continue;
		}
		pthread_mutex_unlock(&pool_mutex);
		make_way(job);
		help(job);
		pthread_mutex_lock(&pool_mutex);
		if (atomic_fetch_sub(&job->helpers, 1) == 1)
			pthread_cond_signal(&job->left);
	}
	return NULL;
}

/* Have up to 'wanted' threads; pool_mutex is held.  Fewer is no error: the caller works too. */
static void start_threads(int wanted)
{
	sigset_t all, before;

	if (wanted > ZC_POOL_MAX_THREADS)
		wanted = ZC_POOL_MAX_THREADS;
	if (n_threads_running >= wanted)
		return;
	/* Signals are for Python's main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (n_threads_running < wanted) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, run_thread, NULL) != 0)
			break;
		pthread_detach(thread);
		n_threads_running++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void list_job(zc_job *job)
{
	pthread_condattr_t attributes;

	pthread_once(&pool_once, register_fork_handlers);
	pthread_condattr_init(&attributes);
#ifndef __APPLE__
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
	pthread_cond_init(&job->left, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_mutex_lock(&pool_mutex);
	job->generation = generation;
	job->caller = pthread_self();
	job->cpu = current_cpu();
	start_threads(job->helpers_wanted);
	job->next = jobs;
	jobs = job;
	job->listed = true;
	for (int i = 0; i < job->helpers_wanted; i++)
		pthread_cond_signal(&pool_wake);
	pthread_mutex_unlock(&pool_mutex);
}

/* Do items on the caller's thread until none is left. */
static void work_on(zc_job *job, zc_poll poll, zc_worker *worker)
{
	long long polled_ns = now_ns();
	size_t first, count;

	worker->stopped = &job->stopped;
	while (take_items(job, &first, &count)) {
		if (job->task(job->context, first, count, worker) != 0)
			stop_job(job);
		if (now_ns() - polled_ns >= POLL_INTERVAL_NS) {
			if (poll != NULL && poll(job->context) != 0)
				stop_job(job);
			polled_ns = now_ns();
		}
	}
	worker->stopped = NULL;
}

static void wait_a_slice(zc_job *job)
{
	struct timespec until;
	long long ns;

#ifdef __APPLE__
	clock_gettime(CLOCK_REALTIME, &until);
#else
	clock_gettime(CLOCK_MONOTONIC, &until);
#endif
	ns = until.tv_nsec + POLL_INTERVAL_NS;
	until.tv_sec += (time_t)(ns / 1000000000LL);
	until.tv_nsec = (long)(ns % 1000000000LL);
	pthread_cond_timedwait(&job->left, &pool_mutex, &until);
}

/* Whether this is a child that was forked in the middle of the job: by a codec in Python, or a signal's handler. */
static bool is_inherited(const zc_job *job)
{
	return job->generation != generation;
}

static void unlist_job(const zc_job *job)
{
	zc_job **link = &jobs;

	pthread_mutex_lock(&pool_mutex);
	while (*link != NULL && *link != job)
		link = &(*link)->next;
	if (*link == job)
		*link = job->next;
	pthread_mutex_unlock(&pool_mutex);
}

/* Wait without sleeping for threads that are about to be done: 16 chunks of 80 kB, blosc, 180 -> 155 us. */
static void spin(zc_job *job)
{
	const long long until = now_ns() + SPIN_NS;

	while (atomic_load(&job->helpers) > 0 && now_ns() < until)
		pause_cpu();
}

/* Take the job off the list, and wait for the threads that are in the middle of an item. */
static void drain(zc_job *job, zc_poll poll)
{
	unlist_job(job);
	if (!is_inherited(job))
		spin(job);
	pthread_mutex_lock(&pool_mutex);
	while (atomic_load(&job->helpers) > 0 && !is_inherited(job)) {
		wait_a_slice(job);
		if (atomic_load(&job->helpers) > 0 && poll != NULL) {
			pthread_mutex_unlock(&pool_mutex);
			if (poll(job->context) != 0)
				stop_job(job);
			pthread_mutex_lock(&pool_mutex);
		}
	}
	pthread_mutex_unlock(&pool_mutex);
	/* In a child it may look as if somebody waited on it still, and destroying it would wait for them. */
	if (!is_inherited(job))
		pthread_cond_destroy(&job->left);
}

zc_status zc_pool_run(zc_task task, zc_poll poll, void *context, size_t n, size_t grain, int n_threads)
{
	zc_worker *worker;
	zc_job job = {.task = task, .context = context, .n = n, .grain = grain == 0 ? 1 : grain};
	size_t n_grains;

	if (n == 0)
		return ZC_OK;
	worker = lease_worker();
	if (worker == NULL)
		return ZC_ENOMEM;
	atomic_init(&job.helpers, 0);
	atomic_init(&job.next_item, 0);
	atomic_init(&job.stopped, false);
	n_grains = (n - 1) / job.grain + 1;
	job.helpers_wanted = n_threads > 1 ? n_threads - 1 : 0;
	if ((size_t)job.helpers_wanted > n_grains - 1)
		job.helpers_wanted = (int)(n_grains - 1);
	if (job.helpers_wanted > 0)
		list_job(&job);
	work_on(&job, poll, worker);
	if (job.listed)
		drain(&job, poll);
	give_back_worker(worker);
	return job.listed && is_inherited(&job) ? ZC_ECANCELLED : ZC_OK;
}

int zc_pool_n_threads(void)
{
	int n;

	pthread_mutex_lock(&pool_mutex);
	n = n_threads_running;
	pthread_mutex_unlock(&pool_mutex);
	return n;
}
