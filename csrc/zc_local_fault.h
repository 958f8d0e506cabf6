/*
 * zc_local_fault.h - places where a test can have the process killed: before and after each system call that changes a
 * file.  Where no test asked for it, such a place is a load and a branch.
 */
#ifndef ZC_LOCAL_FAULT_H
#define ZC_LOCAL_FAULT_H

#include "zc.h"

extern int zc_local_faults_armed;

#define ZC_FAULT_POINT() \
	do { \
		if (__builtin_expect(__atomic_load_n(&zc_local_faults_armed, __ATOMIC_RELAXED), 0)) \
			zc_local_fault_pass(); \
	} while (0)

/* A place was reached: count it, and end the process by SIGKILL if it is the one. */
void zc_local_fault_pass(void);

/* From now on count the places, from 1, and kill the process at number 'n'; 0: at none, only count.  -1: stop counting. */
void zc_local_fault_arm(int64_t n);

/* Places reached since they are counted. */
uint64_t zc_local_fault_count(void);

/* Have flushing files (is_directory 0) or directories (1) fail with this errno; 0: work again. */
void zc_local_fault_fail_flushes(int is_directory, int error_number);

/* Flushes since the process began. */
uint64_t zc_local_fault_count_flushes(int is_directory);

/* A flush is about to be done: count it; 1, with errno set, if it is to fail. */
int zc_local_fault_flush(int is_directory);

#endif
