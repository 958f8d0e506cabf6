"""Blobs and ranges."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.errors import StoreError
from zarrc.kernels.blob import Blob, content_version, resolve_range

sizes = st.one_of(st.integers(-12, 12), st.integers(-(2**70), 2**70))


@given(start=sizes, nbytes=st.none() | sizes, object_nbytes=st.integers(0, 10))
def test_a_range_is_inside_the_object_or_an_error(start: int, nbytes: int | None, object_nbytes: int) -> None:
    first = start + object_nbytes if start < 0 else start
    length = object_nbytes - first if nbytes is None else nbytes
    if 0 <= first <= object_nbytes and 0 <= length <= object_nbytes - first:
        assert resolve_range(start, nbytes, object_nbytes) == (first, length)
    else:
        with pytest.raises(StoreError, match="leaves the object"):
            resolve_range(start, nbytes, object_nbytes)


@given(body=st.binary(max_size=20), start=st.integers(0, 20), nbytes=st.none() | st.integers(0, 20))
def test_a_blob_is_the_chosen_part(body: bytes, start: int, nbytes: int | None) -> None:
    try:
        blob = Blob(body, start=start, nbytes=nbytes)
    except StoreError:
        assert start + (nbytes or 0) > len(body)
        return
    expected = body[start:] if nbytes is None else body[start : start + nbytes]
    assert bytes(blob) == bytes(memoryview(blob)) == expected
    assert len(blob) == blob.nbytes == len(expected)
    assert blob.object_nbytes == len(body)
    assert bytes(pickle.loads(pickle.dumps(blob))) == expected


def test_bytes_are_kept_and_not_copied() -> None:
    body = bytes(1000)
    blob = Blob(body, start=10)
    assert np.frombuffer(blob, "u1").ctypes.data == np.frombuffer(body, "u1").ctypes.data + 10
    inner = Blob(blob, start=5)
    assert np.frombuffer(inner, "u1").ctypes.data == np.frombuffer(body, "u1").ctypes.data + 15
    assert bytes(Blob(body)) is body


def test_what_might_change_is_copied() -> None:
    array = np.arange(6, dtype="<i4").reshape(2, 3)
    blob = Blob(array)
    array[:] = 0
    assert bytes(blob) == np.arange(6, dtype="<i4").tobytes()
    data = bytearray(b"abc")
    view = Blob(memoryview(data).toreadonly())
    data[0] = 0
    assert bytes(view) == b"abc"


def test_what_is_no_buffer_is_refused() -> None:
    for data in (None, "text", 3, [1]):
        with pytest.raises(TypeError):
            Blob(data)  # type: ignore[arg-type]
    with pytest.raises((BufferError, ValueError)):
        Blob(np.arange(9)[::2])


def test_the_version_comes_from_the_content_of_the_whole() -> None:
    whole = Blob(b"abcdef")
    assert whole.version == Blob(b"abcdef", start=3).version == content_version(b"abcdef")
    assert whole.version != Blob(b"abcdeg").version
    assert Blob(b"abc", object_nbytes=6).version is None
    assert Blob(b"abc", object_nbytes=-1).version is None
    assert Blob(b"abc", object_nbytes=-1).object_nbytes is None
    assert Blob(b"abc", version="v").version == "v"


def test_a_view_keeps_the_bytes_alive() -> None:
    views = [memoryview(Blob(bytes([number]) * 1000)) for number in range(100)]
    assert [view[999] for view in views] == list(range(100))
