/*
 * zc_file_lock.h - a lock for a file that several processes change, by a lock file beside it.
 *
 * '.zc-lock-' and the file's name is locked with flock, never the file itself: a rename would leave the lock with the old
 * one.  Its holder removes it before the lock is released.  A holder that dies releases by that; its file stays, unlocked,
 * until the next one removes it.  Threads of a process exclude each other too.  A child that is forked has no lock.
 *
 * Where flock is refused, the lock is a file '.zc-lock-NAME.x' that is made exclusively and says who made it.  That of a
 * process of this machine (and process namespace) that is dead is removed; that of another machine's is waited for, and
 * after a time-out an error, as for a process number that was given out anew, or a file whose maker was killed before it
 * said who it was.  All who lock a file must agree on the way: it is no lock if one machine's flock works and another's does
 * not.
 */
#ifndef ZC_FILE_LOCK_H
#define ZC_FILE_LOCK_H

#include "zc.h"

typedef struct zc_file_lock zc_file_lock;

#define ZC_FILE_LOCK_TIMEOUT_MS ((uint64_t)60000)

/*
 * Wait for the lock of the file 'path', which need not be there.  Missing directories are made, but never the first
 * 'root_nbytes' bytes of the path: ZC_ABSENT if the root is not there.  'timeout_ms' is for the lock without flock: ZC_EOS
 * with ETIMEDOUT after it.  *errno_ret is written on ZC_EOS only.
 */
zc_status zc_file_lock_acquire(const char *path, size_t root_nbytes, uint64_t timeout_ms, zc_file_lock **lock_ret,
			       int *errno_ret);

/* Release and free.  NULL is nothing. */
void zc_file_lock_release(zc_file_lock *lock);

/* From now on do as if flock was refused, or not: for tests. */
void zc_file_lock_refuse_flock(int refuse);

#endif
