# cython: language_level=3
# cython: freethreading_compatible=True
"""One lock for each object of each store, in this process; and locks of files, for several processes."""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport ETIMEDOUT

from zarrc.kernels.status cimport ZC_ECANCELLED, check

cdef extern from "zc_locks.h":
    zc_status zc_lock_wait(zc_lock *lock, uint64_t seed, const char *key, size_t key_nbytes, zc_lock_give_up give_up,
                           void *context) noexcept nogil
    void zc_lock_release(zc_lock *lock) noexcept nogil
    uint64_t zc_lock_changes(uint64_t seed, const char *key, size_t key_nbytes) noexcept nogil

cdef extern from "zc_changes.h":
    void zc_changes_add_all() noexcept nogil

cdef extern from "Python.h":
    int PyOS_InterruptOccurred()
    void PyErr_SetInterrupt()

cdef extern from "zc_thread.h":
    int zc_is_main_thread() noexcept nogil

cdef extern from "zc_file_lock.h":
    zc_status zc_file_lock_acquire(const char *path, size_t root, const zc_file_lock_wait *wait, zc_file_lock **lock_ret,
                                   int *errno_ret) noexcept nogil
    const char *zc_file_lock_timeout_text() noexcept nogil
    void zc_file_lock_release(zc_file_lock *lock) noexcept nogil
    void zc_file_lock_refuse_flock(int refuse) noexcept nogil


cdef zc_status lock_wait(zc_lock *lock, uint64_t seed, const char *key, size_t key_nbytes, zc_lock_give_up give_up,
                         void *context) noexcept nogil:
    return zc_lock_wait(lock, seed, key, key_nbytes, give_up, context)


cdef void lock_release(zc_lock *lock) noexcept nogil:
    zc_lock_release(lock)


cdef uint64_t lock_changes(uint64_t seed, const char *key, size_t key_nbytes) noexcept nogil:
    return zc_lock_changes(seed, key, key_nbytes)


def all_changed():
    """Say that objects were changed or deleted of which nobody held the locks: what is cached of any is looked at again."""
    zc_changes_add_all()


cdef zc_status file_lock_acquire(const char *path, size_t root, const zc_file_lock_wait *wait, zc_file_lock **lock_ret,
                                 int *errno_ret) noexcept nogil:
    return zc_file_lock_acquire(path, root, wait, lock_ret, errno_ret)


cdef const char *file_lock_timeout_text() noexcept nogil:
    return zc_file_lock_timeout_text()


cdef int is_interrupted() noexcept nogil:
    # As in the engine's polls: only the main thread may ask, and only it needs to.
    if not zc_is_main_thread():
        return 0
    with gil:
        if not PyOS_InterruptOccurred():
            return 0
        PyErr_SetInterrupt()    # for whoever runs the handler
    return 1


cdef int _ask(void *context) noexcept nogil:
    return is_interrupted()


cdef void file_lock_release(zc_file_lock *lock) noexcept nogil:
    zc_file_lock_release(lock)


WAYS = ("auto", "flock", "lockfile")    # as zc_file_lock_way


@cython.final
cdef class FileLock:
    """The lock of a file, for ``with``: between processes and threads, each with a `FileLock` of its own.

    Parameters
    ----------
    path : bytes
        The file, which need not be there.
    root_nbytes : int, default 0
        So many bytes of the path are never made as directories.
    timeout : float, default 60
        Seconds to wait where ``flock`` is not used.
    way : {"auto", "flock", "lockfile"}, default "auto"
        By ``flock``, or where the system refuses that by an exclusive file; only by one of them.
    """

    cdef bytes path
    cdef size_t root_nbytes
    cdef zc_file_lock_wait wait
    cdef zc_file_lock *lock

    def __cinit__(self, bytes path not None, size_t root_nbytes=0, double timeout=60.0, way="auto"):
        if way not in WAYS:
            raise ValueError(f"the way of a lock is one of {', '.join(map(repr, WAYS))}, not {way!r}")
        self.path, self.root_nbytes = path, root_nbytes
        self.wait.way, self.wait.timeout_ms = WAYS.index(way), <uint64_t>(max(timeout, 0.0) * 1000)
        self.wait.give_up = _ask

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
            status = zc_file_lock_acquire(text, self.root_nbytes, &self.wait, &lock, &errno)
        if status == ZC_ECANCELLED:
            PyErr_CheckSignals()
        check(status, zc_file_lock_timeout_text() if errno == ETIMEDOUT else NULL, errno, None)
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
