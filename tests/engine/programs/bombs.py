"""Reads every bomb in a process of its own and prints by how much its peak of memory rose."""

from __future__ import annotations

import json
import resource

from tests.engine.hostile import CODECS, bombs, make_array, spoil
from zarrc.errors import CorruptChunkError


def peak_kib() -> int:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    ready = []
    for bad in bombs():
        array = make_array(bad.codecs)
        spoil(array, bad)
        ready.append(array)
    for codecs in CODECS:  # what decoding anything needs once
        make_array(codecs)[...]
    before, refused = peak_kib(), 0
    for array in ready:
        try:
            array[...]
        except CorruptChunkError:
            refused += 1
    print(json.dumps({"refused": refused, "growth_kib": peak_kib() - before}))


if __name__ == "__main__":
    main()
