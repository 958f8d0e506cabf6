# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: freethreading_compatible=True
"""CRC-32C, and the crc32c codec's kernel."""

from libc.stdint cimport uint8_t, uint32_t

from zarrc.kernels.codec cimport CodecKernel, make_kernel, zc_bound, zc_run
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

cdef extern from "zc_crc32c.h":
    uint32_t zc_crc32c(const uint8_t *data, size_t nbytes, uint32_t value) noexcept nogil
    uint32_t zc_crc32c_at(int level, const uint8_t *data, size_t nbytes, uint32_t value) noexcept nogil
    int zc_crc32c_best_level() noexcept nogil
    zc_status zc_crc32c_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                               uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes) noexcept nogil
    zc_status zc_crc32c_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                               uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes) noexcept nogil
    zc_status zc_crc32c_bound(const void *config, size_t nbytes, size_t *bound_ret) noexcept nogil


cdef uint32_t crc32c_value(const uint8_t *data, size_t nbytes, uint32_t value) noexcept nogil:
    return zc_crc32c(data, nbytes, value)


def crc32c(const uint8_t[::1] data not None, uint32_t value=0, *, int level=-1):
    """The CRC-32C of ``data``.

    Parameters
    ----------
    data : bytes-like
        Any C-contiguous buffer of bytes.
    value : int, default 0
        The checksum of the bytes before, to continue it.
    level : int, default -1
        0 for tables, 1 for the machine's instruction, 2 for three streams of it, as far as the machine has them;
        -1 for the best; for tests.

    Returns
    -------
    int
        From 0 to 2**32 - 1.
    """
    cdef size_t nbytes = data.shape[0]
    cdef const uint8_t *first = &data[0] if nbytes else NULL
    cdef uint32_t result
    with nogil:
        result = zc_crc32c_at(level, first, nbytes, value)
    return result


def crc32c_level():
    """The best level that this machine has (see `crc32c`)."""
    return zc_crc32c_best_level()


def crc32c_kernel():
    """The codec's kernel: encoding appends the checksum as 4 bytes, little endian, and decoding checks it.

    Returns
    -------
    CodecKernel
        Its ``decode`` raises CorruptChunkError where the checksum differs or is missing.
    """
    return make_kernel("crc32c", <zc_run>zc_crc32c_encode, <zc_run>zc_crc32c_decode, <zc_bound>zc_crc32c_bound, True,
                       NULL, 0)
