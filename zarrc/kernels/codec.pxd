"""A codec's kernel: C functions of one signature and their configuration, as one Python object."""

from libc.stdint cimport uint8_t

from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

cdef extern from "zc.h":
    ctypedef zc_status (*zc_run)(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                                 uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes) noexcept nogil
    ctypedef zc_status (*zc_range)(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                                   size_t nbytes, size_t first, size_t end, const uint8_t **data_ret) noexcept nogil
    ctypedef zc_status (*zc_bound)(const void *config, size_t nbytes, size_t *bound_ret) noexcept nogil


cdef class CodecKernel:
    cdef readonly str name
    cdef zc_run run_encode
    cdef zc_run run_decode
    cdef zc_bound run_bound
    cdef zc_range run_range     # decodes a part; NULL where decoding all is the only way
    cdef bint fixed_size        # encoding n bytes gives exactly bound(n)
    cdef void *config           # owned; constant once made
    cdef int _check_made(self) except -1
    cdef bytes _run(self, zc_run run, const uint8_t[::1] data, size_t capacity, size_t limit)


# A kernel with its own copy of the 'config_nbytes' bytes at 'config'.
cdef CodecKernel make_kernel(str name, zc_run run_encode, zc_run run_decode, zc_bound run_bound, bint fixed_size,
                             const void *config, size_t config_nbytes, zc_range run_range=*)
