# cython: language_level=3
# cython: freethreading_compatible=True
"""Objects as local files.

Paths are bytes without NUL. A failing system call raises the StoreError of `zarrc.kernels.status`, with its ``errno``.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from zarrc.errors import StoreError

from zarrc.kernels.blob cimport place_range
from zarrc.kernels.status cimport ZC_ABSENT, ZC_ECANCELLED, ZC_EPYTHON, ZC_ETRUNCATED, ZC_OK, check

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
    zc_status zc_local_replace(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes,
                               int *errno_ret) noexcept nogil
    zc_status zc_local_replace_pieces(const char *path, size_t root_nbytes, zc_local_next next, void *context,
                                      uint64_t nbytes, int *errno_ret) noexcept nogil
    zc_status zc_local_replace_stamped(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes,
                                       zc_local_stamp *stamp_ret, int *errno_ret) noexcept nogil
    zc_status zc_local_create(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes,
                              zc_local_stamp *stamp_ret, int *errno_ret) noexcept nogil
    zc_status zc_local_remove(const char *path, int *errno_ret) noexcept nogil
    zc_status zc_local_copy(int src_fd, uint64_t nbytes, const char *path, size_t root_nbytes, uint8_t *buffer,
                            size_t buffer_nbytes, int *errno_ret) noexcept nogil

cdef extern from "zc_local_chunks.h":
    zc_status zc_local_list_chunks(const char *node, const zc_chunk_names *names, zc_chunk_list *list,
                                   int *errno_ret) noexcept nogil

cdef extern from "zc_local_stream.h":
    zc_status zc_local_stream_open(const char *path, size_t root_nbytes, zc_local_stream **stream_ret,
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

ctypedef zc_status (*put_function)(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes,
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


cdef zc_status local_replace(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes,
                             int *errno_ret) noexcept nogil:
    return zc_local_replace(path, root_nbytes, src, nbytes, errno_ret)


cdef zc_status local_replace_pieces(const char *path, size_t root_nbytes, zc_local_next next, void *context,
                                    uint64_t nbytes, int *errno_ret) noexcept nogil:
    return zc_local_replace_pieces(path, root_nbytes, next, context, nbytes, errno_ret)


cdef zc_status local_remove(const char *path, int *errno_ret) noexcept nogil:
    return zc_local_remove(path, errno_ret)


cdef zc_status local_copy(int src_fd, uint64_t nbytes, const char *path, size_t root_nbytes, uint8_t *buffer,
                          size_t buffer_nbytes, int *errno_ret) noexcept nogil:
    return zc_local_copy(src_fd, nbytes, path, root_nbytes, buffer, buffer_nbytes, errno_ret)


cdef zc_status local_list_chunks(const char *node, const zc_chunk_names *names, zc_chunk_list *list,
                                 int *errno_ret) noexcept nogil:
    return zc_local_list_chunks(node, names, list, errno_ret)


cdef zc_status local_stream_open(const char *path, size_t root_nbytes, zc_local_stream **stream_ret,
                                 int *errno_ret) noexcept nogil:
    return zc_local_stream_open(path, root_nbytes, stream_ret, errno_ret)


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


def read_rows(bytes path not None, out not None, uint64_t start, uint64_t stride, size_t row_nbytes):
    """Read rows of a file to the rows of ``out``, for tests of the kernel.

    Parameters
    ----------
    path : bytes
        The file.
    out : buffer
        Writable, of two dimensions and single bytes; one row of the file is read to each of its rows, which may be
        longer and lie apart (in either direction).
    start, stride : int
        Where the first row starts in the file, and how far the next one is from it, in bytes.
    row_nbytes : int
        Bytes in a row of the file.
    """
    cdef int fd = -1
    cdef int errno = 0
    cdef zc_local_stamp stamp
    cdef zc_status status
    cdef Py_buffer view
    cdef uint8_t *first
    cdef ptrdiff_t apart
    cdef size_t n_rows
    PyObject_GetBuffer(out, &view, PyBUF_STRIDES | PyBUF_WRITABLE)
    try:
        if (view.ndim != 2 or view.itemsize != 1 or row_nbytes > <size_t>view.shape[1]
                or (view.strides[1] != 1 and view.shape[1] > 1)):
            raise ValueError("out: two dimensions of bytes, of rows as long as the file's")
        if not _open(path, &fd, &stamp):
            return None
        first, apart, n_rows = <uint8_t *>view.buf, view.strides[0], view.shape[0]
        with nogil:
            status = zc_local_pread_rows(fd, start, stride, first, apart, row_nbytes, n_rows, &errno)
            zc_local_close(fd)
    finally:
        PyBuffer_Release(&view)
    if status == ZC_ETRUNCATED:
        raise StoreError("the file ends before its last row")
    check(status, NULL, errno, None)
    return n_rows * row_nbytes


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


def open_identified(bytes path not None):
    """A descriptor of the file, which the caller closes, and its `identify`; None if there is no such file."""
    cdef const char *text = path
    cdef uint64_t words[4]
    cdef int fd = -1
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = zc_local_open_identified(text, &fd, words, &errno)
    if status == ZC_ABSENT:
        return None
    check(status, NULL, errno, None)
    return fd, (words[0], words[1], words[2], words[3])


def identify(bytes path not None):
    """Device, inode, size and ctime in nanoseconds of the file, or None if there is no such file."""
    cdef const char *text = path
    cdef uint64_t words[4]
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = zc_local_identify_path(text, words, &errno)
    if status == ZC_ABSENT:
        return None
    check(status, NULL, errno, None)
    return words[0], words[1], words[2], words[3]


cdef zc_status _replace_unstamped(const char *path, size_t root_nbytes, const uint8_t *src, size_t nbytes,
                                  zc_local_stamp *stamp_ret, int *errno_ret) noexcept nogil:
    return zc_local_replace(path, root_nbytes, src, nbytes, errno_ret)


cdef int _put(put_function put, bytes path, size_t root_nbytes, object data, zc_local_stamp *stamp_ret) except -1:
    """Run 'put'; 0 if the root is not there, else 1."""
    cdef const char *text = path
    cdef Py_buffer view
    cdef int errno = 0
    cdef zc_status status
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    with nogil:
        status = put(text, root_nbytes, <const uint8_t *>view.buf, view.len, stamp_ret, &errno)
    PyBuffer_Release(&view)
    if status == ZC_ABSENT:
        return 0
    check(status, NULL, errno, None)
    return 1


def replace(bytes path not None, size_t root_nbytes, data):
    """Make ``data``, any contiguous buffer, the whole content of the file, at once.

    Missing directories are made, except the first ``root_nbytes`` bytes of the path.

    Returns
    -------
    bool
        False if the root is not there; nothing was written then.
    """
    cdef zc_local_stamp unused
    return _put(_replace_unstamped, path, root_nbytes, data, &unused) == 1


@cython.final
cdef class _Pieces:
    """What Python gives as the pieces of a content, and what went wrong in it."""

    cdef object ask
    cdef object error
    cdef Py_buffer view     # of the piece that is being written

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    cdef zc_status next(self, uint64_t offset, zc_local_rows *rows_ret) noexcept:
        PyBuffer_Release(&self.view)
        try:
            PyObject_GetBuffer(self.ask(offset), &self.view, PyBUF_STRIDES)
            if self.view.ndim != 2 or self.view.itemsize != 1 or (self.view.strides[1] != 1 and self.view.shape[1] > 1):
                raise ValueError("two dimensions of bytes, of rows without gaps")
        except BaseException as error:
            self.error = error
            return ZC_EPYTHON
        rows_ret.src, rows_ret.stride = <const uint8_t *>self.view.buf, self.view.strides[0]
        rows_ret.n_rows, rows_ret.row_nbytes = self.view.shape[0], self.view.shape[1]
        return ZC_OK


cdef zc_status _next_piece(void *context, uint64_t offset, zc_local_rows *rows_ret) noexcept nogil:
    with gil:
        return (<_Pieces>context).next(offset, rows_ret)


def replace_pieces(bytes path not None, size_t root_nbytes, uint64_t nbytes, ask):
    """`replace` with ``nbytes`` bytes, of which ``ask(offset)`` gives the next ones, for tests of the kernel.

    It gives rows: an array of bytes of two dimensions, the second without gaps.

    Returns
    -------
    bool
        False if the root is not there.
    """
    cdef const char *text = path
    cdef _Pieces pieces = _Pieces.__new__(_Pieces)
    cdef void *context = <void *>pieces
    cdef int errno = 0
    cdef zc_status status
    pieces.ask = ask
    with nogil:
        status = zc_local_replace_pieces(text, root_nbytes, _next_piece, context, nbytes, &errno)
    if pieces.error is not None:
        raise pieces.error
    if status == ZC_ABSENT:
        return False
    check(status, NULL, errno, None)
    return True


def replace_stamped(bytes path not None, size_t root_nbytes, data):
    """`replace`; the version of what was written, None if the root is not there."""
    cdef zc_local_stamp stamp
    return _version(&stamp) if _put(zc_local_replace_stamped, path, root_nbytes, data, &stamp) else None


def create(bytes path not None, size_t root_nbytes, data):
    """`replace_stamped` for a file that must not be there: a StoreError with errno EEXIST if it is."""
    cdef zc_local_stamp stamp
    return _version(&stamp) if _put(zc_local_create, path, root_nbytes, data, &stamp) else None


def copy(bytes source not None, bytes path not None, size_t root_nbytes, uint64_t nbytes):
    """`replace` with the first ``nbytes`` bytes of another file, for tests of the kernel.

    Returns
    -------
    bool
        False if the file is not there, or the root is not.
    """
    cdef const char *text = path
    cdef uint8_t buffer[4096]
    cdef zc_local_stamp stamp
    cdef int fd = -1
    cdef int errno = 0
    cdef zc_status status
    if not _open(source, &fd, &stamp):
        return False
    with nogil:
        status = zc_local_copy(fd, nbytes, text, root_nbytes, buffer, sizeof(buffer), &errno)
        zc_local_close(fd)
    if status == ZC_ABSENT:
        return False
    if status == ZC_ETRUNCATED:
        raise StoreError(f"the file has fewer than {nbytes} bytes")
    check(status, NULL, errno, None)
    return True


def list_chunks(bytes node not None, separator, bint has_c, n_chunks):
    """The chunks of a grid that are files in or below a directory, a list of tuples in no order.

    Parameters
    ----------
    node : bytes
        The array's directory.
    separator : {"/", "."}
        What is between the indices.
    has_c : bool
        Whether keys start with ``c``.
    n_chunks : sequence of int
        Chunks along each axis, at least one axis.
    """
    cdef const char *text = node
    cdef int64_t counts[32]
    cdef zc_chunk_names names
    cdef zc_chunk_list found
    cdef int errno = 0
    cdef zc_status status
    cdef size_t i
    if not 0 < len(n_chunks) <= 32:
        raise ValueError(f"1 to 32 axes, not {len(n_chunks)}")
    memset(&found, 0, sizeof(found))
    for i in range(len(n_chunks)):
        counts[i] = n_chunks[i]
    names.ndim, names.separator, names.has_c, names.n_chunks = len(n_chunks), ord(separator), has_c, counts
    with nogil:
        status = zc_local_list_chunks(text, &names, &found, &errno)
    try:
        check(status, NULL, errno, None)
        return [tuple([found.indices[i * names.ndim + j] for j in range(names.ndim)]) for i in range(found.n)]
    finally:
        free(found.indices)


def remove(bytes path not None):
    """Remove the file; whether it was there."""
    cdef const char *text = path
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = zc_local_remove(text, &errno)
    if status == ZC_ABSENT:
        return False
    check(status, NULL, errno, None)
    return True


@cython.final
cdef class Stream:
    """A file that is written as its bytes come and gets its name at the end, for tests of the kernel.

    After an error, and after `commit` and `drop`, there is nothing left to call.
    """

    cdef zc_local_stream *stream

    def __init__(self, bytes path not None, size_t root_nbytes=0):
        cdef const char *text = path
        cdef int errno = 0
        cdef zc_status status
        if self.stream is not NULL:
            raise ValueError("a stream is opened once")
        with nogil:
            status = zc_local_stream_open(text, root_nbytes, &self.stream, &errno)
        check(status, NULL, errno, None)

    def __dealloc__(self):
        zc_local_stream_drop(self.stream)

    cdef zc_local_stream *there(self) except NULL:
        if self.stream is NULL:
            raise ValueError("the stream has ended")
        return self.stream

    @property
    def nbytes(self):
        return zc_local_stream_nbytes(self.there())

    def expect(self, uint64_t nbytes):
        """Say how many bytes are to come."""
        zc_local_stream_expect(self.there(), nbytes)

    def put(self, const uint8_t[::1] data not None):
        """Add bytes."""
        cdef int errno = 0
        cdef zc_status status = zc_local_stream_put(self.there(), &data[0] if data.shape[0] else NULL, data.shape[0],
                                                    &errno)
        check(status, NULL, errno, None)

    def skip(self, uint64_t nbytes):
        """Add zeros."""
        cdef int errno = 0
        cdef zc_status status = zc_local_stream_skip(self.there(), nbytes, &errno)
        check(status, NULL, errno, None)

    def put_at(self, uint64_t offset, const uint8_t[::1] data not None):
        """Write over what is there."""
        cdef int errno = 0
        cdef zc_status status = zc_local_stream_put_at(self.there(), offset, &data[0] if data.shape[0] else NULL,
                                                       data.shape[0], &errno)
        check(status, NULL, errno, None)

    def copy(self, int fd, uint64_t offset, uint64_t nbytes):
        """Add a range of another file."""
        cdef int errno = 0
        cdef zc_status status = zc_local_stream_copy(self.there(), fd, offset, nbytes, &errno)
        check(status, NULL, errno, None)

    def commit(self):
        """Give the file its name."""
        cdef int errno = 0
        cdef zc_status status
        cdef zc_local_stream *stream = self.there()
        self.stream = NULL
        status = zc_local_stream_commit(stream, &errno)
        check(status, NULL, errno, None)

    def drop(self):
        """Remove what was written."""
        cdef zc_local_stream *stream = self.there()
        self.stream = NULL
        zc_local_stream_drop(stream)


def append(bytes path not None, identity, list pieces not None, bytes index not None, bytes old_index=None,
           bint durable=False):
    """Append ``pieces`` (bytes) to a shard, and its index; with ``old_index`` over that, at the start (for tests).

    Returns
    -------
    tuple or None
        The shard's `identify` afterwards; None if it is not what ``identity`` says, not there, or there is a record.
    """
    cdef const char *text = path
    cdef zc_local_append_spec what
    cdef uint64_t words[4]
    cdef int errno = 0
    cdef zc_status status
    cdef size_t i
    cdef zc_local_bytes *data = <zc_local_bytes *>malloc((len(pieces) + 1) * sizeof(zc_local_bytes))
    if data is NULL:
        raise MemoryError("pieces")
    try:
        for i in range(len(pieces)):
            data[i].data, data[i].nbytes = <const uint8_t *>PyBytes_AS_STRING(pieces[i]), len(pieces[i])
        for i in range(4):
            what.identity[i] = identity[i]
        what.data, what.n_data, what.durable = data, len(pieces), durable
        what.index, what.index_nbytes = <const uint8_t *>PyBytes_AS_STRING(index), len(index)
        what.index_at_start, what.old_index = old_index is not None, NULL
        if old_index is not None:
            if len(old_index) != len(index):
                raise ValueError("the old index has another length")
            what.old_index = <const uint8_t *>PyBytes_AS_STRING(old_index)
        with nogil:
            status = zc_local_append(text, &what, words, &errno)
    finally:
        free(data)
    if status == ZC_ABSENT or status == ZC_ECANCELLED:
        return None
    check(status, NULL, errno, None)
    return words[0], words[1], words[2], words[3]


def undo_exists(bytes path not None):
    """Whether there is an undo record of the shard, of whatever state (for tests)."""
    return zc_local_undo_exists(path) == 1


def undo_read(bytes path not None, uint64_t device, uint64_t inode, size_t max_index_nbytes):
    """The state of the shard's undo record ("none", "invalid", "other", "valid"), its length and its index (for tests)."""
    cdef const char *text = path
    cdef zc_local_undo undo
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = zc_local_undo_read(text, device, inode, max_index_nbytes, &undo, &errno)
    check(status, NULL, errno, None)
    try:
        state = ("none", "invalid", "other", "valid")[undo.state]
        if undo.state != ZC_UNDO_VALID:
            return state, 0, None
        return state, undo.nbytes, undo.index[:undo.index_nbytes] if undo.index_at_start else None
    finally:
        zc_local_undo_free(&undo)


def repair(bytes path not None, size_t max_index_nbytes):
    """Take back what a writer did not finish; whether there was a record."""
    cdef const char *text = path
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = zc_local_repair(text, max_index_nbytes, &errno)
    if status == ZC_ABSENT:
        return False
    check(status, NULL, errno, None)
    return True


def _kill_at(int64_t n):
    """Have the process killed at the n-th place from now on where a file is about to be changed, or was (tests).

    0 counts the places only, -1 does nothing any more.
    """
    zc_local_fault_arm(n)


def _count_faults():
    """Places passed since the last `_kill_at`."""
    return zc_local_fault_count()
