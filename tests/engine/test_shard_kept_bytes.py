"""Shards with inner chunks longer than any encoding of ours: a change keeps them, or says that it cannot."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from tests.engine.shards import ABSENT, BYTES, CRC32C, ZSTD, crc32c, sharded_array, sharding
from zarrc.codecs.base import ChunkSpec
from zarrc.codecs.crc32c import Crc32cCodec
from zarrc.codecs.zstd import ZstdCodec
from zarrc.errors import CorruptChunkError
from zarrc.storage import MemoryStore

INNER = 1024
N_KEPT = 900_000


def _padded(n_inner: int) -> bytes:
    """A shard whose first inner chunk is followed by a frame to be skipped; the others are not stored."""
    frame = bytes(
        ZstdCodec(level=1).encode(
            np.arange(INNER, dtype="i4").tobytes(), ChunkSpec((4 * INNER,), np.dtype("u1"))
        )
    )
    frame += struct.pack("<II", 0x184D2A50, N_KEPT) + bytes(N_KEPT)
    index = struct.pack("<QQ", 0, len(frame)) + struct.pack("<Q", ABSENT) * (2 * n_inner - 2)
    return frame + index + struct.pack("<I", crc32c(index))


def _around(codec: Any, data: bytes) -> bytes:
    return bytes(codec.encode(data, ChunkSpec((len(data),), np.dtype("u1"))))


@pytest.mark.parametrize("kind", ["memory", "local"])
@pytest.mark.parametrize("around", ["crc32c", "zstd", "none"])
def test_what_is_too_long_for_the_codecs_around_a_shard_is_an_error(
    around: str, kind: str, tmp_path: Any
) -> None:
    store: Any = MemoryStore() if kind == "memory" else str(tmp_path)
    after = {"crc32c": [CRC32C], "zstd": [ZSTD], "none": []}[around]
    array = sharded_array(store, (2 * INNER,), (2 * INNER,), (INNER,), [BYTES, ZSTD], after=after)
    stored = _padded(2)
    if after:
        stored = _around(Crc32cCodec() if around == "crc32c" else ZstdCodec(level=1), stored)
    array.store.set("c/0", stored)
    np.testing.assert_array_equal(array[:INNER], np.arange(INNER))
    if not after:
        array[INNER:] = 5
        np.testing.assert_array_equal(array[...], [*range(INNER), *[5] * INNER])
        return
    with pytest.raises(CorruptChunkError, match="what is kept of it") as caught:
        array[INNER:] = 5
    assert (caught.value.key, caught.value.codec) == ("c/0", "sharding_indexed")
    assert bytes(array.store.get("c/0")) == stored
    array[...] = 5
    assert (array[...] == 5).all()


@pytest.mark.parametrize("inner_after", [[], [CRC32C]], ids=["bare", "crc32c"])
def test_a_nested_shard_is_never_written_longer_than_it_may_be_read(inner_after: Any) -> None:
    nested = [sharding((INNER,), [BYTES, ZSTD]), *inner_after]
    array = sharded_array(MemoryStore(), (4 * INNER,), (4 * INNER,), (2 * INNER,), nested)
    inside = _padded(2)
    if inner_after:
        inside = _around(Crc32cCodec(), inside)
    index = struct.pack("<4Q", 0, len(inside), ABSENT, ABSENT)
    stored = inside + index + struct.pack("<I", crc32c(index))
    array.store.set("c/0", stored)
    with pytest.raises(CorruptChunkError, match=r"larger|kept"):
        array[INNER : 2 * INNER] = 5
    assert bytes(array.store.get("c/0")) == stored
