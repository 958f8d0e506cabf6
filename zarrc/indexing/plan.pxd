"""The plan: which region of which chunk goes where in the result, as a stream of batches of plain numbers."""

from libc.stdint cimport int64_t

from zarrc.indexing.selection cimport MAX_NDIM, Selection

# One axis: 'count' selected indices from 'start' on, 'step' > 0 apart, in chunks of 'chunk_extent'.
ctypedef struct zc_plan_axis:
    int64_t start
    int64_t step
    int64_t count
    int64_t extent          # of the array
    int64_t chunk_extent
    int64_t first_chunk
    size_t n_parts          # chunks of this axis that hold a selected index
    Py_ssize_t result_stride # bytes in the result from one selected index to the next (may be negative or 0)

# Plain data, shared by all threads.  Part i of the plan is worked out from i alone: its memory does not grow with the
# number of chunks, and any thread can take any part.
ctypedef struct zc_plan:
    int ndim
    size_t n_parts
    Py_ssize_t result_offset # bytes from the result's first element to the part of the lowest selected indices
    zc_plan_axis axis[MAX_NDIM]

# One part: a box of one chunk.  Elements start[d], start[d] + step[d], ... (count[d] of them) along axis d of the chunk go
# to result_offset bytes into the result and on by the plan's result strides.
ctypedef struct zc_part:
    int64_t chunk[MAX_NDIM]
    size_t start[MAX_NDIM]
    size_t count[MAX_NDIM]
    Py_ssize_t result_offset
    bint covers             # every element of the chunk that lies inside the array, each once

# Lay the selection over a regular grid; result strides are per dimension of the result, in bytes.
cdef int make_plan(zc_plan *plan, Selection selection, const int64_t *shape, const int64_t *chunk_shape,
                   const Py_ssize_t *result_strides) except -1

# Bytes of the whole selection, which is in memory: the product does not overflow.
cdef size_t plan_nbytes(const zc_plan *plan, size_t itemsize) noexcept nogil

# The plan of one part of 'plan' over the chunks of a finer grid inside its chunk: its axis i is axis order[i] of 'plan', with
# chunks of chunk_shape[i].  Steps and result strides are the plan's own, the same for every part.
cdef void plan_inside(zc_plan *inner, const zc_plan *plan, const zc_part *part, const int *order,
                      const int64_t *chunk_shape) noexcept nogil

# Part 'index' < n_parts, in C order of the chunks.
cdef void plan_part(const zc_plan *plan, size_t index, zc_part *part) noexcept nogil
