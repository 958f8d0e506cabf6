"""Writes bitround_vectors.json: what numcodecs makes of every float16 and of many wider floats.

The registry calls its codec compatible with numcodecs' for floats.  For integers the registry's sample data
and the definition in test_bitround.py stand in: no peer that can be installed rounds them (the wheels of
zarrs, up to 0.2.3, are built without the codec).

Run with the version of numcodecs that PINNED names.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numcodecs
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from bitround_values import MANTISSA_NBITS, values_of

PINNED = "0.17.1"


def main() -> None:
    """Round each data type at each keepbits and keep the first half of the digest."""
    if version("numcodecs") != PINNED:
        raise SystemExit(f"numcodecs {PINNED} is pinned, {version('numcodecs')} is installed")
    digests: dict[str, dict[str, str]] = {}
    for dtype, mantissa in MANTISSA_NBITS.items():
        values = values_of(dtype)
        digests[dtype] = {}
        for keepbits in range(1, mantissa + 1):
            rounded = np.asarray(numcodecs.BitRound(keepbits).encode(values.copy()))
            digests[dtype][str(keepbits)] = hashlib.sha256(rounded.tobytes()).hexdigest()[:32]
    document = {"made_by": f"numcodecs {PINNED}", "sha256_first_16_bytes": digests}
    Path(__file__).with_name("bitround_vectors.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
