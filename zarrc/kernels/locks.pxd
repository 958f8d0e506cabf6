"""One lock for each object of each store, in this process; and locks of files, for several processes."""

from libc.stdint cimport uint64_t

from zarrc.kernels.status cimport zc_status

cdef extern from "zc_locks.h":
    ctypedef struct zc_lock:
        pass
    ctypedef int (*zc_lock_give_up)(void *context) noexcept nogil

# Wait for the lock of the object 'key' of the store that 'seed' stands for; 'lock' must stay where it is until released.
# Without the GIL: its holder may need it.  ZC_ECANCELLED if 'give_up' said so.
cdef zc_status lock_wait(zc_lock *lock, uint64_t seed, const char *key, size_t key_nbytes, zc_lock_give_up give_up,
                         void *context) noexcept nogil
cdef void lock_release(zc_lock *lock) noexcept nogil

# A number that moves with each change of the object in this process: zc_changes.h.
cdef uint64_t lock_changes(uint64_t seed, const char *key, size_t key_nbytes) noexcept nogil

# The contracts are in zc_file_lock.h.
cdef extern from "zc_file_lock.h":
    ctypedef struct zc_file_lock:
        pass
    ctypedef int (*zc_file_lock_give_up)(void *context) noexcept nogil
    ctypedef struct zc_file_lock_wait:
        int way
        uint64_t timeout_ms
        zc_file_lock_give_up give_up
        void *context
    const uint64_t ZC_FILE_LOCK_TIMEOUT_MS

cdef zc_status file_lock_acquire(const char *path, size_t root, const zc_file_lock_wait *wait, zc_file_lock **lock_ret,
                                 int *errno_ret) noexcept nogil

# Static text: who has which file, of the last time-out.
cdef const char *file_lock_timeout_text() noexcept nogil

# Whether Ctrl-C was pressed and not seen yet: asked on the main thread, which is to give up what it waits for.
cdef int is_interrupted() noexcept nogil
cdef void file_lock_release(zc_file_lock *lock) noexcept nogil
