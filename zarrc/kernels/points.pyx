# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: freethreading_compatible=True
"""Lists of points sorted by chunk, masks of whole arrays, and the copies that they ask for."""

cimport cython
import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport SIZE_MAX, int64_t, uint8_t
from libc.string cimport memset

cimport numpy as cnp

from zarrc.kernels.status cimport check, zc_status
from zarrc.kernels.strided cimport strided_copy

cdef extern from "zc_points.h":
    zc_status zc_points_make(const zc_points_axis *axes, int n_axes, const size_t *dims, const ptrdiff_t *user_strides,
                             int n_dims, int n_levels, zc_points *ret) noexcept nogil
    void zc_points_free(zc_points *points) noexcept nogil
    zc_status zc_points_count_distinct(zc_points *points) noexcept nogil
    size_t zc_points_normalize(int64_t *dst, const uint8_t *src, const ptrdiff_t *strides, const size_t *shape, int ndim,
                               size_t itemsize, int is_signed, int64_t extent) noexcept nogil

cdef extern from "zc_pick.h":
    ctypedef void (*zc_pick_box)(uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src,
                                 const ptrdiff_t *src_strides, const size_t *shape, int ndim, size_t itemsize,
                                 size_t swap_unit) noexcept nogil
    void zc_pick_read(zc_pick_box copy_box, uint8_t *user, const uint8_t *chunk, ptrdiff_t chunk_offset,
                      const zc_pick_level *levels, int n_levels, size_t itemsize, size_t swap_unit) noexcept nogil
    void zc_pick_write(zc_pick_box copy_box, uint8_t *chunk, ptrdiff_t chunk_offset, const uint8_t *user,
                       const zc_pick_level *levels, int n_levels, size_t itemsize, size_t swap_unit) noexcept nogil
    void zc_pick_fill(zc_pick_box copy_box, uint8_t *user, const zc_pick_level *levels, int n_levels, size_t itemsize,
                      const uint8_t *item) noexcept nogil

cdef extern from "zc_mask.h":
    zc_status zc_mask_make(const uint8_t *mask, const size_t *shape, int ndim, zc_mask *ret) noexcept nogil
    void zc_mask_free(zc_mask *mask) noexcept nogil
    size_t zc_mask_count(const zc_mask *mask, const size_t *low, const size_t *count) noexcept nogil
    void zc_mask_read(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *user, ptrdiff_t user_stride,
                      const uint8_t *chunk, ptrdiff_t chunk_offset, const ptrdiff_t *chunk_strides, size_t itemsize,
                      size_t swap_unit) noexcept nogil
    void zc_mask_write(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *chunk,
                       ptrdiff_t chunk_offset, const ptrdiff_t *chunk_strides, const uint8_t *user,
                       ptrdiff_t user_stride, size_t itemsize, size_t swap_unit) noexcept nogil
    void zc_mask_fill(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *user, ptrdiff_t user_stride,
                      size_t itemsize, const uint8_t *item) noexcept nogil

cnp.import_array()


# Linked into zarrc.kernels.strided; its Py_ssize_t are ptrdiff_t.
cdef void copy_box(uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src, const ptrdiff_t *src_strides,
                   const size_t *shape, int ndim, size_t itemsize, size_t swap_unit) noexcept nogil:
    strided_copy(dst, <const Py_ssize_t *>dst_strides, src, <const Py_ssize_t *>src_strides, shape, ndim, itemsize,
                 swap_unit)


cdef zc_status points_make(const zc_points_axis *axes, int n_axes, const size_t *dims, const Py_ssize_t *user_strides,
                           int n_dims, int n_levels, zc_points *ret) noexcept nogil:
    return zc_points_make(axes, n_axes, dims, <const ptrdiff_t *>user_strides, n_dims, n_levels, ret)


cdef zc_status points_count_distinct(zc_points *points) noexcept nogil:
    return zc_points_count_distinct(points)


cdef void points_free(zc_points *points) noexcept nogil:
    zc_points_free(points)


cdef void pick_read(uint8_t *user, const uint8_t *chunk, Py_ssize_t chunk_offset, const zc_pick_level *levels,
                    int n_levels, size_t itemsize, size_t swap_unit) noexcept nogil:
    zc_pick_read(copy_box, user, chunk, chunk_offset, levels, n_levels, itemsize, swap_unit)


cdef void pick_write(uint8_t *chunk, Py_ssize_t chunk_offset, const uint8_t *user, const zc_pick_level *levels,
                     int n_levels, size_t itemsize, size_t swap_unit) noexcept nogil:
    zc_pick_write(copy_box, chunk, chunk_offset, user, levels, n_levels, itemsize, swap_unit)


cdef void pick_fill(uint8_t *user, const zc_pick_level *levels, int n_levels, size_t itemsize,
                    const uint8_t *item) noexcept nogil:
    zc_pick_fill(copy_box, user, levels, n_levels, itemsize, item)


cdef zc_status mask_make(const uint8_t *mask, const size_t *shape, int ndim, zc_mask *ret) noexcept nogil:
    return zc_mask_make(mask, shape, ndim, ret)


cdef void mask_free(zc_mask *mask) noexcept nogil:
    zc_mask_free(mask)


cdef size_t mask_count(const zc_mask *mask, const size_t *low, const size_t *count) noexcept nogil:
    return zc_mask_count(mask, low, count)


cdef void mask_read(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *user, Py_ssize_t user_stride,
                    const uint8_t *chunk, Py_ssize_t chunk_offset, const Py_ssize_t *chunk_strides, size_t itemsize,
                    size_t swap_unit) noexcept nogil:
    zc_mask_read(mask, low, count, user, user_stride, chunk, chunk_offset, <const ptrdiff_t *>chunk_strides, itemsize,
                 swap_unit)


cdef void mask_write(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *chunk,
                     Py_ssize_t chunk_offset, const Py_ssize_t *chunk_strides, const uint8_t *user,
                     Py_ssize_t user_stride, size_t itemsize, size_t swap_unit) noexcept nogil:
    zc_mask_write(mask, low, count, chunk, chunk_offset, <const ptrdiff_t *>chunk_strides, user, user_stride, itemsize,
                  swap_unit)


cdef void mask_fill(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *user, Py_ssize_t user_stride,
                    size_t itemsize, const uint8_t *item) noexcept nogil:
    zc_mask_fill(mask, low, count, user, user_stride, itemsize, item)


def normalize_indices(cnp.ndarray indices not None, int64_t extent):
    """Integers as they index an axis of ``extent`` elements: negative ones count from the end.

    Parameters
    ----------
    indices : ndarray
        Any integer type, any byte order, any strides.
    extent : int
        At least 0.

    Returns
    -------
    array : ndarray of int64 or None
        A new C-contiguous array of the same shape with values in ``[0, extent)``; None if one was outside.
    bad_index : int or None
        The first in C order that is outside of ``[-extent, extent)``.

    Raises
    ------
    TypeError
        If ``indices`` are not integers.
    """
    dtype = indices.dtype
    if dtype.kind not in "iu" or extent < 0:
        raise TypeError(f"integers and an extent, got {dtype} and {extent}")
    if not dtype.isnative:
        indices = indices.astype(dtype.newbyteorder("="))
    cdef cnp.ndarray result = np.empty(np.shape(indices), np.int64)
    cdef size_t itemsize = dtype.itemsize, outside
    cdef bint is_signed = dtype.kind == "i"
    with nogil:
        outside = zc_points_normalize(<int64_t *>cnp.PyArray_DATA(result), <const uint8_t *>cnp.PyArray_DATA(indices),
                                      <const ptrdiff_t *>cnp.PyArray_STRIDES(indices),
                                      <const size_t *>cnp.PyArray_DIMS(indices), cnp.PyArray_NDIM(indices), itemsize,
                                      is_signed, extent)
    if outside == SIZE_MAX:
        return result, None
    return None, int(indices.flat[outside])


cdef object numbers(const void *data, size_t n, object dtype):
    """A copy of ``n`` items of ``dtype``."""
    cdef const uint8_t *bytes_of = <const uint8_t *>data
    cdef size_t nbytes = n * <size_t>dtype.itemsize
    return np.frombuffer(bytes_of[:nbytes] if nbytes > 0 else b"", dtype).copy()


@cython.final
cdef class Points:
    """Points sorted by chunk, as the engine has them; for tests.

    Parameters
    ----------
    indices : sequence of ndarray of int64
        One array for each axis, of one shape; any strides.
    chunk_extents : sequence of sequence of int
        For each axis the extents of a chunk at each level.
    user_strides : sequence of int
        Bytes along each dimension of the indices.
    edges : sequence, optional
        For each axis None, or the edges of the chunks of level 0, as int64.
    """

    cdef zc_points points

    def __cinit__(self):
        memset(&self.points, 0, sizeof(self.points))

    def __init__(self, indices, chunk_extents, user_strides, edges=None):
        cdef zc_points_axis axes[33]
        cdef ptrdiff_t strides[32]
        cdef cnp.ndarray array
        cdef int n_axes = len(indices), n_levels = len(chunk_extents[0]), i, level
        cdef int n_dims = indices[0].ndim
        cdef zc_status status
        held = []
        for i in range(n_dims):
            strides[i] = user_strides[i]
        for i in range(min(n_axes, 33)):
            array = indices[i]
            if array.dtype != np.int64 or np.shape(array) != np.shape(indices[0]):
                raise ValueError("indices: int64 of one shape")
            axes[i].indices = <const uint8_t *>cnp.PyArray_DATA(array)
            axes[i].strides = <const Py_ssize_t *>cnp.PyArray_STRIDES(array)
            axes[i].edges = NULL
            axes[i].n_chunks = 0
            if edges is not None and edges[i] is not None:
                table = np.ascontiguousarray(edges[i], np.int64)
                held.append(table)
                axes[i].edges = <const int64_t *>cnp.PyArray_DATA(table)
                axes[i].n_chunks = len(table) - 1
            for level in range(min(n_levels, 8)):
                axes[i].chunk_extents[level] = chunk_extents[i][level]
        cdef const size_t *dims = <const size_t *>cnp.PyArray_DIMS(indices[0])
        zc_points_free(&self.points)
        with nogil:
            status = zc_points_make(axes, n_axes, dims, strides, n_dims, n_levels, &self.points)
        check(status, NULL, 0, "points")

    def __dealloc__(self):
        zc_points_free(&self.points)

    def count_distinct(self):
        """Fill in what `n_distinct` gives."""
        cdef zc_status status
        with nogil:
            status = zc_points_count_distinct(&self.points)
        check(status, NULL, 0, "points")

    @property
    def n_points(self):
        return self.points.n_points

    @property
    def coords(self):
        """For each axis the index of each point in its leaf chunk."""
        return [numbers(self.points.coords[i], self.points.n_points, np.dtype(np.int64))
                for i in range(self.points.n_axes)]

    @property
    def user(self):
        """The place of each point in the user's array, in bytes."""
        return numbers(self.points.user, self.points.n_points, np.dtype(np.int64))

    def buckets(self, int level):
        """Rows of (first, n, first_point, n_points)."""
        cdef zc_points_level *at = self._level(level)
        return numbers(at.buckets, at.n_buckets * 4, np.dtype(np.uintp)).reshape(-1, 4).astype(np.int64)

    def chunks(self, int level):
        """For each bucket the chunk's number along each axis."""
        cdef zc_points_level *at = self._level(level)
        return numbers(at.chunk, at.n_buckets * self.points.n_axes, np.dtype(np.int64)).reshape(-1, self.points.n_axes)

    def n_distinct(self, int level):
        """For each bucket how many distinct indices it has, or None."""
        cdef zc_points_level *at = self._level(level)
        return None if at.n_distinct is NULL else numbers(at.n_distinct, at.n_buckets, np.dtype(np.uintp))

    @property
    def boxes(self):
        """For each leaf bucket the least and the greatest index along each axis."""
        n = self.points.level[self.points.n_levels - 1].n_buckets * self.points.n_axes
        shape = (-1, self.points.n_axes)
        dtype = np.dtype(np.int64)
        return numbers(self.points.low, n, dtype).reshape(shape), numbers(self.points.high, n, dtype).reshape(shape)

    cdef zc_points_level *_level(self, int level) except NULL:
        if level < 0 or level >= self.points.n_levels:
            raise IndexError(f"level {level} of {self.points.n_levels}")
        return &self.points.level[level]


cdef object _span(object places, object spans):
    """``spans`` widened by the least and the greatest of ``places``."""
    if len(places) == 0:
        return spans
    return spans[0] + int(np.min(places)), spans[1] + int(np.max(places))


@cython.final
cdef class Levels:
    """Ranges and lists as `pick` takes them; for tests.

    Parameters
    ----------
    levels : sequence of tuple
        ``(n, chunk_stride, user_stride)`` for a range; ``(first, n, coords, axis_strides, user)`` for a list, with an
        int64 array for each axis and one for the places in the user's array.  To fill, ``coords`` may be None.
    """

    cdef zc_pick_level levels[64]
    cdef const int64_t *coords[64][32]
    cdef Py_ssize_t strides[64][32]
    cdef int n_levels
    cdef object held
    cdef public object user_span, chunk_span
    cdef public bint is_empty, has_no_chunk

    def __init__(self, levels):
        if len(levels) > ZC_PICK_MAX_LEVELS:
            raise ValueError(f"{len(levels)} levels")
        self.held, self.n_levels, self.user_span, self.chunk_span, self.is_empty = [], 0, (0, 0), (0, 0), False
        self.has_no_chunk = False
        for level in levels:
            if len(level) == 3:
                self._add_range(level[0], level[1], level[2])
            else:
                self._add_list(level[0], level[1], level[2], level[3], level[4])
            self.n_levels += 1

    cdef int _add_range(self, size_t n, Py_ssize_t chunk_stride, Py_ssize_t user_stride) except -1:
        cdef zc_pick_level *at = &self.levels[self.n_levels]
        memset(at, 0, sizeof(at[0]))
        at.n, at.chunk_stride, at.user_stride = n, chunk_stride, user_stride
        self.is_empty = self.is_empty or n == 0
        self.chunk_span = _span([0, <Py_ssize_t>(n - 1) * chunk_stride] if n > 0 else [], self.chunk_span)
        self.user_span = _span([0, <Py_ssize_t>(n - 1) * user_stride] if n > 0 else [], self.user_span)
        return 0

    cdef int _add_list(self, size_t first, size_t n, object coords, object axis_strides, object user) except -1:
        cdef zc_pick_level *at = &self.levels[self.n_levels]
        cdef int i
        memset(at, 0, sizeof(at[0]))
        user = np.ascontiguousarray(user, np.int64)
        if coords is None and len(user) >= first + n:
            self.held.append(user)
            at.n, at.first, at.n_axes = n, first, 1
            at.user = <const int64_t *>cnp.PyArray_DATA(user)
            self.is_empty, self.has_no_chunk = self.is_empty or n == 0, True
            self.user_span = _span(user[first : first + n], self.user_span)
            return 0
        arrays = [np.ascontiguousarray(axis, np.int64) for axis in coords]
        if any([len(array) < first + n for array in (user, *arrays)]) or not 0 < len(arrays) == len(axis_strides) <= 32:
            raise ValueError("a list: one array an axis, as long as it says")
        self.held.append((user, arrays))
        at.n, at.first, at.n_axes = n, first, len(arrays)
        at.user = <const int64_t *>cnp.PyArray_DATA(user)
        for i in range(len(arrays)):
            self.coords[self.n_levels][i] = <const int64_t *>cnp.PyArray_DATA(arrays[i])
            self.strides[self.n_levels][i] = axis_strides[i]
        at.coords = <const int64_t *const *>self.coords[self.n_levels]
        at.axis_strides = self.strides[self.n_levels]
        self.is_empty = self.is_empty or n == 0
        places = sum([array * stride for array, stride in zip(arrays, axis_strides)])
        self.chunk_span = _span(places[first : first + n], self.chunk_span)
        self.user_span = _span(user[first : first + n], self.user_span)
        return 0

    cdef int _inside(self, object span, Py_ssize_t start, Py_ssize_t nbytes, size_t itemsize) except -1:
        if not self.is_empty and (start + span[0] < 0 or start + span[1] + <Py_ssize_t>itemsize > nbytes):
            raise ValueError(f"{span} from {start} leaves {nbytes} bytes")
        return 0


def pick(str way not None, uint8_t[::1] user not None, Py_ssize_t user_start, uint8_t[::1] chunk not None,
         Py_ssize_t chunk_start, Levels levels not None, size_t itemsize, size_t swap_unit=0):
    """Copy the product of ``levels``: "read" and "write" as they say, "fill" with the item that ``chunk`` begins with.

    Raises
    ------
    ValueError
        If a place is outside of ``user`` or ``chunk``.
    """
    cdef uint8_t *data = <uint8_t *>cnp.PyArray_DATA(np.asarray(user))
    cdef uint8_t *buffer = <uint8_t *>cnp.PyArray_DATA(np.asarray(chunk))
    levels._inside(levels.user_span, user_start, user.shape[0], itemsize)
    if way == "fill":
        levels._inside((0, 0), 0, chunk.shape[0], itemsize)
        with nogil:
            pick_fill(data + user_start, levels.levels, levels.n_levels, itemsize, buffer)
        return
    if levels.has_no_chunk:
        raise ValueError("a list without coords can only be filled")
    levels._inside(levels.chunk_span, chunk_start, chunk.shape[0], itemsize)
    if way == "read":
        with nogil:
            pick_read(data + user_start, buffer, chunk_start, levels.levels, levels.n_levels, itemsize, swap_unit)
    else:
        with nogil:
            pick_write(buffer, chunk_start, data + user_start, levels.levels, levels.n_levels, itemsize, swap_unit)


@cython.final
cdef class Mask:
    """A boolean mask of a whole array, as the engine has it; for tests.

    Parameters
    ----------
    mask : ndarray of bool or uint8
        C-contiguous; what is not 0 is true.
    """

    cdef zc_mask mask

    def __cinit__(self):
        memset(&self.mask, 0, sizeof(self.mask))

    def __init__(self, cnp.ndarray mask not None):
        cdef zc_status status
        if mask.dtype not in (np.bool_, np.uint8) or not cnp.PyArray_IS_C_CONTIGUOUS(mask):
            raise ValueError("mask: C-contiguous bool or uint8")
        zc_mask_free(&self.mask)
        with nogil:
            status = zc_mask_make(<const uint8_t *>cnp.PyArray_DATA(mask), <const size_t *>cnp.PyArray_DIMS(mask),
                                  cnp.PyArray_NDIM(mask), &self.mask)
        check(status, NULL, 0, "mask")

    def __dealloc__(self):
        zc_mask_free(&self.mask)

    @property
    def n_true(self):
        return self.mask.n_true

    cdef int _box(self, object low, object count, size_t *low_ret, size_t *count_ret) except -1:
        cdef int i
        if len(low) != self.mask.ndim or len(count) != self.mask.ndim:
            raise ValueError(f"a box of a mask of {self.mask.ndim} dimensions")
        for i in range(self.mask.ndim):
            low_ret[i], count_ret[i] = low[i], count[i]
            if low[i] + count[i] > self.mask.shape[i]:
                raise ValueError(f"{low} and {count} leave the mask")
        return 0

    def count(self, low, count):
        """How many are true in a box."""
        cdef size_t first[32]
        cdef size_t n[32]
        cdef size_t n_true
        self._box(low, count, first, n)
        with nogil:
            n_true = zc_mask_count(&self.mask, first, n)
        return n_true

    def move(self, str way not None, low, cnp.ndarray user not None, cnp.ndarray chunk not None, *, size_t swap_unit=0):
        """"read" and "write" the true elements of the box of the shape of ``chunk``; "fill" them with its first element.

        ``user`` has one dimension and ``n_true`` elements.
        """
        cdef size_t first[32]
        cdef size_t n[32]
        cdef size_t itemsize = user.dtype.itemsize
        cdef uint8_t *data = <uint8_t *>cnp.PyArray_DATA(user)
        cdef uint8_t *buffer = <uint8_t *>cnp.PyArray_DATA(chunk)
        cdef const Py_ssize_t *strides = <const Py_ssize_t *>cnp.PyArray_STRIDES(chunk)
        cdef Py_ssize_t user_stride
        self._box(low, np.shape(chunk), first, n)
        if cnp.PyArray_NDIM(user) != 1 or <size_t>len(user) != self.mask.n_true or chunk.dtype.itemsize != itemsize:
            raise ValueError(f"user: {self.mask.n_true} elements as those of chunk")
        user_stride = cnp.PyArray_STRIDES(user)[0]
        if way == "read":
            with nogil:
                mask_read(&self.mask, first, n, data, user_stride, buffer, 0, strides, itemsize, swap_unit)
        elif way == "write":
            with nogil:
                mask_write(&self.mask, first, n, buffer, 0, strides, data, user_stride, itemsize, swap_unit)
        else:
            with nogil:
                mask_fill(&self.mask, first, n, data, user_stride, itemsize, buffer)
