# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The elements of a part that is no box: lists of points, or what a mask has in the chunk."""

from libc.stdint cimport int64_t

from zarrc.indexing.plan cimport PLAN_MASK, zc_plan_axis, zc_plan_group
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.points cimport (
    mask_fill,
    mask_read,
    mask_write,
    pick_fill,
    pick_read,
    pick_write,
    zc_pick_level,
    zc_points_bucket,
)

# The box of a part in the mask's own axes.
ctypedef struct zc_mask_box:
    size_t low[MAX_NDIM]
    size_t count[MAX_NDIM]
    Py_ssize_t strides[MAX_NDIM]    # of the chunk's buffer

# The axes and groups of a part.
ctypedef struct zc_levels:
    int n
    zc_pick_level level[MAX_NDIM]
    Py_ssize_t strides[MAX_NDIM]    # of the groups' axes, one group after the other


cdef void points_read(const zc_plan *plan, const zc_part *part, const zc_layout *layout, const uint8_t *data, size_t first,
                      uint8_t *user) noexcept nogil:
    cdef zc_levels levels
    cdef zc_mask_box box
    if plan.kind == PLAN_MASK:
        _set_box(plan, part, layout, &box)
        mask_read(plan.mask, box.low, box.count, user, plan.mask_stride, data, 0, box.strides, layout.itemsize,
                  layout.read_swap_unit)
        return
    _set_levels(plan, part, layout, &levels)
    pick_read(user + part.result_offset, data, <Py_ssize_t>_box_offset(plan, part, layout) - <Py_ssize_t>first, levels.level,
              levels.n, layout.itemsize, layout.read_swap_unit)


cdef void points_write(const zc_plan *plan, const zc_part *part, const zc_layout *layout, uint8_t *buffer,
                       const uint8_t *user) noexcept nogil:
    cdef zc_levels levels
    cdef zc_mask_box box
    cdef size_t offset = 0
    cdef int d
    if plan.kind == PLAN_MASK:
        _set_box(plan, part, layout, &box)
        for d in range(plan.ndim):
            offset += part.start[d] * <size_t>layout.strides[d]
        mask_write(plan.mask, box.low, box.count, buffer, offset, box.strides, user, plan.mask_stride, layout.itemsize,
                   layout.write_swap_unit)
        return
    _set_levels(plan, part, layout, &levels)
    pick_write(buffer, _box_offset(plan, part, layout), user + part.result_offset, levels.level, levels.n, layout.itemsize,
               layout.write_swap_unit)


cdef void points_fill(const zc_plan *plan, const zc_part *part, const zc_layout *layout, uint8_t *user) noexcept nogil:
    cdef zc_levels levels
    cdef zc_mask_box box
    if plan.kind == PLAN_MASK:
        _set_box(plan, part, NULL, &box)
        mask_fill(plan.mask, box.low, box.count, user, plan.mask_stride, layout.itemsize, layout.user_fill)
        return
    _set_levels(plan, part, NULL, &levels)
    pick_fill(user + part.result_offset, levels.level, levels.n, layout.itemsize, layout.user_fill)


cdef void _set_box(const zc_plan *plan, const zc_part *part, const zc_layout *layout, zc_mask_box *box) noexcept nogil:
    """'layout' NULL: the strides do not matter."""
    cdef int d, m
    for d in range(plan.ndim):
        m = plan.axis[d].mask_axis
        box.low[m] = <size_t>part.low[d] + part.start[d]
        box.count[m] = part.count[d]
        box.strides[m] = 0 if layout is NULL else layout.strides[d]


cdef size_t _box_offset(const zc_plan *plan, const zc_part *part, const zc_layout *layout) noexcept nogil:
    """Where the part begins in the chunk's buffer along the axes that have no lists."""
    cdef size_t offset = 0
    cdef int d
    for d in range(plan.ndim):
        if plan.axis[d].group < 0:
            offset += part.start[d] * <size_t>layout.strides[d]
    return offset


cdef void _set_levels(const zc_plan *plan, const zc_part *part, const zc_layout *layout, zc_levels *levels) noexcept nogil:
    """A range for each axis without a list, a list for each group; 'layout' NULL: only the user's side matters."""
    cdef const zc_plan_axis *axis
    cdef const zc_plan_group *group
    cdef const zc_points_bucket *bucket
    cdef zc_pick_level *level
    cdef int n_strides = 0
    cdef int d, m
    levels.n = 0
    for d in range(plan.ndim):
        axis = &plan.axis[d]
        level = &levels.level[levels.n]
        if axis.group < 0:
            level.n, level.n_axes, level.user_stride = part.count[d], 0, axis.result_stride
            # A step that leaves the chunk at once has one element there.
            level.chunk_stride = 0 if layout is NULL or part.count[d] == 1 else layout.strides[d] * axis.step
            levels.n += 1
            continue
        group = &plan.group[axis.group]
        if group.axis[0] != d:
            continue
        bucket = part.bucket[axis.group]
        level.n, level.n_axes, level.first = bucket.n_points, group.points.n_axes, bucket.first_point
        level.coords, level.user = <const int64_t *const *>group.points.coords, group.points.user
        level.axis_strides = levels.strides + n_strides
        for m in range(level.n_axes):
            levels.strides[n_strides] = 0 if layout is NULL else layout.strides[<int>group.axis[m]]
            n_strides += 1
        levels.n += 1


cdef int points_widest_axis(const zc_plan *plan, const zc_part *part, const zc_layout *layout) noexcept nogil:
    cdef Py_ssize_t widest = 0
    cdef int found = -1
    cdef int d
    for d in range(plan.ndim):
        if part.count[d] > 1 and layout.strides[d] > widest:
            widest, found = layout.strides[d], d
    return found


cdef size_t points_along(const zc_plan *plan, const zc_part *part, int axis) noexcept nogil:
    cdef int g = plan.axis[axis].group
    return part.count[axis] if g < 0 else part.bucket[g].n_points


cdef void points_pin(const zc_plan *plan, const zc_part *part, int axis, size_t i, zc_part *pinned,
                     zc_points_bucket *bucket) noexcept nogil:
    cdef int g = plan.axis[axis].group
    cdef const zc_plan_group *group
    cdef size_t point
    cdef int m, d
    if g < 0:
        pinned.start[axis] = part.start[axis] + i * <size_t>plan.axis[axis].step
        pinned.count[axis] = 1
        pinned.result_offset = part.result_offset + <Py_ssize_t>i * plan.axis[axis].result_stride
        return
    group = &plan.group[g]
    point = part.bucket[g].first_point + i
    bucket.first = bucket.first_point = point
    bucket.n = bucket.n_points = 1
    pinned.bucket[g] = bucket
    for m in range(group.points.n_axes):
        d = group.axis[m]
        pinned.start[d], pinned.count[d] = group.points.coords[m][point], 1
