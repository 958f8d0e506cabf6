# cython: language_level=3
# cython: freethreading_compatible=True
"""Blobs: the read-only bytes of a stored object, or of a range of it."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from zarrc.errors import StoreError

cdef const uint8_t *EMPTY = <const uint8_t *>b""

_hashlib = None     # imported on first use: it takes longer than all of this module


cdef class Blob:
    """The bytes of a stored object, or of a range of it; they never change.

    A blob is a read-only buffer: ``memoryview(blob)`` and ``np.frombuffer(blob, ...)`` share its memory, ``bytes(blob)``
    copies it. It stays valid after the object was overwritten or deleted, and after its store is gone.

    Parameters
    ----------
    data : bytes-like
        The bytes. ``bytes`` and blobs are kept as they are; of anything else, which might change, a copy is made.
    start : int, default 0
        Where in ``data`` the blob starts, in bytes; negative counts from the end.
    nbytes : int, optional
        Its length; by default to the end of ``data``.
    version : str, optional
        The version of the object that ``data`` was read from. By default it is computed from the content when it is
        asked for, provided that ``data`` is the whole object.
    object_nbytes : int, optional
        Size of the whole object; by default that of ``data``. Pass -1 where it is not known.

    Attributes
    ----------
    nbytes : int
        Number of bytes in the blob.
    object_nbytes : int or None
        Size of the whole object in bytes, None where the store did not tell.
    version : str or None
        Equal for two blobs only if both were read from one version of the object. None where the store cannot tell,
        which is so for some ranges.

    Raises
    ------
    StoreError
        If the range leaves ``data``.
    """

    def __cinit__(self, data, *, start=0, nbytes=None, version=None, object_nbytes=None):
        cdef size_t range_start, range_nbytes
        self.data = EMPTY
        if data is None and type(self) is not Blob:     # a subclass that sets the rest itself
            return
        if isinstance(data, Blob):
            _view_blob(self, <Blob>data)
        else:
            self.owner = data if type(data) is bytes else _copy(data)
            self.data = <const uint8_t *>PyBytes_AS_STRING(self.owner)
            self.nbytes = PyBytes_GET_SIZE(self.owner)
        self.known_version = version
        if object_nbytes is None:
            self.object_nbytes = self.nbytes
        elif object_nbytes >= 0:
            self.object_nbytes = object_nbytes
        place_range(start, nbytes, self.nbytes, &range_start, &range_nbytes)
        self.data += range_start
        self.nbytes = range_nbytes

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, <void *>self.data, self.nbytes, 1, flags)

    def __bytes__(self):
        if type(self.owner) is bytes and PyBytes_GET_SIZE(self.owner) == self.nbytes:
            return self.owner
        return PyBytes_FromStringAndSize(<const char *>self.data, self.nbytes)

    def __len__(self):
        return self.nbytes

    def __repr__(self):
        return f"<Blob of {self.nbytes} bytes>"

    def __reduce__(self):
        size = -1 if self.object_nbytes is None else self.object_nbytes
        return _rebuild, (bytes(self), self.version, size)

    @property
    def version(self):
        if self.known_version is None and self.owner is not None and len(self.owner) == self.object_nbytes:
            self.known_version = content_version(self.owner)
        return self.known_version


cdef bytes _copy(object data):
    """The bytes of any contiguous buffer."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return PyBytes_FromStringAndSize(<const char *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


def _rebuild(data, version, object_nbytes):
    return Blob(data, version=version, object_nbytes=object_nbytes)


cdef int _view_blob(Blob blob, Blob source) except -1:
    """Make 'blob' share the bytes of 'source', and keep it alive."""
    blob.owner = source
    blob.data = source.data
    blob.nbytes = source.nbytes
    return 0


def content_version(data):
    """A version made from the content: equal for equal bytes, different for different ones.

    Parameters
    ----------
    data : bytes-like
        All bytes of the object.

    Returns
    -------
    str
    """
    global _hashlib
    if _hashlib is None:
        import hashlib
        _hashlib = hashlib
    return "content-" + _hashlib.blake2b(data, digest_size=20).hexdigest()


cdef int place_range(object start, object nbytes, size_t object_nbytes,
                     size_t *start_ret, size_t *nbytes_ret) except -1:
    cdef object first = start
    if first < 0:
        first = first + object_nbytes
    if first < 0 or first > object_nbytes:
        raise _outside(start, nbytes, object_nbytes)
    cdef object length = object_nbytes - first if nbytes is None else nbytes
    if length < 0 or length > object_nbytes - first:
        raise _outside(start, nbytes, object_nbytes)
    start_ret[0] = first
    nbytes_ret[0] = length
    return 0


def _outside(start, nbytes, object_nbytes):
    length = "to its end" if nbytes is None else f"of {nbytes} bytes"
    return StoreError(f"the range from byte {start} {length} leaves the object, which has {object_nbytes} bytes")


def resolve_range(start, nbytes, object_nbytes):
    """Where a range of an object lies.

    Parameters
    ----------
    start : int
        First byte; negative counts from the end.
    nbytes : int or None
        Length; None is "to the end".
    object_nbytes : int
        Size of the object.

    Returns
    -------
    tuple of int
        First byte (not negative) and length.

    Raises
    ------
    StoreError
        If the range leaves the object.
    """
    cdef size_t first, length
    place_range(start, nbytes, object_nbytes, &first, &length)
    return first, length
