"""One lock for each object of each store, in this process."""

from libc.stdint cimport uint64_t

cdef extern from "zc_locks.h":
    ctypedef struct zc_lock:
        pass

# Wait for the lock of the object 'key' of the store that 'seed' stands for; 'lock' must stay where it is until released.
# Without the GIL: its holder may need it.
cdef void lock_acquire(zc_lock *lock, uint64_t seed, const char *key, size_t key_nbytes) noexcept nogil
cdef void lock_release(zc_lock *lock) noexcept nogil
