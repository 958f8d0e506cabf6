/*
 * zc_file_lock.h - a lock for a file that several processes change, by a lock file beside it.
 *
 * '.zc-lock-' and the file's name is locked with flock, never the file itself: a rename would leave the lock with the old
 * one.  Its holder removes it before the lock is released.  A holder that dies releases by that; its file stays, unlocked,
 * until the next one removes it.  Threads of a process exclude each other too.  A child that is forked has no lock.
 *
 * Where flock is refused, the lock is a file '.zc-lock-NAME.x' that is made exclusively and says who made it.  That of a
 * process of this machine (and process namespace) that is dead is removed; that of another machine's is waited for, and
 * after a time-out an error that names the file, as for a file whose maker was killed before it said who it was.  All who lock a file must agree on the way: it is no lock if one machine's flock works and another's does
 * not.
 */
#ifndef ZC_FILE_LOCK_H
#define ZC_FILE_LOCK_H

#include "zc.h"

typedef struct zc_file_lock zc_file_lock;

#define ZC_FILE_LOCK_TIMEOUT_MS ((uint64_t)60000)

enum zc_file_lock_way {
	ZC_FILE_LOCK_AUTO,	/* by flock, or where that is refused by an exclusive file */
	ZC_FILE_LOCK_FLOCK,	/* by flock, or not at all */
	ZC_FILE_LOCK_EXCLUSIVE	/* by an exclusive file */
};

/* Asked at times by whoever waits: whether to do so no more. */
typedef int (*zc_file_lock_give_up)(void *context);

typedef struct zc_file_lock_wait {
	int way;			/* zc_file_lock_way */
	uint64_t timeout_ms;		/* for the way without flock */
	zc_file_lock_give_up give_up;	/* NULL: never */
	void *context;			/* of give_up */
} zc_file_lock_wait;

/*
 * Wait for the lock of the file 'path', which need not be there.  Missing directories are made, but never the root
 * (zc_local.h): ZC_ABSENT if that is not there.  ZC_EOS with ETIMEDOUT after the time, without flock; with ENOLCK where flock
 * is refused and nothing else allowed; ZC_ECANCELLED if 'give_up' said so.  *errno_ret is written on ZC_EOS only.
 */
zc_status zc_file_lock_acquire(const char *path, size_t root, const zc_file_lock_wait *wait, zc_file_lock **lock_ret,
			       int *errno_ret);

/* What to tell of the last time-out in this process: who has which file. */
const char *zc_file_lock_timeout_text(void);

/* Release and free.  NULL is nothing. */
void zc_file_lock_release(zc_file_lock *lock);

/* From now on do as if flock was refused, or not: for tests. */
void zc_file_lock_refuse_flock(int refuse);

#endif
