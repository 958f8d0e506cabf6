# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A shard's way through its codecs, compiled."""

import math

from zarrc.dtypes import fill_value_for, parse_dtype
from zarrc.errors import MetadataError

cimport cython
from libc.string cimport memcpy

from zarrc.engine.layout cimport is_ours, kept_layout
from zarrc.kernels.chain cimport chain_decode, chain_encode, chain_object_limit
from zarrc.kernels.shard_index cimport shard_index_load, shard_index_store
from zarrc.kernels.status cimport ZC_ENOMEM, ZC_ETRUNCATED, ZC_OK
from zarrc.kernels.strided cimport strided_copy
from zarrc.kernels.worker cimport ZC_SCRATCH_CHUNK, zc_worker_scratch

cdef enum:
    ENTRY_NBYTES = 16

# What a shard may take in memory is limited where it is read; this keeps sums of limits from overflowing.
_MAX_NBYTES = 1 << 62


cdef class _Level:
    """What `ChunkLayout` asks of an array's metadata, for the chunks inside a shard and for its index."""

    cdef readonly object data_type, fill_value, codecs, endian, zarr_format

    def __init__(self, data_type, fill_value, codecs):
        self.data_type = data_type
        self.fill_value = fill_value
        self.codecs = tuple(codecs)
        self.endian = "little"
        self.zarr_format = 3


def compile_layout(metadata, shape):
    """How an array's objects are laid out, worked out once for all handles of its document.

    Parameters
    ----------
    metadata : ArrayMetadata
    shape : tuple of int
        Of the objects.

    Returns
    -------
    ChunkLayout or ShardLayout
    """
    return kept_layout(metadata, shape, _layout_of)


def _layout_of(level, shape):
    """Of a chunk of that shape; a shard whose codecs are not all ours goes through them as a whole, like a chunk."""
    if _is_shard(level.codecs):
        return ShardLayout(level, shape)
    return ChunkLayout(level, shape)


cdef bint _is_shard(codecs):
    cdef bint found = False
    for codec in codecs:
        if is_ours(codec, "sharding", "ShardingCodec"):
            found = True
        elif codec.kind == "unknown":
            continue
        elif found:
            if codec.kind != "bytes_to_bytes" or not _has_kernel(codec):
                return False
        elif not (is_ours(codec, "transpose", "TransposeCodec") or is_ours(codec, "bitround", "BitroundCodec")):
            return False
    return found


cdef bint _has_kernel(codec):
    # A kernel follows from the chunk, but whether there is one does not.
    return type(codec).__module__.startswith("zarrc.codecs.")


@cython.final
cdef class ShardLayout:
    """How shards of one shape are stored.

    Parameters
    ----------
    level : ArrayMetadata
        Of the array; for a shard inside a shard the codecs, data type and fill value that it has there.
    shape : tuple of int
        Elements of a shard along each axis of what is around it.
    """

    def __cinit__(self, level, shape):
        shape = tuple(shape)
        order = tuple(range(len(shape)))
        rounds, after = [], []
        for codec in level.codecs:
            if codec.kind == "unknown":
                self.unwritable = f"codec {codec.to_v3_json()['name']!r} is not known here and was skipped"
            elif is_ours(codec, "transpose", "TransposeCodec"):
                permutation = codec.permutation(len(shape))
                order = tuple([order[axis] for axis in permutation])
                shape = tuple([shape[axis] for axis in permutation])
            elif is_ours(codec, "bitround", "BitroundCodec"):
                rounds.append(codec)
            elif is_ours(codec, "sharding", "ShardingCodec"):
                sharding = codec
            else:
                after.append(codec)
        if len(shape) >= MAX_NDIM:
            raise MetadataError(f"sharding_indexed: {len(shape)} dimensions; up to {MAX_NDIM - 1} are supported",
                                codec="sharding_indexed")
        self._set_shape(order, shape, sharding)
        self._set_index(sharding, shape)
        self._set_inner(level, tuple(rounds), sharding)
        self._set_outer(level, after, shape)

    cdef object _set_shape(self, tuple order, tuple shape, codec):
        cdef int d
        self.shape = shape
        self.inner_shape = tuple(codec.chunk_shape)
        self.c.ndim = len(shape)
        self.c.n_inner = 1
        for d in range(self.c.ndim):
            self.c.order[d] = order[d]
            self.c.shape[d] = shape[d]
            self.c.inner_shape[d] = self.inner_shape[d]
            self.c.grid[d] = shape[d] // self.inner_shape[d]
            self.c.n_inner *= self.c.grid[d]

    cdef object _set_index(self, codec, tuple shape):
        grid = tuple([extent // inner for extent, inner in zip(shape, self.inner_shape)])
        if math.prod(grid) >= _MAX_NBYTES // ENTRY_NBYTES:
            raise MetadataError(f"sharding_indexed: a shard of {math.prod(grid)} inner chunks has too large an index",
                                codec="sharding_indexed")
        data_type = parse_dtype("uint64")[0]
        level = _Level(data_type, fill_value_for(data_type, 2**64 - 1), codec.index_codecs)
        self.index = ChunkLayout(level, (*grid, 2))
        if self.index.chain is None or not self.index.chain.c.fixed_size:
            raise MetadataError("sharding_indexed: the index codecs must be ours, and give a size that follows from the index",
                                codec="sharding_indexed")
        self.c.index_at_start = codec.index_location == "start"
        self.c.index_layout = &self.index.c
        self.c.index_chain = &self.index.chain.c
        self.c.index_nbytes = self.index.chain.c.encoded_nbytes
        self.c.index_is_plain = self.index.c.read_swap_unit == 0 and _is_c_order(&self.index.c)

    cdef object _set_inner(self, level, tuple rounds, codec):
        cdef ChunkLayout chunk
        cdef ShardLayout shard
        self.inner = _layout_of(_Level(level.data_type, level.fill_value, (*rounds, *codec.codecs)), self.inner_shape)
        self.unwritable = self.unwritable or self.inner.unwritable
        if isinstance(self.inner, ShardLayout):
            shard = self.inner
            shard.c.is_inner = True
            self.c.nested = &shard.c
            self.c.leaf = shard.c.leaf
            self.c.leaf_chain = shard.c.leaf_chain
            # Others may leave gaps in theirs.
            self.c.inner_limit = 4 * shard.bound() if shard.outer is None else chain_object_limit(&shard.outer.c)
            return
        chunk = self.inner
        self.c.leaf = &chunk.c
        self.c.leaf_chain = NULL if chunk.chain is None else &chunk.chain.c
        self.c.inner_limit = chunk.c.object_limit

    def _set_outer(self, level, after, shape):
        """Built-in codecs around the whole shard, whose size they do not know."""
        if not after:
            return
        from zarrc.codecs.base import ChunkSpec

        spec = ChunkSpec(shape, level.data_type.numpy, level.fill_value)
        self.outer = Chain([codec.kernel(spec) for codec in after], self.bound(), exact=False)
        self.c.outer = &self.outer.c

    def bound(self):
        """The most bytes of a shard that we write, before the codecs around it."""
        cdef ChunkLayout chunk
        if isinstance(self.inner, ShardLayout):
            shard = <ShardLayout>self.inner
            inner = shard.bound() if shard.outer is None else shard.outer.c.encoded_nbytes
        else:
            chunk = self.inner
            inner = chunk.c.object_limit if chunk.chain is None else chunk.chain.c.encoded_nbytes
        return min(self.c.index_nbytes + self.c.n_inner * inner, _MAX_NBYTES // 8)

    cdef ChunkLayout leaf(self):
        if isinstance(self.inner, ShardLayout):
            return (<ShardLayout>self.inner).leaf()
        return self.inner


cdef bint _is_c_order(const zc_layout *layout):
    cdef Py_ssize_t stride = layout.itemsize
    cdef int d
    for d in range(layout.ndim - 1, -1, -1):
        if layout.shape[d] > 1 and layout.strides[d] != stride:
            return False
        stride *= layout.shape[d]
    return True


cdef zc_status shard_index_decode(const zc_shard_layout *shard, zc_worker *worker, const uint8_t *src,
                                  zc_shard_entry *index) noexcept nogil:
    cdef Py_ssize_t strides[MAX_NDIM]
    cdef const uint8_t *data = NULL
    cdef int failed = -1
    cdef zc_status status = chain_decode(shard.index_chain, worker, src, shard.index_nbytes, NULL, &data, &failed)
    if status != ZC_OK:
        return status
    if shard.index_is_plain:
        shard_index_load(index, data, shard.n_inner)
        return ZC_OK
    _c_strides(shard.index_layout, strides)
    strided_copy(<uint8_t *>index, strides, data, shard.index_layout.strides, shard.index_layout.shape,
                 shard.index_layout.ndim, sizeof(uint64_t), shard.index_layout.read_swap_unit)
    return ZC_OK


cdef zc_status shard_index_encode(const zc_shard_layout *shard, zc_worker *worker, const zc_shard_entry *index,
                                  uint8_t *dst) noexcept nogil:
    cdef Py_ssize_t strides[MAX_NDIM]
    cdef const uint8_t *data = NULL
    cdef size_t nbytes = 0
    cdef int failed = -1
    cdef zc_status status
    cdef uint8_t *plain = zc_worker_scratch(worker, ZC_SCRATCH_CHUNK, shard.index_layout.nbytes)
    if plain is NULL:
        return ZC_ENOMEM
    if shard.index_is_plain:
        shard_index_store(plain, index, shard.n_inner)
    else:
        _c_strides(shard.index_layout, strides)
        strided_copy(plain, shard.index_layout.strides, <const uint8_t *>index, strides, shard.index_layout.shape,
                     shard.index_layout.ndim, sizeof(uint64_t), shard.index_layout.write_swap_unit)
    status = chain_encode(shard.index_chain, worker, plain, NULL, &data, &nbytes, &failed)
    if status == ZC_OK:
        memcpy(dst, data, nbytes)
    return status


cdef void _c_strides(const zc_layout *layout, Py_ssize_t *strides) noexcept nogil:
    cdef Py_ssize_t stride = layout.itemsize
    cdef int d
    for d in range(layout.ndim - 1, -1, -1):
        strides[d] = stride
        stride *= layout.shape[d]


cdef zc_status shard_index_offset(const zc_shard_layout *shard, zc_worker *worker, uint64_t nbytes,
                                  uint64_t *offset_ret) noexcept nogil:
    if nbytes < shard.index_nbytes:
        worker.detail = b"the shard is shorter than its index"
        return ZC_ETRUNCATED
    offset_ret[0] = 0 if shard.index_at_start else nbytes - shard.index_nbytes
    return ZC_OK
