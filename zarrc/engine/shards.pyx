# cython: language_level=3, boundscheck=False, wraparound=False
"""A sharded array's data, as `ArrayAccess` asks for it: loaded with the first sharded array."""

cimport cython
from libc.stdint cimport int64_t, uint8_t

from zarrc.engine.layout cimport ChunkLayout, ShardedData
from zarrc.engine.objects cimport Objects
from zarrc.engine.shard_build cimport zc_shard_list
from zarrc.engine.shard_layout cimport ShardLayout, shard_number
from zarrc.engine.shard_read cimport read_shards
from zarrc.engine.shard_usage cimport usage_of_shard
from zarrc.engine.shard_write cimport write_inner_chunks, write_shards
from zarrc.indexing.plan cimport zc_plan
from zarrc.indexing.selection cimport MAX_NDIM
from zarrc.kernels.shard_cache cimport ShardCache

from zarrc.engine.shard_layout import compile_layout

cdef enum:
    MOST_OPEN_SHARDS = 64


@cython.final
cdef class Shards(ShardedData):
    """The shards of one array.

    Parameters
    ----------
    layout : ShardLayout
        Of the array.
    """

    cdef ShardLayout layout

    def __cinit__(self, ShardLayout layout not None):
        self.layout = layout
        self.unwritable = layout.unwritable
        self.inner_shapes = _inner_shapes(layout)

    cdef int read(self, const zc_plan *plan, object objects, uint8_t *result, int n_threads, object config) except -1:
        return read_shards(plan, self.layout, objects, result, n_threads, config)

    cdef int write(self, const zc_plan *plan, object objects, uint8_t *value, int n_threads, object config) except -1:
        return write_shards(plan, self.layout, objects, value, n_threads, config)

    cdef int write_inner(self, const zc_plan *plan, object objects, const size_t *numbers, size_t n, size_t value_nbytes,
                         uint8_t *values, int n_threads, object config) except -1:
        cdef zc_shard_list listed
        listed.numbers, listed.n, listed.value_nbytes = numbers, n, value_nbytes
        return write_inner_chunks(plan, self.layout, objects, &listed, values, n_threads, config)

    cdef object usage(self, const zc_plan *plan, object objects):
        return usage_of_shard(plan, self.layout, objects)

    cdef size_t number(self, const int64_t *inner) noexcept:
        cdef int64_t along[MAX_NDIM]
        cdef int d
        for d in range(self.layout.c.ndim):
            along[d] = inner[self.layout.c.order[d]]
        return shard_number(&self.layout.c, along)


cdef tuple _inner_shapes(ShardLayout layout):
    """The shapes of the chunks at each level below the shard, along the array's axes."""
    cdef int d
    axes = range(layout.c.ndim)
    shapes = []
    level = layout
    while isinstance(level, ShardLayout):
        layout = level
        # Axis d of this shard is this one of the array's.
        axes = [axes[layout.c.order[d]] for d in range(layout.c.ndim)]
        shape = [0] * layout.c.ndim
        for d in range(layout.c.ndim):
            shape[axes[d]] = layout.inner_shape[d]
        shapes.append(tuple(shape))
        level = layout.inner
    return tuple(shapes)


def sharded_data(metadata, shape, Objects objects not None, config):
    """How an array with a sharding codec is read and written.

    Parameters
    ----------
    metadata : ArrayMetadata
    shape : tuple of int
        Of its shards, or some of them.
    objects : Objects
        The array's; they keep what is read of indexes, as far as ``config`` allows.
    config : ArrayConfig

    Returns
    -------
    Shards or ChunkLayout
        The latter where a codec of somebody else's is around the shard: it is read and written as a whole then, like a chunk.
    """
    cdef ShardCache cache
    layout = compile_layout(metadata, shape)
    if isinstance(layout, ChunkLayout):
        return layout
    if config.shard_index_cache_nbytes and objects.is_near() and objects.c.shards is NULL:
        cache = ShardCache(MOST_OPEN_SHARDS, config.shard_index_cache_nbytes)
        objects.keep_shards(cache, cache.cache)
    return Shards(layout)
