# cython: language_level=3
"""The process's threads: run the items of one job on the caller's thread and a few others."""

from zarrc.kernels.worker cimport lease_worker, return_worker

cdef extern from "zc_pool.h":
    void zc_pool_set_workers(zc_worker *(*lease)() noexcept nogil, void (*give_back)(zc_worker *worker) noexcept nogil)
    zc_status zc_pool_run(zc_task task, zc_poll poll, void *context, size_t n, size_t grain, int n_threads) noexcept nogil
    int zc_pool_n_threads() noexcept nogil

zc_pool_set_workers(lease_worker, return_worker)


cdef zc_status pool_run(zc_task task, zc_poll poll, void *context, size_t n, size_t grain, int n_threads) noexcept nogil:
    return zc_pool_run(task, poll, context, n, grain, n_threads)


def n_threads():
    """Threads that the pool has started in this process (callers' own threads not counted)."""
    return zc_pool_n_threads()
