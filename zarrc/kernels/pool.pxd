"""The process's threads: run the items of one job on the caller's thread and a few others."""

from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

cdef extern from "zc_pool.h":
    ctypedef int (*zc_task)(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil
    ctypedef int (*zc_poll)(void *context) noexcept nogil

# zc_pool_run of csrc/zc_pool.h: its contract stands there.
cdef zc_status pool_run(zc_task task, zc_poll poll, void *context, size_t n, size_t grain, int n_threads) noexcept nogil
