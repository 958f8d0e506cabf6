# cython: language_level=3, boundscheck=False, wraparound=False
"""Read and write an array's data: what a handle holds, parsed once."""

import os
import warnings

import numpy as np

cimport cython
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcmp, memset

from zarrc.engine.replaced import noted_shape, stored_shape
from zarrc.engine.threads import thread_count
from zarrc.errors import MetadataError, NodeNotFoundError, ReadOnlyError, ZarrcError, ZarrcWarning

from zarrc.engine.layout cimport ChunkLayout, ChunkWriter, ShardedData, kept_layout
from zarrc.engine.objects cimport Objects, zc_document
from zarrc.engine.read cimport read_plan, read_plans
from zarrc.indexing.plan cimport make_plan, zc_plan
from zarrc.indexing.planner cimport Planner, Plans
from zarrc.indexing.selection cimport MAX_NDIM, MAX_RESULT_NDIM, Selection, parse_basic
from zarrc.kernels.chunk_cache cimport ChunkCache
from zarrc.kernels.memory cimport empty_array

cnp.import_array()

cdef enum:
    # No more plans are run together than have so many parts.
    PARTS_TOGETHER = 8192


@cython.final
cdef class ArrayAccess:
    """The data of one array.

    Parameters
    ----------
    store : Store
        The array's store.
    path : str
        The array's path in it.
    metadata : ArrayMetadata
        Of the array.
    config : ArrayConfig
        How to read and write.
    chunks : ChunkCache, optional
        Keeps decoded chunks for the next reads.
    """

    cdef readonly object store
    cdef readonly str path
    cdef readonly object metadata
    cdef readonly object config
    cdef object way             # ChunkLayout, or ShardedData where objects are shards that are read in parts
    cdef readonly bint has_shards   # whether they are
    cdef str unwritable
    cdef Objects objects
    cdef int64_t shape[MAX_NDIM]
    cdef tuple extents          # the shape, or the stored one where that is larger: what a chunk at the end may hold
    cdef int64_t extent[MAX_NDIM]
    cdef int64_t chunk_shape[MAX_NDIM]  # of a regular grid
    cdef bint is_regular
    cdef tuple grid             # for each axis the extent of all its chunks, or their edges
    cdef int ndim
    cdef object dtype
    cdef zc_document seen       # the metadata document when it was last looked at
    cdef public bint needs_no_document  # its absence says nothing

    def __cinit__(self, store, str path not None, metadata, config, ChunkCache chunks=None):
        cdef int i
        self.store = store
        self.path = path
        self.metadata = metadata
        self.config = config
        self.dtype = metadata.dtype
        self.ndim = len(metadata.shape)
        self.is_regular = metadata.chunk_grid.is_regular
        self.grid = _grid_of(metadata)
        self._set_extents(metadata.shape)
        for i in range(self.ndim):
            self.shape[i] = metadata.shape[i]
            if self.is_regular:
                self.chunk_shape[i] = self.grid[i]
        name = "zarr.json" if metadata.zarr_format == 3 else ".zarray"
        self.objects = Objects(store, path, metadata.chunk_key_encoding, name)
        if chunks is not None:
            self.objects.keep_chunks(chunks, chunks.cache)
        # Of a grid with chunks of several shapes, what all of them have in common.
        self.way = self._way_of(metadata.chunk_grid.largest_shape)
        self.has_shards = isinstance(self.way, ShardedData)
        self.unwritable = self.way.unwritable

    cdef object _way_of(self, shape):
        metadata = self.metadata
        if any([codec.name == "sharding_indexed" for codec in metadata.codecs]):
            from zarrc.engine.shards import sharded_data     # not loaded for arrays without

            return sharded_data(metadata, shape, self.objects, self.config)
        return kept_layout(metadata, shape, ChunkLayout)

    def __reduce__(self):
        return ArrayAccess, (self.store, self.path, self.metadata, self.config)

    def read(self, key, out=None):
        """The elements that ``key`` selects.

        Parameters
        ----------
        key : int, slice, Ellipsis, None or a tuple of these
            A basic selection, with NumPy's meaning.
        out : numpy.ndarray, optional
            Where to put them: of the result's shape and the array's dtype, writable, with any strides. After an error it
            may be partly written.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            ``out`` if it was given; a scalar if ``key`` is one integer for each axis.
        """
        try:
            return self._read(key, out)
        except ZarrcError as error:
            raise self._named(error)

    def select(self, key):
        """What a key selects, as a `Selection`."""
        try:
            return self._select(key)
        except ZarrcError as error:
            raise self._named(error)

    cdef Selection _select(self, key):
        cdef Selection selection = parse_basic(key, self.ndim, self.shape)
        if selection is not None:
            return selection
        from zarrc.indexing.fancy import parse

        return parse(key, self.metadata.shape)

    def read_selection(self, Selection selection not None, out=None):
        """The elements of a selection of any kind, as `read` gives those of a key."""
        try:
            return self._read_selection(selection, out)
        except ZarrcError as error:
            raise self._named(error)

    cdef object _read(self, key, out):
        return self._read_selection(self._select(key), out)

    cdef object _read_selection(self, Selection selection, out):
        cdef cnp.ndarray result = self._result_for(selection, out)
        cdef zc_plan plan
        cdef Planner planner
        cdef Plans plans
        cdef bint missing = False
        if self.unwritable is not None:
            # The frame below is the method of Array; above it is what the user wrote.
            warnings.warn(f"what is read may be wrong: {self.unwritable} (array {self.path!r})", ZarrcWarning, 2)
        if self._is_simple(selection):
            self._check_place()
            self._plan(&plan, selection, result)
            missing = self._read_plan(&plan, self.way, result)
        else:
            self._check_place()
            planner = self._planner(selection, result, False)
            while (plans := planner.take(PARTS_TOGETHER)) is not None:
                PyErr_CheckSignals()
                missing |= self._read_plans(plans, result)
        if missing and self.objects.gone():
            raise NodeNotFoundError("the array was deleted")
        if out is not None:
            return out
        return result[()] if selection.is_scalar else result

    cdef bint _is_simple(self, Selection selection):
        """Whether it is a basic selection of chunks of one shape: one plan, without anything to keep."""
        return self.is_regular and selection.groups is None and selection.mask is None

    cdef bint _read_plan(self, const zc_plan *plan, way, cnp.ndarray result) except -1:
        """Whether a chunk was missing."""
        cdef uint8_t *data = <uint8_t *>cnp.PyArray_DATA(result)
        if plan.n_parts == 0:
            return False
        if self.has_shards:
            return (<ShardedData>way).read(plan, self.objects, data, thread_count(), self.config)
        return read_plan(plan, way, self.objects, data, thread_count() if plan.n_parts > 1 else 1,
                         not self.config.read_missing_chunks)

    cdef bint _read_plans(self, Plans plans, cnp.ndarray result) except -1:
        """The same for several."""
        cdef list ways = [self._way_of(shape) for shape in plans.chunk_shapes]
        cdef bint missing = False
        cdef size_t i
        if plans.n == 1 or self.has_shards:
            for i in range(plans.n):
                PyErr_CheckSignals()
                missing |= self._read_plan(&plans.plan[i], ways[i], result)
            return missing
        return read_plans(plans, ways, self.objects, <uint8_t *>cnp.PyArray_DATA(result),
                          thread_count() if plans.n_parts > 1 else 1, not self.config.read_missing_chunks)

    def write(self, key, value):
        """Set the elements that ``key`` selects; ``value`` is broadcast to the selection's shape as NumPy does.

        Raises
        ------
        CastingError
            If a value does not fit the data type; nothing is written then.
        ValueError
            If the shape of ``value`` does not broadcast to the selection's.
        """
        try:
            self._write(key, value, False)
        except ZarrcError as error:
            raise self._named(error)

    def write_selection(self, Selection selection not None, value):
        """Set the elements of a selection of any kind, as `write` does those of a key; of several values for one element
        the last in C order stays."""
        try:
            self._write_selection(selection, value, False)
        except ZarrcError as error:
            raise self._named(error)

    cdef int _write(self, key, value, bint is_locked) except -1:
        return self._write_selection(self._select(key), value, is_locked)

    cdef int _write_selection(self, Selection selection, value, bint is_locked) except -1:
        cdef cnp.ndarray values
        cdef zc_plan plan
        cdef Planner planner
        cdef Plans plans
        self._check_can_write()
        from zarrc.engine.values import as_values       # not loaded for a handle that only reads

        values = as_values(value, self.dtype, selection.result_shape, self.config.casting, self.path)
        if self._is_simple(selection):
            self._check_place()
            self._plan(&plan, selection, values)
            return self._write_plan(&plan, self.way, values, is_locked)
        self._check_place()
        planner = self._planner(selection, values, True)
        while (plans := planner.take(PARTS_TOGETHER)) is not None:
            PyErr_CheckSignals()
            self._write_plans(plans, values, is_locked)
        return 0

    cdef int _write_plan(self, const zc_plan *plan, way, cnp.ndarray values, bint is_locked) except -1:
        cdef uint8_t *data = <uint8_t *>cnp.PyArray_DATA(values)
        if plan.n_parts == 0:
            return 0
        self.objects.know_locks(self.config.locking)
        if self.has_shards:
            return (<ShardedData>way).write(plan, self.objects, data, thread_count(), self.config)
        return _writer().write(plan, way, self.objects, data, thread_count() if plan.n_parts > 1 else 1,
                               self.config.write_empty_chunks, is_locked)

    cdef int _write_plans(self, Plans plans, cnp.ndarray values, bint is_locked) except -1:
        """The same for several."""
        cdef list ways = [self._way_of(shape) for shape in plans.chunk_shapes]
        cdef size_t i
        if plans.n == 1 or self.has_shards:
            for i in range(plans.n):
                PyErr_CheckSignals()
                self._write_plan(&plans.plan[i], ways[i], values, is_locked)
            return 0
        self.objects.know_locks(self.config.locking)
        return _writer().write_all(plans, ways, self.objects, <uint8_t *>cnp.PyArray_DATA(values),
                                   thread_count() if plans.n_parts > 1 else 1, self.config.write_empty_chunks, is_locked)

    cdef int _check_can_write(self) except -1:
        if self.unwritable is not None:
            raise ReadOnlyError(f"data cannot be written: {self.unwritable}")
        return 0

    @property
    def is_direct(self):
        """True: nothing waits here to be written (as in a `WriteBuffer`)."""
        return True

    def locked(self, chunk):
        """A context in which this thread alone changes one object.

        Parameters
        ----------
        chunk : tuple of int
            Its place in the grid of stored objects.
        """
        self.objects.know_locks(self.config.locking)
        return self.objects.locked([self._key_of(chunk)])

    def all_locked(self, chunks):
        """`locked` for several objects. Never one after the other: two of them may have one lock."""
        self.objects.know_locks(self.config.locking)
        return self.objects.locked([self._key_of(chunk) for chunk in chunks])

    def write_locked(self, key, value):
        """`write` of one chunk without shards, in the context of `locked`."""
        try:
            self._write(key, value, True)
        except ZarrcError as error:
            raise self._named(error)

    def write_inner(self, shard, numbers, values):
        """Write some inner chunks of a shard, in the context of `locked`; the others stay as they are stored.

        Parameters
        ----------
        shard : tuple of int
            Its place in the grid.
        numbers : numpy.ndarray of intp
            Numbers of the inner chunks in the shard (`inner_number`), ascending; none writes the shard anew without what
            appends have left between its inner chunks.
        values : numpy.ndarray
            Of the array's dtype, in C order: for each of them a whole inner chunk, along the array's axes. What is past the
            array's end is not looked at.
        """
        cdef cnp.ndarray order = np.ascontiguousarray(numbers, dtype=np.uintp)
        cdef cnp.ndarray data = np.ascontiguousarray(values, dtype=self.dtype)
        cdef size_t value_nbytes = cnp.PyArray_ITEMSIZE(data)
        cdef Planner planner
        for i in range(1, data.ndim):
            value_nbytes *= data.shape[i]
        planner = self._plan_shard(shard)
        for i in range(self.ndim):
            planner.plan.axis[i].result_stride = cnp.PyArray_STRIDE(data, i + 1)
        try:
            self._check_can_write()
            self._check_place()
            self._shards_of(planner).write_inner(&planner.plan, self.objects, <const size_t *>cnp.PyArray_DATA(order),
                                                 order.shape[0], value_nbytes, <uint8_t *>cnp.PyArray_DATA(data),
                                                 thread_count(), self.config)
        except ZarrcError as error:
            raise self._named(error)

    def inner_number(self, inner, shard):
        """The number of an inner chunk in a shard, from its place there along the array's axes."""
        cdef int64_t along[MAX_NDIM]
        cdef int d
        for d in range(self.ndim):
            along[d] = inner[d]
        # Where shards have several shapes, a place has another number in each.
        shards = self.way if self.is_regular else self._shards_of(self._plan_shard(shard))
        return (<ShardedData>shards).number(along)

    def shard_usage(self, shard):
        """What is stored of a shard.

        Parameters
        ----------
        shard : tuple of int
            Its place in the grid.

        Returns
        -------
        (int, int, int) or None
            Bytes of the object, those of its index and inner chunks, and how many inner chunks are stored; None if the
            shard is not.
        """
        cdef Planner planner = self._plan_shard(shard)
        try:
            return self._shards_of(planner).usage(&planner.plan, self.objects)
        except ZarrcError as error:
            raise self._named(error)

    def repair(self, shard):
        """Take back what somebody began to append to a shard of a local store and did not finish; whether there was such."""
        root = self.store.local_root
        if root is None:
            return False
        from zarrc.kernels import local_shards

        path = os.fsencode(os.path.join(root, self._key_of(shard)))
        if not local_shards.undo_exists(path):
            return False
        with self.locked(shard):
            return local_shards.repair(path, 1 << 62)

    cdef str _key_of(self, chunk):
        cdef int64_t indices[MAX_NDIM]
        cdef int d
        for d in range(self.ndim):
            indices[d] = chunk[d]
        return self.objects.key_of(indices, self.ndim)

    cdef Planner _plan_shard(self, shard):
        """The plan of one part, the whole of a shard."""
        cdef Py_ssize_t strides[MAX_RESULT_NDIM]
        cdef Planner planner = Planner.__new__(Planner)
        cdef int d
        box = tuple([slice(*self.metadata.chunk_grid.chunk_bounds(d, i)) for d, i in enumerate(shard)])
        for d in range(self.ndim):
            strides[d] = 0
        planner.begin(parse_basic(box, self.ndim, self.shape), self.metadata.shape, self.grid, (), strides)
        if not planner.next():
            raise IndexError(f"there is no shard {shard}")
        return planner

    cdef ShardedData _shards_of(self, Planner planner):
        return self.way if self.is_regular else self._way_of(planner.chunk_shape)

    cdef object _named(self, error):
        error.array = self.path if error.array is None else error.array
        return error

    cdef cnp.ndarray _result_for(self, Selection selection, out):
        cdef cnp.npy_intp dims[MAX_RESULT_NDIM]
        cdef int i
        if out is None:
            for i in range(selection.result_ndim):
                dims[i] = selection.result_shape_[i]
            return empty_array(selection.result_ndim, dims, self.dtype, self.config.order == "F")
        shape = selection.result_shape
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be a numpy.ndarray, got {type(out).__name__}")
        if out.dtype != self.dtype:
            raise TypeError(f"out has dtype {out.dtype}, the array has {self.dtype}")
        if out.shape != shape:
            raise ValueError(f"out has shape {out.shape}, the selection has {shape}")
        if not out.flags.writeable:
            raise ValueError("out is read-only")
        return np.asarray(out)

    cdef int _plan(self, zc_plan *plan, Selection selection, cnp.ndarray array) except -1:
        cdef Py_ssize_t strides[MAX_RESULT_NDIM]
        _strides_of(array, selection.result_ndim, strides)
        return make_plan(plan, selection, self.extent, self.chunk_shape, strides)

    cdef Planner _planner(self, Selection selection, cnp.ndarray array, bint is_write):
        cdef Py_ssize_t strides[MAX_RESULT_NDIM]
        cdef Planner planner = Planner.__new__(Planner)
        _strides_of(array, selection.result_ndim, strides)
        planner.begin(selection, self.extents, self.grid, self._inner_shapes(), strides, is_write)
        return planner

    cdef tuple _inner_shapes(self):
        return (<ShardedData>self.way).inner_shapes if self.has_shards else ()

    cdef int _check_place(self) except -1:
        """Notice an array that was deleted, or made again with another layout, under this handle.

        One look at the metadata document a call, on stores where that is nearly free.
        """
        cdef zc_document now
        if not self.objects.is_near():
            # Only what this process knows: to ask would be a request a call.
            shape = noted_shape(self.store, self.path)
            if shape is not None and len(shape) == self.ndim:
                self._set_extents(shape)
            return 0
        cdef zc_document none
        self.objects.look_at_document(&now)
        memset(&none, 0, sizeof(none))
        if memcmp(&now, &none, sizeof(now)) == 0:
            if self.needs_no_document and memcmp(&self.seen, &none, sizeof(none)) == 0:
                return 0
            raise NodeNotFoundError("the array was deleted")
        if memcmp(&now, &self.seen, sizeof(now)) == 0:
            return 0
        shape = stored_shape(self.store, self.path, self.metadata)
        if shape is None:
            raise MetadataError("the array was made again with another layout: open it again")
        self._set_extents(shape)
        self.seen = now
        return 0

    cdef int _set_extents(self, stored) except -1:
        """Know the stored shape: a write up to this handle's end does not cover a chunk that others filled further."""
        extents = []
        cdef int d
        for d, (known, length) in enumerate(zip(self.metadata.shape, stored)):
            # Chunks that this handle does not know cannot be met.
            most = length if isinstance(self.grid[d], int) else min(length, self.grid[d][len(self.grid[d]) - 1])
            extents.append(max(known, int(most)))
            self.extent[d] = extents[d]
        self.extents = tuple(extents)
        return 0


cdef ChunkWriter _loaded = None


cdef ChunkWriter _writer():
    global _loaded
    if _loaded is None:
        from zarrc.engine.write import writer       # not loaded for a handle that only reads

        _loaded = writer
    return _loaded


cdef void _strides_of(cnp.ndarray array, int ndim, Py_ssize_t *strides):
    cdef int i
    for i in range(ndim):
        strides[i] = cnp.PyArray_STRIDE(array, i)


cdef tuple _grid_of(metadata):
    """Along each axis the extent of all chunks, or their edges as far as the array reaches."""
    grid = metadata.chunk_grid
    if grid.is_regular:
        return grid.chunk_shape
    axes = []
    for d, extent in enumerate(metadata.shape):
        runs = grid.axis(d)
        if not isinstance(runs, int) and (len(runs) == 1 or runs[0][0] * runs[0][1] >= extent):
            runs = runs[0][0]       # as far as the array reaches, all of one extent
        axes.append(runs if isinstance(runs, int) else np.ascontiguousarray(grid.edges(d, extent), dtype=np.int64))
    return tuple(axes)
