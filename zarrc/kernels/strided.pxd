"""N-d boxes of items with any strides: copy, fill, compare; byte swap.  The contracts are in zc_strided.h."""

from libc.stdint cimport uint8_t

cdef void strided_copy(uint8_t *dst, const Py_ssize_t *dst_strides, const uint8_t *src, const Py_ssize_t *src_strides,
                       const size_t *shape, int ndim, size_t itemsize, size_t swap_unit) noexcept nogil

cdef void strided_copy_streamed(uint8_t *dst, const Py_ssize_t *dst_strides, const uint8_t *src,
                                const Py_ssize_t *src_strides, const size_t *shape, int ndim, size_t itemsize,
                                size_t swap_unit) noexcept nogil

cdef void strided_fill(uint8_t *dst, const Py_ssize_t *dst_strides, const size_t *shape, int ndim, size_t itemsize,
                       const uint8_t *pattern) noexcept nogil

cdef bint strided_equals(const uint8_t *src, const Py_ssize_t *strides, const size_t *shape, int ndim, size_t itemsize,
                         const uint8_t *pattern) noexcept nogil

cdef void swap_bytes(uint8_t *data, size_t nbytes, size_t swap_unit) noexcept nogil
