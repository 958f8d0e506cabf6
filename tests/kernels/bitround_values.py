"""The inputs of bitround_vectors.json: every 16-bit float; chosen and pseudo-random wider ones."""

from __future__ import annotations

from typing import Any

import numpy as np

MANTISSA_NBITS = {"float16": 10, "float32": 23, "float64": 52}

N_RANDOM = 1 << 14


def _mixed(n: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """splitmix64 of 1 to n: the same on every machine and in every version of NumPy."""
    z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def wide_patterns(bits: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Patterns of ``bits`` bits: random ones of every magnitude, ties, those next to a power of two."""
    mixed = _mixed(2 * N_RANDOM)
    any_magnitude = (mixed[:N_RANDOM] >> np.uint64(64 - bits)) >> (mixed[N_RANDOM:] % np.uint64(bits))
    powers = np.uint64(1) << np.arange(bits, dtype=np.uint64)
    near = np.concatenate([powers - np.uint64(1), powers, powers + np.uint64(1)])
    ties = (powers[:, None] | (powers[:, None] >> np.arange(1, 20, dtype=np.uint64))).ravel()
    patterns = np.concatenate([mixed, any_magnitude, near, ties, ~near, ~ties])
    return patterns & np.uint64((1 << bits) - 1)


def values_of(dtype: str) -> np.ndarray[Any, Any]:
    """The input for a float type, in little-endian order, without NaN: numcodecs does not keep those."""
    itemsize = np.dtype(dtype).itemsize
    patterns = np.arange(1 << 16, dtype=np.uint64) if itemsize == 2 else wide_patterns(8 * itemsize)
    values: np.ndarray[Any, Any] = patterns.astype(f"<u{itemsize}").view(f"<f{itemsize}")
    return np.delete(values, np.flatnonzero(np.isnan(values)))
