"""What each peer is known not to do: the only cells that may stay blank.

An error that is not listed here fails the matrix: either zarrc stored something that the peer cannot read,
or the peer changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.interop.cases import Case

# In an update, one wrote the array, the other changed a part of it, and the first reads it again.
Way = Literal["peer reads", "zarrc reads", "peer updates", "zarrc updates"]
WAYS: tuple[Way, ...] = ("peer reads", "zarrc reads", "peer updates", "zarrc updates")


@dataclass(frozen=True)
class Limit:
    """One thing that a peer cannot do.

    Parameters
    ----------
    peer : str
        Its name.
    why : str
        The footnote.
    applies : callable
        Which cases it is about.
    message : str
        A regular expression that the peer's error matches.
    ways : tuple of str
        In which direction.
    """

    peer: str
    why: str
    applies: Callable[[Case], bool]
    message: str
    ways: tuple[Way, ...] = WAYS

    def explains(self, peer: str, way: Way, case: Case, message: str) -> bool:
        """Is this the reason of that error?"""
        said = re.search(self.message, message, re.DOTALL) is not None
        return peer == self.peer and way in self.ways and self.applies(case) and said


def _uses(*words: str) -> Callable[[Case], bool]:
    return lambda case: any(word in case.chain for word in words)


def _raw(zarr_format: int) -> Callable[[Case], bool]:
    return lambda case: case.dtype_name == "r24" and case.zarr_format == zarr_format


def _both(*conditions: Callable[[Case], bool]) -> Callable[[Case], bool]:
    return lambda case: all(condition(case) for condition in conditions)


def _permuted_shards(case: Case) -> bool:
    """Does the document's inner chunk shape, for permuted dimensions, not divide its shard shape?"""
    if case.shards is None or "transposed before" not in case.chain:
        return False
    order = case.array_to_array_before()[0]["configuration"]["order"]
    inner = tuple(case.chunks[axis] for axis in order)
    return any(n % chunk for n, chunk in zip(case.shards, inner, strict=True))


def _v(zarr_format: int) -> Callable[[Case], bool]:
    return lambda case: case.zarr_format == zarr_format


LIMITS: tuple[Limit, ...] = (
    Limit(
        "zarr-python",
        "numcodecs' wheels have Blosc without snappy",
        _uses("snappy"),
        r"'snappy'; expected one of|blosc decompression",
    ),
    Limit(
        "zarr-python",
        "does not transpose 0-d chunks of a chain that rounds bits",
        _uses("bitround > transpose"),
        r"axes don't match",
    ),
    Limit(
        "zarr-python",
        "knows bitround by its old name `numcodecs.bitround` only (the test suite reads these under "
        "that name)",
        _both(_v(3), _uses("bitround")),
        r"bitround",
        ("peer reads",),
    ),
    Limit(
        "zarr-python",
        "rounds bits of real numbers in native byte order only",
        _uses("bitround"),
        r"Only float arrays|KeyError: '>f",
    ),
    Limit(
        "zarr-python",
        "compares the inner chunk shape with that of the shard before its dimensions are permuted",
        _permuted_shards,
        r"is not divisible by the shard's inner chunk size",
    ),
    Limit(
        "zarr-python",
        "takes any NaN for a fill value that is NaN, and leaves chunks of them out whatever their bits are",
        lambda case: case.fill == "special" and case.dtype_name.startswith(("float", "complex")),
        r"differs: element .*: expected np\.\w+\(\S*nan\S*, read np\.\w+\(\S*nan",
        ("zarrc reads", "peer updates"),
    ),
    Limit("zarr-python", "does not know `r24`, writes a name of its own", _raw(3), r"r24", ("peer reads",)),
    Limit(
        "tensorstore",
        "no lz4 or zlib codec in format 3, no lz4 in format 2",
        _uses("lz4", "zlib"),
        r"is not registered",
    ),
    Limit("tensorstore", "no bitround", _both(_v(3), _uses("bitround")), r"is not registered"),
    Limit(
        "tensorstore", "no filters in format 2", _both(_v(2), _uses("bitround")), r"filters are not supported"
    ),
    Limit(
        "tensorstore",
        "no checksum option for zstd in format 2",
        _both(_v(2), _uses("checksum")),
        r"extra members: \"checksum\"",
    ),
    Limit(
        "tensorstore",
        "wants the fill value of `r24` as base64",
        _raw(3),
        r"base64|fill_value|is not registered",
        ("peer reads",),
    ),
    Limit(
        "tensorstore",
        "aborts the process when it creates `r24`",
        _raw(3),
        r"Check failed|SIGABRT|is not registered",
        ("zarrc reads",),
    ),
    Limit(
        "tensorstore",
        "no codecs after the sharding codec",
        lambda case: case.shards is not None and bool(case.sharding.after),
        r"cannot be followed by|[Ss]harding codec",
    ),
    Limit(
        "zarrs",
        "its metadata is read by zarr-python, which compares the inner chunk shape with that of the shard "
        "before its dimensions are permuted",
        _permuted_shards,
        r"is not divisible by the shard's inner chunk size",
    ),
    Limit(
        "zarrs",
        "its metadata is read by zarr-python, which does not know `r24` or `bitround`",
        lambda case: case.dtype_name == "r24" or "bitround" in case.chain,
        r"r24|bitround|Unsupported|Only float",
    ),
    Limit(
        "zarrs",
        "no lz4; through zarr-python, no bitround",
        _uses("lz4", "bitround"),
        r"UnsupportedMetadataError",
    ),
    Limit(
        "zarrs",
        "format 2 in native byte order only",
        lambda case: case.zarr_format == 2 and case.endian == "big",
        r"Non-native byte order",
    ),
    Limit(
        "zarrs",
        "no transposition of 0-d arrays",
        lambda case: case.ndim == 0 and ("transpose" in case.chain or "order F" in case.chain),
        r"Unsupported",
    ),
    Limit(
        "zarrs",
        "swaps the bytes of a big-endian complex number as a whole, and so its real and imaginary part",
        lambda case: case.dtype_name.startswith("complex") and case.endian == "big",
        r"wrong: element",
        ("peer reads", "zarrc updates"),
    ),
    Limit(
        "zarrs",
        "reads arrays of order F only where zarr-python gives them C-contiguous memory",
        _both(_v(2), _uses("order F")),
        r"must be a C contiguous array",
    ),
    Limit(
        "zarrs",
        "fails on some chains of blosc over gzip, whoever wrote them",
        _uses("gzip > blosc"),
        r"unexpected end of file",
    ),
    Limit(
        "zarrs", "no checksum option for zstd in format 2", _both(_v(2), _uses("checksum")), r"Unsupported"
    ),
)
