# cython: language_level=3
# cython: freethreading_compatible=True
"""What only shards need of local files, for Python: files that are written as their bytes come, appends and their repair.

Compiled code calls the doors of `zarrc.kernels.local_io` instead; these are for rare repairs, and for tests.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc

from zarrc.kernels.local_io cimport (
    ZC_UNDO_VALID,
    local_append,
    local_repair,
    local_stream_commit,
    local_stream_copy,
    local_stream_drop,
    local_stream_expect,
    local_stream_nbytes,
    local_stream_open,
    local_stream_put,
    local_stream_put_at,
    local_stream_skip,
    local_undo_exists,
    local_undo_free,
    local_undo_read,
    zc_local_append_spec,
    zc_local_bytes,
    zc_local_stream,
    zc_local_undo,
)
from zarrc.kernels.status cimport ZC_ABSENT, ZC_ECANCELLED, check, zc_status


@cython.final
cdef class Stream:
    """A file that is written as its bytes come and gets its name at the end.

    After an error, and after `commit` and `drop`, there is nothing left to call.
    """

    cdef zc_local_stream *stream

    def __init__(self, bytes path not None, size_t root=0):
        cdef const char *text = path
        cdef int errno = 0
        cdef zc_status status
        if self.stream is not NULL:
            raise ValueError("a stream is opened once")
        with nogil:
            status = local_stream_open(text, root, &self.stream, &errno)
        check(status, NULL, errno, None)

    def __dealloc__(self):
        local_stream_drop(self.stream)

    cdef zc_local_stream *there(self) except NULL:
        if self.stream is NULL:
            raise ValueError("the stream has ended")
        return self.stream

    @property
    def nbytes(self):
        return local_stream_nbytes(self.there())

    def expect(self, uint64_t nbytes):
        """Say how many bytes are to come."""
        local_stream_expect(self.there(), nbytes)

    def put(self, const uint8_t[::1] data not None):
        """Add bytes."""
        cdef int errno = 0
        cdef zc_status status = local_stream_put(self.there(), &data[0] if data.shape[0] else NULL, data.shape[0],
                                                    &errno)
        check(status, NULL, errno, None)

    def skip(self, uint64_t nbytes):
        """Add zeros."""
        cdef int errno = 0
        cdef zc_status status = local_stream_skip(self.there(), nbytes, &errno)
        check(status, NULL, errno, None)

    def put_at(self, uint64_t offset, const uint8_t[::1] data not None):
        """Write over what is there."""
        cdef int errno = 0
        cdef zc_status status = local_stream_put_at(self.there(), offset, &data[0] if data.shape[0] else NULL,
                                                       data.shape[0], &errno)
        check(status, NULL, errno, None)

    def copy(self, int fd, uint64_t offset, uint64_t nbytes):
        """Add a range of another file."""
        cdef int errno = 0
        cdef zc_status status = local_stream_copy(self.there(), fd, offset, nbytes, &errno)
        check(status, NULL, errno, None)

    def commit(self):
        """Give the file its name."""
        cdef int errno = 0
        cdef zc_status status
        cdef zc_local_stream *stream = self.there()
        self.stream = NULL
        status = local_stream_commit(stream, &errno)
        check(status, NULL, errno, None)

    def drop(self):
        """Remove what was written."""
        cdef zc_local_stream *stream = self.there()
        self.stream = NULL
        local_stream_drop(stream)


def append(bytes path not None, identity, list pieces not None, bytes index not None, bytes old_index=None,
           bint durable=False):
    """Append ``pieces`` (bytes) to a shard, and its index; with ``old_index`` over that, at the start.

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
            status = local_append(text, &what, words, &errno)
    finally:
        free(data)
    if status == ZC_ABSENT or status == ZC_ECANCELLED:
        return None
    check(status, NULL, errno, None)
    return words[0], words[1], words[2], words[3]


def undo_exists(bytes path not None):
    """Whether there is an undo record of the shard, of whatever state."""
    return local_undo_exists(path) == 1


def undo_read(bytes path not None, uint64_t device, uint64_t inode, size_t max_index_nbytes):
    """The state of the shard's undo record ("none", "invalid", "other", "valid"), its length and its index."""
    cdef const char *text = path
    cdef zc_local_undo undo
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = local_undo_read(text, device, inode, max_index_nbytes, &undo, &errno)
    check(status, NULL, errno, None)
    try:
        state = ("none", "invalid", "other", "valid")[undo.state]
        if undo.state != ZC_UNDO_VALID:
            return state, 0, None
        return state, undo.nbytes, undo.index[:undo.index_nbytes] if undo.index_at_start else None
    finally:
        local_undo_free(&undo)


def repair(bytes path not None, size_t max_index_nbytes):
    """Take back what a writer did not finish; whether there was a record."""
    cdef const char *text = path
    cdef int errno = 0
    cdef zc_status status
    with nogil:
        status = local_repair(text, max_index_nbytes, &errno)
    if status == ZC_ABSENT:
        return False
    check(status, NULL, errno, None)
    return True
