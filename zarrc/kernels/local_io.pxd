"""Objects as local files, without the GIL.  The contracts are in zc_local.h."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t, uint64_t

from zarrc.kernels.status cimport zc_status

cdef zc_status local_open(const char *path, int *fd_ret, uint64_t *nbytes_ret, int *errno_ret) noexcept nogil
cdef zc_status local_pread(int fd, uint64_t offset, uint8_t *dst, size_t nbytes, int *errno_ret) noexcept nogil
cdef zc_status local_pread_rows(int fd, uint64_t offset, uint64_t file_row_stride, uint8_t *dst, ptrdiff_t dst_stride,
                                size_t row_nbytes, size_t n_rows, int *errno_ret) noexcept nogil
cdef void local_close(int fd) noexcept nogil
cdef zc_status local_replace(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes,
                             int *errno_ret) noexcept nogil
cdef zc_status local_remove(const char *path, int *errno_ret) noexcept nogil
