"""The built-in compressors: zstd, gzip, zlib, lz4, blosc, snappy."""

from libc.stdint cimport uint8_t

from zarrc.kernels.status cimport zc_status
from zarrc.kernels.worker cimport zc_worker

# The decoded bytes [start, stop) of a Blosc chunk into 'dst', decoding only the blocks that hold them.  ZC_EINVAL if the
# range is not inside the decoded chunk.
cdef zc_status blosc_decode_range(zc_worker *worker, const uint8_t *src, size_t src_nbytes, size_t start, size_t stop,
                                  uint8_t *dst) noexcept nogil
