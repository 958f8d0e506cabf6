"""Putting a shard together: inner chunks are encoded, by several threads, and added in the order of the index."""

from libc.stdint cimport uint8_t, uint64_t

from zarrc.engine.shard_layout cimport zc_shard_layout
from zarrc.engine.shard_sink cimport zc_shard_sink
from zarrc.engine.shard_view cimport zc_shard_view
from zarrc.engine.write_part cimport zc_gather
from zarrc.indexing.plan cimport zc_part, zc_plan
from zarrc.kernels.shard_index cimport zc_shard_entry, zc_shard_range
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

# Inner chunks by their numbers, each once and in ascending order: what is written where there is no selection.  Values
# follow one another in memory, each of a whole inner chunk.
ctypedef struct zc_shard_list:
    const size_t *numbers
    size_t n
    size_t value_nbytes     # of one value

# An inner chunk that waits until those before it were added.
ctypedef struct zc_shard_pending:
    int is_ready
    uint8_t *data           # NULL: nothing to store
    size_t nbytes

ctypedef struct zc_shard_build:
    zc_gather *gather           # of the innermost chunks
    const zc_shard_layout *shard
    zc_plan plan                # over the inner chunks that are written
    const zc_shard_list *listed # NULL: the parts of 'plan'
    size_t n_parts
    zc_shard_range *order       # the parts by their numbers (as offsets), where 'plan' has them in another order; else NULL
    size_t part_index           # of the shard, for failures
    const zc_shard_view *old    # the stored shard that keeps the other inner chunks; NULL: there are none
    bint appends                # to the old one, whose inner chunks stay where they are
    zc_shard_sink *sink
    zc_shard_entry *entries     # of the new index
    size_t cursor               # entries before it are as they will be
    bint keeps_damaged          # that one was to be taken over, and cannot be
    int lock                    # for what follows, which all threads change
    int is_busy                 # a thread is adding
    size_t next                 # the part that is to be added next
    zc_shard_pending *pending
    uint64_t pending_nbytes

# For the part of 'plan', which is a shard; of it those inner chunks alone that are listed, where there is a list.  End what
# was begun.
cdef zc_status build_begin(zc_shard_build *build, zc_gather *gather, const zc_shard_layout *shard, const zc_plan *plan,
                           const zc_part *part, const zc_shard_list *listed, size_t part_index, const zc_shard_view *old,
                           bint appends, zc_shard_sink *sink) noexcept nogil

# Encode part 'i' < build.n_parts, an inner chunk; add it, or leave it to the thread that adds those before it.
cdef zc_status build_part(zc_shard_build *build, size_t i, zc_worker *worker, int *step, char *where) noexcept nogil

# What is kept behind the last part, and the index.  *is_empty_ret: there is no inner chunk.
cdef zc_status build_finish(zc_shard_build *build, zc_worker *worker, bint *is_empty_ret, int *step, char *where) noexcept nogil
cdef void build_end(zc_shard_build *build) noexcept nogil

# All of a shard by one thread: the encoded bytes are in '*sink', unless it is empty.
cdef zc_status build_alone(zc_gather *gather, const zc_shard_layout *shard, const zc_plan *plan, const zc_part *part,
                           size_t part_index, const zc_shard_view *old, zc_shard_sink *sink, zc_worker *worker,
                           bint *is_empty_ret, int *step, char *where) noexcept nogil

# What the codecs around a shard make of it, in the place of the sink's bytes; the sink is in memory.
cdef zc_status build_wrap(const zc_shard_layout *shard, zc_shard_sink *sink, zc_worker *worker, int *step) noexcept nogil
