"""The write path: gather -> encode -> replace."""

from libc.stdint cimport uint8_t

from zarrc.engine.layout cimport ChunkLayout
from zarrc.engine.objects cimport Objects
from zarrc.indexing.plan cimport zc_plan
from zarrc.indexing.planner cimport Plans

# Write every part of the plan from 'value', which has the array's data type and byte order; the plan's result strides are
# the value's (0 along axes that it is broadcast over).  'is_locked': the caller has the locks of the objects.
cdef int write_plan(const zc_plan *plan, ChunkLayout layout, Objects objects, uint8_t *value, int n_threads,
                    bint write_empty_chunks, bint is_locked) except -1

# The same for several plans as one job; 'layouts' are those of their chunks.
cdef int write_plans(Plans plans, list layouts, Objects objects, uint8_t *value, int n_threads, bint write_empty_chunks,
                     bint is_locked) except -1
