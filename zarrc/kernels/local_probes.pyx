# cython: language_level=3
# cython: freethreading_compatible=True
"""Local files, for tests of the kernel: what else only compiled code calls, and places where the process is killed."""

cimport cython
from cpython.buffer cimport PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from zarrc.errors import StoreError

from zarrc.kernels.local_io cimport (
    local_close,
    local_fault_arm,
    local_fault_count,
    local_fault_count_flushes,
    local_fault_fail_flushes,
    local_identify_path,
    local_list_chunks,
    local_open,
    local_open_identified,
    local_pread_rows,
    local_replace_pieces,
    zc_chunk_list,
    zc_chunk_names,
    zc_local_rows,
)
from zarrc.kernels.status cimport ZC_ABSENT, ZC_EPYTHON, ZC_ETRUNCATED, ZC_OK, check, zc_status


def read_rows(bytes path not None, out not None, uint64_t start, uint64_t stride, size_t row_nbytes):
    """Read rows of a file to the rows of ``out``.

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
    cdef const char *text = path
    cdef int fd = -1
    cdef int errno = 0
    cdef uint64_t file_nbytes = 0
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
        status = local_open(text, &fd, &file_nbytes, &errno)
        if status == ZC_ABSENT:
            return None
        check(status, NULL, errno, None)
        first, apart, n_rows = <uint8_t *>view.buf, view.strides[0], view.shape[0]
        with nogil:
            status = local_pread_rows(fd, start, stride, first, apart, row_nbytes, n_rows, &errno)
            local_close(fd)
    finally:
        PyBuffer_Release(&view)
    if status == ZC_ETRUNCATED:
        raise StoreError("the file ends before its last row")
    check(status, NULL, errno, None)
    return n_rows * row_nbytes


def open_identified(bytes path not None):
    """A descriptor of the file, which the caller closes, and its `identify`; None if there is no such file."""
    cdef const char *text = path
    cdef uint64_t words[4]
    cdef int fd = -1
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = local_open_identified(text, &fd, words, &errno)
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
        status = local_identify_path(text, words, &errno)
    if status == ZC_ABSENT:
        return None
    check(status, NULL, errno, None)
    return words[0], words[1], words[2], words[3]


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


def replace_pieces(bytes path not None, size_t root, uint64_t nbytes, ask):
    """`replace` with ``nbytes`` bytes, of which ``ask(offset)`` gives the next ones.

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
        status = local_replace_pieces(text, root, _next_piece, context, nbytes, &errno)
    if pieces.error is not None:
        raise pieces.error
    if status == ZC_ABSENT:
        return False
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
        status = local_list_chunks(text, &names, &found, &errno)
    try:
        check(status, NULL, errno, None)
        return [tuple([found.indices[i * names.ndim + j] for j in range(names.ndim)]) for i in range(found.n)]
    finally:
        free(found.indices)


def kill_at(int64_t n):
    """Have the process killed at the n-th place from now on where a file is about to be changed, or was.

    0 counts the places only, -1 does nothing any more.
    """
    local_fault_arm(n)


def count_faults():
    """Places passed since the last `kill_at`."""
    return local_fault_count()


def fail_flushes(bint is_directory, int error_number):
    """Have flushing files, or directories, fail with this errno; 0: work again."""
    local_fault_fail_flushes(is_directory, error_number)


def count_flushes():
    """How often files and directories were flushed since the process began."""
    return local_fault_count_flushes(0), local_fault_count_flushes(1)
