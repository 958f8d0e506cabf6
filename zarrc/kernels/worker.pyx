# cython: language_level=3
"""Workers: one thread's scratch memory and compressor contexts, leased for the length of a call."""

cdef extern from "zc_worker.h":
    zc_worker *zc_worker_lease() noexcept nogil
    void zc_worker_return(zc_worker *worker) noexcept nogil
    size_t zc_worker_idle_nbytes() noexcept nogil
    void zc_worker_trim() noexcept nogil


cdef zc_worker *lease_worker() noexcept nogil:
    return zc_worker_lease()


cdef void return_worker(zc_worker *worker) noexcept nogil:
    zc_worker_return(worker)


def trim():
    """Free the scratch memory and compressor contexts that no call is using."""
    with nogil:
        zc_worker_trim()


def idle_nbytes():
    """The bytes of scratch memory that no call is using, kept for the next one."""
    return zc_worker_idle_nbytes()
