# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The copy path: stored objects go to another array of the same layout as they are, undecoded.

Between local and memory stores no chunk costs a Python call: a file is copied by the system, and two memory stores share the
bytes. Any other store takes and gives the objects in groups.
"""

import math
import os
from itertools import islice

from zarrc.engine.chunk_keys import listed_chunks, stored_chunks
from zarrc.engine.replaced import same_layout
from zarrc.engine.threads import thread_count
from zarrc.errors import CodecError, MetadataError, NodeNotFoundError, StoreError, ZarrcError

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc

from zarrc.engine.failure cimport keep_exception, keep_failure, poll_signals, zc_failure
from zarrc.engine.job cimport detail_of, grain_of, threads_for
from zarrc.engine.layout cimport ChunkLayout
from zarrc.engine.objects cimport (
    MAX_KEY_NBYTES,
    PLACE_LOCAL,
    PLACE_MEMORY,
    PLACE_PYTHON,
    Objects,
    object_fetch,
    object_name,
    object_release,
    object_remove,
    object_replace,
    zc_object,
    zc_objects,
)
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.chain cimport chain_decode, zc_chain
from zarrc.kernels.local_io cimport (
    local_close,
    local_copy,
    local_list_chunks,
    local_open,
    local_pread,
    zc_chunk_list,
    zc_chunk_names,
)
from zarrc.kernels.locks cimport lock_acquire, lock_release, zc_lock
from zarrc.kernels.pool cimport pool_run
from zarrc.kernels.status cimport (
    ZC_ABSENT,
    ZC_EINVAL,
    ZC_ELENGTH,
    ZC_ENOMEM,
    ZC_EPYTHON,
    ZC_ETOOLARGE,
    ZC_ETRUNCATED,
    ZC_OK,
    check,
    exception_of,
    zc_status,
)
from zarrc.kernels.table cimport blob_data, blob_new, blob_share, blob_unref, table_put, zc_blob
from zarrc.kernels.worker cimport ZC_SCRATCH_ENCODED, lease_worker, return_worker, zc_worker, zc_worker_scratch

cdef enum:
    # What a file passes through where the system does not copy it: as much as fits in L2.
    BUFFER_NBYTES = 256 << 10
    # Objects that stores in Python hand over together, and the bytes of their chunks: one for each thread may be more.
    GROUP_OBJECTS = 64
    GROUP_NBYTES = 64 << 20
    # A grid of no more chunks is tried chunk by chunk: a listing costs as much.
    FEW_CHUNKS = 16

# A failure's part is 2 * item, and 1 more if the target is at fault.
cdef enum:
    AT_SOURCE = 0
    AT_TARGET = 1

# Shared by the threads of one copy; all but 'failure' is constant while they run.
ctypedef struct zc_copy_job:
    const zc_objects *source
    const zc_objects *target
    int ndim
    int64_t n_chunks[MAX_NDIM]
    const int64_t *chunks       # item -> chunk; NULL: every chunk of the grid, in C order
    size_t first_item
    bint is_new                 # the target has no objects
    bint only_removes           # of the target's chunks those that the source has not
    bint verify
    bint exact                  # every object has 'limit' bytes
    size_t limit                # the most bytes of an object
    const zc_chain *chain       # NULL where a codec runs in Python
    void *python_layout         # the ChunkLayout, borrowed
    zc_failure failure


@cython.final
cdef class _Chunks:
    """Chunks by their indices."""

    cdef zc_chunk_list c

    def __dealloc__(self):
        free(self.c.indices)


def copy_objects(source, target, *, bint is_new, bint verify=False, progress=None):
    """Make the target's stored objects those of the source, byte for byte; chunks that are not stored there are not here.

    Parameters
    ----------
    source, target : (Store, str, ArrayMetadata)
        Store, path and metadata of two arrays whose chunks have the same bytes: grid, data type, codecs and fill value
        agree. Their keys may differ.
    is_new : bool
        Whether the target should have no objects.
    verify : bool, default False
        Decode each object before it is passed on.
    progress : callable, optional
        Called now and then with the number of chunks that are done and of those that there are.

    Raises
    ------
    CorruptChunkError
        If an object has a size that no encoding of its chunk has, or (with ``verify``) cannot be decoded. The target's
        object is as it was.
    MetadataError
        If one of the arrays was made again with another layout.
    NodeNotFoundError
        If one of the arrays was deleted.
    """
    try:
        _check_place(*source)
    except ZarrcError as error:
        raise _named(error, source[1])
    try:
        if not is_new:
            _check_place(*target)
    except ZarrcError as error:
        raise _named(error, target[1])
    _Copy(source, target, is_new, verify, progress).run()


def _check_place(store, path, metadata):
    """Notice an array that was made again with another layout under its handle."""
    if not same_layout(store, path, metadata):
        raise MetadataError("the array was made again with another layout: open it again")


def _named(error, path):
    error.array = path if error.array is None else error.array
    return error


def _objects_of(store, path, metadata):
    return Objects(store, path, metadata.chunk_key_encoding, "zarr.json" if metadata.zarr_format == 3 else ".zarray")


@cython.final
cdef class _Copy:
    """One copy: what it is of, and how far it came."""

    cdef zc_copy_job job
    cdef Objects source
    cdef Objects target
    cdef ChunkLayout layout
    cdef object source_metadata
    cdef object target_metadata
    cdef object grid_shape
    cdef object n_cells         # as a Python int: it can be past 2**64
    cdef object progress

    def __cinit__(self, source, target, is_new, verify, progress):
        cdef int i
        self.source, self.target = _objects_of(*source), _objects_of(*target)
        self.source_metadata, self.target_metadata = source[2], target[2]
        if source[2].derived.layout is None:
            source[2].derived.layout = ChunkLayout(source[2], source[2].chunks)
        self.layout = source[2].derived.layout
        self.progress = progress
        self.grid_shape = source[2].chunk_grid.grid_shape(source[2].shape)
        self.n_cells = math.prod(self.grid_shape)
        self.job.source, self.job.target = &self.source.c, &self.target.c
        self.job.ndim = len(self.grid_shape)
        for i in range(self.job.ndim):
            self.job.n_chunks[i] = self.grid_shape[i]
        # Chunks that somebody left there would show: where it costs next to nothing, that is looked at.
        self.job.is_new = is_new and self.target.c.place == PLACE_PYTHON
        self.job.verify = verify
        self._set_limits()

    cdef int _set_limits(self) except -1:
        self.job.python_layout = <void *>self.layout
        self.job.chain = NULL if self.layout.chain is None else &self.layout.chain.c
        self.job.limit = self.layout.c.object_limit
        self.job.exact = self.job.chain is not NULL and self.job.chain.fixed_size
        if self.layout.unwritable is not None:
            # What a skipped codec does to the size is not known.
            if self.job.verify:
                raise CodecError(f"the stored chunks cannot be verified: {self.layout.unwritable}")
            self.job.limit, self.job.exact = <size_t>-1, False
        elif self.job.exact:
            self.job.limit = self.job.chain.encoded_nbytes
        return 0

    def run(self):
        """Copy."""
        if self.n_cells == 0:
            return
        self.target.know_locks()
        if self.job.source.place == PLACE_PYTHON or self.job.target.place == PLACE_PYTHON:
            self._run_in_python()
        else:
            self._run_compiled()
        if self.source.gone():
            raise NodeNotFoundError("the array was deleted while it was copied", array=self.source.node_path)

    # Local and memory stores.

    cdef int _run_compiled(self) except -1:
        cdef _Chunks chunks = self._listed(self.source, self.source_metadata)
        cdef _Chunks others
        if chunks is None:
            self._run_items(NULL, self.n_cells, self.progress)
            return 0
        if not self.job.is_new:
            others = self._listed(self.target, self.target_metadata)
            self.job.only_removes = True
            if others is None:
                self._run_items(NULL, self.n_cells, None)
            else:
                self._run_items(others.c.indices, others.c.n, None)
            self.job.only_removes = False
        self._run_items(chunks.c.indices, chunks.c.n, self.progress)
        return 0

    cdef _Chunks _listed(self, Objects objects, metadata):
        """The stored chunks; None where to try every chunk of the grid is no dearer."""
        if self.n_cells <= FEW_CHUNKS:
            return None
        if objects.c.place == PLACE_LOCAL:
            return self._files(objects, metadata.chunk_key_encoding)
        # To look for a key takes some 60 ns, to scan the table some 20 for each key in it.
        return None if self.n_cells <= 64 * len(objects.store._table) else self._keys(objects, metadata)

    cdef _Chunks _files(self, Objects objects, encoding):
        cdef _Chunks chunks = _Chunks()
        cdef bytes node = os.fsencode(os.path.join(objects.store.local_root, objects.node_path))
        cdef const char *path = node
        cdef zc_chunk_names names
        cdef int error_number = 0
        cdef zc_status status
        names.ndim, names.n_chunks = self.job.ndim, self.job.n_chunks
        names.separator, names.has_c = objects.c.separator, objects.c.bare_zero
        with nogil:
            status = local_list_chunks(path, &names, &chunks.c, &error_number)
        try:
            check(status, NULL, error_number, None)
        except StoreError as error:
            raise _named(error, objects.node_path)
        return chunks

    cdef _Chunks _keys(self, Objects objects, metadata):
        """Of a table that has few keys for so many chunks."""
        cdef list found = list(stored_chunks(objects.store, objects.node_path, metadata))
        cdef _Chunks chunks = _Chunks()
        cdef size_t i
        cdef int d
        chunks.c.indices = <int64_t *>malloc(max(len(found) * self.job.ndim, 1) * sizeof(int64_t))
        if chunks.c.indices is NULL:
            raise MemoryError(f"the indices of {len(found)} chunks")
        for i in range(len(found)):
            for d in range(self.job.ndim):
                chunks.c.indices[i * self.job.ndim + d] = found[i][d]
        chunks.c.n = len(found)
        return chunks

    cdef int _run_items(self, const int64_t *chunks, n_items, progress) except -1:
        cdef size_t n = n_items
        cdef size_t step = max(n, <size_t>1)
        cdef int n_threads = thread_count()
        if progress is not None:
            step = max((n + 99) // 100, <size_t>(2 * n_threads))
        self.job.chunks = chunks
        self.job.first_item = 0
        while self.job.first_item < n:
            self._run_some(min(step, n - self.job.first_item), n_threads)
            self._raise_failure()
            self.job.first_item += step
            if progress is not None:
                progress(min(self.job.first_item, n), n)
        return 0

    cdef int _run_some(self, size_t n, int n_threads) except -1:
        cdef zc_copy_job *job = &self.job
        cdef size_t nbytes = self.layout.c.nbytes
        cdef zc_status status
        if job.only_removes or (job.source.place == job.target.place == PLACE_MEMORY and not job.verify):
            nbytes = 0      # none is touched
        with nogil:
            status = pool_run(_copy_items, _poll, job, n, grain_of(nbytes), threads_for(n, nbytes, False, n_threads))
        check(status, detail_of(status), 0, None)
        return 0

    cdef int _raise_failure(self) except -1:
        cdef zc_failure *failure = &self.job.failure
        cdef Objects objects
        cdef int64_t chunk[MAX_NDIM]
        if failure.status == ZC_OK:
            return 0
        interrupt, error = _taken(&failure.interrupt), _taken(&failure.exception)
        if interrupt is not None:
            raise interrupt
        objects = self.target if failure.part % 2 == AT_TARGET else self.source
        _chunk_of(&self.job, failure.part // 2, chunk)
        if error is None:
            error = self._error(objects)
        if isinstance(error, ZarrcError):
            error.key = objects.key_of(chunk, self.job.ndim) if error.key is None else error.key
            _named(error, objects.node_path)
        raise error

    cdef object _error(self, Objects objects):
        cdef zc_failure *failure = &self.job.failure
        codec = self.layout.chain.name_of(failure.step) if self.layout.chain is not None else None
        if failure.status == ZC_ABSENT:
            return NodeNotFoundError("the array was deleted while it was copied")
        return exception_of(failure.status, failure.detail, failure.error_number, codec)

    # Any other store.

    def _run_in_python(self):
        """Pass on groups of objects; a chunk that is not there is removed."""
        n_done = 0
        n = min(max(GROUP_NBYTES // self.layout.c.nbytes, <size_t>thread_count()), <size_t>GROUP_OBJECTS)
        chunks = _stored(self.source, self.source_metadata, self.n_cells)
        n_chunks = self.n_cells if chunks is None else len(chunks)
        if chunks is not None and not self.job.is_new:
            others = _stored(self.target, self.target_metadata, self.n_cells)
            self._remove_in_python(_cells(self.grid_shape) if others is None else others - chunks, n)
        pending = iter(_cells(self.grid_shape) if chunks is None else sorted(chunks))
        while group := list(islice(pending, n)):
            self._pass_on(group)
            n_done += len(group)
            if self.progress is not None:
                self.progress(n_done, n_chunks)

    def _remove_in_python(self, chunks, n):
        pending = iter(chunks)
        while group := [self._key(self.target_metadata, self.target, chunk) for chunk in islice(pending, n)]:
            try:
                with self.target.locked(group):
                    self.target.store.delete_many(group)
            except ZarrcError as error:
                raise _named(error, self.target.node_path)

    def _key(self, metadata, Objects objects, chunk):
        key = metadata.chunk_key_encoding.encode(chunk)
        return f"{objects.node_path}/{key}" if objects.node_path else key

    def _pass_on(self, group):
        keys = [self._key(self.target_metadata, self.target, chunk) for chunk in group]
        try:
            blobs = self._fetched([self._key(self.source_metadata, self.source, chunk) for chunk in group])
        except ZarrcError as error:
            raise _named(error, self.source.node_path)
        stored = [(key, blob) for key, blob in zip(keys, blobs) if blob is not None]
        missing = [] if self.job.is_new else [key for key, blob in zip(keys, blobs) if blob is None]
        try:
            with self.target.locked([key for key, _ in stored] + missing):
                self.target.store.set_many(stored)
                if missing:
                    self.target.store.delete_many(missing)
        except ZarrcError as error:
            raise _named(error, self.target.node_path)

    def _fetched(self, keys):
        """The objects of these keys, checked; None for those that are not there."""
        blobs = [None] * len(keys)
        for index, blob in self.source.store.get_many([(key, None) for key in keys]):
            if blob is None:
                continue
            try:
                blobs[index] = memoryview(blob).cast("B")
            except (TypeError, ValueError, BufferError) as error:   # no buffer, or not a contiguous one
                kind = type(blob).__name__
                raise StoreError(f"the store gave no bytes but a {kind}", key=keys[index]) from error
            try:
                self._check_bytes(blobs[index])
            except ZarrcError as error:
                error.key = keys[index] if error.key is None else error.key
                raise
        return blobs

    def _check_bytes(self, const uint8_t[::1] data):
        cdef const uint8_t *bytes = &data[0] if data.shape[0] else NULL
        cdef size_t nbytes = data.shape[0]
        cdef zc_worker *worker = lease_worker()
        cdef int step = -1
        cdef zc_status status
        if worker is NULL:
            raise MemoryError("a worker for the copy")
        with nogil:
            worker.detail = NULL
            status = _check_object(&self.job, bytes, nbytes, 0, worker, &step)
            if status != ZC_OK:
                keep_failure(&self.job.failure, status, 0, step, worker)
            return_worker(worker)
        if status != ZC_OK:
            error = _taken(&self.job.failure.exception)
            raise self._error(self.source) if error is None else error


def _stored(Objects objects, metadata, n_cells):
    """The stored chunks of an array, a set of tuples; None where every chunk of the grid is to be tried.

    That is so for small grids, and for stores that do not list what they have.
    """
    return None if n_cells <= FEW_CHUNKS else listed_chunks(objects.store, objects.node_path, metadata)


def _cells(grid_shape):
    """Every chunk of a grid, in C order."""
    if not grid_shape:
        yield ()
        return
    for first in range(grid_shape[0]):
        for rest in _cells(grid_shape[1:]):
            yield first, *rest


cdef object _taken(PyObject **owned):
    """The object that was owned, or None; it is not owned any more."""
    if owned[0] is NULL:
        return None
    taken = <object>owned[0]
    Py_DECREF(taken)
    owned[0] = NULL
    return taken


cdef int _poll(void *context) noexcept nogil:
    return poll_signals(&(<zc_copy_job *>context).failure)


cdef int _copy_items(void *context, size_t first, size_t count, zc_worker *worker) noexcept nogil:
    cdef zc_copy_job *job = <zc_copy_job *>context
    cdef size_t item
    cdef int step, side
    cdef zc_status status
    for item in range(job.first_item + first, job.first_item + first + count):
        step, side = -1, AT_SOURCE
        worker.detail = NULL
        status = _copy_item(job, item, worker, &step, &side)
        if status != ZC_OK:
            keep_failure(&job.failure, status, 2 * item + side, step, worker)
            return 1
    return 0


cdef void _chunk_of(const zc_copy_job *job, size_t item, int64_t *chunk) noexcept nogil:
    cdef int d
    for d in range(job.ndim - 1, -1, -1):
        if job.chunks is NULL:
            chunk[d] = <int64_t>(item % <size_t>job.n_chunks[d])
            item //= <size_t>job.n_chunks[d]
        else:
            chunk[d] = job.chunks[item * job.ndim + d]


cdef zc_status _copy_item(zc_copy_job *job, size_t item, zc_worker *worker, int *step, int *side) noexcept nogil:
    cdef int64_t chunk[MAX_NDIM]
    cdef char name[MAX_KEY_NBYTES]
    cdef char target[MAX_KEY_NBYTES]
    cdef size_t name_nbytes, target_nbytes
    cdef zc_object object
    cdef uint64_t nbytes = 0
    cdef int fd = -1
    cdef zc_status status
    _chunk_of(job, item, chunk)
    name_nbytes = object_name(job.source, chunk, job.ndim, name)
    target_nbytes = object_name(job.target, chunk, job.ndim, target)
    if name_nbytes == 0 or target_nbytes == 0:
        return ZC_EINVAL
    if job.source.place == PLACE_LOCAL:
        status = local_open(name, &fd, &nbytes, &worker.error_number)
    else:
        status = object_fetch(job.source, worker, name, name_nbytes, job.limit, &object)
    if status == ZC_ABSENT:
        side[0] = AT_TARGET
        return _remove(job, worker, target, target_nbytes)
    if status != ZC_OK:
        return status
    if job.only_removes:
        status = ZC_OK
    elif fd >= 0:
        status = _copy_file(job, fd, nbytes, item, target, target_nbytes, worker, step, side)
    else:
        status = _copy_blob(job, &object, item, target, target_nbytes, worker, step, side)
    if fd >= 0:
        local_close(fd)
    else:
        object_release(&object)
    return status


cdef zc_status _remove(zc_copy_job *job, zc_worker *worker, const char *target, size_t nbytes) noexcept nogil:
    cdef zc_lock lock
    cdef zc_status status
    if job.is_new:
        return ZC_OK
    _lock(job, &lock, target, nbytes)
    status = object_remove(job.target, worker, target, nbytes)
    lock_release(&lock)
    return status


cdef void _lock(const zc_copy_job *job, zc_lock *lock, const char *target, size_t nbytes) noexcept nogil:
    lock_acquire(lock, job.target.lock_seed, target + job.target.lock_from, nbytes - job.target.lock_from)


cdef zc_status _check_size(const zc_copy_job *job, uint64_t nbytes, zc_worker *worker) noexcept nogil:
    """Refuse what cannot be an encoding of its chunk, by the size alone."""
    if job.exact:
        return ZC_OK if nbytes == job.limit else ZC_ELENGTH
    if nbytes > job.limit:
        worker.detail = b"the object is larger than any encoding of its chunk"
        return ZC_ETOOLARGE
    if nbytes == 0 and job.chain is not NULL and job.chain.n_steps > 0:
        worker.detail = b"the object is empty"      # what a power cut can leave
        return ZC_ETRUNCATED
    return ZC_OK


cdef zc_status _check_object(zc_copy_job *job, const uint8_t *data, size_t nbytes, size_t item, zc_worker *worker,
                             int *step) noexcept nogil:
    """Refuse what cannot be an encoding of its chunk."""
    cdef const uint8_t *where = NULL
    cdef zc_status status = _check_size(job, nbytes, worker)
    if status != ZC_OK or not job.verify:
        return status
    if job.chain is not NULL:
        return chain_decode(job.chain, worker, data, nbytes, NULL, &where, step)
    with gil:
        try:
            (<ChunkLayout>job.python_layout).decode_chunk(PyBytes_FromStringAndSize(<const char *>data, nbytes))
        except BaseException as error:
            keep_exception(&job.failure, 2 * item + AT_SOURCE, error)
            return ZC_EPYTHON
    return ZC_OK


cdef zc_status _copy_file(zc_copy_job *job, int fd, uint64_t nbytes, size_t item, const char *target, size_t target_nbytes,
                          zc_worker *worker, int *step, int *side) noexcept nogil:
    cdef zc_status status = _check_size(job, nbytes, worker)
    if status != ZC_OK:
        return status
    if job.target.place == PLACE_MEMORY:
        return _file_to_table(job, fd, nbytes, item, target, target_nbytes, worker, step, side)
    if job.verify:
        return _file_verified(job, fd, nbytes, item, target, target_nbytes, worker, step, side)
    return _file_to_file(job, fd, nbytes, target, target_nbytes, worker, side)


cdef zc_status _file_to_file(zc_copy_job *job, int fd, uint64_t nbytes, const char *target, size_t target_nbytes,
                             zc_worker *worker, int *side) noexcept nogil:
    cdef uint8_t *buffer = zc_worker_scratch(worker, ZC_SCRATCH_ENCODED, BUFFER_NBYTES)
    cdef zc_lock lock
    cdef zc_status status
    if buffer is NULL:
        return ZC_ENOMEM
    _lock(job, &lock, target, target_nbytes)
    status = local_copy(fd, nbytes, target, job.target.node_nbytes, buffer, BUFFER_NBYTES, &worker.error_number)
    lock_release(&lock)
    if status != ZC_ETRUNCATED:
        side[0] = AT_TARGET
    return status


cdef zc_status _file_verified(zc_copy_job *job, int fd, uint64_t nbytes, size_t item, const char *target,
                              size_t target_nbytes, zc_worker *worker, int *step, int *side) noexcept nogil:
    """What was decoded is what is passed on: the file could change."""
    cdef uint8_t *data = zc_worker_scratch(worker, ZC_SCRATCH_ENCODED, nbytes)
    cdef zc_status status = ZC_ENOMEM if data is NULL else local_pread(fd, 0, data, nbytes, &worker.error_number)
    if status == ZC_OK:
        status = _check_object(job, data, nbytes, item, worker, step)
    if status == ZC_OK:
        status = _replace(job, data, nbytes, target, target_nbytes, worker, side)
    return status


cdef zc_status _file_to_table(zc_copy_job *job, int fd, uint64_t nbytes, size_t item, const char *target,
                              size_t target_nbytes, zc_worker *worker, int *step, int *side) noexcept nogil:
    cdef zc_blob *blob = blob_new(nbytes)
    cdef zc_status status
    if blob is NULL:
        return ZC_ENOMEM
    status = local_pread(fd, 0, blob_data(blob), nbytes, &worker.error_number)
    if status == ZC_OK:
        status = _check_object(job, blob_data(blob), nbytes, item, worker, step)
    if status != ZC_OK:
        blob_unref(blob)
        return status
    return _put(job, blob, target, target_nbytes, side)


cdef zc_status _copy_blob(zc_copy_job *job, const zc_object *object, size_t item, const char *target, size_t target_nbytes,
                          zc_worker *worker, int *step, int *side) noexcept nogil:
    cdef zc_status status = _check_object(job, object.data, object.nbytes, item, worker, step)
    cdef zc_blob *blob
    if status != ZC_OK:
        return status
    if job.target.place == PLACE_LOCAL:
        return _replace(job, object.data, object.nbytes, target, target_nbytes, worker, side)
    blob = blob_share(object.blob)
    return ZC_ENOMEM if blob is NULL else _put(job, blob, target, target_nbytes, side)


cdef zc_status _replace(zc_copy_job *job, const uint8_t *data, size_t nbytes, const char *target, size_t target_nbytes,
                        zc_worker *worker, int *side) noexcept nogil:
    cdef zc_lock lock
    cdef zc_status status
    _lock(job, &lock, target, target_nbytes)
    status = object_replace(job.target, worker, target, target_nbytes, data, nbytes)
    lock_release(&lock)
    side[0] = AT_TARGET
    return status


cdef zc_status _put(zc_copy_job *job, zc_blob *blob, const char *target, size_t target_nbytes, int *side) noexcept nogil:
    """Make 'blob', whose reference is taken over, the target's object."""
    cdef zc_lock lock
    cdef zc_status status
    _lock(job, &lock, target, target_nbytes)
    status = table_put(job.target.table, target, target_nbytes, blob)
    lock_release(&lock)
    side[0] = AT_TARGET
    return status
