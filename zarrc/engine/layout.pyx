# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A chunk's way through its codecs, compiled: where each element lies in the chunk's buffer, and the chain behind it."""

import sys

import numpy as np

from zarrc.codecs.base import BytesBytesCodec, ChunkSpec
from zarrc.errors import CodecError, ZarrcError

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from zarrc.indexing.plan cimport PLAN_BOXES
from zarrc.kernels.bitround cimport parse_config
from zarrc.kernels.chain cimport MAX_STEPS, chain_object_limit
from zarrc.kernels.codec cimport CodecKernel

cdef enum:
    # Smaller chunks cost more to find than to copy.
    COPIED_NBYTES = 16 << 10
    # Chunk shapes of one array whose layouts are kept.
    MOST_SHAPES = 4096


@cython.final
cdef class ChunkLayout:
    """How chunks of one shape are stored.

    Parameters
    ----------
    metadata : ArrayMetadata
        Of the array.
    chunk_shape : tuple of int
        Elements of a chunk along each axis.
    """

    def __cinit__(self, metadata, chunk_shape):
        cdef int i
        self.c.ndim = len(chunk_shape)
        self.c.itemsize = metadata.data_type.itemsize
        for i in range(self.c.ndim):
            self.c.shape[i] = chunk_shape[i]
        self.codecs = _with_specs(self, metadata, chunk_shape)
        if _compiles(self.codecs):
            stored_endian = self._fold(metadata)
        else:
            # A codec in Python takes and gives whole chunks as native NumPy arrays in C order.
            stored_endian = sys.byteorder
            self._set_strides(tuple(range(self.c.ndim)))
            self._decoded_nbytes = _known_sizes(self.codecs)
        # A codec in Python sets no limit but a generous one; a chunk has less than 2**63 bytes.
        self.c.object_limit = self.c.nbytes + self.c.nbytes // 2 + (1 << 20) + _index_room(self.codecs)
        if self.chain is not None:
            self.c.object_limit = chain_object_limit(&self.chain.c)
        self._set_swaps(metadata, stored_endian)
        self._set_fills(metadata)

    cdef str _fold(self, metadata):
        """Array codecs become strides, roundings and a byte order; the others become the chain."""
        cdef tuple stored_axes = tuple(range(self.c.ndim))
        kernels = []
        stored_endian = sys.byteorder
        for codec, spec in self.codecs:
            if is_ours(codec, "transpose", "TransposeCodec"):
                stored_axes = tuple([stored_axes[axis] for axis in codec.order])
            elif is_ours(codec, "bitround", "BitroundCodec"):
                self.c.bitround[self.c.n_bitrounds] = parse_config(spec.dtype, codec.keepbits)
                self.c.n_bitrounds += 1
            elif is_ours(codec, "bytes", "BytesCodec"):
                stored_endian = codec.endian or sys.byteorder
            else:
                kernels.append(codec.kernel(spec))
        self._set_strides(stored_axes)
        self.chain = Chain(kernels, self.c.nbytes)
        return stored_endian

    cdef _set_strides(self, tuple stored_axes):
        """C order over the axes as they are stored, outermost first."""
        cdef size_t stride = self.c.itemsize
        for axis in reversed(stored_axes):
            self.c.strides[<int>axis] = stride
            stride *= self.c.shape[<int>axis]
        self.c.nbytes = stride

    cdef _set_swaps(self, metadata, str stored_endian):
        """The user's byte order is the data type's (v2) or the machine's; rounding needs the machine's."""
        cdef size_t unit = metadata.data_type.swap_unit
        native = sys.byteorder
        user_endian = metadata.endian if metadata.zarr_format == 2 else native
        buffer_endian = native if self.c.n_bitrounds else stored_endian
        if unit <= 1:
            return
        self.c.read_swap_unit = unit if user_endian != stored_endian else 0
        self.c.write_swap_unit = unit if user_endian != buffer_endian else 0
        self.c.late_swap_unit = unit if buffer_endian != stored_endian else 0

    cdef _set_fills(self, metadata):
        cdef size_t itemsize = self.c.itemsize
        fill = metadata.fill_value
        self.c.has_fill = fill is not None
        native = bytes(itemsize) if fill is None else np.asarray(fill).tobytes()
        unit = metadata.data_type.swap_unit
        swap_user = metadata.zarr_format == 2 and metadata.endian != sys.byteorder
        user = _swapped(native, unit) if swap_user else native
        buffer = _swapped(user, unit) if self.c.write_swap_unit else user
        self._fills = user + buffer
        self.c.user_fill = <uint8_t *>PyBytes_AS_STRING(self._fills)
        self.c.buffer_fill = self.c.user_fill + itemsize

    cdef bytes encode_chunk(self, const uint8_t *data):
        """The stored bytes of one chunk, which is at ``data``, by the codecs' Python side."""
        spec = self.codecs[0][1]
        chunk = PyBytes_FromStringAndSize(<const char *>data, self.c.nbytes)
        chunk = np.frombuffer(chunk, dtype=spec.dtype).reshape(spec.shape)
        next_specs = (*[spec for _, spec in self.codecs[1:]], None)
        for (codec, spec), next_spec in zip(self.codecs, next_specs):
            chunk = _blaming(codec, _encode_step, chunk, spec, next_spec)
        return chunk

    cdef object decode_chunk(self, const uint8_t *data, size_t nbytes):
        """The bytes of one chunk in native byte order and C order, flat, by the codecs' Python side."""
        chunk = PyBytes_FromStringAndSize(<const char *>data, nbytes)
        room = _index_room(self.codecs)
        for (codec, spec), decoded_nbytes in zip(reversed(self.codecs), reversed(self._decoded_nbytes)):
            chunk = _blaming(codec, _decode_step, chunk, spec, decoded_nbytes, room)
        return chunk.reshape(-1).view("u1")


cdef class ChunkWriter:
    """How chunks are written (`zarrc.engine.write`)."""

    cdef int write(self, const zc_plan *plan, ChunkLayout layout, object objects, uint8_t *value, int n_threads,
                   bint write_empty_chunks, bint is_locked) except -1:
        raise NotImplementedError

    cdef int write_all(self, object plans, list layouts, object objects, uint8_t *value, int n_threads,
                       bint write_empty_chunks, bint is_locked) except -1:
        raise NotImplementedError


cdef class ShardedData:
    """How the shards of one array are read and written (`zarrc.engine.shards`)."""

    cdef int read(self, const zc_plan *plan, object objects, uint8_t *result, int n_threads, object config) except -1:
        raise NotImplementedError

    cdef int write(self, const zc_plan *plan, object objects, uint8_t *value, int n_threads, object config) except -1:
        raise NotImplementedError

    cdef int write_inner(self, const zc_plan *plan, object objects, const size_t *numbers, size_t n, size_t value_nbytes,
                         uint8_t *values, int n_threads, object config) except -1:
        raise NotImplementedError

    cdef object usage(self, const zc_plan *plan, object objects):
        raise NotImplementedError

    cdef size_t number(self, const int64_t *inner) noexcept:
        return 0


def _blaming(codec, step, *arguments):
    """One step of one codec; what goes wrong in it is an error of ours that names the codec."""
    try:
        return step(codec, *arguments)
    except MemoryError:
        raise
    except ZarrcError as error:
        error.codec = codec.name if error.codec is None else error.codec
        raise
    except Exception as error:
        raise CodecError(f"{type(error).__name__}: {error}", codec=codec.name) from error


def _encode_step(codec, data, spec, next_spec):
    result = codec.encode(data, spec)
    if codec.kind == "array_to_array":
        return _as_specified(result, next_spec)
    # Through a memoryview, since bytes(5) would be five zeros.
    return result if type(result) is bytes else memoryview(result).tobytes()


def _decode_step(codec, data, spec, nbytes, room):
    if codec.kind == "bytes_to_bytes" and nbytes is None and room and type(codec).decode is BytesBytesCodec.decode:
        # As there, with room for the index of a shard.
        return codec.kernel(spec).decode(data, spec.nbytes + spec.nbytes // 4 + 65536 + room, exact=False)
    if codec.kind == "bytes_to_bytes":
        return codec.decode(data, spec, nbytes)
    return _as_specified(codec.decode(data, spec), spec)


def _as_specified(array, spec):
    """The array in native byte order and C order; CodecError if it is not one of the spec's shape and data type."""
    array = np.asarray(array)
    if array.shape != spec.shape or array.dtype.newbyteorder("=") != spec.dtype:
        raise CodecError(f"gave {array.dtype} of shape {array.shape} where {spec.dtype} of shape {spec.shape} is due")
    return np.asarray(array, dtype=spec.dtype, order="C")


def _with_specs(ChunkLayout layout, metadata, chunk_shape):
    """Pair each codec with the chunk as it sees it; codecs that may be skipped are left out."""
    fill = metadata.fill_value
    spec = ChunkSpec(shape=tuple(chunk_shape), dtype=metadata.data_type.numpy, fill=fill)
    pairs = []
    for codec in metadata.codecs:
        if codec.kind == "unknown":
            layout.unwritable = f"codec {codec.to_v3_json()['name']!r} is not known here and was skipped"
            continue
        pairs.append((codec, spec))
        spec = codec.resolve(spec)
    return tuple(pairs)


def _index_room(codecs):
    """Room for the indexes of shards that go through their codecs as a whole."""
    return sum([2 * codec.index_nbytes(spec.shape) for codec, spec in codecs if is_ours(codec, "sharding", "ShardingCodec")])


def _known_sizes(codecs):
    """For each codec the bytes that decoding it must give; None where that does not follow from the chunk."""
    cdef CodecKernel kernel
    sizes = []
    nbytes = None
    for codec, spec in codecs:
        sizes.append(nbytes)
        if is_ours(codec, "bytes", "BytesCodec"):
            nbytes = spec.nbytes
        elif codec.kind == "bytes_to_bytes" and nbytes is not None:
            kernel = codec.kernel(spec)
            nbytes = kernel.bound(nbytes) if kernel is not None and kernel.fixed_size else None
    return tuple(sizes)


def _compiles(codecs):
    """Whether every codec has a kernel, and a chain of plain numbers has room for them."""
    n_bitrounds = sum([is_ours(codec, "bitround", "BitroundCodec") for codec, _ in codecs])
    n_steps = sum([codec.kind == "bytes_to_bytes" for codec, _ in codecs])
    if n_bitrounds > MAX_BITROUNDS or n_steps > MAX_STEPS:
        return False
    return all([_is_folded(codec) or codec.kernel(spec) is not None for codec, spec in codecs])


def _is_folded(codec):
    """Whether the codec is no step of the chain, but part of the copy."""
    own = (("bytes", "BytesCodec"), ("transpose", "TransposeCodec"), ("bitround", "BitroundCodec"))
    return any([is_ours(codec, module, name) for module, name in own])


cdef object kept_layout(metadata, shape, make):
    derived = metadata.derived
    if metadata.chunk_grid.is_regular:
        if derived.layout is None:
            derived.layout = make(metadata, shape)
        return derived.layout
    if derived.layout is None or len(derived.layout) >= MOST_SHAPES:
        derived.layout = {}
    layouts = derived.layout
    layout = layouts.get(shape)
    if layout is None:
        layout = layouts[shape] = make(metadata, shape)
    return layout


cdef bint is_ours(codec, str module, str name):
    """Whether it is one of our codecs, of which only those that an array has are loaded: whoever made it has imported it."""
    loaded = sys.modules.get(f"zarrc.codecs.{module}")
    # A module that another thread is still importing has made no codec yet.
    return loaded is not None and isinstance(codec, getattr(loaded, name, ()))


def _swapped(data, unit):
    return b"".join(data[i : i + unit][::-1] for i in range(0, len(data), unit)) if unit > 1 else data


cdef bint layout_matches(const zc_layout *layout, const zc_plan *plan, const zc_part *part) noexcept nogil:
    cdef int d
    if plan.kind != PLAN_BOXES:
        return False
    for d in range(layout.ndim):
        if part.count[d] != layout.shape[d]:
            return False
        if layout.shape[d] > 1 and layout.strides[d] != plan.axis[d].result_stride:
            return False
    return True


cdef bint layout_is_copied(const zc_layout *layout, const zc_plan *plan, size_t swap_unit) noexcept nogil:
    cdef int last = layout.ndim - 1
    cdef Py_ssize_t itemsize = layout.itemsize
    return (plan.kind == PLAN_BOXES and last >= 0 and layout.nbytes >= COPIED_NBYTES and swap_unit == 0
            and layout.n_bitrounds == 0 and layout.strides[last] == itemsize and plan.axis[last].result_stride == itemsize)


cdef void layout_span(const zc_layout *layout, const zc_plan *plan, const zc_part *part, size_t *first_ret,
                      size_t *end_ret) noexcept nogil:
    cdef size_t first = 0
    cdef size_t last = 0
    cdef int d
    for d in range(layout.ndim):
        first += part.start[d] * <size_t>layout.strides[d]
        last += (part.start[d] + (part.count[d] - 1) * <size_t>_step(plan, part, d)) * <size_t>layout.strides[d]
    first_ret[0] = first
    end_ret[0] = last + layout.itemsize


cdef inline int64_t _step(const zc_plan *plan, const zc_part *part, int d) noexcept nogil:
    return plan.axis[d].step if part.count[d] > 1 else 1


cdef void layout_strides(const zc_layout *layout, const zc_plan *plan, Py_ssize_t *buffer_strides,
                         Py_ssize_t *user_strides) noexcept nogil:
    cdef int d
    for d in range(layout.ndim):
        # A step that leaves the chunk at once has one element there: any stride serves, none overflows.
        buffer_strides[d] = layout.strides[d] * (plan.axis[d].step if plan.axis[d].step < plan.axis[d].chunk_extent else 1)
        user_strides[d] = plan.axis[d].result_stride
