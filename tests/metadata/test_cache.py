"""The cache of parsed nodes: never stale, never shared, bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

import zarrc
from zarrc.codecs import BytesBytesCodec, Codec, ZstdCodec, register_codec, registry
from zarrc.engine.node_changes import create_node
from zarrc.engine.nodes import open_node
from zarrc.errors import MetadataError, UnknownCodecError
from zarrc.metadata import cache
from zarrc.metadata.build import build_array
from zarrc.metadata.model import ArrayMetadata, NodeMetadata
from zarrc.storage import LocalStore, MemoryStore, Store


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_young", {})
    monkeypatch.setattr(cache, "_old", {})
    monkeypatch.setattr(cache, "_young_nbytes", 0)


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return LocalStore(tmp_path) if request.param == "local" else MemoryStore()


def n_kept() -> int:
    return len(cache._young.keys() | cache._old.keys())


def kept_nbytes() -> int:
    return sum(map(cache._nbytes, cache._young.keys() | cache._old.keys()))


def an_array(**more: Any) -> ArrayMetadata:
    return build_array(shape=(4,), dtype="i4", chunks=(2,), **more)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_is_opened_again_is_equal_and_not_parsed(
    store: Store, zarr_format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_node(store, "a", an_array(zarr_format=zarr_format, attributes={"x": [1, {"y": float("1e300")}]}))
    first = open_node(store, "a")
    monkeypatch.setattr("zarrc.metadata.v3.parse_node", None)
    monkeypatch.setattr("zarrc.metadata.v2.parse_array", None)
    again = open_node(store, "a")
    assert again == first
    assert again is not first
    assert isinstance(first, ArrayMetadata)
    assert isinstance(again, ArrayMetadata)
    assert again.assumed == first.assumed
    assert again.derived is first.derived
    assert n_kept() == 1


def change_everything(node: NodeMetadata) -> None:
    values: Any = [node.attributes, node.extra_fields, getattr(node, "consolidated", None)]
    for value in filter(None, values):
        for inner in value.values():
            if isinstance(inner, list):
                inner.append("changed")
            else:
                inner["changed"] = True
        value["changed"] = True


@pytest.mark.parametrize("node_type", ["array", "group"])
def test_nothing_that_can_be_changed_is_shared(store: Store, node_type: str) -> None:
    extra = {"must_understand": False, "list": [1]}
    document = {"zarr_format": 3, "node_type": "group", "consolidated_metadata": {"metadata": {}}}
    if node_type == "array":
        document = json.loads(an_array().to_documents()["zarr.json"])
    document |= {"attributes": {"x": [1], "y": {"z": 2}}, "extra": extra}
    store.set("a/zarr.json", json.dumps(document).encode())
    for _ in range(4):
        node = open_node(store, "a")
        assert dict(node.attributes) == {"x": [1], "y": {"z": 2}}
        assert dict(node.extra_fields) == {"extra": extra}
        assert n_kept() <= 1
        change_everything(node)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_attributes_set_through_one_handle_do_not_show_in_another_that_was_open(
    tmp_path: Path, zarr_format: Any
) -> None:
    one = zarrc.create_array(
        tmp_path / "a", shape=(4,), dtype="i4", zarr_format=zarr_format, attributes={"x": [1]}
    )
    one, other = zarrc.open_array(tmp_path / "a"), zarrc.open_array(tmp_path / "a")
    one.attrs["x"] = [2]
    assert (one.attrs["x"], other.attrs["x"]) == ([2], [1])
    assert zarrc.open_array(tmp_path / "a").attrs["x"] == [2]


def rewrite(path: Path, document: bytes, times: os.stat_result) -> None:
    """Change a file in place, such that its stamp stays what it was."""
    with open(path, "r+b") as file:
        file.write(document)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize(("zarr_format", "name"), [(2, ".zarray"), (3, "zarr.json")])
def test_a_document_changed_in_place_with_the_same_time_and_size_is_read_anew(
    tmp_path: Path, zarr_format: Any, name: str
) -> None:
    store = LocalStore(tmp_path)
    create_node(store, "", an_array(zarr_format=zarr_format))
    assert zarrc.open_array(tmp_path).shape == (4,)
    document = tmp_path / name
    times = os.stat(document)
    old = document.read_bytes()
    new = old.replace(b"4", b"8", 1)
    assert len(new) == len(old)
    rewrite(document, new, times)
    after = os.stat(document)
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (
        times.st_mtime_ns,
        times.st_size,
        times.st_ino,
    )
    assert zarrc.open_array(tmp_path).shape == (8,)


def test_what_another_process_writes_is_seen(tmp_path: Path) -> None:
    zarrc.create_array(tmp_path / "a", shape=(4,), dtype="i4", attributes={"n": 1})
    assert zarrc.open(tmp_path / "a").attrs["n"] == 1
    program = f"import zarrc; zarrc.open({str(tmp_path / 'a')!r}).attrs['n'] = 2"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert zarrc.open(tmp_path / "a").attrs["n"] == 2


def test_v2_attributes_belong_to_their_array(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        zarrc.create_array(
            tmp_path / name, shape=(4,), zarr_format=2, attributes=None if name == "c" else {"name": name}
        )
    for _ in range(2):
        assert [dict(zarrc.open(tmp_path / name).attrs) for name in "abc"] == [
            {"name": "a"},
            {"name": "b"},
            {},
        ]


def test_a_v2_group_and_an_array_of_the_same_bytes_are_not_confused() -> None:
    document = an_array(zarr_format=2).to_documents()[".zarray"]
    store = MemoryStore({"array/.zarray": document, "group/.zgroup": document})
    kinds = [type(open_node(store, path)).__name__ for path in ("array", "group") * 2]
    assert kinds == ["ArrayMetadata", "GroupMetadata"] * 2


def test_a_strict_open_refuses_what_a_lenient_one_has_left_in_the_cache(store: Store) -> None:
    document = json.loads(an_array().to_documents()["zarr.json"]) | {"dimension_names": None}
    store.set("zarr.json", json.dumps(document).encode())
    for _ in range(2):
        assert open_node(store, "").assumed
        with pytest.raises(MetadataError):
            open_node(store, "", strict=True)


def test_a_repaired_fill_value_is_asked_for_each_time(store: Store) -> None:
    document = json.loads(an_array().to_documents()["zarr.json"]) | {"fill_value": None}
    store.set("zarr.json", json.dumps(document).encode())
    for fill in (5, 6):
        found = open_node(store, "", repair_fill=fill)
        assert isinstance(found, ArrayMetadata)
        assert found.fill_value == fill
        with pytest.raises(MetadataError):
            open_node(store, "")


@pytest.mark.parametrize(
    "document", [b"", b"{}", b"[" * 100_000, b'{"zarr_format": 3, "node_type": "array"}', b"\xff" * 100]
)
def test_what_cannot_be_read_is_not_kept(document: bytes) -> None:
    store = MemoryStore({"zarr.json": document})
    for _ in range(2):
        with pytest.raises(MetadataError):
            open_node(store, "")
    assert n_kept() == 0


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_deeply_nested_attributes_are_read_each_time_or_refused_each_time() -> None:
    outcomes = []
    for depth in (100, 300, 600):
        store = MemoryStore()
        create_node(store, "", an_array())
        document = json.loads(bytes(store.get("zarr.json") or b""))
        document["attributes"] = {"x": "HERE"}
        text = json.dumps(document).replace('"HERE"', "[" * depth + "]" * depth)
        store.set("zarr.json", text.encode())
        outcomes.append([open_node(store, "").attributes["x"] == nested(depth - 1) for _ in range(3)])
    assert outcomes == [[True] * 3] * 3


def test_arrays_of_large_elements_are_not_kept() -> None:
    """A v2 document of a few bytes may tell of a megabyte of fill value."""
    store = MemoryStore()
    for nbytes, kept in ((1 << 20, 0), (1025, 0), (1024, 1)):
        store.set(
            "a/.zarray",
            json.dumps(
                {
                    "zarr_format": 2,
                    "shape": [4],
                    "chunks": [2],
                    "dtype": f"|V{nbytes}",
                    "fill_value": None,
                    "order": "C",
                    "compressor": None,
                    "filters": None,
                }
            ).encode(),
        )
        assert zarrc.open_array(store, path="a")[0].nbytes == nbytes
        assert n_kept() == kept


def test_large_documents_are_not_kept() -> None:
    store = MemoryStore()
    create_node(store, "", an_array(attributes={"x": "y" * cache.MAX_DOCUMENT_NBYTES}))
    open_node(store, "")
    assert n_kept() == 0


@pytest.mark.parametrize("padding", [0, 40_000])
def test_the_cache_is_bounded_in_entries_and_bytes(padding: int) -> None:
    store = MemoryStore()
    n_nodes = 3 * cache.MAX_ENTRIES if padding == 0 else 100
    document = an_array(attributes={"n": "HERE", "padding": "x" * padding}).to_documents()["zarr.json"]
    for i in range(n_nodes):
        store.set("zarr.json", document.replace(b"HERE", b"%d" % i))
        assert open_node(store, "").attributes["n"] == str(i)
        assert n_kept() <= 2 * cache.MAX_ENTRIES
        assert kept_nbytes() <= 2 * cache.MAX_NBYTES
    assert n_kept() >= (cache.MAX_ENTRIES if padding == 0 else 20)


def test_what_is_used_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    create_node(store, "used", an_array())
    used = open_node(store, "used")
    assert isinstance(used, ArrayMetadata)
    document = an_array(attributes={"n": "HERE"}).to_documents()["zarr.json"]
    for i in range(3 * cache.MAX_ENTRIES):
        store.set("other/zarr.json", document.replace(b"HERE", b"%d" % i))
        open_node(store, "other")
        again = open_node(store, "used")
        assert isinstance(again, ArrayMetadata)
        assert again.derived is used.derived


@dataclass(frozen=True)
class Reversed(BytesBytesCodec):
    """A codec of the user's own."""

    name: ClassVar[str] = "test.reversed"

    def encode(self, data: Any, spec: Any) -> bytes:
        return bytes(data)[::-1]

    def decode(self, data: Any, spec: Any, nbytes: int | None = None) -> bytes:
        return bytes(data)[::-1]


@pytest.fixture
def _codecs_put_back() -> Iterator[None]:
    known = dict(registry._BY_NAME), dict(registry._BY_V2_ID)
    yield
    registry._BY_NAME.clear()
    registry._BY_NAME.update(known[0])
    registry._BY_V2_ID.clear()
    registry._BY_V2_ID.update(known[1])
    register_codec(ZstdCodec)


@pytest.mark.usefixtures("_codecs_put_back")
def test_an_array_with_a_codec_of_the_users_own_is_parsed_each_time() -> None:
    register_codec(Reversed)
    store = MemoryStore()
    create_node(store, "", an_array(compressors=[Reversed()]))
    one, other = open_node(store, ""), open_node(store, "")
    assert isinstance(one, ArrayMetadata)
    assert isinstance(other, ArrayMetadata)
    assert one.codecs[-1] is not other.codecs[-1]
    assert n_kept() == 0


@pytest.mark.usefixtures("_codecs_put_back")
def test_a_codec_that_is_registered_later_counts(store: Store) -> None:
    document = json.loads(an_array(compressors=None).to_documents()["zarr.json"])
    document["codecs"].append({"name": "test.reversed", "must_understand": False})
    store.set("zarr.json", json.dumps(document).encode())

    def last() -> Codec:
        found = open_node(store, "")
        assert isinstance(found, ArrayMetadata)
        return found.codecs[-1]

    assert [last().kind, last().kind] == ["unknown", "unknown"]
    register_codec(Reversed)
    assert isinstance(last(), Reversed)


@pytest.mark.usefixtures("_codecs_put_back")
def test_a_name_that_means_another_codec_now_is_read_as_that() -> None:
    class Other(ZstdCodec):
        __slots__ = ()

    store = MemoryStore()
    create_node(store, "", an_array(compressors=[ZstdCodec()]))
    found = open_node(store, "")
    register_codec(Other)
    again = open_node(store, "")
    assert isinstance(found, ArrayMetadata)
    assert isinstance(again, ArrayMetadata)
    assert (type(found.codecs[-1]), type(again.codecs[-1])) == (ZstdCodec, Other)


def test_an_unknown_codec_stays_an_error() -> None:
    document = json.loads(an_array().to_documents()["zarr.json"])
    document["codecs"].append({"name": "test.nobody"})
    store = MemoryStore({"zarr.json": json.dumps(document).encode()})
    for _ in range(2):
        with pytest.raises(UnknownCodecError):
            open_node(store, "")


def test_threads_that_open_and_change_see_whole_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_ENTRIES", 4)  # so that generations change all the time
    store = MemoryStore()
    document = an_array(attributes={"n": "HERE", "list": []}).to_documents()["zarr.json"]
    for i in range(12):
        store.set(f"{i}/zarr.json", document.replace(b"HERE", b"%d" % i))
    wrong: list[object] = []

    def work(start: int) -> None:
        for i in range(400):
            number = (start + i * 5) % 12
            attributes: Any = open_node(store, str(number)).attributes
            if attributes != {"n": str(number), "list": []}:
                wrong.append(attributes)
            attributes["list"].append(i)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert n_kept() <= 16
