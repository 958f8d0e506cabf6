"""Points and masks, chunk by chunk.  The contracts are in zc_points.h, zc_pick.h and zc_mask.h."""

from libc.stdint cimport int64_t, uint8_t

from zarrc.kernels.status cimport zc_status

cdef extern from "zc_points.h":
    enum:
        ZC_POINTS_MAX_AXES
        ZC_POINTS_MAX_LEVELS
    ctypedef struct zc_points_axis:
        const uint8_t *indices
        const Py_ssize_t *strides
        const int64_t *edges
        int64_t n_chunks
        int64_t chunk_extents[8]
    ctypedef struct zc_points_bucket:
        size_t first
        size_t n
        size_t first_point
        size_t n_points
    ctypedef struct zc_points_level:
        size_t n_buckets
        zc_points_bucket *buckets
        int64_t *chunk
        size_t *n_distinct
    ctypedef struct zc_points:
        int n_axes
        int n_levels
        size_t n_points
        int64_t *coords[32]
        int64_t *user
        zc_points_level level[8]
        int64_t *low
        int64_t *high

cdef extern from "zc_pick.h":
    enum:
        ZC_PICK_MAX_LEVELS
    ctypedef struct zc_pick_level:
        size_t n
        int n_axes
        Py_ssize_t chunk_stride
        Py_ssize_t user_stride
        size_t first
        const int64_t *const *coords
        const Py_ssize_t *axis_strides
        const int64_t *user

cdef extern from "zc_mask.h":
    ctypedef struct zc_mask:
        int ndim
        size_t shape[32]
        size_t n
        size_t n_true

cdef zc_status points_make(const zc_points_axis *axes, int n_axes, const size_t *dims, const Py_ssize_t *user_strides,
                           int n_dims, int n_levels, zc_points *ret) noexcept nogil
cdef zc_status points_count_distinct(zc_points *points) noexcept nogil
cdef void points_free(zc_points *points) noexcept nogil

cdef void pick_read(uint8_t *user, const uint8_t *chunk, Py_ssize_t chunk_offset, const zc_pick_level *levels,
                    int n_levels, size_t itemsize, size_t swap_unit) noexcept nogil
cdef void pick_write(uint8_t *chunk, Py_ssize_t chunk_offset, const uint8_t *user, const zc_pick_level *levels,
                     int n_levels, size_t itemsize, size_t swap_unit) noexcept nogil
cdef void pick_fill(uint8_t *user, const zc_pick_level *levels, int n_levels, size_t itemsize,
                    const uint8_t *item) noexcept nogil

cdef zc_status mask_make(const uint8_t *mask, const size_t *shape, int ndim, zc_mask *ret) noexcept nogil
cdef void mask_free(zc_mask *mask) noexcept nogil
cdef size_t mask_count(const zc_mask *mask, const size_t *low, const size_t *count) noexcept nogil
cdef void mask_read(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *user, Py_ssize_t user_stride,
                    const uint8_t *chunk, Py_ssize_t chunk_offset, const Py_ssize_t *chunk_strides, size_t itemsize,
                    size_t swap_unit) noexcept nogil
cdef void mask_write(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *chunk,
                     Py_ssize_t chunk_offset, const Py_ssize_t *chunk_strides, const uint8_t *user,
                     Py_ssize_t user_stride, size_t itemsize, size_t swap_unit) noexcept nogil
cdef void mask_fill(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *user, Py_ssize_t user_stride,
                    size_t itemsize, const uint8_t *item) noexcept nogil
