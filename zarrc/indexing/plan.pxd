"""The plan: which region of which chunk goes where in the result, as a stream of batches of plain numbers."""

from libc.stdint cimport int64_t

from zarrc.indexing.selection cimport MAX_NDIM, Selection
from zarrc.kernels.points cimport zc_mask, zc_points, zc_points_bucket

cdef enum zc_plan_kind:
    PLAN_BOXES              # a part is a box of its chunk, with steps
    PLAN_POINTS             # along some axes it is a list of points
    PLAN_MASK               # it is what a mask has in the chunk's box

# A chunk along one axis, where the grid has no one extent: what stands here for arithmetic.
ctypedef struct zc_plan_cell:
    int64_t chunk
    int64_t low             # its first index
    int64_t first           # of the selected indices, those in it
    int64_t last

# One axis: 'count' selected indices from 'start' on, 'step' > 0 apart, in chunks of 'chunk_extent'.
ctypedef struct zc_plan_axis:
    int64_t start
    int64_t step
    int64_t count
    int64_t extent          # of the array
    int64_t chunk_extent
    int64_t first_chunk
    size_t n_parts          # chunks of this axis that hold a selected index; of a group, its first axis has its parts
    Py_ssize_t result_stride # bytes in the result from one selected index to the next (may be negative or 0)
    const zc_plan_cell *cells   # of each part; NULL: they follow from the numbers above
    const int64_t *edges    # of an axis of a group whose chunks differ: chunk i begins at edges[i]; else NULL
    int group               # -1: none
    int mask_axis           # the axis of the mask that this is
    int64_t origin          # index in the whole array of this plan's index 0

# Axes that are selected together, point by point. A part of it is a bucket: the points in one chunk.
ctypedef struct zc_plan_group:
    const zc_points *points
    int level               # of the points' levels: the one of this plan's chunks
    bint is_leaf            # the last one: coordinates are in these chunks
    size_t first            # of that level's buckets, the first of this plan
    const size_t *which     # or those that these name; NULL: all from 'first' on
    signed char axis[MAX_NDIM]  # of the plan, for each axis of the points

# Plain data, shared by all threads.  Part i of the plan is worked out from i alone: its memory does not grow with the
# number of chunks (but with that of points, and of chunks along an axis where these differ), and any thread can take any part.
ctypedef struct zc_plan:
    int ndim
    zc_plan_kind kind
    size_t n_parts
    Py_ssize_t result_offset # bytes from the result's first element to the part of the lowest selected indices
    zc_plan_axis axis[MAX_NDIM]
    int n_groups
    zc_plan_group group[MAX_NDIM]
    const zc_mask *mask
    Py_ssize_t mask_stride  # bytes in the result from one true element of the mask to the next

# One part: a box of one chunk.  Elements start[d], start[d] + step[d], ... (count[d] of them) along axis d of the chunk go
# to result_offset bytes into the result and on by the plan's result strides.  Of an axis of a group, start and count are
# those of the box around its points; of a mask, those of the box that it is looked at in.
ctypedef struct zc_part:
    int64_t chunk[MAX_NDIM]
    int64_t low[MAX_NDIM]       # the first index of the chunk, in the whole array
    size_t inside[MAX_NDIM]     # how many of the chunk's indices are inside the array
    size_t start[MAX_NDIM]
    size_t count[MAX_NDIM]
    Py_ssize_t result_offset
    bint covers             # every element of the chunk that lies inside the array
    bint is_empty           # a mask has nothing there
    const zc_points_bucket *bucket[MAX_NDIM]   # of each group

# Lay a basic selection over a regular grid; result strides are per dimension of the result, in bytes.
cdef int make_plan(zc_plan *plan, Selection selection, const int64_t *shape, const int64_t *chunk_shape,
                   const Py_ssize_t *result_strides) except -1

# One axis of a plan, and its part of the result's offset; the plan's parts are counted apart.
cdef int plan_axis(zc_plan_axis *axis, int64_t start, int64_t step, int64_t count, int64_t extent, int64_t chunk_extent,
                   Py_ssize_t stride, Py_ssize_t *offset) except -1
cdef int plan_count_parts(zc_plan *plan) except -1

# Bytes of the whole selection, which is in memory: the product does not overflow.
cdef size_t plan_nbytes(const zc_plan *plan, size_t itemsize) noexcept nogil

# The plan of one part of 'plan' over the chunks of a finer grid inside its chunk: its axis i is axis order[i] of 'plan', with
# chunks of chunk_shape[i].  Steps and result strides are the plan's own, the same for every part.
cdef void plan_inside(zc_plan *inner, const zc_plan *plan, const zc_part *part, const int *order,
                      const int64_t *chunk_shape) noexcept nogil

# Part 'index' < n_parts, in C order of the chunks unless several axes are one group.
cdef void plan_part(const zc_plan *plan, size_t index, zc_part *part) noexcept nogil

# The parts that have something to copy: of a mask not all.
cdef size_t plan_n_met(const zc_plan *plan) noexcept nogil

# Whether the parts come in C order of their chunks, and none is empty.
cdef bint plan_is_ordered(const zc_plan *plan) noexcept nogil
