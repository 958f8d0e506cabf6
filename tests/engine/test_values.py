"""Values of every kind that users assign, and results that they give the memory for."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.engine import ArrayAccess
from zarrc.engine.values import as_values
from zarrc.errors import CastingError

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")

SHAPE = (4, 6)
VALUES = np.arange(24, dtype="f4").reshape(SHAPE)


@pytest.fixture(params=["memory", "mapping"])
def array(request: pytest.FixtureRequest) -> Any:
    store: Any = zarrc.storage.MemoryStore() if request.param == "memory" else {}
    array = zarrc.create_array(store, shape=SHAPE, chunks=(3, 4), dtype="f4")
    array[...] = VALUES
    return array


@pytest.mark.parametrize(
    "make",
    [
        lambda values: np.asmatrix(values),
        lambda values: np.ma.masked_array(values, mask=np.eye(*SHAPE, dtype=bool)),
        lambda values: values.view(type("Sub", (np.ndarray,), {})),
        lambda values: values.tolist(),
        lambda values: values[None, None],
        lambda values: values.astype(">f8"),
        lambda values: values[::-1, ::-1].copy()[::-1, ::-1],
        lambda values: np.asfortranarray(values),
        lambda values: memoryview(values),
    ],
    ids=[
        "matrix",
        "masked",
        "subclass",
        "list",
        "leading ones",
        "swapped",
        "negative strides",
        "fortran",
        "memoryview",
    ],
)
def test_values_are_stored_as_numpy_would(array: Any, make: Any) -> None:
    array[...] = make(VALUES * 2)
    np.testing.assert_array_equal(array[...], VALUES * 2)
    array[::-2, 1:] = make(VALUES)[::-2, 1:] if isinstance(make(VALUES), np.matrix) else VALUES[::-2, 1:]
    np.testing.assert_array_equal(array[::-2, 1:], VALUES[::-2, 1:])


def test_values_broadcast_through_strides_of_zero(array: Any) -> None:
    expected = VALUES.copy()
    for value in (5, [1, 2, 3], [[1], [2]], np.broadcast_to(np.float32(7), (2, 3))):
        expected[::-2, ::2] = value
        array[::-2, ::2] = value
        np.testing.assert_array_equal(array[...], expected)


@pytest.mark.parametrize("value", [2**64, -(2**70), [1, 2**64], 10**400])
@pytest.mark.parametrize("dtype", ["i1", "u8"])
def test_an_integer_of_any_size_that_does_not_fit_says_so(value: Any, dtype: str) -> None:
    array = zarrc.create_array({}, shape=(2,), chunks=(2,), dtype=dtype)
    with pytest.raises(CastingError):
        array[...] = value
    with pytest.raises(OverflowError):
        array[...] = value


def test_an_integer_of_any_size_becomes_the_nearest_float() -> None:
    array = zarrc.create_array({}, shape=(2,), chunks=(2,), dtype="f8")
    array[...] = [2**70 + 1, -(2**64)]
    np.testing.assert_array_equal(array[...], [2.0**70, -(2.0**64)])
    with pytest.raises(CastingError):
        array[...] = 10**400


@pytest.mark.parametrize(
    "value",
    ["1.5", b"x", None, pytest.param(object(), id="object"), {}, np.array(["2020"], "M8[D]"), [[1], [2, 3]]],
    ids=repr,
)
def test_what_is_no_number_is_refused_and_changes_nothing(array: Any, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        array[...] = value
    np.testing.assert_array_equal(array[...], VALUES)


def _outs() -> dict[str, Any]:
    unaligned = np.ndarray(SHAPE, "f4", bytearray(4 * 24 + 1), offset=1)
    return {
        "strided": np.full((8, 18), -1, "f4")[::-2, 1::3],
        "fortran": np.empty(SHAPE[::-1], "f4").T,
        "unaligned": unaligned,
        "matrix": np.asmatrix(np.empty(SHAPE, "f4")),
        "masked": np.ma.masked_array(np.empty(SHAPE, "f4")),
        "backwards": np.empty(SHAPE, "f4")[::-1, ::-1],
    }


@pytest.mark.parametrize("kind", _outs())
def test_out_of_any_strides_is_filled_and_returned(array: Any, kind: str) -> None:
    out = _outs()[kind]
    array[0:3, 0:4] = 0
    expected = array[...]
    assert array.get_basic_selection(..., out=out) is out
    np.testing.assert_array_equal(np.asarray(out), expected)
    array.get_basic_selection((slice(None, None, -1), slice(None, None, -1)), out=out)
    np.testing.assert_array_equal(np.asarray(out), expected[::-1, ::-1])


def test_what_lies_between_the_elements_of_out_is_not_touched(array: Any) -> None:
    frame = np.full((10, 20), -1, "f4")
    array.get_basic_selection(..., out=frame[1:9:2, 1:19:3])
    expected = np.full((10, 20), -1, "f4")
    expected[1:9:2, 1:19:3] = VALUES
    np.testing.assert_array_equal(frame, expected)


def test_an_out_that_does_not_fit_is_refused(array: Any) -> None:
    read_only = np.empty(SHAPE, "f4")
    read_only.flags.writeable = False
    for out in (np.empty(SHAPE, ">f4"), np.empty(SHAPE, "f8"), [[0.0] * 6] * 4):
        with pytest.raises(TypeError):
            array.get_basic_selection(..., out=out)
    for out in (np.empty((4, 5), "f4"), np.empty((1, *SHAPE), "f4"), read_only):
        with pytest.raises(ValueError):
            array.get_basic_selection(..., out=out)


def test_the_data_of_an_array_can_be_pickled_and_cannot_be_made_without_it(tmp_path: Any) -> None:
    array = zarrc.create_array(str(tmp_path / "array"), shape=SHAPE, chunks=(3, 4), dtype="f4")
    array[...] = VALUES
    access = pickle.loads(pickle.dumps(array._data()))
    np.testing.assert_array_equal(access.read(...), VALUES)
    with pytest.raises(TypeError):
        ArrayAccess.__new__(ArrayAccess)


def test_a_handle_keeps_a_memory_store_alive() -> None:
    array = zarrc.create_array(zarrc.storage.MemoryStore(), shape=SHAPE, chunks=(3, 4), dtype="f4")
    array[...] = VALUES
    access = array._data()
    del array
    np.testing.assert_array_equal(access.read(...), VALUES)


@pytest.mark.parametrize("value", [b"ab", b"abcd", [b"abc", b"ab"], "abc", 5, np.void(b"abcd")])
def test_raw_bits_are_neither_cut_nor_padded(value: object) -> None:
    with pytest.raises((CastingError, TypeError)):
        as_values(value, np.dtype("V3"), (2,), "checked", "a")


@pytest.mark.parametrize("value", [b"abc", bytearray(b"abc"), [b"abc", b"abc"], np.void(b"abc")])
def test_raw_bits_are_given_as_bytes(value: object) -> None:
    assert as_values(value, np.dtype("V3"), (2,), "checked", "a").tobytes() == b"abcabc"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e300, [1e300], np.float64(1e300), np.array([1e300])])
def test_a_float_beyond_the_range_becomes_infinite_without_a_word(value: object) -> None:
    assert as_values(value, np.dtype("f4"), (1,), "checked", "a").tolist() == [float("inf")]


@pytest.mark.parametrize(
    ("value", "said"), [(None, "None"), ("x", "'x'"), ({}, "{}"), (["a"], "values of <U1")]
)
def test_what_is_no_number_is_named_with_its_array(value: Any, said: str) -> None:
    with pytest.raises(TypeError) as error:
        as_values(value, np.dtype("i8"), (2,), "checked", "some/where")
    assert str(error.value) == f"{said} cannot be written to an array of int64 (array 'some/where')"
