"""One part of a read: a chunk's encoded bytes become elements of the result."""

from libc.stdint cimport uint8_t, uint64_t

from zarrc.engine.failure cimport zc_failure
from zarrc.engine.layout cimport ChunkLayout, zc_layout
from zarrc.indexing.plan cimport zc_part, zc_plan
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.chain cimport zc_chain
from zarrc.kernels.chunk_cache cimport zc_chunk_cache
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

# What a read does with the cache of its handle (cached.pyx).
ctypedef struct zc_caching:
    zc_chunk_cache *cache       # NULL: there is none
    uint64_t layout             # tells the read's chunks from those of other shapes
    bint keeps                  # what is decoded is kept for the next read
    bint keeps_absent           # chunks that are not stored too
    bint holds                  # not before it is known that all was of one version
    int lock                    # of 'held'
    void *held                  # what waits for that

# Where chunks go, shared by the threads of one read; all but 'failure' and 'missing' is constant while it runs.
# Of the plan, only what is the same for every part is looked at: steps, strides and the number of dimensions.
ctypedef struct zc_scatter:
    const zc_plan *plan
    const zc_layout *layout
    const zc_chain *chain       # NULL where a codec runs in Python
    void *python_layout         # the ChunkLayout, borrowed
    uint8_t *result
    Py_ssize_t buffer_strides[MAX_NDIM]
    Py_ssize_t user_strides[MAX_NDIM]
    bint streamed               # the result is larger than the caches
    bint missing_is_error
    int missing
    zc_caching caching
    zc_failure failure

# Everything but the failure, from nothing.
cdef void scatter_init(zc_scatter *scatter, const zc_plan *plan, ChunkLayout layout, uint8_t *result, size_t selected_nbytes,
                       bint missing_is_error)

# Whether chunks are only copied to the result, row by row.
cdef bint scatter_is_copied(const zc_scatter *scatter) noexcept nogil

# A chunk that is not stored: ZC_ABSENT where that is an error.
cdef zc_status scatter_fill(zc_scatter *scatter, const zc_part *part) noexcept nogil

# A chunk's encoded bytes.  'part_index' is the one that a failure is kept for; *step the codec at fault.
cdef zc_status scatter_decode(zc_scatter *scatter, const zc_part *part, const uint8_t *src, size_t src_nbytes,
                              size_t part_index, zc_worker *worker, int *step) noexcept nogil

# All of a chunk, from its encoded bytes to a buffer of its size; and the part of it from there to the result.
cdef zc_status scatter_decode_whole(zc_scatter *scatter, const uint8_t *src, size_t src_nbytes, uint8_t *chunk,
                                    size_t part_index, zc_worker *worker, int *step) noexcept nogil
cdef void scatter_chunk(const zc_scatter *scatter, const zc_part *part, const uint8_t *chunk) noexcept nogil

# A chunk without codecs, which is at 'offset' in the open file: no more of it than the part spans is read.
cdef zc_status scatter_raw(zc_scatter *scatter, const zc_part *part, int fd, uint64_t offset, zc_worker *worker) noexcept nogil
