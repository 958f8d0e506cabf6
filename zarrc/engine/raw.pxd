"""Read a box of an uncompressed local file: in pieces that stay in the cache, or straight into the result's rows."""

from libc.stdint cimport uint8_t, uint64_t

from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

# How the items of a box lie in a file and in memory; 'count', the strides (bytes; the file's are not negative) and 'ndim'
# are per axis, in any order.  'swap_unit' as for strided_copy; 'streamed': memory is larger than the caches.
ctypedef struct zc_raw_box:
    int ndim
    const size_t *count
    const Py_ssize_t *file_strides
    const Py_ssize_t *strides
    size_t itemsize
    size_t swap_unit
    bint streamed

# Copy the box, whose first item is at 'offset' in the file and goes to 'dst'.  No byte of the file outside the span of the
# box is read, and no gap in it that is worth a call to skip.  ZC_ETRUNCATED if the file ends in the box.
cdef zc_status raw_read(int fd, uint64_t offset, uint8_t *dst, const zc_raw_box *box, zc_worker *worker) noexcept nogil

# The box's axes in the order of the file, outermost first, without those of one item (but one axis at least); how many.
cdef int raw_order_axes(const zc_raw_box *box, size_t *count, Py_ssize_t *file_strides, Py_ssize_t *strides) noexcept nogil
