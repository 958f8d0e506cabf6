"""The elements of a part that is no box: lists of points, or what a mask has in the chunk."""

from libc.stdint cimport uint8_t

from zarrc.engine.layout cimport zc_layout
from zarrc.indexing.plan cimport zc_part, zc_plan
from zarrc.kernels.status cimport zc_status

# From a chunk to the user's array: 'data' is what the chunk's buffer has from byte 'first' on, which is that of the box
# around the part.  'user' is where the result begins.
cdef void points_read(const zc_plan *plan, const zc_part *part, const zc_layout *layout, const uint8_t *data, size_t first,
                      uint8_t *user) noexcept nogil

# From the user's array to a whole chunk.
cdef void points_write(const zc_plan *plan, const zc_part *part, const zc_layout *layout, uint8_t *buffer,
                       const uint8_t *user) noexcept nogil

# The part's elements in the user's array, of whatever level of chunks the plan is.
cdef void points_fill(const zc_plan *plan, const zc_part *part, const zc_layout *layout, uint8_t *user) noexcept nogil

# How many points the part has: combinations of those of its groups.
cdef size_t points_of(const zc_plan *plan, const zc_part *part) noexcept nogil

# The box that point 'i' of them is in a part of a leaf chunk: one index along each axis of a group.
cdef void points_box(const zc_plan *plan, const zc_part *part, size_t i, zc_part *box) noexcept nogil
