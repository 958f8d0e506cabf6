"""Shards of a store in Python that change while others are read with them: all of the result is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.shards import BYTES, ZSTD, CountingStore, sharded_array

INNER, SHARD, N_SHARDS = 1024, 64 * 1024, 4
# Every inner chunk has another size encoded.
VALUES = (
    np.random.default_rng(1).integers(0, 2, SHARD * N_SHARDS, "i4")
    << np.arange(SHARD * N_SHARDS, dtype="i4") % 29
)
VALUES *= np.random.default_rng(2).random(VALUES.size) < np.repeat(
    np.random.default_rng(3).random(64 * N_SHARDS), INNER
)
SOME = slice(0, None, 16 * INNER)


def _array(versions: bool) -> Any:
    return sharded_array(
        CountingStore(versions=versions),
        VALUES.shape,
        (SHARD,),
        (INNER,),
        [BYTES, ZSTD],
        config={"sharding_coalesce_max_gap_bytes": 0},
    )


def _replace_at_first_range(store: Any, key: str, new: bytes) -> None:
    """Have another writer's object in the place of the key's before a range of it is read."""

    def before(asked: str, wanted: Any) -> None:
        if asked == key and wanted is not None and wanted[0] >= 0 and store.objects[key][0] != new:
            store.objects[key] = (new, store.objects[key][1] + 1)

    store.before_get = before


@pytest.mark.parametrize("n_kept", [1, 60], ids=["shorter", "moved"])
@pytest.mark.parametrize("versions", [True, False], ids=["versions", "no versions"])
@pytest.mark.parametrize("n_threads", [1, 4])
def test_one_shard_that_changed_leaves_nothing_of_the_others_unread(
    versions: bool, n_kept: int, n_threads: int
) -> None:
    other, array = _array(versions), _array(versions)
    # The last inner chunks alone: what is at a place of the old index now is another, cut, or past the end.
    for number in range(N_SHARDS):
        other[number * SHARD : (number + 1) * SHARD] = _only_last(number, n_kept)
    array[...] = VALUES
    for number in range(N_SHARDS):
        key = f"c/{number}"
        _replace_at_first_range(array.store, key, other.store.objects[key][0])
        expected = VALUES[SOME].copy()
        in_shard = slice(4 * number, 4 * number + 4)
        expected[in_shard] = _only_last(number, n_kept)[SOME]
        out = np.full(expected.shape, 77, "i4")
        with zarrc.config.set({"threading.max_workers": n_threads}):
            array.get_basic_selection(SOME, out=out)
        np.testing.assert_array_equal(out, expected)
        array.store.before_get = lambda key, wanted: None
        array[...] = VALUES


def _only_last(number: int, n_kept: int) -> Any:
    values = VALUES[number * SHARD : (number + 1) * SHARD].copy()
    values[: SHARD - n_kept * INNER] = -1
    return values
