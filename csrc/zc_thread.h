/* zc_thread.h - which thread this is. */
#ifndef ZC_THREAD_H
#define ZC_THREAD_H

#ifdef __APPLE__
#include <pthread.h>

static inline int zc_is_main_thread(void)
{
	return pthread_main_np();
}
#else
#include <sys/syscall.h>
#include <unistd.h>

/* The thread that the process began with: in a forked child, the one that forked. */
static inline int zc_is_main_thread(void)
{
	return syscall(SYS_gettid) == getpid();
}
#endif

#endif
