"""A store that fails in the middle of a write: the error says where, and what was there stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.errors import StoreError, ZarrcError

N_CHUNKS = 10
CHUNK = 50
SHAPE = (N_CHUNKS * CHUNK,)
PATH = "run/7"


class FailingDict(dict[str, bytes]):
    """A dict whose operations can be made to fail, counted from one."""

    def __init__(self) -> None:
        super().__init__()
        self.n_sets = 0
        self.fail_at: Callable[[int, str], bool] = lambda number, key: False
        self.fail_reading = ""

    def __setitem__(self, key: str, value: bytes) -> None:
        self.n_sets += 1
        if self.fail_at(self.n_sets, key):
            raise OSError(28, "No space left on device")
        super().__setitem__(key, value)

    def __getitem__(self, key: str) -> bytes:
        if self.fail_reading and key.endswith(self.fail_reading):
            raise OSError(5, "Input/output error")
        return super().__getitem__(key)


def _array(mapping: FailingDict, **changes: Any) -> Any:
    array = zarrc.create_array(mapping, name=PATH, shape=SHAPE, chunks=(CHUNK,), dtype="int32", **changes)
    array[...] = 1
    mapping.n_sets = 0
    return array


def _numbers_by_chunk(array: Any) -> list[int]:
    """The one value that each chunk holds."""
    chunks = array[...].reshape(N_CHUNKS, CHUNK)
    assert (chunks == chunks[:, :1]).all(), "a chunk is half-written"
    return chunks[:, 0].tolist()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("fail_at", range(1, N_CHUNKS + 1))
def test_a_store_that_fails_at_the_kth_write_keeps_that_chunk_and_names_its_key(
    fail_at: int, zarr_format: int
) -> None:
    mapping = FailingDict()
    array = _array(mapping, zarr_format=zarr_format)
    failed: list[str] = []

    def fails(number: int, key: str) -> bool:
        if number == fail_at:
            failed.append(key)
        return number == fail_at

    mapping.fail_at = fails
    with pytest.raises(OSError, match="No space left") as caught:
        array[...] = 2
    error = caught.value
    assert isinstance(error, ZarrcError)
    assert error.key == failed[0]
    assert error.array == PATH
    assert failed[0] in str(error)
    numbers = _numbers_by_chunk(array)
    assert set(numbers) <= {1, 2}
    assert numbers[int(failed[0].split("/")[-1].split(".")[-1])] == 1
    mapping.fail_at = lambda number, key: False
    array[...] = 3
    assert _numbers_by_chunk(array) == [3] * N_CHUNKS


def test_a_part_of_a_chunk_that_cannot_be_written_leaves_the_chunk() -> None:
    mapping = FailingDict()
    array = _array(mapping)
    mapping.fail_at = lambda number, key: True
    with pytest.raises(StoreError):
        array[3:7] = 9
    assert _numbers_by_chunk(array) == [1] * N_CHUNKS


def test_a_part_of_a_chunk_whose_rest_cannot_be_read_is_not_written() -> None:
    mapping = FailingDict()
    array = _array(mapping)
    before = dict(mapping)
    mapping.fail_reading = "c/0"
    with pytest.raises(StoreError, match="Input/output error"):
        array[3:7] = 9
    mapping.fail_reading = ""
    assert dict(mapping) == before


def test_an_error_while_reading_is_not_a_missing_chunk() -> None:
    mapping = FailingDict()
    array = _array(mapping)
    mapping.fail_reading = "c/4"
    with pytest.raises(StoreError, match="Input/output error") as caught:
        array[...]
    assert caught.value.key == f"{PATH}/c/4"
    assert caught.value.array == PATH
    np.testing.assert_array_equal(array[:200], np.ones(200))


def test_values_that_do_not_fit_change_nothing() -> None:
    mapping = FailingDict()
    array = _array(mapping)
    values = np.full(SHAPE, 2, "int64")
    values[411] = 2**40
    with pytest.raises(zarrc.errors.CastingError, match="411"):
        array[...] = values
    assert _numbers_by_chunk(array) == [1] * N_CHUNKS
    assert mapping.n_sets == 0
