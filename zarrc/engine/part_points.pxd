"""The elements of a part that is no box: lists of points, or what a mask has in the chunk."""

from libc.stdint cimport uint8_t

from zarrc.engine.layout cimport zc_layout
from zarrc.indexing.plan cimport zc_part, zc_plan
from zarrc.kernels.points cimport zc_points_bucket

# From a chunk to the user's array: 'data' is what the chunk's buffer has from byte 'first' on, which is that of the box
# around the part.  'user' is where the result begins.
cdef void points_read(const zc_plan *plan, const zc_part *part, const zc_layout *layout, const uint8_t *data, size_t first,
                      uint8_t *user) noexcept nogil

# From the user's array to a whole chunk.
cdef void points_write(const zc_plan *plan, const zc_part *part, const zc_layout *layout, uint8_t *buffer,
                       const uint8_t *user) noexcept nogil

# The part's elements in the user's array, of whatever level of chunks the plan is.
cdef void points_fill(const zc_plan *plan, const zc_part *part, const zc_layout *layout, uint8_t *user) noexcept nogil

# The axis along which elements of a part of a leaf chunk are farthest apart; -1: there is one element.
cdef int points_widest_axis(const zc_plan *plan, const zc_part *part, const zc_layout *layout) noexcept nogil

# How many places the part has along it: points of the axis' group, or indices.
cdef size_t points_along(const zc_plan *plan, const zc_part *part, int axis) noexcept nogil

# Leave the i-th of them: in '*pinned', a copy of the part, by way of '*bucket', which must stay where it is.
cdef void points_pin(const zc_plan *plan, const zc_part *part, int axis, size_t i, zc_part *pinned,
                     zc_points_bucket *bucket) noexcept nogil
