"""One part of a write: elements of the value become a chunk's encoded bytes."""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

from zarrc.engine.failure cimport zc_failure
from zarrc.engine.layout cimport ChunkLayout, zc_layout
from zarrc.indexing.plan cimport zc_part, zc_plan
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.chain cimport zc_chain
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.table cimport zc_blob
from zarrc.kernels.worker cimport zc_worker

# Where chunks come from, shared by the threads of one write; all but 'failure' and 'blobs_are_wide' is constant while it runs.
# Of the plan, only what is the same for every part is looked at: steps, strides and the number of dimensions.
ctypedef struct zc_gather:
    const zc_plan *plan
    const zc_layout *layout
    const zc_chain *chain       # NULL where a codec runs in Python
    void *python_layout         # the ChunkLayout, borrowed
    uint8_t *value
    Py_ssize_t buffer_strides[MAX_NDIM]
    Py_ssize_t user_strides[MAX_NDIM]
    bint write_empty_chunks
    bint in_place               # an object of a memory store is made where it stays
    bint streamed               # and is not looked at again
    bint in_blobs               # large encoded chunks are made where a memory store keeps them
    int blobs_are_wide          # but not where that would be more room than a chunk takes
    zc_failure failure

# What became of a chunk on its way to its object.
ctypedef struct zc_encoded:
    bint is_empty               # nothing to store
    zc_blob *blob               # that has 'data', where they were made in place (owned), else NULL
    const uint8_t *data
    size_t nbytes
    PyObject *owner             # of 'data' where Python encoded it (owned), else NULL

# Everything but the failure, from nothing.
cdef void gather_init(zc_gather *gather, const zc_plan *plan, ChunkLayout layout, uint8_t *value, bint write_empty_chunks)

# The encoded chunks become objects of a memory store.
cdef void gather_to_blobs(zc_gather *gather) noexcept nogil

# Whether chunks are only copied from the value, row by row.
cdef bint gather_is_copied(const zc_gather *gather) noexcept nogil

# Whether the part has every element of the stored chunk, those past the array's edge included.
cdef bint gather_is_full(const zc_layout *layout, const zc_part *part) noexcept nogil

# Whether the chunk's part inside the array equals the fill value bit for bit, and is not to be stored then.
cdef bint gather_is_empty(const zc_gather *gather, const zc_part *inside, const uint8_t *data, const Py_ssize_t *strides,
                          const uint8_t *fill) noexcept nogil

# A whole chunk out of the value alone.  '*encoded' was set to zeros; drop it when it was used.
cdef zc_status gather_covering(zc_gather *gather, const zc_part *part, size_t part_index, zc_worker *worker,
                               zc_encoded *encoded, int *step) noexcept nogil

# The encoded bytes 'old' (NULL: a chunk that is not stored) with the part changed, encoded anew.  They may be in
# ZC_SCRATCH_ENCODED.
cdef zc_status gather_change(zc_gather *gather, const zc_part *part, size_t part_index, const uint8_t *old,
                             size_t old_nbytes, zc_worker *worker, zc_encoded *encoded, int *step) noexcept nogil

cdef void encoded_drop(zc_encoded *encoded) noexcept nogil
