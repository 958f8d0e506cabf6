"""A shard's way through its codecs, compiled: its axes, its grid of inner chunks, its index, and what is behind them."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from zarrc.engine.layout cimport ChunkLayout, zc_layout
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.chain cimport Chain, zc_chain
from zarrc.kernels.shard_index cimport zc_shard_entry
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

# Plain data, shared by all threads.  Transposing before the shard is the order in which its axes are taken; rounding is left
# to the inner chunks, which are rounded one by one.
ctypedef struct zc_shard_layout:
    int ndim
    int order[MAX_NDIM]             # the shard's axis i is axis order[i] of what is around it
    int64_t shape[MAX_NDIM]         # of the shard, along its own axes, in elements
    int64_t inner_shape[MAX_NDIM]
    size_t grid[MAX_NDIM]           # inner chunks along each axis
    size_t n_inner
    bint index_at_start
    size_t index_nbytes             # as stored
    const zc_layout *index_layout
    const zc_chain *index_chain
    bint index_is_plain             # behind its chain: little-endian, in C order
    const zc_chain *outer           # what encodes the whole shard; NULL: nothing does
    bint is_inner                   # it is inside another shard
    const zc_shard_layout *nested   # the inner chunks are shards; NULL: they are chunks
    const zc_layout *leaf           # of the innermost chunks
    const zc_chain *leaf_chain      # theirs; NULL where a codec runs in Python
    uint64_t inner_limit            # the most bytes that an inner chunk may have encoded


cdef class ShardLayout:
    cdef zc_shard_layout c
    cdef readonly object inner      # ChunkLayout or ShardLayout
    cdef readonly ChunkLayout index
    cdef readonly Chain outer       # or None
    cdef readonly str unwritable    # why data cannot be written, or None
    cdef readonly tuple shape       # along the shard's own axes
    cdef readonly tuple inner_shape
    cdef ChunkLayout leaf(self)
    cdef object _set_shape(self, tuple order, tuple shape, codec)
    cdef object _set_index(self, codec, tuple shape)
    cdef object _set_inner(self, level, tuple rounds, codec)


# The linear number of an inner chunk in the index.
cdef inline size_t shard_number(const zc_shard_layout *shard, const int64_t *inner) noexcept nogil:
    cdef size_t number = 0
    cdef int d
    for d in range(shard.ndim):
        number = number * shard.grid[d] + <size_t>inner[d]
    return number

# The entries of a stored index: 'src' has shard.index_nbytes bytes, 'index' room for shard.n_inner entries.
cdef zc_status shard_index_decode(const zc_shard_layout *shard, zc_worker *worker, const uint8_t *src,
                                  zc_shard_entry *index) noexcept nogil

# The stored bytes of an index: 'dst' has room for shard.index_nbytes bytes.
cdef zc_status shard_index_encode(const zc_shard_layout *shard, zc_worker *worker, const zc_shard_entry *index,
                                  uint8_t *dst) noexcept nogil

# Where the index is in a shard of so many bytes; ZC_ETRUNCATED where there is no room for it.
cdef zc_status shard_index_offset(const zc_shard_layout *shard, zc_worker *worker, uint64_t nbytes,
                                  uint64_t *offset_ret) noexcept nogil
