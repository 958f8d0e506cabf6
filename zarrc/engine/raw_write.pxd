"""Write whole chunks to uncompressed local files piece by piece: out of a buffer in the cache, or straight from the value."""

from libc.stdint cimport uint8_t

from zarrc.engine.objects cimport zc_objects
from zarrc.engine.raw cimport zc_raw_box
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

# How chunks of one shape are cut; constant, shared by all threads.
ctypedef struct zc_raw_pieces:
    int ndim                    # axes as raw_order_axes gives them
    size_t count[MAX_NDIM]
    Py_ssize_t file_strides[MAX_NDIM]
    Py_ssize_t strides[MAX_NDIM]
    size_t itemsize
    size_t swap_unit
    size_t nbytes               # of a chunk
    int cut                     # a piece is neighbours along this axis, 'most' of them at most, with all axes inside it
    size_t most
    bint is_rows                # the axes inside it are one run of bytes in the value: the system gathers them

# Whether whole chunks are better written in pieces, and how: 'box' is a whole chunk, its file strides those of a file
# without gaps, its strides the value's ('streamed' is not looked at).
cdef bint raw_cut(zc_raw_pieces *pieces, const zc_raw_box *box) noexcept nogil

# Replace the local object by the chunk whose first item is at 'src'.  Readers see the old bytes or the new.
cdef zc_status raw_write(const zc_raw_pieces *pieces, const zc_objects *objects, zc_worker *worker, const char *name,
                         const uint8_t *src) noexcept nogil
