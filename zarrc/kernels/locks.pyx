# cython: language_level=3
"""One lock for each object of each store, in this process."""

cdef extern from "zc_locks.h":
    void zc_lock_acquire(zc_lock *lock, uint64_t seed, const char *key, size_t key_nbytes) noexcept nogil
    void zc_lock_release(zc_lock *lock) noexcept nogil


cdef void lock_acquire(zc_lock *lock, uint64_t seed, const char *key, size_t key_nbytes) noexcept nogil:
    zc_lock_acquire(lock, seed, key, key_nbytes)


cdef void lock_release(zc_lock *lock) noexcept nogil:
    zc_lock_release(lock)
