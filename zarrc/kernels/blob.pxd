"""Blobs: the read-only bytes of a stored object, or of a range of it."""

from libc.stdint cimport uint8_t


cdef class Blob:
    cdef const uint8_t *data        # inside 'owner' (a subclass may own them in another way); never NULL
    cdef readonly Py_ssize_t nbytes
    cdef readonly object object_nbytes
    cdef object owner               # bytes that never change, or None
    cdef object known_version       # str, or None


# Where a range of an object of 'object_nbytes' bytes starts and how long it is; StoreError if it leaves the object.
# 'nbytes' is None for "to the end"; a negative 'start' counts from the end.
cdef int place_range(object start, object nbytes, size_t object_nbytes,
                     size_t *start_ret, size_t *nbytes_ret) except -1
