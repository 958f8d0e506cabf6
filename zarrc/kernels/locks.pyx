# cython: language_level=3
# cython: freethreading_compatible=True
"""One lock for each object of each store, in this process; and locks of files, for several processes."""

cimport cython

from zarrc.kernels.status cimport check

cdef extern from "zc_locks.h":
    void zc_lock_acquire(zc_lock *lock, uint64_t seed, const char *key, size_t key_nbytes) noexcept nogil
    void zc_lock_release(zc_lock *lock) noexcept nogil
    uint64_t zc_lock_changes(uint64_t seed, const char *key, size_t key_nbytes) noexcept nogil

cdef extern from "zc_changes.h":
    void zc_changes_add_all() noexcept nogil

cdef extern from "zc_file_lock.h":
    zc_status zc_file_lock_acquire(const char *path, size_t root_nbytes, uint64_t timeout_ms, zc_file_lock **lock_ret,
                                   int *errno_ret) noexcept nogil
    void zc_file_lock_release(zc_file_lock *lock) noexcept nogil
    void zc_file_lock_refuse_flock(int refuse) noexcept nogil


cdef void lock_acquire(zc_lock *lock, uint64_t seed, const char *key, size_t key_nbytes) noexcept nogil:
    zc_lock_acquire(lock, seed, key, key_nbytes)


cdef void lock_release(zc_lock *lock) noexcept nogil:
    zc_lock_release(lock)


cdef uint64_t lock_changes(uint64_t seed, const char *key, size_t key_nbytes) noexcept nogil:
    return zc_lock_changes(seed, key, key_nbytes)


def all_changed():
    """Say that objects were changed or deleted of which nobody held the locks: what is cached of any is looked at again."""
    zc_changes_add_all()


cdef zc_status file_lock_acquire(const char *path, size_t root_nbytes, uint64_t timeout_ms, zc_file_lock **lock_ret,
                                 int *errno_ret) noexcept nogil:
    return zc_file_lock_acquire(path, root_nbytes, timeout_ms, lock_ret, errno_ret)


cdef void file_lock_release(zc_file_lock *lock) noexcept nogil:
    zc_file_lock_release(lock)


@cython.final
cdef class FileLock:
    """The lock of a file, for ``with``: between processes and threads, each with a `FileLock` of its own (for tests).

    Parameters
    ----------
    path : bytes
        The file, which need not be there.
    root_nbytes : int, default 0
        So many bytes of the path are never made as directories.
    timeout : float, default 60
        Seconds to wait where ``flock`` is refused.
    """

    cdef bytes path
    cdef size_t root_nbytes
    cdef uint64_t timeout_ms
    cdef zc_file_lock *lock

    def __cinit__(self, bytes path not None, size_t root_nbytes=0, double timeout=60.0):
        self.path, self.root_nbytes, self.timeout_ms = path, root_nbytes, <uint64_t>(max(timeout, 0.0) * 1000)

    def __dealloc__(self):
        zc_file_lock_release(self.lock)

    def __enter__(self):
        cdef const char *text = self.path
        cdef zc_file_lock *lock = NULL
        cdef int errno = 0
        cdef zc_status status
        if self.lock is not NULL:
            raise ValueError("the lock is held already")
        with nogil:
            status = zc_file_lock_acquire(text, self.root_nbytes, self.timeout_ms, &lock, &errno)
        check(status, NULL, errno, None)
        self.lock = lock
        return self

    def __exit__(self, *error):
        cdef zc_file_lock *lock = self.lock
        self.lock = NULL
        with nogil:
            zc_file_lock_release(lock)


def _refuse_flock(bint refuse):
    """Do as if the system refused ``flock``, or no more (tests)."""
    zc_file_lock_refuse_flock(refuse)
