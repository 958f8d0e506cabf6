# cython: language_level=3
# cython: freethreading_compatible=True
"""The table behind memory stores: keys to immutable blobs, for any thread and without the GIL."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdlib cimport free
from libc.string cimport memcpy, memset, strlen

from zarrc.kernels.blob cimport Blob, place_range
from zarrc.kernels.memory cimport LARGE_NBYTES, memory_alloc, memory_forget, memory_free
from zarrc.kernels.status cimport ZC_OK, check

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *nbytes_ret) except NULL

cdef extern from "zc_table.h":
    void zc_blob_set_memory(size_t large_nbytes, void *(*alloc)(size_t nbytes) noexcept nogil,
                             void (*release)(void *data) noexcept nogil,
                             void (*forget)(void *data, size_t nbytes) noexcept nogil) noexcept nogil
    ctypedef struct zc_key_list:
        char *bytes
        size_t nbytes
    zc_blob *zc_blob_new(size_t nbytes) noexcept nogil
    zc_blob *zc_blob_shrink(zc_blob *blob, size_t nbytes) noexcept nogil
    zc_blob *zc_blob_share(zc_blob *blob) noexcept nogil
    void zc_blob_ref(zc_blob *blob) noexcept nogil
    void zc_blob_unref(zc_blob *blob) noexcept nogil
    zc_table *zc_table_new() noexcept nogil
    void zc_table_free(zc_table *table) noexcept nogil
    zc_blob *zc_table_get(zc_table *table, const char *key, size_t key_nbytes) noexcept nogil
    void zc_table_get_many(zc_table *table, const zc_table_key *keys, size_t n, zc_blob **blobs_ret) noexcept nogil
    zc_status zc_table_put(zc_table *table, const char *key, size_t key_nbytes, zc_blob *blob) noexcept nogil
    zc_status zc_table_put_if(zc_table *table, const char *key, size_t key_nbytes, zc_blob *blob, uint64_t expected,
                              int *done_ret, uint64_t *version_ret) noexcept nogil
    zc_status zc_table_remove(zc_table *table, const char *key, size_t key_nbytes) noexcept nogil
    void zc_table_remove_prefix(zc_table *table, const char *prefix, size_t prefix_nbytes) noexcept nogil
    zc_status zc_table_list(zc_table *table, const char *prefix, size_t prefix_nbytes, int shallow,
                            zc_key_list *list) noexcept nogil
    size_t zc_table_count(zc_table *table) noexcept nogil
    uint64_t zc_table_serial(const zc_table *table) noexcept nogil


cdef zc_blob *blob_new(size_t nbytes) noexcept nogil:
    return zc_blob_new(nbytes)


cdef zc_blob *blob_shrink(zc_blob *blob, size_t nbytes) noexcept nogil:
    return zc_blob_shrink(blob, nbytes)


cdef zc_blob *blob_share(zc_blob *blob) noexcept nogil:
    return zc_blob_share(blob)


cdef void blob_ref(zc_blob *blob) noexcept nogil:
    zc_blob_ref(blob)


cdef void blob_unref(zc_blob *blob) noexcept nogil:
    zc_blob_unref(blob)


# Large blobs are on huge pages, as large results are: 64 MiB written in chunks of 4 MiB, 28 -> 17 ms.
zc_blob_set_memory(LARGE_NBYTES, memory_alloc, memory_free, memory_forget)


cdef zc_blob *table_get(zc_table *table, const char *key, size_t key_nbytes) noexcept nogil:
    return zc_table_get(table, key, key_nbytes)


cdef void table_get_many(zc_table *table, const zc_table_key *keys, size_t n, zc_blob **blobs_ret) noexcept nogil:
    zc_table_get_many(table, keys, n, blobs_ret)


cdef zc_status table_put(zc_table *table, const char *key, size_t key_nbytes, zc_blob *blob) noexcept nogil:
    return zc_table_put(table, key, key_nbytes, blob)


cdef zc_status table_put_if(zc_table *table, const char *key, size_t key_nbytes, zc_blob *blob, uint64_t expected,
                            int *done_ret, uint64_t *version_ret) noexcept nogil:
    return zc_table_put_if(table, key, key_nbytes, blob, expected, done_ret, version_ret)


cdef zc_status table_remove(zc_table *table, const char *key, size_t key_nbytes) noexcept nogil:
    return zc_table_remove(table, key, key_nbytes)


@cython.final
cdef class TableBlob(Blob):
    """A blob that shares the memory of a `Table`."""

    def __dealloc__(self):
        zc_blob_unref(self.blob)

    @property
    def version(self):
        return None if self.blob is NULL else _version_text(self.blob.version)


cdef TableBlob _wrap(zc_blob *blob):
    """A TableBlob of the whole 'blob'; takes over the caller's reference."""
    cdef TableBlob result
    try:
        result = TableBlob.__new__(TableBlob, None)
    except BaseException:
        zc_blob_unref(blob)
        raise
    result.blob = blob
    result.data = blob.data
    result.nbytes = blob.nbytes
    result.object_nbytes = blob.nbytes
    return result


cdef str _version_text(uint64_t version):
    return f"table-{version}"


cdef uint64_t _version_number(object text):
    """The number in a version, 0 for None; the largest number, which no object ever has, for a foreign version."""
    if text is None:
        return 0
    head, _, digits = str(text).partition("-")
    if head == "table" and digits.isdecimal() and len(digits) < 19:
        return int(digits) or <uint64_t>-1
    return <uint64_t>-1


@cython.final
cdef class Table:
    """Keys (str without NUL) to immutable blobs.

    Every method may be called from any thread, and each sees or makes one change as a whole. A forked child has its own
    copy. `serial` is a number that no other table of this process has.
    """

    def __cinit__(self):
        self.ptr = zc_table_new()
        if self.ptr is NULL:
            raise MemoryError("a table")
        self.serial = zc_table_serial(self.ptr)

    def __dealloc__(self):
        zc_table_free(self.ptr)

    def __len__(self):
        return zc_table_count(self.ptr)

    def get(self, str key not None, start=0, nbytes=None):
        """The blob of ``key``, or None; ``start`` and ``nbytes`` choose a range as `Blob` does. Copies nothing."""
        cdef Py_ssize_t key_nbytes
        cdef const char *text = PyUnicode_AsUTF8AndSize(key, &key_nbytes)
        cdef size_t first, length
        cdef zc_blob *found = zc_table_get(self.ptr, text, key_nbytes)
        if found is NULL:
            return None
        cdef TableBlob blob = _wrap(found)
        if nbytes is not None or start != 0:
            place_range(start, nbytes, blob.nbytes, &first, &length)
            blob.data += first
            blob.nbytes = length
        return blob

    def get_many(self, tuple keys not None):
        """`get` for each of at most 16 keys, looked up together, for tests of the kernel."""
        cdef zc_table_key names[ZC_TABLE_BATCH]
        cdef zc_blob *found[ZC_TABLE_BATCH]
        cdef Py_ssize_t key_nbytes
        cdef size_t i, n = len(keys)
        if n > ZC_TABLE_BATCH:
            raise ValueError(f"at most {ZC_TABLE_BATCH} keys, got {n}")
        for i in range(n):
            names[i].data = PyUnicode_AsUTF8AndSize(keys[i], &key_nbytes)
            names[i].nbytes = key_nbytes
        with nogil:
            zc_table_get_many(self.ptr, names, n, found)
        return [None if found[i] is NULL else _wrap(found[i]) for i in range(n)]

    def share(self, str key not None, str other not None):
        """Make the bytes of ``key``, not copied, the value of ``other`` too; whether there are any."""
        cdef Py_ssize_t key_nbytes, other_nbytes
        cdef const char *text = PyUnicode_AsUTF8AndSize(key, &key_nbytes)
        cdef const char *other_text = PyUnicode_AsUTF8AndSize(other, &other_nbytes)
        cdef zc_blob *found = zc_table_get(self.ptr, text, key_nbytes)
        cdef zc_blob *shared
        if found is NULL:
            return False
        shared = zc_blob_share(found)
        zc_blob_unref(found)
        if shared is NULL:
            raise MemoryError("a blob")
        check(zc_table_put(self.ptr, other_text, other_nbytes, shared), NULL, 0, None)
        return True

    def stat(self, str key not None):
        """Size in bytes and version of the blob of ``key``, or None."""
        cdef Py_ssize_t key_nbytes
        cdef const char *text = PyUnicode_AsUTF8AndSize(key, &key_nbytes)
        cdef zc_blob *found = zc_table_get(self.ptr, text, key_nbytes)
        if found is NULL:
            return None
        cdef size_t nbytes = found.nbytes
        cdef uint64_t version = found.version
        zc_blob_unref(found)
        return nbytes, _version_text(version)

    def set(self, str key not None, data):
        """Make a copy of ``data``, any contiguous buffer, the value of ``key``."""
        cdef Py_ssize_t key_nbytes
        cdef const char *text = PyUnicode_AsUTF8AndSize(key, &key_nbytes)
        check(zc_table_put(self.ptr, text, key_nbytes, _copy(data)), NULL, 0, None)

    def set_if(self, str key not None, data, version):
        """`set`, if ``version`` is that of the value (None: if there is none); the new version, None if it was not."""
        cdef Py_ssize_t key_nbytes
        cdef const char *text = PyUnicode_AsUTF8AndSize(key, &key_nbytes)
        cdef uint64_t expected = _version_number(version)
        cdef int done = 0
        cdef uint64_t number = 0
        cdef zc_blob *blob = _copy(data)
        check(zc_table_put_if(self.ptr, text, key_nbytes, blob, expected, &done, &number), NULL, 0, None)
        return _version_text(number) if done else None

    def remove(self, str key not None):
        """Remove ``key``; whether it was there."""
        cdef Py_ssize_t key_nbytes
        cdef const char *text = PyUnicode_AsUTF8AndSize(key, &key_nbytes)
        return zc_table_remove(self.ptr, text, key_nbytes) == ZC_OK

    def remove_prefix(self, str prefix not None):
        """Remove every key that starts with ``prefix``."""
        cdef Py_ssize_t prefix_nbytes
        cdef const char *text = PyUnicode_AsUTF8AndSize(prefix, &prefix_nbytes)
        with nogil:
            zc_table_remove_prefix(self.ptr, text, prefix_nbytes)

    def keys(self, str prefix not None=""):
        """A list, in no order, of the keys that start with ``prefix``."""
        return _list(self, prefix, 0)

    def children(self, str prefix not None=""):
        """The keys that start with ``prefix``, cut after the first slash behind it, each once."""
        return list(set(_list(self, prefix, 1)))


cdef list _list(Table table, str prefix, int shallow):
    cdef Py_ssize_t prefix_nbytes
    cdef const char *text = PyUnicode_AsUTF8AndSize(prefix, &prefix_nbytes)
    cdef zc_key_list found
    cdef zc_status status
    memset(&found, 0, sizeof(found))
    with nogil:
        status = zc_table_list(table.ptr, text, prefix_nbytes, shallow, &found)
    try:
        check(status, NULL, 0, None)
        return _decode_keys(&found)
    finally:
        free(found.bytes)


cdef list _decode_keys(const zc_key_list *found):
    cdef list keys = []
    cdef size_t at = 0
    cdef size_t nbytes
    while at < found.nbytes:
        nbytes = strlen(found.bytes + at)
        keys.append(PyUnicode_DecodeUTF8(found.bytes + at, nbytes, NULL))
        at += nbytes + 1
    return keys


cdef zc_blob *_copy(object data) except NULL:
    """A new blob with the bytes of 'data'."""
    cdef Py_buffer view
    cdef zc_blob *blob
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            blob = zc_blob_new(view.len)
            if blob is not NULL and view.len > 0:
                memcpy(blob.data, view.buf, view.len)
        if blob is NULL:
            raise MemoryError(f"{view.len} bytes")
        return blob
    finally:
        PyBuffer_Release(&view)
