"""The read path: plan -> fetch -> decode -> scatter."""

from libc.stdint cimport uint8_t

from zarrc.engine.layout cimport ChunkLayout
from zarrc.engine.objects cimport Objects
from zarrc.indexing.plan cimport zc_plan
from zarrc.indexing.planner cimport Plans

# Read every part of the plan into 'result'.  Returns whether a chunk was missing (and read as fill).
cdef int read_plan(const zc_plan *plan, ChunkLayout layout, Objects objects, uint8_t *result, int n_threads,
                    bint missing_is_error) except -1

# The same for several plans as one job; 'layouts' are those of their chunks.
cdef int read_plans(Plans plans, list layouts, Objects objects, uint8_t *result, int n_threads, bint missing_is_error) except -1
