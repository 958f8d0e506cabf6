"""Storage by ten callbacks."""

from __future__ import annotations

import json
import os
import pickle
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.errors import ContainsNodeError, NodeNotFoundError, ReadOnlyError, StoreDeniedError, StoreError
from zarrc.storage import Backend, BackendStore, Store, info, register, registry
from zarrc.testing import ChunksByNumber, StoreTests

Index = tuple[int, ...]


class Files(Backend[Path]):
    """Chunks as files of a directory, each called by its indices."""

    def backend_id(self) -> str:
        return "files"

    def init(self, config: Mapping[str, Any]) -> Path:
        folder = Path(config["folder"])
        folder.mkdir(parents=True)
        return folder

    def open(self, config: Mapping[str, Any]) -> Path:
        return Path(config["folder"])

    def exists(self, config: Mapping[str, Any]) -> bool:
        return Path(config["folder"]).is_dir()

    def read_chunk(self, state: Path, index: Index) -> bytes | None:
        try:
            return (state / _name(index)).read_bytes()
        except FileNotFoundError:
            return None

    def write_chunk(self, state: Path, index: Index, data: bytes) -> None:
        partial = state / f"partial.{os.getpid()}.{threading.get_ident()}"
        partial.write_bytes(data)
        partial.rename(state / _name(index))

    def delete_chunk(self, state: Path, index: Index) -> None:
        (state / _name(index)).unlink(missing_ok=True)

    def list_chunks(self, state: Path) -> list[Index]:
        names = [file.name for file in state.iterdir() if file.name.startswith("chunk")]
        return [tuple(map(int, name.split("_")[1:])) for name in names]

    def read_metadata(self, state: Path) -> bytes | None:
        file = state / "metadata.json"
        return file.read_bytes() if file.exists() else None

    def write_metadata(self, state: Path, document: bytes) -> None:
        (state / "metadata.json").write_bytes(document)


def _name(index: Index) -> str:
    return "_".join(("chunk", *map(str, index)))


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    register(Files)


@pytest.fixture
def place(tmp_path: Path) -> dict[str, Any]:
    return {"storage": "files", "folder": str(tmp_path / "array")}


class TestSuite(StoreTests):
    """The promises of a store, on chunks of an array in the backend."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return ChunksByNumber(BackendStore(Files, {"folder": str(tmp_path / "array")}))


DATA = np.arange(10 * 9, dtype="f4").reshape(10, 9)

LAYOUTS: dict[str, dict[str, Any]] = {
    "v3": {},
    "v3 with dots": {"chunk_key_encoding": {"name": "default", "separator": "."}},
    "v3, called as in v2": {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "v2": {"zarr_format": 2},
    "v2 with slashes": {"zarr_format": 2, "dimension_separator": "/"},
    "sharded": {"chunks": (2, 2), "shards": (4, 4)},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_an_array_of_any_layout_comes_back(
    place: dict[str, Any], layout: dict[str, Any], tmp_path: Path
) -> None:
    keywords = {"chunks": (4, 4), **layout}
    array = zarrc.create(DATA.shape, dtype="f4", attributes={"unit": "m"}, **keywords, **place)
    array[:] = DATA
    opened = zarrc.open_array(**place)
    assert (opened[:] == DATA).all()
    assert dict(opened.attrs) == {"unit": "m"}
    assert opened[3:7, 5].tolist() == DATA[3:7, 5].tolist()
    opened.attrs["more"] = [1]
    assert dict(zarrc.open_array(**place).attrs) == {"unit": "m", "more": [1]}
    indices = {(i, j) for i in range(3) for j in range(3)}
    assert set(Files().list_chunks(tmp_path / "array")) == indices
    assert opened.nchunks_initialized in (9, 25)
    opened.resize((3, 3))
    assert Files().list_chunks(tmp_path / "array") == [(0, 0)]
    document = json.loads((tmp_path / "array" / "metadata.json").read_bytes())
    assert document["zarr_format"] == layout.get("zarr_format", 3)
    assert document["attributes"] == {"unit": "m", "more": [1]}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_without_dimensions_has_the_index_of_nothing(
    place: dict[str, Any], zarr_format: Any, tmp_path: Path
) -> None:
    zarrc.create((), dtype="i4", zarr_format=zarr_format, **place)[()] = 7
    assert Files().list_chunks(tmp_path / "array") == [()]
    assert zarrc.open_array(**place)[()] == 7


def test_a_chunk_that_was_never_written_is_fill(place: dict[str, Any]) -> None:
    array = zarrc.create((4, 4), chunks=(2, 2), dtype="i4", fill_value=-1, **place)
    array[0, 0] = 3
    assert array[:].tolist()[0] == [3, -1, -1, -1]
    array[0, 0] = -1
    assert list(array.store.list_prefix("")) == ["zarr.json"]


def test_nothing_is_made_by_reading(place: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(NodeNotFoundError):
        zarrc.open(**place)
    assert list(tmp_path.iterdir()) == []


def test_an_array_is_replaced_only_on_demand(place: dict[str, Any], tmp_path: Path) -> None:
    zarrc.create(DATA.shape, data=DATA, chunks=(4, 4), **place)
    with pytest.raises(ContainsNodeError):
        zarrc.create((3,), **place)
    made = zarrc.create((3, 3), chunks=(2, 2), dtype="i2", overwrite=True, zarr_format=2, **place)
    assert Files().list_chunks(tmp_path / "array") == []
    assert made[:].tolist() == [[0, 0, 0]] * 3
    assert zarrc.open_array(**place).metadata.zarr_format == 2
    again = zarrc.open_array(mode="w", shape=(5,), dtype="i4", **place)
    assert again.metadata.zarr_format == 3


def test_chunks_left_of_an_array_are_deleted_with_overwrite(place: dict[str, Any], tmp_path: Path) -> None:
    zarrc.create(DATA.shape, data=DATA, chunks=(4, 4), **place)
    (tmp_path / "array" / "metadata.json").write_bytes(b"")
    with pytest.raises(NodeNotFoundError):
        zarrc.open(**place)
    zarrc.create(DATA.shape, dtype="f4", chunks=(4, 4), overwrite=True, **place)
    assert (zarrc.open_array(**place)[:] == 0).all()


def test_a_deleted_array_is_gone(place: dict[str, Any], tmp_path: Path) -> None:
    for zarr_format in (2, 3):
        array = zarrc.create(
            DATA.shape, data=DATA, attributes={"a": 1}, zarr_format=zarr_format, overwrite=True, **place
        )
        zarrc.delete(array)
        assert Files().list_chunks(tmp_path / "array") == []
        with pytest.raises(NodeNotFoundError):
            zarrc.open(**place)


def test_modes_hold(place: dict[str, Any]) -> None:
    zarrc.create((4,), dtype="i4", **place)
    reader = zarrc.open_array(mode="r", **place)
    assert reader.store.read_only
    with pytest.raises(ReadOnlyError):
        reader[0] = 1
    with pytest.raises(ReadOnlyError):
        reader.store.set("zarr.json", b"{}")


def test_threads_write_their_chunks(place: dict[str, Any]) -> None:
    array = zarrc.create((64, 64), chunks=(8, 8), dtype="i4", **place)

    def write(row: int) -> None:
        for column in range(8):
            array[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = row * 8 + column + 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    assert sorted(np.unique(zarrc.open_array(**place)[:])) == list(range(1, 65))


def test_a_pickled_array_opens_its_backend(place: dict[str, Any]) -> None:
    array = zarrc.create(DATA.shape, data=DATA, **place)
    twin = pickle.loads(pickle.dumps(array))
    assert (twin[:] == DATA).all()
    assert twin.store.identity == array.store.identity
    assert pickle.loads(pickle.dumps(array.store.with_read_only())).read_only


def test_what_is_no_part_of_an_array_has_no_place(place: dict[str, Any]) -> None:
    store = zarrc.create((4, 4), chunks=(2, 2), **place).store
    for key in ("c/0/0/0", "c/x", "0.0", ".zgroup", "sub/zarr.json", ".zc-tx.json", "c"):
        assert store.get(key) is None
        assert store.stat(key) is None
        store.delete(key)
        with pytest.raises(StoreError, match="holds one array") as caught:
            store.set(key, b"{}")
        assert caught.value.key == key
    assert list(store.list_prefix("")) == ["zarr.json"]


def test_groups_have_no_place(place: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="no place for groups"):
        zarrc.open_group(**place)


def test_several_ranges_of_a_chunk_are_read_at_once(
    place: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = zarrc.create(DATA.shape, data=DATA, chunks=(4, 4), **place).store
    read: list[Index] = []
    read_chunk = Files.read_chunk

    def counting(self: Files, state: Path, index: Index) -> bytes | None:
        read.append(index)
        return read_chunk(self, state, index)

    monkeypatch.setattr(Files, "read_chunk", counting)
    answers = dict(
        store.get_many([("c/0/0", (0, 4)), ("c/0/1", None), ("c/0/0", (-4, None)), ("c/9/9", None)])
    )
    assert read == [(0, 0), (0, 1), (9, 9)]
    whole = bytes(store.get("c/0/0") or b"")
    assert bytes(answers[0] or b"") == whole[:4]
    assert bytes(answers[2] or b"") == whole[-4:]
    assert answers[3] is None


# What goes wrong.


@pytest.mark.parametrize(
    "callback",
    ["exists", "open", "read_chunk", "write_chunk", "read_metadata", "list_chunks", "delete_chunk"],
)
def test_a_callback_that_fails_is_an_error_of_the_store(place: dict[str, Any], callback: str) -> None:
    zarrc.create(DATA.shape, data=DATA, chunks=(4, 4), **place)

    class Torn(Files):
        pass

    def fail(*_: object) -> Any:
        raise KeyError("the tape is torn")

    setattr(Torn, callback, fail)
    store = BackendStore(Torn, {"folder": place["folder"]})
    use = {
        "read_chunk": lambda: store.get("c/0/0"),
        "write_chunk": lambda: store.set("c/0/0", b"x"),
        "delete_chunk": lambda: store.delete("c/0/0"),
        "list_chunks": lambda: list(store.list_prefix("")),
    }.get(callback, lambda: store.get("zarr.json"))
    with pytest.raises(
        StoreError, match=f"{callback} of the backend 'files' failed: KeyError.*torn"
    ) as caught:
        use()
    assert isinstance(caught.value.__cause__, KeyError)
    if callback.endswith("_chunk"):
        assert caught.value.key == "c/0/0"


def test_a_chunk_that_cannot_be_read_is_never_fill(
    place: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    array = zarrc.create(DATA.shape, data=DATA, chunks=(4, 4), **place)

    def fail(*_: object) -> Any:
        raise PermissionError("locked")

    monkeypatch.setattr(Files, "read_chunk", fail)
    with pytest.raises(StoreDeniedError, match="locked"):
        array[:]


@pytest.mark.parametrize("gift", ["text", 3, object(), ("ok", b"data")])
def test_a_chunk_that_is_no_bytes_is_an_error(
    place: dict[str, Any], monkeypatch: pytest.MonkeyPatch, gift: Any
) -> None:
    array = zarrc.create(DATA.shape, data=DATA, chunks=(4, 4), **place)
    monkeypatch.setattr(Files, "read_chunk", lambda *_: gift)
    with pytest.raises(StoreError, match="read_chunk gave no bytes but a"):
        array[:]


@pytest.mark.parametrize(
    "indices", [[(0,)], [(0, 0, 0)], [(0, -1)], [[0, 0]], [(0, "1")], [3], ["00"], [(0, True)]]
)
def test_what_is_no_index_is_an_error(
    place: dict[str, Any], monkeypatch: pytest.MonkeyPatch, indices: Any
) -> None:
    store = zarrc.create(DATA.shape, data=DATA, chunks=(4, 4), **place).store
    monkeypatch.setattr(Files, "list_chunks", lambda *_: indices)
    with pytest.raises(StoreError, match="no index of a chunk"):
        list(store.list_prefix(""))


@pytest.mark.parametrize("document", [b"{", b"[]", b"\xff\xfe", b"3", b"null"])
def test_metadata_that_are_no_document_are_an_error(
    place: dict[str, Any], document: bytes, tmp_path: Path
) -> None:
    zarrc.create(DATA.shape, data=DATA, **place)
    (tmp_path / "array" / "metadata.json").write_bytes(document)
    with pytest.raises(StoreError, match="the metadata are no JSON"):
        zarrc.open(**place)


def test_a_key_encoding_that_is_not_known_is_told(place: dict[str, Any], tmp_path: Path) -> None:
    store = zarrc.create(DATA.shape, data=DATA, **place).store
    file = tmp_path / "array" / "metadata.json"
    document = json.loads(file.read_bytes())
    document["chunk_key_encoding"] = {"name": "fanout"}
    file.write_text(json.dumps(document))
    fresh = pickle.loads(pickle.dumps(store))
    with pytest.raises(StoreError, match=r"chunks have no indices.*fanout"):
        fresh.get("c/0/0")


def test_secrets_of_the_configuration_are_not_shown(place: dict[str, Any]) -> None:
    secret = "hunter2-very-secret"
    array = zarrc.create((3,), password=secret, **place)
    for text in (
        repr(array),
        repr(array.store),
        str(array.store),
        repr(array.store.identity),
        str(array.info),
    ):
        assert secret not in text
    with pytest.raises(StoreError) as caught:
        array.store.set("other", b"")
    assert secret not in str(caught.value)


# Names and keywords.


def test_a_backend_is_registered_by_its_id() -> None:
    class Other(Files):
        pass

    assert info("files").target is Files
    assert info("files").keywords is None
    assert info("files").doc == "Chunks as files of a directory, each called by its indices."
    with pytest.raises(ValueError, match="'files' already"):
        register(Other)
    register(Other, "other")
    register(Files(), "object")
    assert info("object").doc == info("files").doc


def test_declared_keywords_are_checked(tmp_path: Path) -> None:
    class Strict(Files):
        keywords = ("folder",)

        def backend_id(self) -> str:
            return "strict"

    register(Strict)
    zarrc.create((3,), storage="strict", folder=str(tmp_path / "x"))
    with pytest.raises(TypeError, match=r"foldr= is no keyword .*did you mean 'folder'"):
        zarrc.create((3,), storage="strict", foldr="x")


def test_an_id_may_be_a_plain_text(tmp_path: Path) -> None:
    class Plain(Files):
        backend_id = "plain"  # type: ignore[assignment]

    register(Plain)
    zarrc.create((3,), storage="plain", folder=str(tmp_path / "x"))
    assert str(zarrc.open(storage="plain", folder=str(tmp_path / "x")).store) == "backend:plain"


def test_a_backend_without_a_callback_cannot_be_made() -> None:
    class Half(Backend[None]):
        def backend_id(self) -> str:
            return "half"

    with pytest.raises(TypeError, match="abstract"):
        register(Half)
