#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include "zc_local_fault.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

int zc_local_faults_armed;

static _Atomic uint64_t n_passed;
static _Atomic uint64_t fatal;

void zc_local_fault_pass(void)
{
	if (atomic_fetch_add(&n_passed, 1) + 1 != atomic_load(&fatal))
		return;
	kill(getpid(), SIGKILL);
	/* The signal may reach another thread first; this one does nothing more. */
	for (;;)
		pause();
}

void zc_local_fault_arm(int64_t n)
{
	atomic_store(&n_passed, 0);
	atomic_store(&fatal, n > 0 ? (uint64_t)n : 0);
	__atomic_store_n(&zc_local_faults_armed, n >= 0, __ATOMIC_SEQ_CST);
}

uint64_t zc_local_fault_count(void)
{
	return atomic_load(&n_passed);
}

static _Atomic uint64_t n_flushes[2];
static _Atomic int flush_errno[2];

void zc_local_fault_fail_flushes(int is_directory, int error_number)
{
	atomic_store(&flush_errno[is_directory], error_number);
}

uint64_t zc_local_fault_count_flushes(int is_directory)
{
	return atomic_load(&n_flushes[is_directory]);
}

int zc_local_fault_flush(int is_directory)
{
	int failure = atomic_load(&flush_errno[is_directory]);

	atomic_fetch_add(&n_flushes[is_directory], 1);
	errno = failure;
	return failure != 0;
}
