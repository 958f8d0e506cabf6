"""The data: smooth fields with a little noise, as measurements have; neither constant nor random.

zstd at level 3 makes them about half as large, so that a codec has work to do and something to show for it.
"""

from __future__ import annotations

import math
import mmap
from pathlib import Path

import numpy as np

from bench.arrays import ArraySpec

SEED = 20260101
_SLAB_NBYTES = 64 << 20
# Half the height of the waves, and bits of a second, finer noise: chosen for zstd's ratio to be about 2.
_AMPLITUDE = {"uint16": 200, "float32": 3000, "float64": 3000}
_FINE_BITS = {"uint16": 0, "float32": 0, "float64": 16}


def write_field(spec: ArraySpec, path: Path) -> None:
    """Write the values of ``spec`` to the .npy file ``path``, a slab at a time."""
    dtype = np.dtype(spec.dtype)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=spec.shape)
    rng = np.random.default_rng(SEED)
    amplitude, fine_bits = _AMPLITUDE[spec.dtype], _FINE_BITS[spec.dtype]
    # One wave for each dimension; their sum is smooth and no two rows are alike.
    waves = [
        (amplitude * (1 + np.sin(np.arange(n) * (2 * np.pi * (1.5 + d) / max(n, 64)) + d))).astype(np.uint16)
        for d, n in enumerate(spec.shape)
    ]
    rows = max(1, _SLAB_NBYTES // (2 * math.prod(spec.shape[1:])))
    for start in range(0, spec.shape[0], rows):
        stop = min(start + rows, spec.shape[0])
        shape = (stop - start, *spec.shape[1:])
        size = math.prod(shape)
        slab = np.frombuffer(rng.bytes(size), np.uint8).reshape(shape).astype(np.uint16)
        slab &= 7
        for d, wave in enumerate(waves):
            part = wave[start:stop] if d == 0 else wave
            slab += part.reshape([-1 if i == d else 1 for i in range(len(shape))])
        if dtype.kind == "f":
            # A measurement has a resolution: the last bits of the mantissa are zero.
            np.multiply(slab, dtype.type(1 / 64), out=out[start:stop])
            if fine_bits:
                fine = np.frombuffer(rng.bytes(2 * size), np.uint16).reshape(shape)
                out[start:stop] += fine * dtype.type(2.0 ** -(6 + fine_bits))
        else:
            out[start:stop] = slab
    out.flush()


def map_field(path: Path) -> np.ndarray:
    """Map the .npy file at ``path``, read-only, its pages present: all processes share one copy."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_{version[1]}")
        shape, _, dtype = read_header(file)
        offset = file.tell()
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        mapped = mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ)
    return np.frombuffer(mapped, dtype=dtype, offset=offset).reshape(shape)
