"""Damaged streams: whatever a decoder is given, it raises or returns, and stays inside its buffers."""

from __future__ import annotations

import mmap
import random
from collections.abc import Iterator

import numpy as np

from tests.kernels.guarded import Guarded, guarded_like
from tests.soak import count
from zarrc.errors import CodecError
from zarrc.kernels.codec import CodecKernel
from zarrc.kernels.compressors import decode_into


def cuts(encoded: bytes) -> Iterator[bytes]:
    """``encoded`` cut at every length."""
    return (encoded[:nbytes] for nbytes in range(len(encoded)))


def flips(encoded: bytes, n: int) -> Iterator[bytes]:
    """``encoded`` with one to four bytes changed, more often near the front, where headers are."""
    generator = random.Random(len(encoded))
    for _ in range(n):
        damaged = bytearray(encoded)
        for _ in range(generator.randint(1, 4)):
            end = min(40, len(encoded)) if generator.random() < 0.4 else len(encoded)
            damaged[generator.randrange(end)] = generator.choice((0, 0xFF, generator.randrange(256)))
        yield bytes(damaged)


def garbage(n: int) -> Iterator[bytes]:
    """Short streams of anything."""
    generator = random.Random(n)
    return (generator.randbytes(generator.randrange(80)) for _ in range(n))


def assert_survives(kernel: CodecKernel, encoded: bytes, nbytes: int) -> None:
    """Decode damaged forms of ``encoded`` between guards: a CodecError, or no more than ``nbytes`` bytes."""
    target = Guarded(nbytes)
    assert decode_into(kernel, encoded, target.bytes) == nbytes
    for damaged in (*cuts(encoded), *flips(encoded, count(10_000)), *garbage(count(1_000))):
        source = guarded_like(np.frombuffer(damaged, np.uint8))
        try:
            got = decode_into(kernel, source, target.bytes)
        except CodecError:
            continue
        assert 0 <= got <= nbytes


def assert_every_cut_is_an_error(kernel: CodecKernel, encoded: bytes, nbytes: int) -> None:
    """No proper prefix of ``encoded`` decodes to the full length."""
    out = np.empty(nbytes, np.uint8)
    for cut in cuts(encoded):
        try:
            got = decode_into(kernel, cut, out)
        except CodecError:
            continue
        assert got < nbytes, f"{len(cut)} of {len(encoded)} bytes decoded to {got}"


def resident_nbytes() -> int:
    """Bytes of memory that this process has touched and keeps."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * mmap.PAGESIZE


def assert_refused_untouched(kernel: CodecKernel, bomb: bytes, capacity: int = 1 << 30) -> None:
    """``bomb`` raises, and hardly any memory is used for it: neither of ours nor of the room it is given."""
    room = mmap.mmap(-1, capacity)
    out = np.frombuffer(room, np.uint8)
    before = resident_nbytes()
    try:
        decode_into(kernel, bomb, out)
    except CodecError:
        assert resident_nbytes() - before < 32 << 20
        return
    raise AssertionError("the bomb was decoded")
