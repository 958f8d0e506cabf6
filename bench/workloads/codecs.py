"""Each codec both ways: a float32 array of a few megabytes a chunk, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.arrays import CODECS, ArraySpec
from bench.bare import Blosc, Threads, aligned, bare, flat
from bench.libraries.base import Library
from bench.workloads.base import (
    Place,
    Task,
    Workload,
    by_size,
    chunk_of,
    equal_to,
    unchecked,
    write_task,
)


def bitrounded(values: np.ndarray, keepbits: int = 10) -> np.ndarray:
    """``values`` (float32) with ``keepbits`` bits of mantissa, half to even: what bitround has to give."""
    bits = values.view(np.uint32)
    drop = 23 - keepbits
    half = np.uint32((1 << (drop - 1)) - 1)
    rounded = bits + half + ((bits >> np.uint32(drop)) & np.uint32(1))
    return ((rounded >> np.uint32(drop)) << np.uint32(drop)).view(np.float32)


@dataclass(frozen=True, kw_only=True)
class Codec(Workload):
    @property
    def moved_nbytes(self) -> int:
        return self.spec.nbytes

    def expected(self, place: Place) -> np.ndarray:
        data = place.field(self.spec)
        return bitrounded(data) if self.spec.codec == "bitround" else data


class Decode(Codec):
    def prepare(self, library: Library, place: Place) -> Task:
        location, note = place.in_memory(library)
        array = library.create(location, self.spec)
        library.writer(array, ..., place.field(self.spec))()

        def close() -> None:
            library.close(array)
            place.forget_memory()

        return Task(library.reader(array, ...), equal_to(self.expected(place)), close=close, note=note)

    def limit(self, place: Place) -> Task:
        spec = self.spec
        codec, threads = bare(spec), Threads(place.threads)
        encoded = [codec.encoded(chunk_of(spec, place.field(spec), i)) for i in range(spec.n_chunks)]

        out = aligned(spec.nbytes)
        step = spec.chunk_nbytes
        outs = [out[i * step : (i + 1) * step] for i in range(spec.n_chunks)]
        return Task(lambda: threads.map(codec.decode, encoded, outs), unchecked, close=threads.close)


class Encode(Codec):
    def prepare(self, library: Library, place: Place) -> Task:
        return write_task(library, place, self.spec, memory=True, expected=self.expected(place))

    def limit(self, place: Place) -> Task:
        spec = self.spec
        codec, threads = bare(spec), Threads(place.threads)
        data = flat(place.field(spec)).reshape(spec.n_chunks, -1)
        whole = isinstance(codec, Blosc)
        encoded: list[Any] = []

        def one(chunk: np.ndarray, out: np.ndarray | None) -> Any:
            return codec.encoded(chunk.view(spec.dtype)) if whole else codec.encode(chunk, out)  # type: ignore[arg-type]

        def call() -> list[Any]:
            # As a store keeps them: each in memory of its own.
            outs = [None if whole else np.empty(spec.encoded_bound(), np.uint8) for _ in data]
            threads.map(one, list(data), outs)
            return outs

        return Task(call, unchecked, encoded.clear, threads.close)


def workloads(size: str) -> Iterator[Workload]:
    chunks = by_size(size, (16, 32, 32), (64, 128, 128), (64, 128, 128))
    for codec in CODECS:
        if codec == "none":
            continue
        # zlib, which most peers have, needs seconds for 16 MiB.
        shape = by_size(size, (32, 64, 64), *2 * ((64 if codec == "gzip-6" else 256, 256, 256),))
        spec = ArraySpec(shape=shape, chunks=chunks, dtype="float32", codec=codec)
        sizes = (f"{nbytes / 2**20:g} MiB" for nbytes in (spec.nbytes, spec.chunk_nbytes))
        text = f"{codec}, {' float32 in chunks of '.join(sizes)}, memory"
        limit_is = "memcpy" if codec in ("transpose", "bitround") else f"{codec} alone, contiguous chunks"
        common: dict[str, Any] = {"spec": spec, "has_source": False, "limit_is": limit_is}
        yield Decode(name=f"decode/{codec}", family="decode", title=f"decode {text}", **common)
        yield Encode(name=f"encode/{codec}", family="encode", title=f"encode {text}", **common)
