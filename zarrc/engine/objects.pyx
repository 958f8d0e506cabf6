# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The stored objects of one array: their keys, and how compiled code fetches, replaces and removes them."""

import os

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport ETIMEDOUT
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from zarrc.config import config
from zarrc.errors import StoreError

from zarrc.indexing.plan cimport plan_part, zc_part
from zarrc.kernels.local_io cimport (
    local_close,
    local_open,
    local_pread,
    local_remove,
    local_remove_durably,
    local_replace,
    local_replace_pieces,
    local_stamp_path,
)
from zarrc.kernels.locks cimport (
    file_lock_acquire,
    file_lock_release,
    file_lock_timeout_text,
    is_interrupted,
    lock_release,
    lock_wait,
    zc_file_lock_wait,
)
from zarrc.kernels.status cimport ZC_ABSENT, ZC_ECANCELLED, ZC_ELENGTH, ZC_ENOMEM, ZC_EOS, ZC_ETOOLARGE, ZC_OK, check
from zarrc.kernels.table cimport (
    ZC_TABLE_BATCH,
    blob_data,
    blob_nbytes,
    blob_new,
    blob_shrink,
    blob_unref,
    table_get,
    table_get_many,
    table_put,
    table_remove,
)
from zarrc.kernels.worker cimport ZC_SCRATCH_ENCODED, lease_worker, return_worker, zc_worker_scratch

from zarrc.kernels.locks import WAYS, FileLock

cdef extern from "zc_atomic.h":
    int zc_bool_is_set(const void *flag) noexcept nogil

cdef const char *GIVEN_UP = b"interrupted while it waited for a lock"

_OBJECT_METHODS = frozenset({"get", "get_many", "get_into", "set", "set_many", "delete", "delete_many"})


@cython.final
cdef class Objects:
    """Where the chunks of one array are.

    Parameters
    ----------
    store : Store
        The array's store.
    node_path : str
        The array's path in it, "" for the root.
    key_encoding : DefaultKeyEncoding or V2KeyEncoding
        How chunk indices become keys.
    metadata_name : str
        Name of the array's own document, "zarr.json" or ".zarray".
    """

    def __cinit__(self, store, str node_path not None, key_encoding, str metadata_name not None):
        self.store = store
        self.node_path = node_path
        self.metadata_key = f"{node_path}/{metadata_name}" if node_path else metadata_name
        node = f"{node_path}/" if node_path else ""
        head = f"{node}{key_encoding.prefix}"
        self.c.separator = ord(key_encoding.separator)
        self.c.bare_zero = bool(key_encoding.prefix)
        self.c.place = PLACE_PYTHON
        near = _has_own_objects(store)
        root = store.local_root if near else None
        table = getattr(store, "_table", None) if near else None
        if root is not None:
            self.c.place = PLACE_LOCAL
            self.c.is_durable = bool(store.durable)
            node_path = os.path.join(root, node_path) if node_path else root
            head = os.path.join(root, head)
            self._metadata_name = os.fsencode(os.path.join(node_path, metadata_name))
        elif isinstance(table, Table):
            self.c.place = PLACE_MEMORY
            self._table = table
            self._metadata_name = self.metadata_key.encode()
            self.c.table = self._table.ptr
        self._prefix = os.fsencode(head) if root is not None else head.encode()
        self.c.prefix = PyBytes_AS_STRING(self._prefix)
        self.c.prefix_nbytes = len(self._prefix)
        self.c.node_nbytes = len(os.fsencode(node_path) if root is not None else node_path.encode())
        self.c.lock_from = self.c.node_nbytes
        if self._prefix[self.c.node_nbytes : self.c.node_nbytes + 1] == b"/":
            self.c.lock_from += 1

    def know_locks(self, str locking="thread"):
        """Make ready for locks: once, before the first; a handle that only reads is spared the look at every directory.

        Parameters
        ----------
        locking : {"thread", "file"}
            Who is kept out: the other threads, or all processes that lock files too.
        """
        if self.c.lock_seed == 0:
            # Equal for equal places in this process and its forks, which is as far as locks go.
            self.c.lock_seed = <uint64_t>hash(repr(self.store.identity_of(self.node_path))) or 1
        if locking == "file" and not self.c.locks_files:
            if self.c.place != PLACE_LOCAL and self.store.lock_path(self.metadata_key) is None:
                raise StoreError("locking='file' is for directories of this machine or its network file systems, and "
                                 "SQLite files; "
                                 f"{type(self.store).__name__} is none")
            self.c.lock_timeout_s = <unsigned short>min(max(config.get("storage.lock_timeout"), 1), 65535)
            self.c.locks_files = 1 + WAYS.index(config.get("storage.lock"))

    cdef keep_shards(self, cache, zc_shard_cache *shards):
        """Keep in 'shards', which is the object 'cache', what is read of shards' indexes."""
        self._shards = cache
        self.c.shards = shards

    cdef keep_chunks(self, cache, zc_chunk_cache *chunks):
        """Keep in 'chunks', which is the object 'cache', what reads have decoded."""
        self._chunks = cache
        self.c.chunks = chunks

    cdef str key_of(self, const int64_t *chunk, int ndim):
        """The chunk's key in its store."""
        cdef char name[MAX_KEY_NBYTES]
        cdef size_t nbytes = object_name(&self.c, chunk, ndim, name)
        if nbytes == 0:
            raise ValueError(f"the chunk keys of array {self.node_path!r} are too long")
        if self.c.place != PLACE_LOCAL:
            return name[:nbytes].decode()
        key = os.fsdecode(name[self.c.node_nbytes : nbytes]).lstrip("/")
        return f"{self.node_path}/{key}" if self.node_path else key

    cdef str key_of_part(self, const zc_plan *plan, size_t index):
        cdef zc_part part
        plan_part(plan, index, &part)
        return self.key_of(part.chunk, plan.ndim)

    cdef object trusted_indexes(self, config, size_t index_nbytes):
        """The indexes of shards that are not looked at again (``shard_index="trust"``), the least lately used first."""
        if self._trusted_indexes is None:
            from zarrc.engine.trusted_indexes import TrustedIndexes

            self._trusted_indexes = TrustedIndexes(config.shard_index_cache_nbytes // index_nbytes)
        return self._trusted_indexes

    cdef bint is_near(self):
        """Whether a look at the metadata document costs no more than a system call."""
        return self.c.place != PLACE_PYTHON

    cdef bint gone(self) except -1:
        """Whether the array itself is known not to be there any more."""
        return self.is_near() and self.store.stat(self.metadata_key) is None

    cdef int look_at_document(self, zc_document *document_ret) except -1:
        """Of a near store. Without Python: it is looked at in every call."""
        cdef const char *name = PyBytes_AS_STRING(self._metadata_name)
        cdef size_t nbytes = PyBytes_GET_SIZE(self._metadata_name)
        cdef zc_status status = ZC_OK
        cdef int errno = 0
        cdef zc_blob *blob
        memset(document_ret, 0, sizeof(zc_document))
        with nogil:
            if self.c.place == PLACE_LOCAL:
                status = local_stamp_path(name, &document_ret.stamp, &errno)
            else:
                blob = table_get(self.c.table, name, nbytes)
                if blob is not NULL:
                    document_ret.version = blob.version
                    blob_unref(blob)
        if status == ZC_ABSENT:
            memset(document_ret, 0, sizeof(zc_document))
        elif status != ZC_OK:
            self.store.stat(self.metadata_key)      # which says in its own words what is wrong
            check(status, NULL, errno, None)
        return 0

    def locked(self, keys):
        """A context in which this thread alone changes the objects of these keys (without duplicates).

        As far as locks are known (`know_locks`): those of files too, or only those of this process.
        """
        self.know_locks()
        return _Locked.__new__(_Locked, self, sorted(keys))


def _has_own_objects(store):
    """Whether a store that says where its objects are also gets and sets them itself: no subclass comes between."""
    for cls in type(store).__mro__:
        if "local_root" in vars(cls):
            return True
        from zarrc.storage.memory import MemoryStore    # not loaded for a store of files

        if cls is MemoryStore:
            return True
        if not _OBJECT_METHODS.isdisjoint(vars(cls)):
            return False
    return False


@cython.final
cdef class _Locked:
    """The locks of several objects, taken in key order."""

    cdef Objects objects
    cdef list names
    cdef zc_object_lock *locks
    cdef size_t n_held
    cdef list keys
    cdef list files     # the locks of files, of a store in Python

    def __cinit__(self, Objects objects, list keys):
        skipped = len(objects.node_path) + 1 if objects.node_path else 0
        node = objects._prefix[: objects.c.lock_from]
        self.objects, self.keys, self.files = objects, keys, []
        # As compiled code names them.
        self.names = [node + os.fsencode(key[skipped:]) for key in keys]
        self.locks = <zc_object_lock *>malloc(max(len(keys), 1) * sizeof(zc_object_lock))
        if self.locks is NULL:
            raise MemoryError(f"{len(keys)} locks")

    def __dealloc__(self):
        free(self.locks)

    def __enter__(self):
        cdef bytes name
        cdef const char *data
        cdef size_t nbytes
        cdef zc_status status
        cdef zc_worker *worker = lease_worker()
        if worker is NULL:
            raise MemoryError("a worker for the locks")
        try:
            for name in self.names:
                data, nbytes = PyBytes_AS_STRING(name), len(name)
                worker.detail = NULL
                with nogil:
                    status = object_lock(&self.objects.c, &self.locks[self.n_held], worker, data, nbytes)
                if status == ZC_ECANCELLED:
                    PyErr_CheckSignals()
                check(status, worker.detail, worker.error_number, None)
                self.n_held += 1
            if self.objects.c.locks_files and self.objects.c.place == PLACE_PYTHON:
                self._lock_files()
        except BaseException:
            self._release()
            raise
        finally:
            return_worker(worker)
        return self

    def __exit__(self, *exc):
        self._release()

    cdef int _lock_files(self) except -1:
        # Several objects may have one lock.
        for path in sorted({os.fsencode(self.objects.store.lock_path(key)) for key in self.keys}):
            lock = FileLock(path, 0, self.objects.c.lock_timeout_s, WAYS[self.objects.c.locks_files - 1])
            lock.__enter__()
            self.files.append(lock)
        return 0

    cdef void _release(self):
        while self.files:
            self.files.pop().__exit__(None, None, None)
        while self.n_held:
            self.n_held -= 1
            object_unlock(&self.locks[self.n_held])


cdef size_t object_name(const zc_objects *objects, const int64_t *chunk, int ndim, char *buffer) noexcept nogil:
    cdef char digits[24]
    cdef size_t n = objects.prefix_nbytes
    cdef int64_t value
    cdef int i, n_digits
    if n + 22 * <size_t>(ndim + 1) >= MAX_KEY_NBYTES:
        return 0
    memcpy(buffer, objects.prefix, n)
    if ndim == 0 and not objects.bare_zero:
        buffer[n] = c"0"
        n += 1
    for i in range(ndim):
        # The "default" encoding has a separator after its prefix "c"; "v2" has no prefix, and so none.
        if i > 0 or objects.bare_zero:
            buffer[n] = objects.separator
            n += 1
        value = chunk[i]
        n_digits = 0
        while True:
            digits[n_digits] = <char>(c"0" + value % 10)
            n_digits += 1
            value //= 10
            if value == 0:
                break
        while n_digits > 0:
            n_digits -= 1
            buffer[n] = digits[n_digits]
            n += 1
    buffer[n] = 0
    return n


cdef zc_status object_lock(const zc_objects *objects, zc_object_lock *lock, zc_worker *worker, const char *name,
                           size_t name_nbytes) noexcept nogil:
    cdef zc_file_lock_wait wait
    cdef zc_status status = lock_wait(&lock.lock, objects.lock_seed, name + objects.lock_from,
                                      name_nbytes - objects.lock_from, _is_to_give_up, worker)
    lock.file = NULL
    if status != ZC_OK:
        worker.detail = GIVEN_UP
        return status
    # Of a store in Python, _Locked takes them.
    if not objects.locks_files or objects.place != PLACE_LOCAL:
        return ZC_OK
    wait.way, wait.timeout_ms = objects.locks_files - 1, objects.lock_timeout_s * <uint64_t>1000
    wait.give_up, wait.context = _is_to_give_up, worker
    status = file_lock_acquire(name, object_root(objects), &wait, &lock.file, &worker.error_number)
    if status != ZC_OK:
        if status == ZC_EOS and worker.error_number == ETIMEDOUT:
            worker.detail = file_lock_timeout_text()
        elif status == ZC_ECANCELLED:
            worker.detail = GIVEN_UP
        lock_release(&lock.lock)
    return status


cdef int _is_to_give_up(void *context) noexcept nogil:
    cdef const zc_worker *worker = <const zc_worker *>context
    return (worker.stopped is not NULL and zc_bool_is_set(worker.stopped)) or is_interrupted()


cdef void object_unlock(zc_object_lock *lock) noexcept nogil:
    file_lock_release(lock.file)
    lock_release(&lock.lock)


cdef object given_bytes(object blob, str key):
    try:
        return None if blob is None else memoryview(blob).cast("B")
    except (TypeError, ValueError, BufferError) as error:     # no buffer, or not a contiguous one
        raise no_bytes(blob, key) from error


cdef object no_bytes(object blob, str key):
    return StoreError(f"the store gave no bytes but a {type(blob).__name__}", key=key)


cdef list all_of(object store, list requests):
    cdef list found = [None] * len(requests)
    for number, blob in _answers_of(store, requests):
        found[number] = blob
    return found


cdef object answers_of(object store, list requests):
    return _answers_of(store, requests)


def _answers_of(store, list requests):
    open_requests = set(range(len(requests)))
    for number, blob in store.get_many(requests):
        if number not in open_requests:
            raise StoreError(f"the store answered request {number!r}, which is not open")
        open_requests.discard(number)
        yield number, blob
    if open_requests:
        raise StoreError("the store did not answer a request", key=requests[min(open_requests)][0])


cdef zc_status object_fetch(const zc_objects *objects, zc_worker *worker, const char *name, size_t name_nbytes, size_t limit,
                            zc_object *object_ret) noexcept nogil:
    object_ret.blob = NULL
    if objects.place == PLACE_MEMORY:
        object_ret.blob = table_get(objects.table, name, name_nbytes)
        if object_ret.blob is NULL:
            return ZC_ABSENT
        object_ret.data = blob_data(object_ret.blob)
        object_ret.nbytes = blob_nbytes(object_ret.blob)
        return ZC_OK
    return _fetch_file(worker, name, limit, object_ret)


cdef void objects_fetch(const zc_objects *objects, const zc_table_key *names, size_t n, zc_object *objects_ret) noexcept nogil:
    cdef zc_blob *blobs[ZC_TABLE_BATCH]
    cdef size_t i
    table_get_many(objects.table, names, n, blobs)
    for i in range(n):
        objects_ret[i].blob = blobs[i]
        if blobs[i] is not NULL:
            objects_ret[i].data = blob_data(blobs[i])
            objects_ret[i].nbytes = blob_nbytes(blobs[i])


cdef zc_status _fetch_file(zc_worker *worker, const char *name, size_t limit, zc_object *object_ret) noexcept nogil:
    cdef uint64_t nbytes = 0
    cdef uint8_t *data
    cdef int fd = -1
    cdef zc_status status = local_open(name, &fd, &nbytes, &worker.error_number)
    if status != ZC_OK:
        return status
    data = NULL
    if nbytes > limit:
        status = ZC_ETOOLARGE
        worker.detail = b"the object is larger than any encoding of its chunk"
    else:
        data = zc_worker_scratch(worker, ZC_SCRATCH_ENCODED, nbytes)
        status = ZC_ENOMEM if data is NULL else local_pread(fd, 0, data, nbytes, &worker.error_number)
    local_close(fd)
    object_ret.data = data
    object_ret.nbytes = nbytes
    return status


cdef void object_release(zc_object *object) noexcept nogil:
    if object.blob is not NULL:
        blob_unref(object.blob)
        object.blob = NULL


cdef zc_status object_open(zc_worker *worker, const char *name, size_t nbytes, int *fd_ret) noexcept nogil:
    cdef uint64_t object_nbytes = 0
    cdef zc_status status = local_open(name, fd_ret, &object_nbytes, &worker.error_number)
    if status == ZC_OK and object_nbytes != nbytes:
        local_close(fd_ret[0])
        return ZC_ELENGTH
    return status


cdef void object_close(int fd) noexcept nogil:
    local_close(fd)


cdef zc_status object_replace(const zc_objects *objects, zc_worker *worker, const char *name, size_t name_nbytes,
                              const uint8_t *data, size_t nbytes) noexcept nogil:
    cdef zc_blob *blob = NULL
    cdef uint8_t *kept
    if objects.place == PLACE_LOCAL:
        return local_replace(name, object_root(objects), data, nbytes, &worker.error_number)
    kept = object_new(nbytes, &blob)
    if kept is NULL:
        return ZC_ENOMEM
    if nbytes:
        memcpy(kept, data, nbytes)
    return object_put(objects, name, name_nbytes, blob)


cdef zc_status object_replace_pieces(const zc_objects *objects, zc_worker *worker, const char *name, zc_local_next next,
                                     void *context, size_t nbytes) noexcept nogil:
    return local_replace_pieces(name, object_root(objects), next, context, nbytes, &worker.error_number)


cdef uint8_t *object_new(size_t nbytes, zc_blob **blob_ret) noexcept nogil:
    blob_ret[0] = blob_new(nbytes)
    return NULL if blob_ret[0] is NULL else blob_data(blob_ret[0])


cdef zc_blob *object_cut(zc_blob *blob, size_t nbytes) noexcept nogil:
    return blob_shrink(blob, nbytes)


cdef zc_status object_put(const zc_objects *objects, const char *name, size_t name_nbytes, zc_blob *blob) noexcept nogil:
    return table_put(objects.table, name, name_nbytes, blob)


cdef void object_drop(zc_blob *blob) noexcept nogil:
    blob_unref(blob)


cdef zc_status object_remove(const zc_objects *objects, zc_worker *worker, const char *name, size_t name_nbytes) noexcept nogil:
    cdef zc_status status
    if objects.place == PLACE_LOCAL:
        status = (local_remove_durably if objects.is_durable else local_remove)(name, &worker.error_number)
    else:
        status = table_remove(objects.table, name, name_nbytes)
    return ZC_OK if status == ZC_ABSENT else status
