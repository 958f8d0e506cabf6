"""What an array of a workload is, in words that every library can be told."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

# Each codec of the bench: (filters, compressors) in the words of zarr.json, and of .zarray where a workload
# needs it. "$typesize" stands for the size of an element.
_Documents = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def _v3(name: str, **configuration: Any) -> dict[str, Any]:
    return {"name": name, "configuration": configuration} if configuration else {"name": name}


def _blosc(cname: str, shuffle: str) -> dict[str, Any]:
    return _v3("blosc", cname=cname, clevel=5, shuffle=shuffle, typesize="$typesize", blocksize=0)


CODECS: dict[str, _Documents] = {
    "none": ([], []),
    "zstd": ([], [_v3("zstd", level=3, checksum=False)]),
    "gzip-6": ([], [_v3("gzip", level=6)]),
    "lz4": ([], [_v3("numcodecs.lz4", acceleration=1)]),
    "blosc-lz4": ([], [_blosc("lz4", "shuffle")]),
    "blosc-zstd-bitshuffle": ([], [_blosc("zstd", "bitshuffle")]),
    "bitround": ([_v3("numcodecs.bitround", keepbits=10)], []),
    "transpose": ([_v3("transpose", order=[2, 1, 0])], []),
    "crc32c": ([], [_v3("crc32c")]),
}

CODECS_V2: dict[str, _Documents] = {
    "none": ([], []),
    "zstd": ([], [{"id": "zstd", "level": 3}]),
    "gzip-6": ([], [{"id": "gzip", "level": 6}]),
    "blosc-lz4": ([], [{"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySpec:
    """An array: its shape and layout, and by them the values of `bench.fields` that it holds."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str = "uint16"
    codec: str = "none"
    zarr_format: int = 3
    # Where the chunks are inner chunks: the shape of the stored objects.
    shards: tuple[int, ...] | None = None

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def chunk_nbytes(self) -> int:
        return math.prod(self.chunks) * np.dtype(self.dtype).itemsize

    @property
    def n_chunks(self) -> int:
        return math.prod(self.grid)

    @property
    def grid(self) -> tuple[int, ...]:
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True))

    @property
    def shard_nbytes(self) -> int:
        return math.prod(self.shards or self.chunks) * np.dtype(self.dtype).itemsize

    @property
    def chunks_per_shard(self) -> int:
        return self.shard_nbytes // self.chunk_nbytes

    @property
    def n_shards(self) -> int:
        shards = self.shards or self.chunks
        return math.prod(-(-n // s) for n, s in zip(self.shape, shards, strict=True))

    @property
    def field_name(self) -> str:
        """What the array's values are called: the codec and the format do not count."""
        return f"{'x'.join(map(str, self.shape))}-{self.dtype}"

    @property
    def name(self) -> str:
        chunks = "x".join(map(str, self.chunks))
        if self.shards:
            chunks += "-shards-" + "x".join(map(str, self.shards))
        return f"{self.field_name}-chunks-{chunks}-{self.codec}-v{self.zarr_format}"

    @property
    def attributes(self) -> dict[str, Any]:
        return {"units": "K", "long_name": "a field", "valid_range": [0, 65535]}

    def regions(self) -> Iterator[tuple[slice, ...]]:
        """The selection of each chunk, in C order."""
        for index in itertools.product(*map(range, self.grid)):
            yield tuple(
                slice(i * c, min((i + 1) * c, n))
                for i, c, n in zip(index, self.chunks, self.shape, strict=True)
            )

    def codec_documents(self) -> _Documents:
        """Return (filters, compressors) as the metadata document of `zarr_format` has them."""
        table = CODECS if self.zarr_format == 3 else CODECS_V2
        if self.codec not in table:
            raise KeyError(f"no {self.codec!r} in Zarr format {self.zarr_format} here")
        itemsize = np.dtype(self.dtype).itemsize

        def filled(document: dict[str, Any]) -> dict[str, Any]:
            if "configuration" not in document:
                return dict(document)
            values = document["configuration"].items()
            return {**document, "configuration": {k: itemsize if v == "$typesize" else v for k, v in values}}

        filters, compressors = table[self.codec]
        return [filled(one) for one in filters], [filled(one) for one in compressors]

    def encoded_bound(self) -> int:
        """The most bytes that a codec may make of a chunk, generously: a 1/128 and a kilobyte more."""
        return self.chunk_nbytes + self.chunk_nbytes // 128 + 1024
