"""A shard's index, and the byte ranges that are read of a shard."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from zarrc.kernels.status cimport zc_status

ctypedef struct zc_shard_entry:     # an inner chunk's place in its shard, native byte order; absent: both 2**64 - 1
    uint64_t offset
    uint64_t nbytes

ctypedef struct zc_shard_range:     # a wanted inner chunk
    uint64_t offset
    uint64_t nbytes
    size_t item                     # the caller's number of it

ctypedef struct zc_shard_run:       # neighbours that are read at once
    uint64_t offset
    uint64_t nbytes
    size_t first                    # of its ranges
    size_t n

# Entry 'i', which is below the number of entries.  Returns ZC_OK; ZC_ABSENT if the inner chunk is not stored; ZC_ECORRUPT
# if its range leaves an object of 'object_nbytes' bytes or one word alone says absent.  *entry_ret is written on ZC_OK only.
cdef zc_status shard_entry(const zc_shard_entry *index, size_t i, uint64_t object_nbytes,
                           zc_shard_entry *entry_ret) noexcept nogil

# Sort by offset, then nbytes, then item, in place; O(n log n) at worst, and cheap when (nearly) sorted before.
cdef void shard_sort(zc_shard_range *ranges, size_t n) noexcept nogil

# Join sorted ranges to runs and return their number; 'runs_ret' has room for 'n'.  A range joins the run before it if at
# most 'gap' bytes lie between them and the run stays within 'limit' bytes, or lies wholly inside of it.  A range larger
# than 'limit' starts a run.  Ranges may overlap and be empty; nothing is assumed of the values.
cdef size_t shard_coalesce(const zc_shard_range *ranges, size_t n, uint64_t gap, uint64_t limit,
                           zc_shard_run *runs_ret) noexcept nogil

# 'n' entries from and to the little-endian bytes of the decoded index, 16 an entry.
cdef void shard_index_load(zc_shard_entry *index, const uint8_t *src, size_t n) noexcept nogil
cdef void shard_index_store(uint8_t *dst, const zc_shard_entry *index, size_t n) noexcept nogil
