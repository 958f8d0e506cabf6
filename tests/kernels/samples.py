"""Buffers that compressors treat differently, and strategies for them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

_random = np.random.default_rng(20261122)


def smooth(n_elements: int) -> np.ndarray:
    """A float32 series that looks measured: a walk, rounded to hundredths."""
    steps = _random.normal(scale=0.1, size=n_elements)
    return np.round(np.cumsum(steps) + 280, 2).astype(np.float32)


BUFFERS: dict[str, bytes] = {
    "empty": b"",
    "one byte": b"z",
    "seven bytes": b"climate",
    "short text": b"the quick brown fox jumps over the lazy dog",
    "127 zeros": bytes(127),
    "128 zeros": bytes(128),
    "zeros": bytes(70_001),
    "ones": b"\xff" * 9_000,
    "period 3": b"abc" * 5_000,
    "noise": _random.bytes(5_003),
    "sparse": bytes(np.where(_random.random(20_000) < 0.01, 7, 0).astype(np.uint8)),
    "counter": np.arange(6_000, dtype="<u4").tobytes(),
    "smooth": smooth(40_000).tobytes(),
    "shorts": _random.integers(0, 900, 11_111).astype("<i2").tobytes(),
    "mixed": _random.bytes(3_000) + bytes(30_000) + _random.bytes(3_000),
}

# What a decoder is cut and flipped on: short enough to try every length.
SHORT = smooth(150).tobytes()


def contents() -> st.SearchStrategy[bytes]:
    """Bytes of all kinds: arbitrary, repeated, and a few long ones; empty too."""
    repeated = st.builds(lambda unit, n: unit * n, st.binary(max_size=20), st.integers(0, 3_000))
    return st.one_of(st.binary(max_size=2_000), repeated, st.sampled_from(list(BUFFERS.values())))
