"""The read path of sharded arrays: plan -> open shards -> fetch ranges -> decode -> scatter."""

from libc.stdint cimport uint8_t, uint64_t

from zarrc.engine.objects cimport Objects
from zarrc.engine.read_part cimport zc_scatter
from zarrc.engine.shard_layout cimport ShardLayout, zc_shard_layout
from zarrc.engine.shard_view cimport zc_shard_view
from zarrc.indexing.plan cimport zc_part, zc_plan
from zarrc.kernels.shard_index cimport zc_shard_range, zc_shard_run
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

# What of one shard is wanted: the plan over its inner chunks, and where these are.
ctypedef struct zc_shard_wanted:
    zc_plan plan
    zc_shard_range *ranges      # item: the part of 'plan'
    zc_shard_run *runs
    size_t n_ranges
    size_t n_runs

# How far apart, and how long at most, ranges are that are read at once.
ctypedef struct zc_shard_joining:
    uint64_t gap
    uint64_t limit
    uint64_t decoded            # what one run may decode to, as one task is not interrupted; 0: as much as it likes

# Read every part of the plan, which is over shards, into 'result'.  Returns whether a shard or an inner chunk was missing.
cdef int read_shards(const zc_plan *plan, ShardLayout layout, Objects objects, uint8_t *result, int n_threads, config) except -1

# The plan over the leaves of the first part's first shard: what it says of steps and strides holds for all.
cdef void shard_leaf_plan(zc_plan *leaf, const zc_plan *plan, const zc_shard_layout *shard) noexcept nogil

# How many leaves the plan may need, or some more.
cdef size_t shard_leaves(const zc_plan *plan, const zc_shard_layout *shard) noexcept nogil

# Find what the part wants of the open shard; what is not stored is filled.  'where' (160 bytes) names an inner chunk at fault.
cdef zc_status shard_want(zc_scatter *scatter, const zc_shard_layout *shard, const zc_shard_view *view, const zc_plan *plan,
                          const zc_part *part, const zc_shard_joining *joining, zc_worker *worker, zc_shard_wanted *wanted,
                          int *step, char *where) noexcept nogil
cdef void shard_unwant(zc_shard_wanted *wanted) noexcept nogil

# A part that is not stored.
cdef zc_status shard_fill(zc_scatter *scatter, const zc_plan *plan, const zc_part *part) noexcept nogil

# Decode run 'i' of what is wanted; 'data' is its bytes, NULL: they are the view's.
cdef zc_status shard_read_run(zc_scatter *scatter, const zc_shard_layout *shard, const zc_shard_view *view,
                              const zc_shard_wanted *wanted, size_t i, const uint8_t *data, size_t part_index,
                              zc_worker *worker, int *step, char *where) noexcept nogil

# "inner chunk (3, 4)" in 'where', which has 160 bytes: its place in its shard, along the shard's own axes.
cdef void name_inner(char *where, const zc_plan *plan, const zc_part *inner) noexcept nogil
