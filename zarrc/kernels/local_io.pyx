# cython: language_level=3
# cython: freethreading_compatible=True
"""Objects as local files: the doors for compiled code, and what a store of files calls.

Paths are bytes without NUL. A root is how many bytes of a path name the directory that is not made, with `DURABLE` added for
what is to be on the disk when the call returns. A failing system call raises the StoreError of `zarrc.kernels.status`, with its ``errno``.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from zarrc.errors import StoreError

from zarrc.kernels.blob cimport place_range
from zarrc.kernels.status cimport ZC_ABSENT, ZC_ETRUNCATED, check

from zarrc.kernels.blob import Blob

cdef extern from "zc_local.h":
    zc_status zc_local_open(const char *path, int *fd_ret, uint64_t *nbytes_ret, int *errno_ret) noexcept nogil
    zc_status zc_local_open_stamped(const char *path, int *fd_ret, zc_local_stamp *stamp_ret, int *errno_ret) noexcept nogil
    zc_status zc_local_stamp_path(const char *path, zc_local_stamp *stamp_ret, int *errno_ret) noexcept nogil
    zc_status zc_local_open_identified(const char *path, int *fd_ret, uint64_t *identity_ret,
                                       int *errno_ret) noexcept nogil
    zc_status zc_local_identify_path(const char *path, uint64_t *identity_ret, int *errno_ret) noexcept nogil
    zc_status zc_local_identify_fd(int fd, uint64_t *identity_ret, int *errno_ret) noexcept nogil
    zc_status zc_local_pread(int fd, uint64_t offset, uint8_t *dst, size_t nbytes, int *errno_ret) noexcept nogil
    zc_status zc_local_pread_rows(int fd, uint64_t offset, uint64_t file_row_stride, uint8_t *dst, ptrdiff_t dst_stride,
                                  size_t row_nbytes, size_t n_rows, int *errno_ret) noexcept nogil
    int zc_local_duplicate(int fd) noexcept nogil
    void zc_local_close(int fd) noexcept nogil
    zc_status zc_local_replace(const char *path, size_t root, const uint8_t *src, size_t nbytes,
                               int *errno_ret) noexcept nogil
    zc_status zc_local_replace_pieces(const char *path, size_t root, zc_local_next next, void *context,
                                      uint64_t nbytes, int *errno_ret) noexcept nogil
    zc_status zc_local_replace_stamped(const char *path, size_t root, const uint8_t *src, size_t nbytes,
                                       zc_local_stamp *stamp_ret, int *errno_ret) noexcept nogil
    zc_status zc_local_create(const char *path, size_t root, const uint8_t *src, size_t nbytes,
                              zc_local_stamp *stamp_ret, int *errno_ret) noexcept nogil
    zc_status zc_local_remove(const char *path, int *errno_ret) noexcept nogil
    zc_status zc_local_remove_durably(const char *path, int *errno_ret) noexcept nogil
    zc_status zc_local_copy(int src_fd, uint64_t nbytes, const char *path, size_t root, uint8_t *buffer,
                            size_t buffer_nbytes, int *errno_ret) noexcept nogil

cdef extern from "zc_local_chunks.h":
    zc_status zc_local_list_chunks(const char *node, const zc_chunk_names *names, zc_chunk_list *list,
                                   int *errno_ret) noexcept nogil

cdef extern from "zc_local_stream.h":
    zc_status zc_local_stream_open(const char *path, size_t root, zc_local_stream **stream_ret,
                                   int *errno_ret) noexcept nogil
    void zc_local_stream_expect(zc_local_stream *stream, uint64_t nbytes) noexcept nogil
    zc_status zc_local_stream_put(zc_local_stream *stream, const uint8_t *src, size_t nbytes, int *errno_ret) noexcept nogil
    zc_status zc_local_stream_skip(zc_local_stream *stream, uint64_t nbytes, int *errno_ret) noexcept nogil
    zc_status zc_local_stream_put_at(zc_local_stream *stream, uint64_t offset, const uint8_t *src, size_t nbytes,
                                     int *errno_ret) noexcept nogil
    zc_status zc_local_stream_copy(zc_local_stream *stream, int src_fd, uint64_t offset, uint64_t nbytes,
                                   int *errno_ret) noexcept nogil
    uint64_t zc_local_stream_nbytes(const zc_local_stream *stream) noexcept nogil
    zc_status zc_local_stream_commit(zc_local_stream *stream, int *errno_ret) noexcept nogil
    void zc_local_stream_drop(zc_local_stream *stream) noexcept nogil

cdef extern from "zc_local_append.h":
    zc_status zc_local_append(const char *path, const zc_local_append_spec *what, uint64_t *identity_ret,
                              int *errno_ret) noexcept nogil
    int zc_local_undo_exists(const char *path) noexcept nogil
    zc_status zc_local_undo_read(const char *path, uint64_t device, uint64_t inode, size_t max_index_nbytes,
                                 zc_local_undo *undo_ret, int *errno_ret) noexcept nogil
    void zc_local_undo_free(zc_local_undo *undo) noexcept nogil
    zc_status zc_local_repair(const char *path, size_t max_index_nbytes, int *errno_ret) noexcept nogil

cdef extern from "zc_local_fault.h":
    void zc_local_fault_arm(int64_t n) noexcept nogil
    uint64_t zc_local_fault_count() noexcept nogil
    void zc_local_fault_fail_flushes(int is_directory, int error_number) noexcept nogil
    uint64_t zc_local_fault_count_flushes(int is_directory) noexcept nogil

cdef enum:
    COPY_NBYTES = 256 << 10

DURABLE = ZC_LOCAL_DURABLE

ctypedef zc_status (*put_function)(const char *path, size_t root, const uint8_t *src, size_t nbytes,
                                   zc_local_stamp *stamp_ret, int *errno_ret) noexcept nogil


cdef zc_status local_stamp_path(const char *path, zc_local_stamp *stamp_ret, int *errno_ret) noexcept nogil:
    return zc_local_stamp_path(path, stamp_ret, errno_ret)


cdef zc_status local_open(const char *path, int *fd_ret, uint64_t *nbytes_ret, int *errno_ret) noexcept nogil:
    return zc_local_open(path, fd_ret, nbytes_ret, errno_ret)


cdef zc_status local_open_identified(const char *path, int *fd_ret, uint64_t *identity_ret,
                                     int *errno_ret) noexcept nogil:
    return zc_local_open_identified(path, fd_ret, identity_ret, errno_ret)


cdef zc_status local_identify_path(const char *path, uint64_t *identity_ret, int *errno_ret) noexcept nogil:
    return zc_local_identify_path(path, identity_ret, errno_ret)


cdef zc_status local_identify_fd(int fd, uint64_t *identity_ret, int *errno_ret) noexcept nogil:
    return zc_local_identify_fd(fd, identity_ret, errno_ret)


cdef zc_status local_pread(int fd, uint64_t offset, uint8_t *dst, size_t nbytes, int *errno_ret) noexcept nogil:
    return zc_local_pread(fd, offset, dst, nbytes, errno_ret)


cdef zc_status local_pread_rows(int fd, uint64_t offset, uint64_t file_row_stride, uint8_t *dst, ptrdiff_t dst_stride,
                                size_t row_nbytes, size_t n_rows, int *errno_ret) noexcept nogil:
    return zc_local_pread_rows(fd, offset, file_row_stride, dst, dst_stride, row_nbytes, n_rows, errno_ret)


cdef int local_duplicate(int fd) noexcept nogil:
    return zc_local_duplicate(fd)


cdef void local_close(int fd) noexcept nogil:
    zc_local_close(fd)


cdef zc_status local_replace(const char *path, size_t root, const uint8_t *src, size_t nbytes,
                             int *errno_ret) noexcept nogil:
    return zc_local_replace(path, root, src, nbytes, errno_ret)


cdef zc_status local_replace_pieces(const char *path, size_t root, zc_local_next next, void *context,
                                    uint64_t nbytes, int *errno_ret) noexcept nogil:
    return zc_local_replace_pieces(path, root, next, context, nbytes, errno_ret)


cdef zc_status local_remove(const char *path, int *errno_ret) noexcept nogil:
    return zc_local_remove(path, errno_ret)


cdef zc_status local_remove_durably(const char *path, int *errno_ret) noexcept nogil:
    return zc_local_remove_durably(path, errno_ret)


cdef zc_status local_copy(int src_fd, uint64_t nbytes, const char *path, size_t root, uint8_t *buffer,
                          size_t buffer_nbytes, int *errno_ret) noexcept nogil:
    return zc_local_copy(src_fd, nbytes, path, root, buffer, buffer_nbytes, errno_ret)


cdef zc_status local_list_chunks(const char *node, const zc_chunk_names *names, zc_chunk_list *list,
                                 int *errno_ret) noexcept nogil:
    return zc_local_list_chunks(node, names, list, errno_ret)


cdef zc_status local_stream_open(const char *path, size_t root, zc_local_stream **stream_ret,
                                 int *errno_ret) noexcept nogil:
    return zc_local_stream_open(path, root, stream_ret, errno_ret)


cdef void local_stream_expect(zc_local_stream *stream, uint64_t nbytes) noexcept nogil:
    zc_local_stream_expect(stream, nbytes)


cdef zc_status local_stream_put(zc_local_stream *stream, const uint8_t *src, size_t nbytes, int *errno_ret) noexcept nogil:
    return zc_local_stream_put(stream, src, nbytes, errno_ret)


cdef zc_status local_stream_skip(zc_local_stream *stream, uint64_t nbytes, int *errno_ret) noexcept nogil:
    return zc_local_stream_skip(stream, nbytes, errno_ret)


cdef zc_status local_stream_put_at(zc_local_stream *stream, uint64_t offset, const uint8_t *src, size_t nbytes,
                                   int *errno_ret) noexcept nogil:
    return zc_local_stream_put_at(stream, offset, src, nbytes, errno_ret)


cdef zc_status local_stream_copy(zc_local_stream *stream, int src_fd, uint64_t offset, uint64_t nbytes,
                                 int *errno_ret) noexcept nogil:
    return zc_local_stream_copy(stream, src_fd, offset, nbytes, errno_ret)


cdef uint64_t local_stream_nbytes(const zc_local_stream *stream) noexcept nogil:
    return zc_local_stream_nbytes(stream)


cdef zc_status local_stream_commit(zc_local_stream *stream, int *errno_ret) noexcept nogil:
    return zc_local_stream_commit(stream, errno_ret)


cdef void local_stream_drop(zc_local_stream *stream) noexcept nogil:
    zc_local_stream_drop(stream)


cdef zc_status local_append(const char *path, const zc_local_append_spec *what, uint64_t *identity_ret,
                            int *errno_ret) noexcept nogil:
    return zc_local_append(path, what, identity_ret, errno_ret)


cdef int local_undo_exists(const char *path) noexcept nogil:
    return zc_local_undo_exists(path)


cdef zc_status local_undo_read(const char *path, uint64_t device, uint64_t inode, size_t max_index_nbytes,
                               zc_local_undo *undo_ret, int *errno_ret) noexcept nogil:
    return zc_local_undo_read(path, device, inode, max_index_nbytes, undo_ret, errno_ret)


cdef void local_undo_free(zc_local_undo *undo) noexcept nogil:
    zc_local_undo_free(undo)


cdef zc_status local_repair(const char *path, size_t max_index_nbytes, int *errno_ret) noexcept nogil:
    return zc_local_repair(path, max_index_nbytes, errno_ret)


cdef void local_fault_arm(int64_t n) noexcept nogil:
    zc_local_fault_arm(n)


cdef uint64_t local_fault_count() noexcept nogil:
    return zc_local_fault_count()


cdef void local_fault_fail_flushes(int is_directory, int error_number) noexcept nogil:
    zc_local_fault_fail_flushes(is_directory, error_number)


cdef uint64_t local_fault_count_flushes(int is_directory) noexcept nogil:
    return zc_local_fault_count_flushes(is_directory)


cdef str _version(const zc_local_stamp *stamp):
    return f"{stamp.mtime_ns}-{stamp.inode}-{stamp.nbytes}"


cdef int _open(bytes path, int *fd_ret, zc_local_stamp *stamp_ret) except -1:
    """Open a file and take its stamp; 0 if it is absent, else 1."""
    cdef const char *text = path
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = zc_local_open_stamped(text, fd_ret, stamp_ret, &errno)
    if status == ZC_ABSENT:
        return 0
    check(status, NULL, errno, None)
    return 1


cdef int _pread(int fd, size_t offset, uint8_t *dst, size_t nbytes) except -1:
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = zc_local_pread(fd, offset, dst, nbytes, &errno)
    if status == ZC_ETRUNCATED:
        raise StoreError(f"the file was cut while {nbytes} bytes at {offset} were read")
    return check(status, NULL, errno, None)


def read(bytes path not None, start=0, nbytes=None):
    """The file, or a range of it (as `zarrc.kernels.blob.Blob` defines ranges).

    Returns
    -------
    Blob or None
        None if there is no such file.
    """
    cdef int fd = -1
    cdef zc_local_stamp stamp
    cdef size_t first, length
    cdef bytes data
    if not _open(path, &fd, &stamp):
        return None
    try:
        place_range(start, nbytes, stamp.nbytes, &first, &length)
        data = PyBytes_FromStringAndSize(NULL, length)
        _pread(fd, first, <uint8_t *>PyBytes_AS_STRING(data), length)
    finally:
        zc_local_close(fd)
    return Blob(data, version=_version(&stamp), object_nbytes=stamp.nbytes)


def read_into(bytes path not None, out, start=0, nbytes=None):
    """`read`, into the writable buffer ``out``.

    Returns
    -------
    int or None
        Number of bytes read; None if there is no such file.

    Raises
    ------
    StoreError
        If ``out`` is too small; it is then unchanged.
    """
    cdef int fd = -1
    cdef zc_local_stamp stamp
    cdef size_t first, length
    cdef Py_buffer view
    if not _open(path, &fd, &stamp):
        return None
    try:
        place_range(start, nbytes, stamp.nbytes, &first, &length)
        PyObject_GetBuffer(out, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        try:
            if length > <size_t>view.len:
                raise StoreError(f"{length} bytes do not fit a buffer of {view.len} bytes")
            _pread(fd, first, <uint8_t *>view.buf, length)
        finally:
            PyBuffer_Release(&view)
    finally:
        zc_local_close(fd)
    return length


def stat(bytes path not None):
    """Size in bytes and version of the file, or None if there is no such file."""
    cdef const char *text = path
    cdef zc_local_stamp stamp
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = zc_local_stamp_path(text, &stamp, &errno)
    if status == ZC_ABSENT:
        return None
    check(status, NULL, errno, None)
    return stamp.nbytes, _version(&stamp)


cdef zc_status _replace_unstamped(const char *path, size_t root, const uint8_t *src, size_t nbytes,
                                  zc_local_stamp *stamp_ret, int *errno_ret) noexcept nogil:
    return zc_local_replace(path, root, src, nbytes, errno_ret)


cdef int _put(put_function put, bytes path, size_t root, object data, zc_local_stamp *stamp_ret) except -1:
    """Run 'put'; 0 if the root is not there, else 1."""
    cdef const char *text = path
    cdef Py_buffer view
    cdef int errno = 0
    cdef zc_status status
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    with nogil:
        status = put(text, root, <const uint8_t *>view.buf, view.len, stamp_ret, &errno)
    PyBuffer_Release(&view)
    if status == ZC_ABSENT:
        return 0
    check(status, NULL, errno, None)
    return 1


def replace(bytes path not None, size_t root, data):
    """Make ``data``, any contiguous buffer, the whole content of the file, at once.

    Missing directories are made, except the root.

    Returns
    -------
    bool
        False if the root is not there; nothing was written then.
    """
    cdef zc_local_stamp unused
    return _put(_replace_unstamped, path, root, data, &unused) == 1


def replace_stamped(bytes path not None, size_t root, data):
    """`replace`; the version of what was written, None if the root is not there."""
    cdef zc_local_stamp stamp
    return _version(&stamp) if _put(zc_local_replace_stamped, path, root, data, &stamp) else None


def create(bytes path not None, size_t root, data):
    """`replace_stamped` for a file that must not be there: a StoreError with errno EEXIST if it is."""
    cdef zc_local_stamp stamp
    return _version(&stamp) if _put(zc_local_create, path, root, data, &stamp) else None


def copy(bytes source not None, bytes path not None, size_t root, nbytes=None):
    """`replace` with another file, or its first ``nbytes`` bytes, which the system copies or shares where it can.

    Returns
    -------
    bool
        False if the file is not there, or the root is not.
    """
    cdef const char *text = path
    cdef uint8_t *buffer
    cdef uint64_t n
    cdef zc_local_stamp stamp
    cdef int fd = -1
    cdef int errno = 0
    cdef zc_status status
    if not _open(source, &fd, &stamp):
        return False
    n = stamp.nbytes if nbytes is None else nbytes
    buffer = <uint8_t *>malloc(COPY_NBYTES)
    if buffer is NULL:
        zc_local_close(fd)
        raise MemoryError(f"{COPY_NBYTES} bytes")
    with nogil:
        status = zc_local_copy(fd, n, text, root, buffer, COPY_NBYTES, &errno)
        zc_local_close(fd)
        free(buffer)
    if status == ZC_ABSENT:
        return False
    if status == ZC_ETRUNCATED:
        raise StoreError(f"the file has fewer than {n} bytes")
    check(status, NULL, errno, None)
    return True


def remove(bytes path not None, bint durable=False):
    """Remove the file; whether it was there."""
    cdef const char *text = path
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = zc_local_remove_durably(text, &errno) if durable else zc_local_remove(text, &errno)
    if status == ZC_ABSENT:
        return False
    check(status, NULL, errno, None)
    return True
