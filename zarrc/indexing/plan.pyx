# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The plan: which region of which chunk goes where in the result."""

cimport cython

from zarrc.errors import SelectionError


cdef int make_plan(zc_plan *plan, Selection selection, const int64_t *shape, const int64_t *chunk_shape,
                   const Py_ssize_t *result_strides) except -1:
    cdef int d, result_axis
    cdef Py_ssize_t stride
    plan.ndim = selection.ndim
    plan.n_parts = 1
    plan.result_offset = 0
    for d in range(selection.ndim):
        result_axis = selection.axis[d].result_axis
        stride = result_strides[result_axis] if result_axis >= 0 else 0
        _plan_axis(&plan.axis[d], selection.axis[d].start, selection.axis[d].step, selection.axis[d].count,
                   shape[d], chunk_shape[d], stride, &plan.result_offset)
        plan.n_parts = _product(plan.n_parts, plan.axis[d].n_parts)
    return 0


cdef int _plan_axis(zc_plan_axis *axis, int64_t start, int64_t step, int64_t count, int64_t extent,
                    int64_t chunk_extent, Py_ssize_t stride, Py_ssize_t *offset) except -1:
    if step < 0:
        # The same indices upwards; the result is walked backwards instead.
        start += (count - 1) * step if count else 0
        offset[0] += (count - 1) * stride if count else 0
        step = -step
        stride = -stride
    axis.start, axis.step, axis.count = start, step, count
    axis.extent, axis.chunk_extent, axis.result_stride = extent, chunk_extent, stride
    _count_parts(axis)
    return 0


cdef inline void _count_parts(zc_plan_axis *axis) noexcept nogil:
    cdef int64_t last
    axis.first_chunk = axis.start // axis.chunk_extent
    if axis.count == 0:
        axis.n_parts = 0
    elif axis.step >= axis.chunk_extent:
        axis.n_parts = axis.count       # no two indices share a chunk
    else:
        last = axis.start + (axis.count - 1) * axis.step
        axis.n_parts = last // axis.chunk_extent - axis.first_chunk + 1


cdef size_t _product(size_t a, size_t b) except? 0:
    if b != 0 and a > (<size_t>1 << 62) // b:
        raise SelectionError("the selection touches more than 2**62 chunks")
    return a * b


cdef size_t plan_nbytes(const zc_plan *plan, size_t itemsize) noexcept nogil:
    cdef size_t nbytes = itemsize
    cdef int d
    for d in range(plan.ndim):
        nbytes *= <size_t>plan.axis[d].count
    return nbytes


cdef void plan_inside(zc_plan *inner, const zc_plan *plan, const zc_part *part, const int *order,
                      const int64_t *chunk_shape) noexcept nogil:
    cdef zc_plan_axis *axis
    cdef const zc_plan_axis *outer
    cdef int i, d
    inner.ndim = plan.ndim
    inner.n_parts = 1       # no more than the chunk has elements: the product does not overflow
    inner.result_offset = part.result_offset
    for i in range(plan.ndim):
        d = order[i]
        outer, axis = &plan.axis[d], &inner.axis[i]
        axis.start, axis.step, axis.count = part.start[d], outer.step, part.count[d]
        axis.extent = min(outer.chunk_extent, outer.extent - part.chunk[d] * outer.chunk_extent)
        axis.chunk_extent, axis.result_stride = chunk_shape[i], outer.result_stride
        _count_parts(axis)
        inner.n_parts *= axis.n_parts


cdef void plan_part(const zc_plan *plan, size_t index, zc_part *part) noexcept nogil:
    cdef int d
    part.result_offset = plan.result_offset
    part.covers = True
    for d in range(plan.ndim - 1, -1, -1):
        _part_axis(&plan.axis[d], index % plan.axis[d].n_parts, d, part)
        index //= plan.axis[d].n_parts


cdef inline void _part_axis(const zc_plan_axis *axis, size_t k, int d, zc_part *part) noexcept nogil:
    """Along axis 'd', the part in the k-th chunk that holds a selected index."""
    cdef int64_t chunk, low, high, first, last
    if axis.step >= axis.chunk_extent:
        first = last = <int64_t>k
        chunk = (axis.start + first * axis.step) // axis.chunk_extent
        low = chunk * axis.chunk_extent
    else:
        chunk = axis.first_chunk + <int64_t>k
        low = chunk * axis.chunk_extent
        high = low + axis.chunk_extent - 1
        first = 0 if k == 0 else (low - axis.start + axis.step - 1) // axis.step
        last = axis.count - 1 if k == axis.n_parts - 1 else (high - axis.start) // axis.step
    part.chunk[d] = chunk
    part.start[d] = axis.start + first * axis.step - low
    part.count[d] = last - first + 1
    part.result_offset += first * axis.result_stride
    # Without a step as many indices as the chunk has inside the array are all of them.
    if part.count[d] != <size_t>min(axis.chunk_extent, axis.extent - low):
        part.covers = False


@cython.final
cdef class Plan:
    """The parts of a selection on a regular chunk grid, as the engine runs them.

    Parameters
    ----------
    selection : Selection
        A selection of an array of this shape.
    shape, chunk_shape : tuple of int
        Of the array and of its chunks.
    result_strides : tuple of int
        Bytes from element to element of the result, for each of its dimensions.
    """

    cdef zc_plan plan

    def __init__(self, Selection selection not None, shape, chunk_shape, result_strides):
        cdef int64_t extents[MAX_NDIM]
        cdef int64_t chunk_extents[MAX_NDIM]
        cdef Py_ssize_t strides[64]
        cdef int i
        if not len(shape) == len(chunk_shape) == selection.ndim or len(result_strides) != selection.result_ndim:
            raise ValueError("shape, chunk_shape and result_strides are of another selection")
        if 0 in chunk_shape:
            raise ValueError("a chunk has at least one element along each axis")
        for i in range(selection.ndim):
            extents[i], chunk_extents[i] = shape[i], chunk_shape[i]
        for i in range(selection.result_ndim):
            strides[i] = result_strides[i]
        make_plan(&self.plan, selection, extents, chunk_extents, strides)

    def __len__(self):
        return self.plan.n_parts

    def __getitem__(self, size_t index):
        """(chunk, start, count, result offset in bytes, whether it covers the chunk) of one part."""
        cdef zc_part part
        if index >= self.plan.n_parts:
            raise IndexError(index)
        plan_part(&self.plan, index, &part)
        cdef int n = self.plan.ndim
        return (
            tuple([part.chunk[i] for i in range(n)]),
            tuple([part.start[i] for i in range(n)]),
            tuple([part.count[i] for i in range(n)]),
            part.result_offset,
            bool(part.covers),
        )
