# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Plans for selections of any kind on grids of any kind.

The parts of a plan have chunks of one shape. Where a grid has several, there is one plan for each of them: the same
arithmetic, over the chunks that have it.
"""

import itertools

import numpy as np

from zarrc.errors import SelectionError

cimport cython
cimport numpy as cnp
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from zarrc.indexing.plan cimport (
    PLAN_BOXES,
    PLAN_MASK,
    PLAN_POINTS,
    plan_axis,
    plan_count_parts,
    zc_plan_axis,
    zc_plan_cell,
    zc_plan_group,
)
from zarrc.indexing.selection cimport MAX_NDIM, MAX_RESULT_NDIM
from zarrc.kernels.points cimport (
    ZC_POINTS_MAX_AXES,
    ZC_POINTS_MAX_LEVELS,
    mask_free,
    mask_make,
    points_count_distinct,
    points_free,
    points_make,
    zc_points,
    zc_points_axis,
)
from zarrc.kernels.status cimport ZC_ETOOLARGE, check, zc_status

cnp.import_array()

cdef enum:
    # Plans that are run together: each takes some 5 KiB.
    MOST_PLANS = 1024


cdef class _Points:
    """The points of one group, in the order of their chunks."""

    cdef zc_points c

    def __cinit__(self):
        memset(&self.c, 0, sizeof(self.c))

    def __dealloc__(self):
        points_free(&self.c)


cdef class _Choice:
    """What one plan takes of an axis or a group, where there is nothing to choose."""

    cdef take(self, Planner planner):
        pass


@cython.final
cdef class Planner:
    """Plans for one selection."""

    def __cinit__(self):
        memset(&self.plan, 0, sizeof(self.plan))
        memset(&self.mask, 0, sizeof(self.mask))

    def __dealloc__(self):
        mask_free(&self.mask)

    cdef int begin(self, Selection selection, tuple shape, tuple grid, tuple inner_shapes,
                   const Py_ssize_t *result_strides, bint is_write=False) except -1:
        cdef int d
        self.is_write = is_write
        self.selection, self.grid = selection, grid
        self.points = []
        self.plan.ndim = selection.ndim
        self.plan.kind = PLAN_BOXES
        if selection.mask is not None:
            _set_mask(self, result_strides)
        choices = self.choices = []
        for d in range(selection.ndim):
            if selection.axis[d].group < 0:
                choices.append(_axis_choices(self, d, shape[d], result_strides))
            else:
                _set_group_axis(self, d, shape[d])
        for number in range(len(selection.groups or ())):
            choices.append(_group_choices(self, number, inner_shapes, result_strides))
        self.rest = itertools.product(*choices)
        return 0

    cdef bint next(self) except -1:
        cdef _Choice choice
        cdef int d
        self.plan.n_parts = 0
        while self.plan.n_parts == 0:
            chosen = next(self.rest, None)
            if chosen is None:
                return False
            for choice in chosen:
                choice.take(self)
            plan_count_parts(&self.plan)
        self.chunk_shape = tuple([self.plan.axis[d].chunk_extent for d in range(self.plan.ndim)])
        return True

    cdef Plans take(self, size_t most_parts):
        cdef Plans plans = Plans.__new__(Plans)
        plans.planner, plans.chunk_shapes = self, []
        while plans.n_parts < most_parts and plans.n < MOST_PLANS and self.next():
            plans.add()
        return plans if plans.n else None


@cython.final
cdef class Plans:
    """Plans that are run together."""

    def __dealloc__(self):
        free(self.plan)

    cdef int add(self) except -1:
        """Add the planner's current plan; there is room for a power of two."""
        cdef zc_plan *plan = self.plan
        if self.n & (self.n - 1) == 0:
            plan = <zc_plan *>realloc(self.plan, max(2 * self.n, <size_t>1) * sizeof(zc_plan))
            if plan is NULL:
                raise MemoryError(f"{self.n} plans")
            self.plan = plan
        plan[self.n] = self.planner.plan
        self.n += 1
        self.n_parts += self.planner.plan.n_parts
        self.chunk_shapes.append(self.planner.chunk_shape)
        return 0


cdef int _set_mask(Planner planner, const Py_ssize_t *result_strides) except -1:
    cdef size_t shape[MAX_NDIM]
    cdef const uint8_t[::1] data = planner.selection.mask.reshape(-1).view("u1")
    cdef int d
    cdef zc_status status
    for d in range(planner.selection.ndim):
        shape[d] = planner.selection.mask.shape[d]
    planner.plan.kind = PLAN_MASK
    with nogil:
        status = mask_make(&data[0] if data.shape[0] else NULL, shape, planner.plan.ndim, &planner.mask)
    check(status, NULL, 0, None)
    if <int64_t>planner.mask.n_true != planner.selection.result_shape_[0]:
        raise SelectionError("the mask was changed by another thread while it was used")
    planner.plan.mask, planner.plan.mask_stride = &planner.mask, result_strides[0]
    return 0


cdef list _axis_choices(Planner planner, int d, int64_t extent, const Py_ssize_t *result_strides):
    """The chunks of each extent along an axis that is selected by a slice or an integer."""
    cdef zc_plan_axis *axis = &planner.plan.axis[d]
    cdef int result_axis = planner.selection.axis[d].result_axis
    cdef Py_ssize_t stride = result_strides[result_axis] if result_axis >= 0 else 0
    edges = planner.grid[d]
    is_plain = isinstance(edges, int)
    plan_axis(axis, planner.selection.axis[d].start, planner.selection.axis[d].step, planner.selection.axis[d].count, extent,
              edges if is_plain else 1, stride, &planner.plan.result_offset)
    axis.mask_axis = d
    if is_plain:
        return [_Choice()]
    cells, extents = _cells(axis.start, axis.step, axis.count, edges)
    which = np.argsort(extents, kind="stable")
    found, counts = np.unique(extents, return_counts=True)
    ends = np.cumsum(counts).tolist()
    return [_axis_choice(d, chunk_extent, cells[which[end - n : end]])
            for chunk_extent, n, end in zip(found.tolist(), counts.tolist(), ends)]


cdef int _set_group_axis(Planner planner, int d, int64_t extent) except -1:
    cdef cnp.ndarray edges
    cdef bint is_plain = isinstance(planner.grid[d], int)
    plan_axis(&planner.plan.axis[d], 0, 1, 0, extent, planner.grid[d] if is_plain else 1, 0, &planner.plan.result_offset)
    planner.plan.axis[d].group = planner.selection.axis[d].group
    planner.plan.axis[d].mask_axis = d
    planner.plan.axis[d].n_parts = 1
    if not is_plain:
        edges = planner.grid[d]
        planner.plan.axis[d].edges = <const int64_t *>cnp.PyArray_DATA(edges)
    return 0


cdef list _group_choices(Planner planner, int number, tuple inner_shapes, const Py_ssize_t *result_strides):
    """The buckets of each shape of chunks, of axes that are selected by lists."""
    if not planner.selection.groups[number][0]:
        return []   # of a 0-d array nothing is left
    cdef zc_plan_group *group = &planner.plan.group[number]
    cdef _Points points = _make_points(planner, number, inner_shapes, result_strides)
    cdef size_t n_buckets = points.c.level[0].n_buckets
    cdef cnp.npy_intp dims[2]
    cdef int m
    of = planner.selection.groups[number][0]
    planner.points.append(points)
    planner.plan.kind = PLAN_POINTS
    planner.plan.n_groups = max(planner.plan.n_groups, number + 1)
    group.points, group.level, group.is_leaf = &points.c, 0, points.c.n_levels == 1
    group.first, group.which = 0, NULL
    for m, axis in enumerate(of):
        group.axis[m] = axis
    planner.plan.axis[<int>of[0]].n_parts = n_buckets
    if all([isinstance(planner.grid[axis], int) for axis in of]) or n_buckets == 0:
        return [_Choice()]
    dims[0], dims[1] = n_buckets, len(of)
    chunks = cnp.PyArray_SimpleNewFromData(2, dims, cnp.NPY_INT64, points.c.level[0].chunk)
    extents = np.empty((n_buckets, len(of)), np.int64)
    for m, axis in enumerate(of):
        edges = planner.grid[axis]
        extents[:, m] = edges if isinstance(edges, int) else np.diff(edges)[chunks[:, m]]
    shapes, shape_of, counts = np.unique(extents, axis=0, return_inverse=True, return_counts=True)
    which = np.argsort(shape_of.reshape(-1), kind="stable").astype(np.uintp)
    ends = np.cumsum(counts).tolist()
    return [_group_choice(number, of, tuple(shape), which[end - n : end])
            for shape, n, end in zip(shapes.tolist(), counts.tolist(), ends)]


cdef _Points _make_points(Planner planner, int number, tuple inner_shapes, const Py_ssize_t *result_strides):
    cdef _Points points = _Points.__new__(_Points)
    cdef zc_points_axis axes[MAX_NDIM]
    cdef size_t dims[MAX_RESULT_NDIM]
    cdef Py_ssize_t user_strides[MAX_RESULT_NDIM]
    cdef Py_ssize_t index_strides[MAX_NDIM][MAX_RESULT_NDIM]
    cdef cnp.ndarray array, edges
    cdef int n_axes, n_dims, n_levels, i, m
    cdef zc_status status
    of, arrays, along = planner.selection.groups[number]
    n_axes, n_dims, n_levels = len(of), len(along), 1 + len(inner_shapes)
    if n_levels > ZC_POINTS_MAX_LEVELS:
        raise SelectionError(f"lists of indices are for shards in shards up to {ZC_POINTS_MAX_LEVELS - 1} deep")
    if n_dims > ZC_POINTS_MAX_AXES:
        raise SelectionError(f"index arrays have at most {ZC_POINTS_MAX_AXES} dimensions together, got {n_dims}")
    for i in range(n_dims):
        dims[i] = planner.selection.result_shape_[<int>along[i]]
        user_strides[i] = result_strides[<int>along[i]]
    memset(axes, 0, sizeof(axes))
    for m in range(n_axes):
        array = arrays[m]
        for i in range(n_dims):
            index_strides[m][i] = cnp.PyArray_STRIDE(array, i)
        axes[m].indices, axes[m].strides = <const uint8_t *>cnp.PyArray_DATA(array), index_strides[m]
        plain = planner.grid[of[m]]
        if isinstance(plain, int):
            axes[m].chunk_extents[0] = plain
        else:
            edges = plain
            axes[m].edges, axes[m].n_chunks = <const int64_t *>cnp.PyArray_DATA(edges), edges.shape[0] - 1
        for i, inner_shape in enumerate(inner_shapes):
            axes[m].chunk_extents[i + 1] = inner_shape[of[m]]
    with nogil:
        status = points_make(axes, n_axes, dims, user_strides, n_dims, n_levels, &points.c)
    if status == ZC_ETOOLARGE:
        raise SelectionError("the selection has more points than memory can hold")
    check(status, NULL, 0, None)
    if n_axes == 1 and planner.is_write:
        # Only so can it know that it covers a chunk.
        check(points_count_distinct(&points.c), NULL, 0, None)
    return points


def _cells(int64_t start, int64_t step, int64_t count, edges):
    """(chunk, low, first, last) of each chunk that holds a selected index, and the extents of these chunks."""
    if count == 0:
        return np.empty((0, 4), np.int64), np.empty(0, np.int64)
    begin = int(np.searchsorted(edges, start, side="right")) - 1
    end = int(np.searchsorted(edges, start + (count - 1) * step, side="right"))
    low, high = edges[begin:end], edges[begin + 1 : end + 1]
    first = np.maximum(-((start - low) // step), 0)
    last = np.minimum((high - 1 - start) // step, count - 1)
    cells = np.stack([np.arange(begin, end), low, first, last], axis=1).astype(np.int64)
    holds = first <= last
    return cells[holds], (high - low)[holds]


@cython.final
cdef class _AxisChoice(_Choice):
    """The chunks of one extent along an axis."""

    cdef int d
    cdef int64_t extent
    cdef cnp.ndarray cells

    cdef take(self, Planner planner):
        cdef zc_plan_axis *axis = &planner.plan.axis[self.d]
        axis.chunk_extent, axis.n_parts = self.extent, self.cells.shape[0]
        axis.cells = <const zc_plan_cell *>cnp.PyArray_DATA(self.cells)


cdef _AxisChoice _axis_choice(int d, int64_t extent, cells):
    cdef _AxisChoice choice = _AxisChoice.__new__(_AxisChoice)
    choice.d, choice.extent, choice.cells = d, extent, np.ascontiguousarray(cells)
    return choice


@cython.final
cdef class _GroupChoice(_Choice):
    """The buckets of a group whose chunks have one shape."""

    cdef int number
    cdef tuple of
    cdef tuple shape
    cdef cnp.ndarray which

    cdef take(self, Planner planner):
        cdef int d
        for d, extent in zip(self.of, self.shape):
            planner.plan.axis[d].chunk_extent = extent
        planner.plan.group[self.number].which = <const size_t *>cnp.PyArray_DATA(self.which)
        planner.plan.axis[<int>self.of[0]].n_parts = self.which.shape[0]


cdef _GroupChoice _group_choice(int number, tuple of, tuple shape, which):
    cdef _GroupChoice choice = _GroupChoice.__new__(_GroupChoice)
    choice.number, choice.of, choice.shape, choice.which = number, of, shape, which
    return choice
