# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: freethreading_compatible=True
"""The bitround codec's kernel: numbers rounded half to even to a few significant bits."""

import numpy as np

from libc.stdint cimport uint8_t

from zarrc.kernels.codec cimport CodecKernel, make_kernel, zc_bound, zc_run
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

cdef extern from "zc_bitround.h":
    void zc_bitround(const zc_bitround_config *config, void *data, size_t n_elements) noexcept nogil
    void zc_bitround_at(int level, const zc_bitround_config *config, void *dst, const void *src,
                        size_t n_elements) noexcept nogil
    zc_status zc_bitround_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                                 uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes) noexcept nogil
    zc_status zc_bitround_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
                                 uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes) noexcept nogil
    zc_status zc_bitround_bound(const void *config, size_t nbytes, size_t *bound_ret) noexcept nogil

# NumPy's letter for a kind of number -> ours.
cdef dict KINDS = {"f": 0, "c": 0, "i": 1, "u": 2}

cdef dict ITEMSIZES = {0: (2, 4, 8), 1: (1, 2, 4, 8), 2: (1, 2, 4, 8)}


cdef void bitround_inplace(const zc_bitround_config *config, void *data, size_t n_elements) noexcept nogil:
    zc_bitround(config, data, n_elements)


cdef zc_bitround_config make_config(object kind, object itemsize, object keepbits, int n_components) except *:
    cdef zc_bitround_config config
    if kind not in ITEMSIZES or itemsize not in ITEMSIZES[kind]:
        raise ValueError(f"bitround has no kind {kind} of {itemsize} bytes")
    if keepbits < 1:
        raise ValueError(f"keepbits must be at least 1, got {keepbits}")
    config.kind = kind
    config.itemsize = itemsize
    config.keepbits = min(keepbits, 8 * itemsize)
    config.n_components = n_components
    return config


cdef zc_bitround_config parse_config(object dtype, object keepbits) except *:
    dtype = np.dtype(dtype)
    if dtype.kind not in KINDS:
        raise ValueError(f"bitround cannot round {dtype}")
    n_components = 2 if dtype.kind == "c" else 1
    return make_config(KINDS[dtype.kind], dtype.itemsize // n_components, keepbits, n_components)


def kernel(int kind, int itemsize, keepbits):
    """The codec's kernel: encoding rounds, decoding copies, the size stays.

    Parameters
    ----------
    kind : int
        0 for floats, 1 for signed and 2 for unsigned integers.  A complex number is two floats.
    itemsize : int
        Bytes in a number: 1, 2, 4 or 8, floats from 2.
    keepbits : int
        Bits to keep, at least 1: of a float's mantissa, of an integer from its highest set bit.

    Returns
    -------
    CodecKernel
        For elements in native byte order.
    """
    cdef zc_bitround_config config = make_config(kind, itemsize, keepbits, 1)
    return make_kernel("bitround", <zc_run>zc_bitround_encode, <zc_run>zc_bitround_decode,
                       <zc_bound>zc_bitround_bound, True, &config, sizeof(config))


def round_array(values, keepbits, *, int level=-1):
    """A rounded copy of ``values``, C-contiguous and in native byte order.

    Parameters
    ----------
    values : array_like
        Integers, floats or complex numbers.
    keepbits : int
        Bits to keep, at least 1.
    level : int, default -1
        The SIMD level to use at most, -1 for the machine's best; for tests.
    """
    values = np.asarray(values)
    cdef zc_bitround_config config = parse_config(values.dtype, keepbits)
    src = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    result = np.empty_like(src)
    cdef const uint8_t[::1] src_bytes = src.reshape(-1).view(np.uint8)
    cdef uint8_t[::1] dst_bytes = result.reshape(-1).view(np.uint8)
    cdef size_t n = src.size
    if n:
        with nogil:
            zc_bitround_at(level, &config, &dst_bytes[0], &src_bytes[0], n)
    return result.reshape(values.shape)


def round_inplace(values not None, keepbits):
    """Round a C-contiguous array in native byte order where it is.

    Raises
    ------
    ValueError
        If ``values`` is not contiguous, not writable or not in native byte order.
    """
    cdef zc_bitround_config config = parse_config(values.dtype, keepbits)
    if not (values.flags.c_contiguous and values.flags.writeable and values.dtype.isnative):
        raise ValueError("values must be C-contiguous, writable and in native byte order")
    cdef uint8_t[::1] data = values.reshape(-1).view(np.uint8)
    cdef size_t n = values.size
    if n:
        with nogil:
            zc_bitround(&config, &data[0], n)
