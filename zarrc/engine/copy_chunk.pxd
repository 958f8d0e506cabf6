"""One chunk of a copy: its stored object goes from a local or memory store to another as it is, without Python."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from zarrc.engine.failure cimport zc_failure
from zarrc.engine.objects cimport zc_objects
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.chain cimport zc_chain
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

# A failure's part is 2 * item, and 1 more if the target is at fault.
cdef enum:
    AT_SOURCE = 0
    AT_TARGET = 1

# Shared by the threads of one copy; all but 'failure' is constant while they run.
ctypedef struct zc_copy_job:
    const zc_objects *source
    const zc_objects *target
    int ndim
    int64_t n_chunks[MAX_NDIM]
    const int64_t *chunks       # item -> chunk; NULL: every chunk of the grid, in C order
    size_t first_item
    bint is_new                 # the target has no objects
    bint only_removes           # of the target's chunks those that the source has not
    bint verify
    bint is_shard               # objects are shards, to which somebody may be appending (zc_local_append.h)
    bint exact                  # every object has 'limit' bytes
    size_t least                # the fewest bytes of an object
    size_t limit                # the most bytes of an object
    const zc_chain *chain       # NULL where a codec runs in Python
    void *python_layout         # the ChunkLayout, borrowed
    zc_failure failure

# Copy the objects of 'count' items from 'first' on, or remove the target's where the source has none; neither store is in
# Python.  1 after a failure, which is kept.  A zc_task's body: 'context' is the zc_copy_job.
cdef int copy_chunks(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil

# The indices of an item's chunk; 'chunk' has MAX_NDIM.
cdef void copy_chunk_at(const zc_copy_job *job, size_t item, int64_t *chunk) noexcept nogil

# Refuse what cannot be an encoding of its chunk: by its size, and with 'verify' by decoding it.  ZC_ELENGTH, ZC_ETOOLARGE,
# ZC_ETRUNCATED, or as chain_decode, with the worker's detail; ZC_EPYTHON: the exception is kept.
cdef zc_status check_object(zc_copy_job *job, const uint8_t *data, size_t nbytes, size_t item, zc_worker *worker,
                            int *step) noexcept nogil
