"""Plans for selections of any kind on grids of any kind."""

from zarrc.indexing.plan cimport zc_plan
from zarrc.indexing.selection cimport Selection
from zarrc.kernels.points cimport zc_mask

cdef class Plans


cdef class Planner:
    cdef zc_plan plan           # the current one
    cdef readonly tuple chunk_shape     # of all its chunks
    cdef Selection selection
    cdef zc_mask mask
    cdef tuple grid             # for each axis the extent of all chunks, or their edges (int64)
    cdef bint is_write
    cdef list points            # of each group; they own what the plan points to
    cdef list choices           # for each axis and group, what plans take of it; they own what the plan points to
    cdef object rest            # what is chosen for each axis and group by the plans to come

    # Lay a selection over a grid; 'inner_shapes' are those of the chunks inside its chunks, along the array's axes, from the
    # outside in.  The first plan is that after next().
    cdef int begin(self, Selection selection, tuple shape, tuple grid, tuple inner_shapes,
                   const Py_ssize_t *result_strides, bint is_write=*) except -1

    # Go on to the plan for the chunks of another shape; False after the last one.
    cdef bint next(self) except -1

    # The next plans, to be run together: one at least, and no more after those that have so many parts.  None after the last one.
    cdef Plans take(self, size_t most_parts)


# Plans that are run together, each for chunks of another shape.
cdef class Plans:
    cdef zc_plan *plan
    cdef size_t n
    cdef size_t n_parts         # of all
    cdef readonly list chunk_shapes     # of each
    cdef Planner planner
    cdef int add(self) except -1
