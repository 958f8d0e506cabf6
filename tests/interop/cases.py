"""The cells of the interop matrix.

A case says what an array is and what is written to it, in the words of the two formats and of no library.
Both sides (zarrc in this process, a peer in another) work from the same case, so that nothing but stored
arrays passes between them. Only the standard library and NumPy are needed here: the peers' environment
imports it too.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from tests.interop.codecs import (
    BITROUND,
    CRC,
    GZIP,
    ROTATE,
    TRANSPOSE,
    ZSTD,
    Json,
    blosc_v3,
    codec_v3,
)
from tests.interop.shardings import SHARDED_LAYOUTS, SHARDINGS, Sharding

REAL_NAMES = (
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
)
COMPLEX_NAMES = ("complex64", "complex128")
DTYPE_NAMES = ("bool", *REAL_NAMES, *COMPLEX_NAMES, "r24")
GROUPS = ("bool", "integers", "floats", "complex", "raw bits")

# (shape, chunk shape): dividing, not dividing, chunk larger than the array, no elements, 0 to 6 dimensions.
LAYOUTS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((), ()),
    ((12,), (4,)),
    ((13,), (5,)),
    ((7,), (20,)),
    ((1,), (1,)),
    ((0,), (3,)),
    ((3000,), (1024,)),
    ((8, 6), (4, 3)),
    ((9, 7), (4, 3)),
    ((5, 4), (9, 11)),
    ((0, 5), (2, 2)),
    ((3, 0), (2, 4)),
    ((90, 41), (64, 41)),
    ((4, 4, 4), (2, 2, 2)),
    ((5, 6, 7), (2, 4, 3)),
    ((3, 0, 2), (2, 1, 2)),
    ((3, 4, 5, 2), (2, 3, 2, 2)),
    ((2, 3, 2, 3), (3, 4, 5, 5)),
    ((3, 2, 3, 2, 3), (2, 2, 2, 1, 2)),
    ((2, 3, 2, 2, 3, 2), (1, 2, 2, 2, 2, 1)),
    ((2, 1, 0, 2, 1, 3), (1, 1, 2, 1, 1, 2)),
)

KEYS_V3 = (("default", "/"), ("default", "."), ("v2", "."), ("v2", "/"))
KEYS_V2 = (("v2", "."), ("v2", "/"))
FILLS = ("zero", "extreme", "special")
BLOSC_CNAMES = ("blosclz", "lz4", "lz4hc", "zlib", "zstd", "snappy")
BLOSC_SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")

_BLOSCS = {f"blosc {c} {s}": (blosc_v3(c, s),) for c in BLOSC_CNAMES for s in BLOSC_SHUFFLES}

# Format 3: every codec but "bytes", which stands between the array codecs and the others.
CHAINS_V3: dict[str, tuple[Json, ...]] = {
    "none": (),
    "zstd": (codec_v3("zstd", level=0, checksum=False),),
    "zstd level -7": (codec_v3("zstd", level=-7, checksum=False),),
    "zstd level 19": (codec_v3("zstd", level=19, checksum=False),),
    "zstd checksum": (codec_v3("zstd", level=3, checksum=True),),
    "gzip level 1": (codec_v3("gzip", level=1),),
    "gzip level 9": (codec_v3("gzip", level=9),),
    "lz4": (codec_v3("numcodecs.lz4", acceleration=1),),
    "zlib": (codec_v3("numcodecs.zlib", level=6),),
    **_BLOSCS,
    "blosc level 0": (blosc_v3("lz4", "shuffle", clevel=0),),
    "blosc level 9, blocks of 512": (blosc_v3("zstd", "bitshuffle", clevel=9, blocksize=512),),
    "crc32c": (CRC,),
    "transpose": (TRANSPOSE,),
    "transpose > zstd": (ROTATE, ZSTD),
    "transpose > transpose > gzip": (ROTATE, TRANSPOSE, GZIP),
    "bitround": (BITROUND,),
    "bitround > transpose > blosc": (BITROUND, TRANSPOSE, blosc_v3("lz4", "shuffle")),
    "zstd > crc32c": (ZSTD, CRC),
    "gzip > crc32c": (GZIP, CRC),
    "blosc > crc32c": (blosc_v3("zstd", "shuffle"), CRC),
    "transpose > blosc > crc32c": (TRANSPOSE, blosc_v3("lz4", "bitshuffle"), CRC),
    "crc32c > zstd": (CRC, ZSTD),
    "zstd > gzip": (ZSTD, GZIP),
    "gzip > blosc > crc32c": (GZIP, blosc_v3("blosclz", "shuffle"), CRC),
    "lz4 > crc32c": (codec_v3("numcodecs.lz4", acceleration=1), CRC),
}


def _blosc_v2(cname: str, shuffle: int, *, clevel: int = 5, blocksize: int = 0) -> Json:
    return {"id": "blosc", "cname": cname, "clevel": clevel, "shuffle": shuffle, "blocksize": blocksize}


@dataclass(frozen=True)
class ChainV2:
    """Format 2's way to say a codec chain."""

    compressor: Json | None
    order: Literal["C", "F"] = "C"
    filters: tuple[Json, ...] = ()


_BLOSCS_V2 = {
    f"blosc {c} {s}": ChainV2(_blosc_v2(c, number))
    for c in BLOSC_CNAMES
    for number, s in enumerate(BLOSC_SHUFFLES)
}
CHAINS_V2: dict[str, ChainV2] = {
    "none": ChainV2(None),
    "zstd": ChainV2({"id": "zstd", "level": 0}),
    "zstd level -7": ChainV2({"id": "zstd", "level": -7}),
    "zstd level 19": ChainV2({"id": "zstd", "level": 19}),
    "zstd checksum": ChainV2({"id": "zstd", "level": 3, "checksum": True}),
    "gzip level 1": ChainV2({"id": "gzip", "level": 1}),
    "gzip level 9": ChainV2({"id": "gzip", "level": 9}),
    "lz4": ChainV2({"id": "lz4", "acceleration": 1}),
    "zlib": ChainV2({"id": "zlib", "level": 6}),
    "zlib level 1": ChainV2({"id": "zlib", "level": 1}),
    **_BLOSCS_V2,
    "blosc automatic shuffle": ChainV2(_blosc_v2("lz4", -1)),
    "blosc level 0": ChainV2(_blosc_v2("lz4", 1, clevel=0)),
    "blosc level 9, blocks of 512": ChainV2(_blosc_v2("zstd", 2, clevel=9, blocksize=512)),
    "order F": ChainV2(None, "F"),
    "order F > zstd": ChainV2({"id": "zstd", "level": 1}, "F"),
    "order F > blosc": ChainV2(_blosc_v2("lz4", 1), "F"),
    "order F > zlib": ChainV2({"id": "zlib", "level": 1}, "F"),
    "bitround": ChainV2(None, filters=({"id": "bitround", "keepbits": 5},)),
    "bitround > zstd": ChainV2({"id": "zstd", "level": 1}, filters=({"id": "bitround", "keepbits": 5},)),
}


@dataclass(frozen=True)
class Case:
    """One array: what it is, and which of it is written."""

    number: int
    zarr_format: Literal[2, 3]
    dtype_name: str
    endian: Literal["little", "big"]
    chain: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    key_encoding: tuple[str, str]
    fill: str
    written: Literal["all", "part", "one", "none"]
    # For a sharded array, whose inner chunks are `chunks`: the shape of the shard, and those nested in them.
    shards: tuple[int, ...] | None = None
    nested: tuple[tuple[int, ...], ...] = ()

    def __str__(self) -> str:
        name, separator = self.key_encoding
        return (
            f"#{self.number} v{self.zarr_format} {self.dtype_name} {self.endian} [{self.chain}] "
            f"shape {self.shape} {self._chunk_words()} keys {name}{separator} "
            f"fill {self.fill}, {self.written}"
        )

    def _chunk_words(self) -> str:
        if self.shards is None:
            return f"chunks {self.chunks}"
        return f"sharded {' in '.join(map(str, (*self.nested[::-1], self.chunks, self.shards)))}"

    def to_json(self) -> Json:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Json) -> Case:
        tuples = {name: tuple(document[name]) for name in ("shape", "chunks", "key_encoding")}
        shards = None if document["shards"] is None else tuple(document["shards"])
        nested = tuple(tuple(shape) for shape in document["nested"])
        return cls(**{**document, **tuples, "shards": shards, "nested": nested})

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def group(self) -> str:
        """The group of data types that the table's row is about."""
        if self.dtype_name in ("bool", "r24"):
            return "bool" if self.dtype_name == "bool" else "raw bits"
        if self.dtype_name.startswith("complex"):
            return "complex"
        return "floats" if self.dtype_name.startswith("float") else "integers"

    @property
    def native_dtype(self) -> np.dtype[Any]:
        return np.dtype("V3" if self.dtype_name == "r24" else self.dtype_name)

    @property
    def v2_dtype(self) -> np.dtype[Any]:
        return self.native_dtype.newbyteorder("<" if self.endian == "little" else ">")

    @property
    def lossy(self) -> bool:
        return "bitround" in self.chain

    @property
    def plain_shards(self) -> bool:
        """Whether the shapes and the inner codecs say all, so that half of the cases are made by these."""
        return self.shards is not None and self.sharding.plain and self.number % 2 == 0

    def selection(self) -> tuple[slice, ...] | None:
        """The box that is written; None where nothing is."""
        if self.written == "none":
            return None
        if self.written == "all":
            return (slice(None),) * self.ndim
        if self.written == "one":
            return tuple(slice(n // 2, n // 2 + 1) for n in self.shape)
        return tuple(slice(n // 3, n // 3 + (n + 1) // 2) for n in self.shape)

    def values(self) -> np.ndarray[Any, Any]:
        """What is written, one value for each element of the array, the same bits in every process."""
        if self.lossy:
            return _finite_values(self.shape, self.native_dtype, self.number)
        return _any_values(self.shape, self.native_dtype, self.number)

    def fill_value(self) -> np.ndarray[Any, Any]:
        return _fill(self.native_dtype, self.fill)

    def expected(self) -> np.ndarray[Any, Any]:
        """What every library must read, in native byte order."""
        result = np.empty(self.shape, self.native_dtype)
        result[...] = self.fill_value()[()]
        box = self.selection()
        if box is not None:
            values = self.values()
            result[box] = (round_bits(values, 5) if self.lossy else values)[box]
        return result

    def update(self) -> tuple[tuple[slice, ...], np.ndarray[Any, Any]]:
        """A second write, by whoever did not make the first: a box and its values."""
        box = tuple(slice(n // 4, n // 4 + (n + 2) // 3) for n in self.shape)
        return box, _any_values(self.shape, self.native_dtype, self.number + 1)[box]

    def updated(self) -> np.ndarray[Any, Any]:
        """What every library must read after the update."""
        result = self.expected()
        box, values = self.update()
        result[box] = values
        return result

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape of what one stored object holds."""
        return self.chunks if self.shards is None else self.shards

    @property
    def sharding(self) -> Sharding:
        return SHARDINGS[self.chain]

    def codecs(self) -> list[Json]:
        """The chain of a document of format 3."""
        if self.shards is None:
            return [*self.array_to_array(), self.bytes_codec(), *self.bytes_to_bytes()]
        sharding = self.sharding
        chain = [*map(self._with_array, sharding.inner_arrays), self.bytes_codec()]
        chain += map(self._with_array, sharding.inner)
        before = self.array_to_array_before()
        for shape in (*self.nested[::-1], self.chunks):
            for codec in before:  # the sharding codec sees the chunk with its dimensions permuted
                shape = tuple(shape[axis] for axis in codec["configuration"]["order"])
            chain = [
                codec_v3(
                    "sharding_indexed",
                    chunk_shape=list(shape),
                    codecs=chain,
                    index_codecs=list(sharding.index),
                    index_location=sharding.location,
                )
            ]
        return [*before, *chain, *map(self._with_array, sharding.after)]

    def array_to_array_before(self) -> list[Json]:
        """What comes before the sharding codec."""
        return [self._with_array(codec) for codec in self.sharding.before]

    def array_to_array(self) -> list[Json]:
        return [c for c in self._chain_v3() if c["name"] in ("transpose", "bitround")]

    def bytes_codec(self) -> Json:
        return (
            {"name": "bytes", "configuration": {"endian": self.endian}}
            if self.swappable
            else {"name": "bytes"}
        )

    def bytes_to_bytes(self) -> list[Json]:
        return [c for c in self._chain_v3() if c["name"] not in ("transpose", "bitround")]

    @property
    def swappable(self) -> bool:
        return self.native_dtype.kind != "V" and self.native_dtype.itemsize > 1

    @property
    def chain_v2(self) -> ChainV2:
        return CHAINS_V2[self.chain]

    def _chain_v3(self) -> list[Json]:
        if self.shards is None:
            return [self._with_array(codec) for codec in CHAINS_V3[self.chain]]
        return [self._with_array(codec) for codec in (*self.sharding.inner_arrays, *self.sharding.inner)]

    def _with_array(self, codec: Json) -> Json:
        """The codec with what depends on the array filled in."""
        configuration = dict(codec.get("configuration", {}))
        if codec["name"] == "blosc":
            configuration["typesize"] = self.native_dtype.itemsize
        if codec["name"] == "transpose":
            axes = list(range(self.ndim))
            configuration["order"] = (
                axes[::-1] if configuration["order"] == "reversed" else axes[1:] + axes[:1]
            )
        return {"name": codec["name"], **({"configuration": configuration} if configuration else {})}


def _noise(n_bytes: int, seed: int) -> bytes:
    return hashlib.shake_128(seed.to_bytes(4, "little")).digest(n_bytes)


def _any_values(shape: tuple[int, ...], dtype: np.dtype[Any], seed: int) -> np.ndarray[Any, Any]:
    """Any bits that the type allows (NaN payloads, subnormals), repeated so that they compress."""
    n = math.prod(shape)
    noise = np.frombuffer(_noise(97 * dtype.itemsize, seed), np.uint8)
    if dtype.kind == "b":
        noise = noise & 1
    tiled = np.resize(noise, n * dtype.itemsize)
    return tiled.view(dtype).reshape(shape) if n else np.empty(shape, dtype)


def _finite_values(shape: tuple[int, ...], dtype: np.dtype[Any], seed: int) -> np.ndarray[Any, Any]:
    """Moderate numbers, on which all libraries mean the same by rounding bits."""
    n = math.prod(shape)
    noise = np.resize(np.frombuffer(_noise(2 * 97, seed), "<i2"), 2 * n).astype("f8") / 1000.0
    values = noise[:n] + 1j * noise[n:] if dtype.kind == "c" else noise[:n]
    return values.astype(dtype).reshape(shape)


def round_bits(values: np.ndarray[Any, Any], keepbits: int) -> np.ndarray[Any, Any]:
    """Round finite floats (complex: both components) to `keepbits` bits of mantissa, half to even."""
    component = np.dtype(f"f{values.dtype.itemsize // (2 if values.dtype.kind == 'c' else 1)}")
    dropped = np.finfo(component).nmant - keepbits
    if dropped <= 0:
        return values
    unsigned = np.dtype(f"u{component.itemsize}")
    bits = np.ascontiguousarray(values).reshape(-1).view(unsigned)
    half = unsigned.type((1 << (dropped - 1)) - 1)
    odd = (bits >> unsigned.type(dropped)) & unsigned.type(1)
    mask = unsigned.type(~((1 << dropped) - 1) & (2 ** (8 * unsigned.itemsize) - 1))
    return ((bits + half + odd) & mask).view(values.dtype).reshape(values.shape)


def _fill(dtype: np.dtype[Any], name: str) -> np.ndarray[Any, Any]:
    """A fill value as a 0-d array."""
    if dtype.kind == "V":
        return np.frombuffer(
            {"zero": b"\0\0\0", "extreme": b"\xff\xff\xff", "special": b"\1\2\3"}[name], dtype
        ).reshape(())
    if name == "zero":
        return np.zeros((), dtype)
    if dtype.kind == "b":
        return np.ones((), dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.array(limits.max if name == "extreme" else (limits.min or 7), dtype)
    if dtype.kind == "c":
        return np.array(complex(-np.inf, 1.5) if name == "extreme" else complex(np.nan, -0.25), dtype)
    return np.array(-np.inf if name == "extreme" else np.nan, dtype)


def fill_to_json(fill: np.ndarray[Any, Any]) -> Any:
    """A fill value as JSON, as both formats write numbers."""
    if fill.dtype.kind == "c":
        return [_float_to_json(float(fill.real)), _float_to_json(float(fill.imag))]
    return _float_to_json(float(fill)) if fill.dtype.kind == "f" else fill.item()


def _float_to_json(value: float) -> Any:
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def same_bits(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> bool:
    """Are two arrays of one shape and type equal bit for bit, whatever their byte order?"""
    little = right.dtype.newbyteorder("<")
    if left.shape != right.shape or left.dtype.newbyteorder("<") != little:
        return False
    return left.astype(little).tobytes() == right.astype(little).tobytes()


def difference(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> str:
    """The first element of `found` that is not what was expected; "" where all are."""
    if same_bits(found, expected):
        return ""
    if found.shape != expected.shape or found.dtype.newbyteorder("<") != expected.dtype.newbyteorder("<"):
        return f"expected {expected.dtype} {expected.shape}, read {found.dtype} {found.shape}"
    for index in np.ndindex(expected.shape):
        if not same_bits(np.asarray(found[index]), np.asarray(expected[index])):
            return f"element {index}: expected {expected[index]!r}, read {found[index]!r}"
    return "equal elements, different arrays"


def _endians(dtype_name: str) -> tuple[Literal["little", "big"], ...]:
    one_byte = dtype_name in ("bool", "int8", "uint8", "r24")
    return ("little",) if one_byte else ("little", "big")


def _applies(chain: str, dtype_name: str) -> bool:
    return "bitround" not in chain or dtype_name.startswith(("float", "complex"))


def _wanted() -> Iterator[tuple[Any, ...]]:
    """(format, dtype, endian, chain, layout, keys); a None is filled in by turns."""
    chains = [(3, c) for c in CHAINS_V3] + [(2, c) for c in CHAINS_V2]
    for (zarr_format, chain), dtype_name in itertools.product(chains, DTYPE_NAMES):
        if _applies(chain, dtype_name):
            for endian in _endians(dtype_name):
                yield zarr_format, dtype_name, endian, chain, None, None
    for layout in LAYOUTS:
        for key, chain in itertools.product(KEYS_V3, ("none", "zstd > crc32c", "transpose > zstd")):
            yield 3, None, None, chain, layout, key
        for key, chain in itertools.product(KEYS_V2, ("none", "blosc lz4 shuffle", "order F > zstd")):
            yield 2, None, None, chain, layout, key


def _pick(options: tuple[Any, ...], number: int, salt: str) -> Any:
    """One of the options, by the case's number: the same on every machine."""
    return options[
        int.from_bytes(hashlib.sha256(f"{salt}{number}".encode()).digest()[:4], "little") % len(options)
    ]


def _case(number: int, wanted: tuple[Any, ...]) -> Case:
    zarr_format, dtype_name, endian, chain, layout, keys = wanted
    dtype_name = dtype_name or DTYPE_NAMES[number % len(DTYPE_NAMES)]
    shape, chunks = layout or _pick(LAYOUTS, number, "layout")
    return Case(
        number=number,
        zarr_format=zarr_format,
        dtype_name=dtype_name,
        endian=endian or _endians(dtype_name)[number // 2 % len(_endians(dtype_name))],
        chain=chain,
        shape=shape,
        chunks=chunks,
        key_encoding=keys or _pick(KEYS_V3 if zarr_format == 3 else KEYS_V2, number, "keys"),
        fill=_pick(FILLS, number, "fill"),
        written=_pick(("all", "all", "all", "all", "part", "part", "none"), number, "written"),
    )


_LAYOUTS_WITH_ELEMENTS = tuple(layout for layout in SHARDED_LAYOUTS if 0 not in layout[0])


def _wanted_shards() -> Iterator[tuple[str, str, Any]]:
    """(chain, dtype, layout); a None is filled in by turns."""
    for chain, dtype_name in itertools.product(SHARDINGS, ("bool", *REAL_NAMES, *COMPLEX_NAMES)):
        yield chain, dtype_name, None
    for layout, chain in itertools.product(SHARDED_LAYOUTS, ("zstd", "start", "gzip after", "nested thrice")):
        yield chain, "", layout


def _sharded_case(number: int, chain: str, dtype_name: str, layout: Any) -> Case:
    shape, levels = layout or _pick(_LAYOUTS_WITH_ELEMENTS, number, "sharded layout")
    dtype_name = dtype_name or DTYPE_NAMES[number % (len(DTYPE_NAMES) - 1)]
    return Case(
        number=number,
        zarr_format=3,
        dtype_name=dtype_name,
        endian=_pick(_endians(dtype_name), number, "endian"),
        chain=chain,
        shape=shape,
        chunks=levels[1],
        key_encoding=_pick(KEYS_V3, number, "keys"),
        fill=_pick(FILLS, number, "fill"),
        written=_pick(("all",) * 5 + ("part",) * 3 + ("one",) * 2 + ("none",), number, "written"),
        shards=levels[0],
        nested=levels[2 : 1 + SHARDINGS[chain].levels],
    )


def sharded_cases() -> list[Case]:
    """The cells that are sharded arrays."""
    return [_sharded_case(number, *wanted) for number, wanted in enumerate(_wanted_shards(), 10_000)]


def all_cases() -> list[Case]:
    """Every cell, in a fixed order."""
    return [*(_case(number, wanted) for number, wanted in enumerate(_wanted())), *sharded_cases()]


def sample(every: int, start: int) -> list[Case]:
    """One case in `every`, from the one numbered `start`."""
    return all_cases()[start % every :: every]
