# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The plan: which region of which chunk goes where in the result."""

cimport cython

from zarrc.errors import SelectionError

from zarrc.kernels.points cimport mask_count, zc_points, zc_points_bucket, zc_points_level


cdef int make_plan(zc_plan *plan, Selection selection, const int64_t *shape, const int64_t *chunk_shape,
                   const Py_ssize_t *result_strides) except -1:
    cdef int d, result_axis
    cdef Py_ssize_t stride
    plan.ndim = selection.ndim
    plan.kind = PLAN_BOXES
    plan.n_groups = 0
    plan.mask = NULL
    plan.result_offset = 0
    for d in range(selection.ndim):
        result_axis = selection.axis[d].result_axis
        stride = result_strides[result_axis] if result_axis >= 0 else 0
        plan_axis(&plan.axis[d], selection.axis[d].start, selection.axis[d].step, selection.axis[d].count,
                  shape[d], chunk_shape[d], stride, &plan.result_offset)
        plan.axis[d].mask_axis = d
    return plan_count_parts(plan)


cdef int plan_axis(zc_plan_axis *axis, int64_t start, int64_t step, int64_t count, int64_t extent, int64_t chunk_extent,
                   Py_ssize_t stride, Py_ssize_t *offset) except -1:
    if step < 0:
        # The same indices upwards; the result is walked backwards instead.
        start += (count - 1) * step if count else 0
        offset[0] += (count - 1) * stride if count else 0
        step = -step
        stride = -stride
    axis.start, axis.step, axis.count = start, step, count
    axis.extent, axis.chunk_extent, axis.result_stride = extent, chunk_extent, stride
    axis.cells, axis.edges, axis.group, axis.origin = NULL, NULL, -1, 0
    _count_parts(axis)
    return 0


cdef int plan_count_parts(zc_plan *plan) except -1:
    cdef int d
    plan.n_parts = 1
    for d in range(plan.ndim):
        plan.n_parts = _product(plan.n_parts, plan.axis[d].n_parts)
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
    cdef int d, g
    if plan.kind == PLAN_MASK:
        return itemsize * plan.mask.n_true
    for d in range(plan.ndim):
        if plan.axis[d].group < 0:
            nbytes *= <size_t>plan.axis[d].count
    for g in range(plan.n_groups):
        nbytes *= plan.group[g].points.n_points
    return nbytes


cdef size_t plan_n_met(const zc_plan *plan) noexcept nogil:
    cdef zc_part part
    cdef size_t n = 0
    cdef size_t i
    if plan.kind != PLAN_MASK:
        return plan.n_parts
    for i in range(plan.n_parts):
        plan_part(plan, i, &part)
        n += not part.is_empty
    return n


cdef bint plan_is_ordered(const zc_plan *plan) noexcept nogil:
    cdef int g
    if plan.kind == PLAN_MASK:
        return False
    for g in range(plan.n_groups):
        if plan.group[g].points.n_axes > 1:
            return False
    return True


cdef void plan_inside(zc_plan *inner, const zc_plan *plan, const zc_part *part, const int *order,
                      const int64_t *chunk_shape) noexcept nogil:
    cdef zc_plan_axis *axis
    cdef const zc_plan_axis *outer
    cdef int i, d, g
    inner.ndim, inner.kind = plan.ndim, plan.kind
    inner.mask, inner.mask_stride = plan.mask, plan.mask_stride
    inner.n_groups = plan.n_groups
    inner.n_parts = 1       # no more than the chunk has elements: the product does not overflow
    inner.result_offset = part.result_offset
    for i in range(plan.ndim):
        d = order[i]
        outer, axis = &plan.axis[d], &inner.axis[i]
        axis.start, axis.step, axis.count = part.start[d], outer.step, part.count[d]
        axis.extent = part.inside[d]
        axis.chunk_extent, axis.result_stride = chunk_shape[i], outer.result_stride
        axis.cells, axis.edges, axis.group = NULL, NULL, outer.group
        axis.mask_axis, axis.origin = outer.mask_axis, part.low[d]
        if axis.group < 0:
            _count_parts(axis)
        else:
            axis.n_parts = 1
            _place_in_group(inner, &plan.group[axis.group], d, i)
    for g in range(plan.n_groups):
        _group_inside(inner, &plan.group[g], part.bucket[g], g)
    for i in range(plan.ndim):
        inner.n_parts *= inner.axis[i].n_parts


cdef inline void _place_in_group(zc_plan *inner, const zc_plan_group *group, int d, int i) noexcept nogil:
    """Axis 'd' of the group's plan is axis 'i' of the inner one."""
    cdef int m
    for m in range(group.points.n_axes):
        if group.axis[m] == d:
            inner.group[inner.axis[i].group].axis[m] = i


cdef inline void _group_inside(zc_plan *inner, const zc_plan_group *outer, const zc_points_bucket *bucket, int g) noexcept nogil:
    cdef zc_plan_group *group = &inner.group[g]
    group.points, group.level = outer.points, outer.level + 1
    group.is_leaf = group.level == outer.points.n_levels - 1
    group.first, group.which = bucket.first, NULL
    inner.axis[<int>group.axis[0]].n_parts = bucket.n


cdef void plan_part(const zc_plan *plan, size_t index, zc_part *part) noexcept nogil:
    cdef const zc_plan_axis *axis
    cdef size_t k
    cdef int d
    part.result_offset = plan.result_offset
    part.covers = True
    part.is_empty = False
    for d in range(plan.ndim - 1, -1, -1):
        axis = &plan.axis[d]
        k = index % axis.n_parts
        index //= axis.n_parts
        if axis.group < 0:
            if axis.cells is NULL:
                _part_axis(axis, k, d, part)
            else:
                _part_cell(axis, k, d, part)
        elif plan.group[axis.group].axis[0] == d:
            _part_group(plan, axis.group, k, part)
    if plan.kind == PLAN_MASK:
        _count_mask(plan, part)


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
    _set_axis(axis, d, chunk, low, first, last, part)


cdef inline void _part_cell(const zc_plan_axis *axis, size_t k, int d, zc_part *part) noexcept nogil:
    cdef const zc_plan_cell *cell = &axis.cells[k]
    _set_axis(axis, d, cell.chunk, cell.low, cell.first, cell.last, part)


cdef inline void _set_axis(const zc_plan_axis *axis, int d, int64_t chunk, int64_t low, int64_t first, int64_t last,
                           zc_part *part) noexcept nogil:
    part.chunk[d], part.low[d] = chunk, axis.origin + low
    part.inside[d] = <size_t>min(axis.chunk_extent, axis.extent - low)
    part.start[d] = axis.start + first * axis.step - low
    part.count[d] = last - first + 1
    part.result_offset += first * axis.result_stride
    # Without a step as many indices as the chunk has inside the array are all of them.
    if part.count[d] != part.inside[d]:
        part.covers = False


cdef void _part_group(const zc_plan *plan, int g, size_t k, zc_part *part) noexcept nogil:
    """The k-th bucket of a group of axes."""
    cdef const zc_plan_group *group = &plan.group[g]
    cdef const zc_points *points = group.points
    cdef const zc_points_level *level = &points.level[group.level]
    cdef size_t number = group.first + k if group.which is NULL else group.which[k]
    cdef const zc_plan_axis *axis
    cdef int64_t low
    cdef int m, d
    part.bucket[g] = &level.buckets[number]
    for m in range(points.n_axes):
        d = group.axis[m]
        axis = &plan.axis[d]
        part.chunk[d] = level.chunk[number * points.n_axes + m]
        low = part.chunk[d] * axis.chunk_extent if axis.edges is NULL else axis.edges[part.chunk[d]]
        part.low[d] = axis.origin + low
        part.inside[d] = <size_t>min(axis.chunk_extent, axis.extent - low)
        part.start[d], part.count[d] = 0, part.inside[d]
        if group.is_leaf:
            part.start[d] = points.low[number * points.n_axes + m]
            part.count[d] = points.high[number * points.n_axes + m] - part.start[d] + 1
    # Of points on several axes it is not known how many are different ones.
    if level.n_distinct is NULL or level.n_distinct[number] != part.inside[<int>group.axis[0]]:
        part.covers = False


cdef void _count_mask(const zc_plan *plan, zc_part *part) noexcept nogil:
    cdef size_t low[MAX_NDIM]
    cdef size_t count[MAX_NDIM]
    cdef size_t n = 1
    cdef size_t n_true
    cdef int d
    for d in range(plan.ndim):
        low[plan.axis[d].mask_axis] = <size_t>part.low[d] + part.start[d]
        count[plan.axis[d].mask_axis] = part.count[d]
        n *= part.count[d]
    n_true = mask_count(plan.mask, low, count)
    part.is_empty = n_true == 0
    part.covers = part.covers and n_true == n


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
