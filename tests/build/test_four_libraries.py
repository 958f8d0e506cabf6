"""zarrc beside other packages that carry zstd, lz4, zlib, Blosc or libdeflate of their own."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

# Each a module to import and a round trip through it, on the same bytes.
ROUND_TRIPS = {
    "zarrc": """
import zarrc
for codec in (
    zarrc.codecs.ZstdCodec(level=3),
    zarrc.codecs.GzipCodec(level=5),
    zarrc.codecs.Lz4Codec(),
    zarrc.codecs.BloscCodec(cname="zstd", shuffle="bitshuffle"),
    zarrc.codecs.BloscCodec(cname="blosclz", shuffle="shuffle"),
    zarrc.codecs.BloscCodec(cname="zlib", shuffle="noshuffle"),
):
    store = {}
    a = zarrc.create_array(store, shape=VALUES.shape, chunks=(1000,), dtype=VALUES.dtype, compressors=codec)
    a[:] = VALUES
    assert (zarrc.open_array(store)[:] == VALUES).all(), codec
""",
    "numcodecs": """
import numcodecs
for codec in (
    numcodecs.Zstd(),
    numcodecs.LZ4(),
    numcodecs.Zlib(),
    numcodecs.Blosc("zstd", shuffle=2),
    numcodecs.Blosc("lz4"),
):
    assert bytes(codec.decode(codec.encode(DATA))) == DATA, codec
""",
    "blosc2": """
import blosc2
for codec in (blosc2.Codec.ZSTD, blosc2.Codec.LZ4, blosc2.Codec.ZLIB, blosc2.Codec.BLOSCLZ):
    assert blosc2.decompress2(blosc2.compress2(DATA, codec=codec, typesize=4)) == DATA, codec
""",
    "h5py": """
import io, h5py
with h5py.File(io.BytesIO(), "w") as file:
    file.create_dataset("a", data=VALUES, chunks=(1000,), compression="gzip", shuffle=True)
    file.create_dataset("b", data=VALUES, chunks=(1000,), compression="lzf")
    assert (file["a"][:] == VALUES).all() and (file["b"][:] == VALUES).all()
""",
    "zstandard": """
import zstandard
assert zstandard.decompress(zstandard.compress(DATA, 3)) == DATA
""",
}
OTHERS = [name for name in ROUND_TRIPS if name != "zarrc"]
SETTING = "import numpy\nVALUES = numpy.arange(5000, dtype='<u4') // 7\nDATA = VALUES.tobytes()\n"


def run_fresh(order: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Import all in ``order``, then go through each twice, in a new interpreter."""
    imports = "".join(f"import {name}\n" for name in order)
    trips = "".join(ROUND_TRIPS[name] for name in order) * 2
    program = f"{imports}{SETTING}{trips}print('all round trips agree')"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "all round trips agree", done.stderr


@pytest.mark.parametrize("first", [True, False], ids=["zarrc-first", "zarrc-last"])
def test_all_of_them_work_in_one_process(
    first: bool, tmp_path: Path, child_environment: dict[str, str]
) -> None:
    run_fresh(["zarrc", *OTHERS] if first else [*OTHERS, "zarrc"], tmp_path, child_environment)


@pytest.mark.parametrize(("other", "first"), [*itertools.product(OTHERS, [True, False])])
def test_each_of_them_works_beside_zarrc(
    other: str, first: bool, tmp_path: Path, child_environment: dict[str, str]
) -> None:
    run_fresh(["zarrc", other] if first else [other, "zarrc"], tmp_path, child_environment)
