"""Workers: one thread's scratch memory and compressor contexts, leased for the length of a call."""

from libc.stdint cimport uint8_t

cdef extern from "zc.h":
    enum zc_scratch_id:
        ZC_SCRATCH_ENCODED
        ZC_SCRATCH_PING
        ZC_SCRATCH_PONG
        ZC_SCRATCH_CHUNK
    ctypedef struct zc_worker:
        int error_number
        const char *detail
        const void *stopped
    uint8_t *zc_worker_scratch(zc_worker *worker, zc_scratch_id id, size_t nbytes) noexcept nogil

# NULL when memory is short.
cdef zc_worker *lease_worker() noexcept nogil
cdef void return_worker(zc_worker *worker) noexcept nogil
