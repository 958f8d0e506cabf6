"""Where the bytes of a new shard go as they come: a file that has no name yet, or memory."""

from libc.stdint cimport uint8_t, uint64_t

from zarrc.engine.shard_view cimport zc_shard_view
from zarrc.kernels.local_io cimport zc_local_stream
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.table cimport zc_blob
from zarrc.kernels.worker cimport zc_worker

ctypedef struct zc_shard_sink:
    uint64_t nbytes             # so far
    const char *name            # of the file; NULL: memory
    size_t root_nbytes
    zc_local_stream *stream     # opened for the first byte
    bint in_blob                # memory that a memory store can keep
    zc_blob *blob
    uint8_t *data
    size_t capacity
    size_t expected

# The file 'name', which must stay as it is; nothing is made before there is a byte for it.
cdef void sink_to_file(zc_shard_sink *sink, const char *name, size_t root_nbytes) noexcept nogil

# Memory, of which 'expected' bytes are probably needed.
cdef void sink_to_memory(zc_shard_sink *sink, size_t expected, bint in_blob) noexcept nogil

cdef zc_status sink_put(zc_shard_sink *sink, zc_worker *worker, const uint8_t *src, size_t nbytes) noexcept nogil
cdef zc_status sink_skip(zc_shard_sink *sink, zc_worker *worker, size_t nbytes) noexcept nogil

# Over what is there already.
cdef zc_status sink_put_at(zc_shard_sink *sink, zc_worker *worker, uint64_t offset, const uint8_t *src,
                           size_t nbytes) noexcept nogil

# Bytes of an open shard.
cdef zc_status sink_copy(zc_shard_sink *sink, zc_worker *worker, const zc_shard_view *view, uint64_t offset,
                         uint64_t nbytes) noexcept nogil

# Give up what was not given away: also of a sink that was set to zeros.
cdef void sink_drop(zc_shard_sink *sink) noexcept nogil
