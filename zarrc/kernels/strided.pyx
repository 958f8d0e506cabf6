# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: freethreading_compatible=True
"""N-d boxes of items with any strides: copy, fill, compare; byte swap."""

import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t

cimport numpy as cnp

cdef extern from "zc_strided.h":
    void zc_strided_copy(uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src, const ptrdiff_t *src_strides,
                         const size_t *shape, int ndim, size_t itemsize, size_t swap_unit) noexcept nogil
    void zc_strided_copy_at(int level, uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src,
                            const ptrdiff_t *src_strides, const size_t *shape, int ndim, size_t itemsize,
                            size_t swap_unit) noexcept nogil
    void zc_strided_copy_streamed(uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src,
                                  const ptrdiff_t *src_strides, const size_t *shape, int ndim, size_t itemsize,
                                  size_t swap_unit) noexcept nogil
    void zc_strided_fill(uint8_t *dst, const ptrdiff_t *dst_strides, const size_t *shape, int ndim, size_t itemsize,
                         const uint8_t *pattern) noexcept nogil
    int zc_strided_equals(const uint8_t *src, const ptrdiff_t *strides, const size_t *shape, int ndim, size_t itemsize,
                          const uint8_t *pattern) noexcept nogil
    int zc_strided_equals_at(int level, const uint8_t *src, const ptrdiff_t *strides, const size_t *shape, int ndim,
                             size_t itemsize, const uint8_t *pattern) noexcept nogil
    void zc_swap(uint8_t *data, size_t nbytes, size_t swap_unit) noexcept nogil

cnp.import_array()

cdef enum:
    MAX_NDIM = 32


cdef void strided_copy(uint8_t *dst, const Py_ssize_t *dst_strides, const uint8_t *src, const Py_ssize_t *src_strides,
                       const size_t *shape, int ndim, size_t itemsize, size_t swap_unit) noexcept nogil:
    zc_strided_copy(dst, <const ptrdiff_t *>dst_strides, src, <const ptrdiff_t *>src_strides, shape, ndim, itemsize,
                    swap_unit)


cdef void strided_copy_streamed(uint8_t *dst, const Py_ssize_t *dst_strides, const uint8_t *src,
                                const Py_ssize_t *src_strides, const size_t *shape, int ndim, size_t itemsize,
                                size_t swap_unit) noexcept nogil:
    zc_strided_copy_streamed(dst, <const ptrdiff_t *>dst_strides, src, <const ptrdiff_t *>src_strides, shape, ndim,
                             itemsize, swap_unit)


cdef void strided_fill(uint8_t *dst, const Py_ssize_t *dst_strides, const size_t *shape, int ndim, size_t itemsize,
                       const uint8_t *pattern) noexcept nogil:
    zc_strided_fill(dst, <const ptrdiff_t *>dst_strides, shape, ndim, itemsize, pattern)


cdef bint strided_equals(const uint8_t *src, const Py_ssize_t *strides, const size_t *shape, int ndim, size_t itemsize,
                         const uint8_t *pattern) noexcept nogil:
    return zc_strided_equals(src, <const ptrdiff_t *>strides, shape, ndim, itemsize, pattern)


cdef void swap_bytes(uint8_t *data, size_t nbytes, size_t swap_unit) noexcept nogil:
    zc_swap(data, nbytes, swap_unit)


cdef int check_ndim(cnp.ndarray array) except -1:
    """NumPy allows 64 dimensions, the kernels and Zarr arrays 32."""
    if array.ndim > MAX_NDIM:
        raise ValueError(f"at most {MAX_NDIM} dimensions, got {array.ndim}")
    if array.dtype.hasobject:
        raise TypeError(f"items of {array.dtype} hold references and cannot be copied as bytes")
    return 0


cdef int check_written(cnp.ndarray array) except -1:
    check_ndim(array)
    if not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError("dst is read-only")
    return 0


cdef size_t swap_unit_of(object dtype) except? 0:
    """The bytes that a byte swap reverses together: half of a complex number, else the item."""
    cdef size_t unit = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
    if dtype.kind not in "biufcmM" or unit not in (1, 2, 4, 8):
        raise TypeError(f"items of {dtype} have no byte order that can be swapped")
    return unit


def copy(cnp.ndarray dst not None, cnp.ndarray src not None, *, bint swap=False, int level=-1,
         bint streamed=False):
    """Copy ``src`` to ``dst``, which has the same shape and item size and does not overlap it.

    Parameters
    ----------
    dst, src : ndarray
        Any strides; in ``src`` 0 too, as ``numpy.broadcast_to`` makes them.  The bytes of the items are copied: the
        data types are not compared, only their sizes.
    swap : bool, default False
        Reverse the bytes of each number on the way (each half of a complex one).
    level : int, default -1
        The SIMD level to use at most, -1 for the machine's best; for tests.
    streamed : bool, default False
        Store past the cache where that can be done.

    Raises
    ------
    ValueError
        If shapes or item sizes differ, or ``dst`` is read-only.
    """
    cdef size_t unit = swap_unit_of(src.dtype) if swap else 0
    cdef size_t itemsize = src.dtype.itemsize
    check_written(dst)
    check_ndim(src)
    if not cnp.PyArray_SAMESHAPE(dst, src) or dst.dtype.itemsize != src.dtype.itemsize:
        raise ValueError(f"src is {np.shape(src)} of {itemsize} bytes, dst is {np.shape(dst)} of {dst.dtype.itemsize}")
    cdef uint8_t *to = <uint8_t *>cnp.PyArray_DATA(dst)
    cdef const uint8_t *data = <const uint8_t *>cnp.PyArray_DATA(src)
    cdef const ptrdiff_t *to_strides = <const ptrdiff_t *>cnp.PyArray_STRIDES(dst)
    cdef const ptrdiff_t *strides = <const ptrdiff_t *>cnp.PyArray_STRIDES(src)
    cdef const size_t *shape = <const size_t *>cnp.PyArray_DIMS(src)
    cdef int ndim = cnp.PyArray_NDIM(src)
    with nogil:
        if streamed:
            zc_strided_copy_streamed(to, to_strides, data, strides, shape, ndim, itemsize, unit)
        else:
            zc_strided_copy_at(level, to, to_strides, data, strides, shape, ndim, itemsize, unit)


def fill(cnp.ndarray dst not None, const uint8_t[::1] pattern not None):
    """Set the bytes of each item of ``dst`` to ``pattern``.

    Raises
    ------
    ValueError
        If ``pattern`` is not as long as an item, or ``dst`` is read-only.
    """
    cdef size_t itemsize = dst.dtype.itemsize
    check_written(dst)
    check_pattern(itemsize, pattern)
    if itemsize == 0:
        return
    cdef const uint8_t *item = &pattern[0]
    with nogil:
        zc_strided_fill(<uint8_t *>cnp.PyArray_DATA(dst), <const ptrdiff_t *>cnp.PyArray_STRIDES(dst),
                        <const size_t *>cnp.PyArray_DIMS(dst), cnp.PyArray_NDIM(dst), itemsize, item)


def equals(cnp.ndarray src not None, const uint8_t[::1] pattern not None, *, int level=-1):
    """Whether each item of ``src`` has the bits of ``pattern``; True for an empty array.

    Raises
    ------
    ValueError
        If ``pattern`` is not as long as an item.
    """
    cdef size_t itemsize = src.dtype.itemsize
    cdef bint result
    check_ndim(src)
    check_pattern(itemsize, pattern)
    if itemsize == 0:
        return True
    cdef const uint8_t *item = &pattern[0]
    with nogil:
        result = zc_strided_equals_at(level, <const uint8_t *>cnp.PyArray_DATA(src),
                                      <const ptrdiff_t *>cnp.PyArray_STRIDES(src),
                                      <const size_t *>cnp.PyArray_DIMS(src), cnp.PyArray_NDIM(src), itemsize, item)
    return result


cdef int check_pattern(size_t itemsize, const uint8_t[::1] pattern) except -1:
    if <size_t>pattern.shape[0] != itemsize:
        raise ValueError(f"the pattern has {pattern.shape[0]} bytes, an item has {itemsize}")
    return 0


def transpose(cnp.ndarray src not None, order):
    """A new C-contiguous array with the dimensions of ``src`` in another order.

    Parameters
    ----------
    src : ndarray
        Any strides.
    order : sequence of int
        A permutation: dimension ``i`` of the result is dimension ``order[i]`` of ``src``.

    Returns
    -------
    ndarray
        ``numpy.ascontiguousarray(src.transpose(order))``, always a copy, made faster.
    """
    turned = src.transpose(order)
    result = np.empty(turned.shape, turned.dtype)
    copy(result, turned)
    return result


def swap(uint8_t[::1] data not None, size_t unit):
    """Reverse the bytes of each ``unit`` (1, 2, 4 or 8) bytes of ``data`` in place.

    Raises
    ------
    ValueError
        If ``unit`` is another number, or the length of ``data`` is not a multiple of it.
    """
    if unit not in (1, 2, 4, 8) or <size_t>data.shape[0] % unit:
        raise ValueError(f"{data.shape[0]} bytes cannot be swapped by {unit}")
    if data.shape[0] == 0:
        return
    cdef size_t nbytes = data.shape[0]
    cdef uint8_t *first = &data[0]
    with nogil:
        zc_swap(first, nbytes, unit)
