"""What every store promises of its objects: they are read as they were written, whole and in part."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from zarrc.errors import StoreError
from zarrc.storage import Blob, Store
from zarrc.testing.samples import BAD_RANGES, BODY, EMPTY_RANGES, PART_RANGES, WHOLE_RANGES
from zarrc.testing.store_facts import StoreFacts

__all__ = ["ObjectTests"]


class ObjectTests(StoreFacts):
    """Tests of reading, writing and blobs; a part of `StoreTests`."""

    # Reading what was written.

    def test_what_was_set_is_got(self, store: Store) -> None:
        store.set("a/b", BODY)
        blob = store.get("a/b")
        assert blob is not None
        assert bytes(blob) == BODY
        assert blob.nbytes == len(blob) == len(BODY)
        assert blob.object_nbytes == len(BODY)

    def test_an_absent_object_is_none(self, store: Store) -> None:
        store.set("a/b", BODY)
        for key in ("a", "a/c", "a/b/c", "b", "zarr.json", "a/b.c"):
            assert store.get(key) is None
            assert store.get(key, (1, 2)) is None
            assert store.get(key, (-2, None)) is None
            assert store.get(key, (3, 0)) is None
            assert store.stat(key) is None
            assert store.get_into(key, bytearray(9)) is None

    def test_an_empty_object_is_not_absent(self, store: Store) -> None:
        store.set("empty", b"")
        blob = store.get("empty")
        assert blob is not None
        assert bytes(blob) == b""
        stat = store.stat("empty")
        assert stat is not None
        assert stat.nbytes == 0
        assert list(store.list_prefix("")) == ["empty"]
        whole = store.get("empty", (0, None))
        assert whole is not None
        assert bytes(whole) == b""

    @pytest.mark.parametrize("range", WHOLE_RANGES + PART_RANGES)
    def test_a_range_is_that_part(self, store: Store, range: tuple[int, int | None]) -> None:
        store.set("x", BODY)
        start, nbytes = range
        expected = BODY[start:] if nbytes is None else BODY[start:][:nbytes]
        blob = store.get("x", range)
        assert blob is not None
        assert bytes(blob) == expected
        assert blob.object_nbytes in (len(BODY), None)

    @pytest.mark.parametrize("range", EMPTY_RANGES)
    def test_a_range_of_no_bytes_is_empty(self, store: Store, range: tuple[int, int | None]) -> None:
        store.set("x", BODY)
        blob = store.get("x", range)
        assert blob is not None
        assert bytes(blob) == b""

    @pytest.mark.parametrize("range", BAD_RANGES)
    def test_a_range_that_leaves_the_object_is_an_error(
        self, store: Store, range: tuple[int, int | None]
    ) -> None:
        store.set("a/x", BODY)
        with pytest.raises(StoreError) as caught:
            store.get("a/x", range)
        assert caught.value.key == "a/x"
        with pytest.raises(StoreError):
            list(store.get_many([("a/x", range)]))

    def test_get_into_fills_the_start_of_the_buffer(self, store: Store) -> None:
        store.set("x", BODY)
        buffer = bytearray(b"\xee" * 2000)
        assert store.get_into("x", buffer) == len(BODY)
        assert buffer[: len(BODY)] == BODY
        assert buffer[len(BODY) :] == b"\xee" * (2000 - len(BODY))
        array: Any = np.zeros(4, "<u4")
        assert store.get_into("x", array, (-16, None)) == 16
        assert array.tobytes() == BODY[-16:]

    def test_get_into_refuses_a_small_or_constant_buffer(self, store: Store) -> None:
        store.set("x", BODY)
        with pytest.raises(StoreError, match="1024 bytes do not fit a buffer of 1000"):
            store.get_into("x", bytearray(1000))
        with pytest.raises((TypeError, BufferError)):
            store.get_into("x", bytes(2000))

    def test_get_many_answers_each_request_once(self, store: Store) -> None:
        for number in range(30):
            store.set(f"n/{number}", bytes([number]) * (number + 1))
        requests = [(f"n/{number % 40}", (0, 1) if number % 3 else None) for number in range(80)]
        answers = list(store.get_many(requests))
        assert sorted(number for number, _ in answers) == list(range(80))
        for number, blob in answers:
            key, part = requests[number]
            n = number % 40
            if n >= 30:
                assert blob is None
            else:
                assert blob is not None
                assert bytes(blob) == bytes([n]) * (1 if part else n + 1), key

    def test_get_many_of_nothing_is_nothing(self, store: Store) -> None:
        assert list(store.get_many([])) == []

    # Writing.

    def test_overwriting_replaces_the_whole_object(self, store: Store) -> None:
        store.set("x", BODY)
        store.set("x", b"short")
        blob = store.get("x")
        assert blob is not None
        assert bytes(blob) == b"short"

    @pytest.mark.parametrize(
        "data",
        [
            bytearray(b"12345678"),
            memoryview(b"12345678"),
            memoryview(bytearray(b"x12345678"))[1:],
            np.frombuffer(b"12345678", "<u2"),
            np.frombuffer(b"12345678", "u1").reshape(2, 2, 2),
            Blob(b"12345678"),
        ],
        ids=lambda data: type(data).__name__,
    )
    def test_any_contiguous_buffer_can_be_set(self, store: Store, data: Any) -> None:
        store.set("x", data)
        blob = store.get("x")
        assert blob is not None
        assert bytes(blob) == b"12345678"

    def test_what_is_no_contiguous_buffer_is_refused(self, store: Store) -> None:
        strided: Any = np.arange(10, dtype="u1")[::2]
        with pytest.raises(TypeError):
            store.set("x", "text")  # type: ignore[arg-type]
        with pytest.raises((BufferError, ValueError)):
            store.set("x", strided)
        assert store.get("x") is None

    def test_data_is_borrowed_for_the_call_only(self, store: Store) -> None:
        data = bytearray(b"first")
        store.set("x", data)
        store.set_many([("y", data)])
        data[:] = b"other"
        for key in ("x", "y"):
            blob = store.get(key)
            assert blob is not None
            assert bytes(blob) == b"first"
        data.append(1)  # a buffer that is still lent out cannot grow

    def test_set_many_sets_all(self, store: Store) -> None:
        store.set_many((f"m/{number}", bytes([number])) for number in range(70))
        assert sorted(store.list_prefix("m")) == sorted(f"m/{number}" for number in range(70))
        blob = store.get("m/69")
        assert blob is not None
        assert bytes(blob) == bytes([69])

    def test_a_deleted_object_is_absent(self, store: Store) -> None:
        store.set("a/x", BODY)
        store.set("a/y", BODY)
        store.delete("a/x")
        assert store.get("a/x") is None
        assert list(store.list_prefix("")) == ["a/y"]

    def test_deleting_an_absent_object_is_fine(self, store: Store) -> None:
        store.delete("nothing")
        store.delete("nothing/at/all")
        store.set("a/x", BODY)
        store.delete("a")
        store.delete_many(["a/x", "a/x", "a/y"])
        assert list(store.list_prefix("")) == []

    # Blobs.

    def test_a_blob_cannot_be_changed(self, store: Store) -> None:
        store.set("x", BODY)
        blob = store.get("x")
        assert blob is not None
        view = memoryview(blob)
        assert view.readonly
        assert view.format == "B"
        with pytest.raises(TypeError):
            view[0] = 1
        with pytest.raises(ValueError, match="read-only"):
            np.frombuffer(view, "u1")[0] = 1

    def test_a_blob_survives_its_object(self, store: Store) -> None:
        store.set("x", BODY)
        whole, part = store.get("x"), store.get("x", (-4, None))
        assert whole is not None
        assert part is not None
        array = np.frombuffer(memoryview(whole), "u1")
        store.set("x", b"\0" * len(BODY))
        store.delete("x")
        assert bytes(whole) == array.tobytes() == BODY
        assert bytes(part) == BODY[-4:]
        del whole
        assert array.tobytes() == BODY

    def test_a_blob_pickles(self, store: Store) -> None:
        store.set("x", BODY)
        blob = store.get("x")
        assert blob is not None
        again = pickle.loads(pickle.dumps(blob))
        assert (bytes(again), again.version, again.object_nbytes) == (BODY, blob.version, len(BODY))
