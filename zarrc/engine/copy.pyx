# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The copy path: stored objects go to another array of the same layout as they are, undecoded.

Between local and memory stores no chunk costs a Python call (copy_chunk.pyx). Any other store takes and gives the objects in
groups.
"""

import math
import os
from itertools import islice

from zarrc.engine.chunk_keys import listed_chunks, stored_chunks
from zarrc.engine.replaced import same_layout
from zarrc.engine.shard_layout import ShardLayout, compile_layout
from zarrc.engine.threads import thread_count
from zarrc.errors import CodecError, MetadataError, NodeNotFoundError, StoreError, ZarrcError

cimport cython
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc

from zarrc.engine.copy_chunk cimport AT_TARGET, check_object, copy_chunk_at, copy_chunks, zc_copy_job
from zarrc.engine.failure cimport keep_failure, poll_signals, take_owned, zc_failure
from zarrc.engine.job cimport detail_of, grain_of, threads_for, write_group_of
from zarrc.engine.layout cimport ChunkLayout
from zarrc.engine.objects cimport PLACE_LOCAL, PLACE_MEMORY, PLACE_PYTHON, Objects, answers_of, given_bytes
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.local_io cimport local_list_chunks, zc_chunk_list, zc_chunk_names
from zarrc.kernels.pool cimport pool_run
from zarrc.kernels.status cimport ZC_ABSENT, ZC_OK, check, exception_of, zc_status
from zarrc.kernels.worker cimport lease_worker, return_worker, zc_worker

cdef enum:
    # A grid of no more chunks is tried chunk by chunk: a listing costs as much.
    FEW_CHUNKS = 16


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
    cdef bint is_regular
    cdef object source_metadata
    cdef object target_metadata
    cdef object grid_shape
    cdef object n_cells         # as a Python int: it can be past 2**64
    cdef object progress

    def __cinit__(self, source, target, is_new, verify, progress):
        cdef int i
        self.source, self.target = _objects_of(*source), _objects_of(*target)
        self.source_metadata, self.target_metadata = source[2], target[2]
        # Where chunks have several shapes, the largest sets the limits.
        shape = source[2].chunk_grid.largest_shape
        self.is_regular = source[2].chunk_grid.is_regular
        layout = compile_layout(source[2], shape)
        is_shard = isinstance(layout, ShardLayout)
        self.layout = ChunkLayout(source[2], shape) if is_shard else layout
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
        self._set_limits(is_shard)

    cdef int _set_limits(self, bint is_shard) except -1:
        self.job.python_layout = <void *>self.layout
        self.job.chain = NULL if self.layout.chain is None else &self.layout.chain.c
        self.job.is_shard = is_shard
        if is_shard:
            codec, spec = next((one, spec) for one, spec in self.layout.codecs if one.name == "sharding_indexed")
            is_last = self.layout.codecs[len(self.layout.codecs) - 1][0] is codec
            self.job.least = codec.index_nbytes(spec.shape) if is_last and self.is_regular else 0
        # A shard has whatever is between its inner chunks: its size has no bound of its own.
        self.job.limit = <size_t>-1 if is_shard else self.layout.c.object_limit
        self.job.exact = self.job.chain is not NULL and self.job.chain.fixed_size and self.is_regular
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
            status = pool_run(copy_chunks, _poll, job, n, grain_of(nbytes), threads_for(n, nbytes, False, n_threads))
        check(status, detail_of(status), 0, None)
        return 0

    cdef int _raise_failure(self) except -1:
        cdef zc_failure *failure = &self.job.failure
        cdef Objects objects
        cdef int64_t chunk[MAX_NDIM]
        if failure.status == ZC_OK:
            return 0
        interrupt, error = take_owned(&failure.interrupt), take_owned(&failure.exception)
        if interrupt is not None:
            raise interrupt
        objects = self.target if failure.part % 2 == AT_TARGET else self.source
        copy_chunk_at(&self.job, failure.part // 2, chunk)
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
        n = write_group_of(self.layout.c.nbytes, thread_count())
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
        for index, blob in answers_of(self.source.store, [(key, None) for key in keys]):
            if blob is None:
                continue
            blobs[index] = given_bytes(blob, keys[index])
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
            status = check_object(&self.job, bytes, nbytes, 0, worker, &step)
            if status != ZC_OK:
                keep_failure(&self.job.failure, status, 0, step, worker)
            return_worker(worker)
        if status != ZC_OK:
            error = take_owned(&self.job.failure.exception)
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


cdef int _poll(void *context) noexcept nogil:
    return poll_signals(&(<zc_copy_job *>context).failure)
