"""Objects as local files, without the GIL.  The contracts are in zc_local.h."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint8_t, uint64_t

from zarrc.kernels.status cimport zc_status

cdef extern from "zc_local.h":
    const size_t ZC_LOCAL_DURABLE       # added to a root
    ctypedef struct zc_local_stamp:
        uint64_t nbytes
        uint64_t inode
        int64_t mtime_ns
    ctypedef struct zc_local_rows:
        const uint8_t *src
        ptrdiff_t stride
        size_t row_nbytes
        size_t n_rows
    ctypedef zc_status (*zc_local_next)(void *context, uint64_t offset, zc_local_rows *rows_ret) noexcept nogil

cdef zc_status local_stamp_path(const char *path, zc_local_stamp *stamp_ret, int *errno_ret) noexcept nogil
cdef zc_status local_open(const char *path, int *fd_ret, uint64_t *nbytes_ret, int *errno_ret) noexcept nogil
# The identity of a file: device, inode, size, ctime (4 words).
cdef zc_status local_open_identified(const char *path, int *fd_ret, uint64_t *identity_ret, int *errno_ret) noexcept nogil
cdef zc_status local_identify_path(const char *path, uint64_t *identity_ret, int *errno_ret) noexcept nogil
cdef zc_status local_identify_fd(int fd, uint64_t *identity_ret, int *errno_ret) noexcept nogil
cdef zc_status local_pread(int fd, uint64_t offset, uint8_t *dst, size_t nbytes, int *errno_ret) noexcept nogil
cdef zc_status local_pread_rows(int fd, uint64_t offset, uint64_t file_row_stride, uint8_t *dst, ptrdiff_t dst_stride,
                                size_t row_nbytes, size_t n_rows, int *errno_ret) noexcept nogil
cdef int local_duplicate(int fd) noexcept nogil
cdef void local_close(int fd) noexcept nogil
cdef zc_status local_replace(const char *path, size_t root, const uint8_t *src, size_t nbytes,
                             int *errno_ret) noexcept nogil
cdef zc_status local_replace_pieces(const char *path, size_t root, zc_local_next next, void *context,
                                    uint64_t nbytes, int *errno_ret) noexcept nogil
cdef zc_status local_remove(const char *path, int *errno_ret) noexcept nogil
cdef zc_status local_remove_durably(const char *path, int *errno_ret) noexcept nogil
cdef zc_status local_copy(int src_fd, uint64_t nbytes, const char *path, size_t root, uint8_t *buffer,
                          size_t buffer_nbytes, int *errno_ret) noexcept nogil

# zc_local_chunks.h.
cdef extern from "zc_local_chunks.h":
    ctypedef struct zc_chunk_names:
        int ndim
        char separator
        int has_c
        const int64_t *n_chunks
    ctypedef struct zc_chunk_list:
        int64_t *indices
        size_t n
        size_t capacity

cdef zc_status local_list_chunks(const char *node, const zc_chunk_names *names, zc_chunk_list *list,
                                 int *errno_ret) noexcept nogil

# zc_local_stream.h.
cdef extern from "zc_local_stream.h":
    ctypedef struct zc_local_stream:
        pass

cdef zc_status local_stream_open(const char *path, size_t root, zc_local_stream **stream_ret,
                                 int *errno_ret) noexcept nogil
cdef void local_stream_expect(zc_local_stream *stream, uint64_t nbytes) noexcept nogil
cdef zc_status local_stream_put(zc_local_stream *stream, const uint8_t *src, size_t nbytes, int *errno_ret) noexcept nogil
cdef zc_status local_stream_skip(zc_local_stream *stream, uint64_t nbytes, int *errno_ret) noexcept nogil
cdef zc_status local_stream_put_at(zc_local_stream *stream, uint64_t offset, const uint8_t *src, size_t nbytes,
                                   int *errno_ret) noexcept nogil
cdef zc_status local_stream_copy(zc_local_stream *stream, int src_fd, uint64_t offset, uint64_t nbytes,
                                 int *errno_ret) noexcept nogil
cdef uint64_t local_stream_nbytes(const zc_local_stream *stream) noexcept nogil
cdef zc_status local_stream_commit(zc_local_stream *stream, int *errno_ret) noexcept nogil
cdef void local_stream_drop(zc_local_stream *stream) noexcept nogil

# zc_local_append.h.
cdef extern from "zc_local_append.h":
    ctypedef struct zc_local_bytes:
        const uint8_t *data
        size_t nbytes
    ctypedef struct zc_local_append_spec:
        uint64_t identity[4]
        const zc_local_bytes *data
        size_t n_data
        const uint8_t *index
        size_t index_nbytes
        int index_at_start
        const uint8_t *old_index
        int durable
    ctypedef enum zc_local_undo_state:
        ZC_UNDO_NONE
        ZC_UNDO_INVALID
        ZC_UNDO_OTHER
        ZC_UNDO_VALID
    ctypedef struct zc_local_undo:
        int state
        int index_at_start
        int durable
        uint64_t nbytes
        uint8_t *index
        size_t index_nbytes

cdef zc_status local_append(const char *path, const zc_local_append_spec *what, uint64_t *identity_ret,
                            int *errno_ret) noexcept nogil
cdef int local_undo_exists(const char *path) noexcept nogil
cdef zc_status local_undo_read(const char *path, uint64_t device, uint64_t inode, size_t max_index_nbytes,
                               zc_local_undo *undo_ret, int *errno_ret) noexcept nogil
cdef void local_undo_free(zc_local_undo *undo) noexcept nogil
cdef zc_status local_repair(const char *path, size_t max_index_nbytes, int *errno_ret) noexcept nogil

# zc_local_fault.h, for tests.
cdef void local_fault_arm(int64_t n) noexcept nogil
cdef uint64_t local_fault_count() noexcept nogil
cdef void local_fault_fail_flushes(int is_directory, int error_number) noexcept nogil
cdef uint64_t local_fault_count_flushes(int is_directory) noexcept nogil
