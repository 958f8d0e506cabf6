"""The stored objects of one array: their keys, and how compiled code fetches, replaces and removes them."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from zarrc.indexing.plan cimport zc_plan
from zarrc.kernels.chunk_cache cimport zc_chunk_cache
from zarrc.kernels.local_io cimport ZC_LOCAL_DURABLE, zc_local_next, zc_local_stamp
from zarrc.kernels.locks cimport zc_file_lock, zc_lock
from zarrc.kernels.shard_cache_type cimport zc_shard_cache
from zarrc.kernels.status cimport zc_status
from zarrc.kernels.table cimport Table, zc_blob, zc_table, zc_table_key
from zarrc.kernels.worker cimport zc_worker

cdef enum:
    MAX_KEY_NBYTES = 4800   # PATH_MAX and 32 chunk indices

cdef enum zc_place:
    PLACE_LOCAL             # files of a directory
    PLACE_MEMORY            # a table of this process
    PLACE_PYTHON            # any other store: one Python call an object

# Plain data, shared by all threads; the strings belong to ObjectKeys.
ctypedef struct zc_objects:
    zc_place place
    const char *prefix      # what stands before the chunk indices: a path (local) or a key
    size_t prefix_nbytes
    size_t node_nbytes      # the first so many bytes of 'prefix' name the array's own node
    size_t lock_from        # what follows them and their "/" names an object's lock
    bint bare_zero          # a 0-d array's only chunk: the prefix alone, or the prefix and "0"
    char separator
    unsigned char is_durable    # what is written is to be on the disk when the call returns (local)
    unsigned short lock_timeout_s
    zc_table *table
    uint64_t lock_seed
    int locks_files         # against other processes too: 0, or 1 + zc_file_lock_way
    zc_shard_cache *shards  # what was read of shards' indexes; NULL: nothing is kept
    zc_chunk_cache *chunks  # what was decoded; NULL: nothing is kept

# What tells one content of the metadata document from the next; all 0: there is none.
ctypedef struct zc_document:
    uint64_t version        # memory
    zc_local_stamp stamp    # local

# An object's bytes, borrowed until it is released.
ctypedef struct zc_object:
    const uint8_t *data
    size_t nbytes
    zc_blob *blob


cdef class Objects:
    cdef zc_objects c
    cdef readonly object store
    cdef readonly str node_path     # of the array in its store
    cdef readonly str metadata_key
    cdef object _shards
    cdef object _chunks
    cdef object _trusted_indexes    # shard key -> what was read of its index; None: nothing yet
    cdef bytes _prefix
    cdef bytes _metadata_name       # as compiled code names the document
    cdef Table _table
    cdef str key_of(self, const int64_t *chunk, int ndim)
    cdef str key_of_part(self, const zc_plan *plan, size_t index)
    cdef keep_shards(self, cache, zc_shard_cache *shards)
    cdef keep_chunks(self, cache, zc_chunk_cache *chunks)
    cdef object trusted_indexes(self, config, size_t index_nbytes)
    cdef bint is_near(self)
    cdef bint gone(self) except -1
    cdef int look_at_document(self, zc_document *document_ret) except -1


# The root (zc_local.h) of what is written to a local store.
cdef inline size_t object_root(const zc_objects *objects) noexcept nogil:
    return objects.node_nbytes | (ZC_LOCAL_DURABLE if objects.is_durable else 0)


# The name of the chunk's object, NUL-terminated; 'buffer' has MAX_KEY_NBYTES.  Its length, or 0 if it does not fit.
cdef size_t object_name(const zc_objects *objects, const int64_t *chunk, int ndim, char *buffer) noexcept nogil

# The right to change an object, alone in this process, and where files are locked alone among all who lock them.
ctypedef struct zc_object_lock:
    zc_lock lock
    zc_file_lock *file

# Wait for the lock of the object of that name; '*lock' must stay where it is. On failure nothing is locked.
cdef zc_status object_lock(const zc_objects *objects, zc_object_lock *lock, zc_worker *worker, const char *name,
                           size_t name_nbytes) noexcept nogil
cdef void object_unlock(zc_object_lock *lock) noexcept nogil

# The bytes that a store in Python gave for a key, as a memoryview, None for None; and the error where it gave no bytes.
cdef object given_bytes(object blob, str key)
cdef object no_bytes(object blob, str key)

# The blobs of (key, range) of a store in Python, asked for together, in the order of the requests.
cdef list all_of(object store, list requests)

# (number, blob) of each request, as they come.
cdef object answers_of(object store, list requests)

# The whole object, in place (memory) or in ZC_SCRATCH_ENCODED (local).  ZC_ABSENT; ZC_ETOOLARGE past 'limit' bytes.
cdef zc_status object_fetch(const zc_objects *objects, zc_worker *worker, const char *name, size_t name_nbytes, size_t limit,
                            zc_object *object_ret) noexcept nogil

# Objects of a memory store by their names, n <= ZC_TABLE_BATCH; the blob is NULL where there is none.
cdef void objects_fetch(const zc_objects *objects, const zc_table_key *names, size_t n, zc_object *objects_ret) noexcept nogil
cdef void object_release(zc_object *object) noexcept nogil

# A local object that must have 'nbytes' bytes, else ZC_ELENGTH; *fd_ret is open on ZC_OK only.
cdef zc_status object_open(zc_worker *worker, const char *name, size_t nbytes, int *fd_ret) noexcept nogil
cdef void object_close(int fd) noexcept nogil

# Whole and at once: readers see the old bytes or the new.
cdef zc_status object_replace(const zc_objects *objects, zc_worker *worker, const char *name, size_t name_nbytes,
                              const uint8_t *data, size_t nbytes) noexcept nogil

# The same with 'nbytes' bytes that come piece by piece (zc_local.h), for a local object.
cdef zc_status object_replace_pieces(const zc_objects *objects, zc_worker *worker, const char *name, zc_local_next next,
                                     void *context, size_t nbytes) noexcept nogil

# Memory for an object of a memory store; *blob_ret owns it.  NULL when memory is short.  Then either put or drop it.
cdef uint8_t *object_new(size_t nbytes, zc_blob **blob_ret) noexcept nogil

# The first 'nbytes' bytes of it, all that was written; perhaps in other memory.
cdef zc_blob *object_cut(zc_blob *blob, size_t nbytes) noexcept nogil
cdef zc_status object_put(const zc_objects *objects, const char *name, size_t name_nbytes, zc_blob *blob) noexcept nogil
cdef void object_drop(zc_blob *blob) noexcept nogil

cdef zc_status object_remove(const zc_objects *objects, zc_worker *worker, const char *name, size_t name_nbytes) noexcept nogil
