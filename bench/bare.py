"""The limit: system calls and compressors with nothing around them: how far is a library from the machine?

The compressors are the system's shared libraries, called through ctypes, their contexts made once a thread;
blosc and CRC-32C are those of numcodecs and google_crc32c. A copy is NumPy's, which is memcpy.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import mmap
import os
import threading
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.libraries.base import Cannot


def usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def flat(array: np.ndarray) -> np.ndarray:
    """The bytes of a C-contiguous array."""
    return array.reshape(-1).view(np.uint8)


def aligned(nbytes: int, *, touched: bool = True) -> np.ndarray:
    """New memory on huge pages: the kernel copies into it up to three times as fast as to an odd address."""
    huge = 2 << 20
    # Private: shared memory is on small pages.
    mapped = mmap.mmap(-1, nbytes + huge, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        mapped.madvise(mmap.MADV_HUGEPAGE)
    whole = np.frombuffer(mapped, np.uint8)
    start = -whole.ctypes.data % huge
    found = whole[start : start + nbytes]
    if touched:
        found[:] = 0
    return found


def read_file(path: str, out: Any) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(descriptor, [out], 0)
    finally:
        os.close(descriptor)


def write_file(path: str, data: Any) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        view = memoryview(data)
        while len(view):
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def stored_chunks(path: Path) -> list[str]:
    """The files of the chunks of the array at ``path``, sorted."""
    return sorted(
        str(file)
        for file in path.rglob("*")
        if file.is_file() and not file.name.startswith(".z") and file.name != "zarr.json"
    )


class Threads:
    """``n`` threads that run a function on each of many arguments, the caller's where ``n`` is 1."""

    def __init__(self, n: int | None) -> None:
        self.n = n or usable_cpus()
        self._pool = ThreadPoolExecutor(self.n) if self.n > 1 else None

    def map(self, function: Callable[..., Any], *arguments: Sequence[Any]) -> None:
        run: Iterable[Any] = (self._pool.map if self._pool else map)(function, *arguments)
        for _ in run:
            pass

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown()


def _shared(name: str) -> ctypes.CDLL:
    found = ctypes.util.find_library(name)
    if found is None:
        raise Cannot(f"no lib{name} on this machine")
    return ctypes.CDLL(found)


def _address(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


class Bare(ABC):
    """One codec: `encoded` makes bytes of a chunk, `decode` writes a chunk's bytes into ``out``."""

    what = ""

    def __init__(self, spec: ArraySpec) -> None:
        self.spec = spec
        self.local = threading.local()

    @abstractmethod
    def encoded(self, chunk: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def decode(self, data: np.ndarray, out: np.ndarray) -> None: ...


class Placing(Bare):
    """A codec that encodes into memory that it is given."""

    def bound(self, nbytes: int) -> int:
        return nbytes + nbytes // 128 + 1024

    @abstractmethod
    def encode(self, data: np.ndarray, out: np.ndarray) -> int:
        """Encode ``data`` into the start of ``out``, and return how many bytes it took."""

    def encoded(self, chunk: np.ndarray) -> np.ndarray:
        out = np.empty(self.bound(chunk.nbytes), np.uint8)
        return out[: self.encode(flat(chunk), out)].copy()


class Copy(Placing):
    what = "memcpy"

    def encode(self, data: np.ndarray, out: np.ndarray) -> int:
        out[: data.size] = data
        return data.size

    def decode(self, data: np.ndarray, out: np.ndarray) -> None:
        out[:] = data[: out.size]


class Zstd(Placing):
    what = "libzstd, one context a thread"

    def __init__(self, spec: ArraySpec) -> None:
        super().__init__(spec)
        library = _shared("zstd")
        size, pointer = ctypes.c_size_t, ctypes.c_void_p
        for name, result, arguments in (
            ("ZSTD_createCCtx", pointer, []),
            ("ZSTD_createDCtx", pointer, []),
            ("ZSTD_compressCCtx", size, [pointer, pointer, size, pointer, size, ctypes.c_int]),
            ("ZSTD_decompressDCtx", size, [pointer, pointer, size, pointer, size]),
        ):
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        self.library = library

    def _context(self, name: str) -> Any:
        if not hasattr(self.local, name):
            setattr(self.local, name, getattr(self.library, f"ZSTD_create{name}")())
        return getattr(self.local, name)

    def encode(self, data: np.ndarray, out: np.ndarray) -> int:
        return int(
            self.library.ZSTD_compressCCtx(
                self._context("CCtx"), _address(out), out.size, _address(data), data.size, 3
            )
        )

    def decode(self, data: np.ndarray, out: np.ndarray) -> None:
        self.library.ZSTD_decompressDCtx(
            self._context("DCtx"), _address(out), out.size, _address(data), data.size
        )


class Lz4(Placing):
    what = "liblz4"

    def __init__(self, spec: ArraySpec) -> None:
        super().__init__(spec)
        self.library = _shared("lz4")
        pointer, integer = ctypes.c_void_p, ctypes.c_int
        self.library.LZ4_compress_default.argtypes = [pointer, pointer, integer, integer]
        self.library.LZ4_decompress_safe.argtypes = [pointer, pointer, integer, integer]

    def encode(self, data: np.ndarray, out: np.ndarray) -> int:
        return int(self.library.LZ4_compress_default(_address(data), _address(out), data.size, out.size))

    def decode(self, data: np.ndarray, out: np.ndarray) -> None:
        self.library.LZ4_decompress_safe(_address(data), _address(out), data.size, out.size)


class Gzip(Placing):
    """libdeflate where the system has it: about twice as fast as zlib, and what a fast library would use."""

    what = "libdeflate"

    def __init__(self, spec: ArraySpec) -> None:
        super().__init__(spec)
        library = _shared("deflate")
        size, pointer = ctypes.c_size_t, ctypes.c_void_p
        for name, result, arguments in (
            ("libdeflate_alloc_compressor", pointer, [ctypes.c_int]),
            ("libdeflate_alloc_decompressor", pointer, []),
            ("libdeflate_gzip_compress", size, [pointer, pointer, size, pointer, size]),
            ("libdeflate_gzip_decompress", ctypes.c_int, [pointer, pointer, size, pointer, size, pointer]),
        ):
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        self.library = library

    def encode(self, data: np.ndarray, out: np.ndarray) -> int:
        if not hasattr(self.local, "compressor"):
            self.local.compressor = self.library.libdeflate_alloc_compressor(6)
        return int(
            self.library.libdeflate_gzip_compress(
                self.local.compressor, _address(data), data.size, _address(out), out.size
            )
        )

    def decode(self, data: np.ndarray, out: np.ndarray) -> None:
        if not hasattr(self.local, "decompressor"):
            self.local.decompressor = self.library.libdeflate_alloc_decompressor()
        self.library.libdeflate_gzip_decompress(
            self.local.decompressor, _address(data), data.size, _address(out), out.size, None
        )


class Zlib(Placing):
    what = "zlib"

    def encode(self, data: np.ndarray, out: np.ndarray) -> int:
        compressor = zlib.compressobj(6, wbits=31)
        encoded = compressor.compress(data.data) + compressor.flush()
        out[: len(encoded)] = np.frombuffer(encoded, np.uint8)
        return len(encoded)

    def decode(self, data: np.ndarray, out: np.ndarray) -> None:
        out[:] = np.frombuffer(zlib.decompress(data.data, wbits=31, bufsize=out.size), np.uint8)


class Blosc(Bare):
    what = "c-blosc 1 in numcodecs, one thread a chunk"

    def __init__(self, spec: ArraySpec) -> None:
        super().__init__(spec)
        try:
            from numcodecs import blosc
        except ImportError:
            raise Cannot("no numcodecs for c-blosc") from None
        configuration = spec.codec_documents()[1][0]["configuration"]
        blosc.use_threads = False
        shuffle = {"shuffle": blosc.SHUFFLE, "bitshuffle": blosc.BITSHUFFLE}[configuration["shuffle"]]
        self.codec = blosc.Blosc(configuration["cname"], configuration["clevel"], shuffle)

    def encoded(self, chunk: np.ndarray) -> np.ndarray:
        return np.frombuffer(self.codec.encode(chunk), np.uint8)

    def decode(self, data: np.ndarray, out: np.ndarray) -> None:
        self.codec.decode(data, out)


class Crc32c(Copy):
    what = "memcpy and a CRC-32C by google_crc32c"

    def __init__(self, spec: ArraySpec) -> None:
        super().__init__(spec)
        try:
            from google_crc32c import value
        except ImportError:
            raise Cannot("no google_crc32c") from None
        self.value = value

    def encode(self, data: np.ndarray, out: np.ndarray) -> int:
        super().encode(data, out)
        self.value(data.tobytes() if not data.flags.c_contiguous else data)
        return data.size

    def decode(self, data: np.ndarray, out: np.ndarray) -> None:
        super().decode(data, out)
        self.value(data)


_BARE: dict[str, type[Bare]] = {
    "none": Copy,
    "transpose": Copy,
    "bitround": Copy,
    "zstd": Zstd,
    "gzip-6": Gzip,
    "lz4": Lz4,
    "blosc-lz4": Blosc,
    "blosc-zstd-bitshuffle": Blosc,
    "crc32c": Crc32c,
}


def bare(spec: ArraySpec) -> Bare:
    """The bare codec of ``spec``."""
    if spec.codec == "gzip-6" and ctypes.util.find_library("deflate") is None:
        return Zlib(spec)
    return _BARE[spec.codec](spec)
