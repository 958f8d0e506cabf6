"""The table behind memory stores: keys to immutable blobs, for any thread and without the GIL."""

from libc.stdint cimport uint8_t, uint64_t

from zarrc.kernels.blob cimport Blob
from zarrc.kernels.status cimport zc_status

cdef extern from "zc_table.h":
    ctypedef struct zc_blob:
        size_t nbytes
        uint64_t version
        uint8_t *data
    ctypedef struct zc_table:
        pass
    ctypedef struct zc_table_key:
        const char *data
        size_t nbytes
    enum:
        ZC_TABLE_BATCH


cdef class Table:
    cdef zc_table *ptr              # never NULL; lives as long as this object
    cdef readonly object serial     # int, never used twice in this process


# One version of an object in a Table; keeps the table's own memory alive.
cdef class TableBlob(Blob):
    cdef zc_blob *blob


# The functions of zc_table.h; read their contracts there.
cdef zc_blob *blob_new(size_t nbytes) noexcept nogil
cdef zc_blob *blob_shrink(zc_blob *blob, size_t nbytes) noexcept nogil
cdef zc_blob *blob_share(zc_blob *blob) noexcept nogil
cdef void blob_ref(zc_blob *blob) noexcept nogil
cdef void blob_unref(zc_blob *blob) noexcept nogil
cdef zc_blob *table_get(zc_table *table, const char *key, size_t key_nbytes) noexcept nogil
cdef void table_get_many(zc_table *table, const zc_table_key *keys, size_t n, zc_blob **blobs_ret) noexcept nogil
cdef zc_status table_put(zc_table *table, const char *key, size_t key_nbytes, zc_blob *blob) noexcept nogil
cdef zc_status table_put_if(zc_table *table, const char *key, size_t key_nbytes, zc_blob *blob, uint64_t expected,
                            int *done_ret, uint64_t *version_ret) noexcept nogil
cdef zc_status table_remove(zc_table *table, const char *key, size_t key_nbytes) noexcept nogil

cdef inline uint8_t *blob_data(zc_blob *blob) noexcept nogil:
    return blob.data

cdef inline size_t blob_nbytes(zc_blob *blob) noexcept nogil:
    return blob.nbytes
