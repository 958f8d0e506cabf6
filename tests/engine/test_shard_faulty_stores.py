"""Stores that fail, or answer wrongly, while shards are read from them."""

from __future__ import annotations

from typing import Any

import pytest

import zarrc
from tests.engine.shards import BYTES
from tests.engine.test_shard_requests import INNER, N_INNER, VALUES, VERSIONS, _array
from zarrc.errors import CorruptChunkError, StoreError


def test_a_store_that_fails_at_a_request_says_the_key() -> None:
    for fail_at in range(3):
        array = _array(n_shards=1)
        count = [0]

        def fail(key: str, wanted: Any, count: list[int] = count, fail_at: int = fail_at) -> None:
            count[0] += 1
            if count[0] > fail_at:
                raise StoreError("no connection", key=key)

        array.store.before_get = fail
        with pytest.raises(StoreError, match="no connection") as caught:
            array[0 : 8 * INNER : 4 * INNER]
        assert (caught.value.array, caught.value.key) == (array.path, "c/0")


@VERSIONS
def test_an_answer_of_another_length_is_an_error(versions: bool) -> None:
    array = _array(n_shards=1, versions=versions)
    get = array.store.get
    array.store.get = lambda key, wanted=None: get(key, (wanted[0], wanted[1] - 1)) if wanted else get(key)
    with pytest.raises((StoreError, CorruptChunkError), match="were asked for") as caught:
        array[0]
    assert caught.value.key == "c/0"


def test_a_range_outside_a_shard_of_unknown_size_is_an_error() -> None:
    array = _array(versions=False, n_shards=1, index_codecs=[BYTES])
    stored = bytearray(array.store.get("c/0"))
    stored[-16 * N_INNER : -16 * N_INNER + 8] = (1 << 40).to_bytes(8, "little")
    array.store.objects["c/0"] = (bytes(stored), 1)
    with pytest.raises(zarrc.errors.ZarrcError, match="leaves the object") as caught:
        array[0]
    assert (caught.value.array, caught.value.key) == (array.path, "c/0")
    assert array[INNER] == VALUES[INNER]
