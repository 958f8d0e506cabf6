"""A whole shard, encoded and decoded by its codecs' Python side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from zarrc.codecs.base import ChunkSpec, Codec
from zarrc.codecs.bytes import BytesCodec
from zarrc.codecs.crc32c import Crc32cCodec
from zarrc.codecs.sharding import ABSENT, ShardingCodec
from zarrc.errors import CodecError, CorruptChunkError, ZarrcError

if TYPE_CHECKING:
    import numpy.typing as npt
    from typing_extensions import Buffer

__all__ = ["decode_bytes", "decode_chunk", "decode_index", "decode_shard", "encode_chunk", "encode_shard"]

_NAME = ShardingCodec.name


def encode_shard(codec: ShardingCodec, data: npt.NDArray[Any], spec: ChunkSpec) -> bytes:
    """The bytes of the shard ``data``: inner chunks in C order, and the index before or behind them."""
    inner = codec.inner_spec(spec)
    empty = _fill_bytes(inner)
    index_spec = codec.index_spec(spec.shape)
    index = np.full(index_spec.shape, ABSENT, np.uint64)
    parts: list[bytes] = []
    offset = codec.index_nbytes(spec.shape) if codec.index_location == "start" else 0
    for coords, region in _inner_regions(codec, spec.shape):
        chunk = np.asarray(data[region], spec.dtype, order="C")
        # By bits: NaN is the fill value NaN, and -0.0 is not 0.0.
        if chunk.tobytes() == empty * chunk.size:
            continue
        part = encode_chunk(codec.codecs, chunk, inner)
        index[coords] = offset, len(part)
        offset += len(part)
        parts.append(part)
    encoded_index = encode_chunk(codec.index_codecs, index, index_spec)
    parts.insert(0 if codec.index_location == "start" else len(parts), encoded_index)
    return b"".join(parts)


def decode_shard(codec: ShardingCodec, data: Buffer, spec: ChunkSpec) -> npt.NDArray[Any]:
    """The shard of ``spec`` in ``data``."""
    view = memoryview(data).cast("B")
    index = decode_index(codec, view, spec.shape)
    inner = codec.inner_spec(spec)
    shard = np.empty(spec.shape, spec.dtype)
    fill = np.frombuffer(_fill_bytes(inner), spec.dtype).reshape(())
    for coords, region in _inner_regions(codec, spec.shape):
        offset, nbytes = (int(value) for value in index[coords])
        if offset == ABSENT and nbytes == ABSENT:
            shard[region] = fill
            continue
        # Compared by subtraction, as the kernels do.
        if offset > view.nbytes or nbytes > view.nbytes - offset:
            raise CorruptChunkError(
                f"inner chunk {coords}: the index puts its {nbytes} bytes at byte {offset}, and the shard "
                f"has {view.nbytes}",
                codec=_NAME,
            )
        try:
            shard[region] = decode_chunk(codec.codecs, view[offset : offset + nbytes], inner)
        except ZarrcError as error:
            error.message = f"{error.message}; in inner chunk {coords}"
            error.args = (error.message,)
            raise
    return shard


def decode_index(codec: ShardingCodec, view: memoryview, shape: tuple[int, ...]) -> npt.NDArray[np.uint64]:
    """The index of a shard of ``shape``: offset and size of each inner chunk.

    Parameters
    ----------
    codec : ShardingCodec
    view : memoryview
        The shard's bytes, or no more of them than the index.
    shape : tuple of int
        Shape of the shard.
    """
    nbytes = codec.index_nbytes(shape)
    if nbytes > view.nbytes:
        raise CorruptChunkError(
            f"the shard has {view.nbytes} bytes, its index of {codec.n_chunks(shape)} inner chunks alone "
            f"{nbytes}",
            codec=_NAME,
        )
    stored = view[:nbytes] if codec.index_location == "start" else view[view.nbytes - nbytes :]
    try:
        index: npt.NDArray[np.uint64] = decode_chunk(codec.index_codecs, stored, codec.index_spec(shape))
    except CorruptChunkError as error:
        raise CorruptChunkError(f"the shard's index: {error.message}", codec=_NAME) from error
    return index


def _inner_regions(
    codec: ShardingCodec, shape: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Yield the grid coordinates of each inner chunk and its region in the shard, in C order."""
    for coords in product(*map(range, codec.grid_shape(shape))):
        yield (
            coords,
            tuple(
                slice(i * extent, (i + 1) * extent)
                for i, extent in zip(coords, codec.chunk_shape, strict=True)
            ),
        )


def _fill_bytes(spec: ChunkSpec) -> bytes:
    return bytes(spec.dtype.itemsize) if spec.fill is None else spec.fill.tobytes()


def encode_chunk(codecs: Sequence[Codec], chunk: npt.NDArray[Any], spec: ChunkSpec) -> bytes:
    """The bytes that a chain makes of a chunk."""
    data: Any = chunk
    for codec in codecs:
        resolved = codec.resolve(spec)
        with _Blaming(codec):
            data = codec.encode(data, spec)  # type: ignore[attr-defined]
        spec = resolved
    return data if type(data) is bytes else memoryview(data).tobytes()


def decode_chunk(codecs: Sequence[Codec], data: Buffer, spec: ChunkSpec) -> npt.NDArray[Any]:
    """The chunk of ``spec`` that a chain made ``data`` of."""
    steps: list[tuple[Codec, ChunkSpec, int | None]] = []
    nbytes: int | None = None
    at = spec
    for codec in codecs:
        # The size that decoding must give, where it follows from the chunk.
        steps.append((codec, at, nbytes))
        if isinstance(codec, BytesCodec):
            nbytes = at.nbytes
        elif nbytes is not None:
            nbytes = nbytes + 4 if isinstance(codec, Crc32cCodec) else None
        at = codec.resolve(at)
    decoded: Any = data
    for codec, at, nbytes in reversed(steps):
        with _Blaming(codec):
            if codec.kind in ("bytes_to_bytes", "unknown"):
                decoded = codec.decode(decoded, at, nbytes)  # type: ignore[attr-defined]
            else:
                decoded = _as_specified(codec.decode(decoded, at), at)  # type: ignore[attr-defined]
    chunk: npt.NDArray[Any] = decoded
    return chunk


def decode_bytes(codecs: Sequence[Codec], data: Buffer, spec: ChunkSpec) -> Buffer:
    """What the bytes-to-bytes codecs of a chain made ``data`` of."""
    for codec in reversed(codecs):
        with _Blaming(codec):
            data = codec.decode(data, spec)  # type: ignore[attr-defined]
    return data


def _as_specified(decoded: Any, spec: ChunkSpec) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.asarray(decoded)
    if array.shape != spec.shape or array.dtype.newbyteorder("=") != spec.dtype:
        raise CodecError(
            f"gave {array.dtype} of shape {array.shape} where {spec.dtype} of shape {spec.shape} is due"
        )
    return array


class _Blaming:
    """What goes wrong in a codec is an error of ours that names it."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None or isinstance(error, (MemoryError, RecursionError)):
            return
        if isinstance(error, ZarrcError):
            error.codec = error.codec or self.codec.name
        elif isinstance(error, Exception):
            raise CodecError(f"{type(error).__name__}: {error}", codec=self.codec.name) from error
