"""Attributes: what can be stored, when it is stored, and what a failure leaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import zarrc
from tests.soak import count
from zarrc.array import Array
from zarrc.errors import AttributesError, NodeNotFoundError, ReadOnlyError, StoreError, ZarrcWarning
from zarrc.group import Group
from zarrc.storage import LocalStore, MemoryStore


@pytest.fixture(params=["array 2", "array 3", "group 2", "group 3"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Array | Group]:
    kind, zarr_format = request.param.split()
    if kind == "array":
        yield zarrc.create_array(tmp_path / "n", shape=(3,), dtype="i4", zarr_format=int(zarr_format))
    else:
        yield zarrc.create_group(tmp_path / "n", zarr_format=int(zarr_format))


def again(node: Array | Group) -> Array | Group:
    return zarrc.open(node.store, mode="r")


def test_what_is_assigned_is_stored_at_once(node: Array | Group) -> None:
    node.attrs["units"] = "K"
    node.attrs["range"] = {"valid": [1, 2.5, None, True], "names": ("a", "b")}
    expected = {"units": "K", "range": {"valid": [1, 2.5, None, True], "names": ["a", "b"]}}
    assert node.attrs.asdict() == again(node).attrs.asdict() == expected


def test_a_value_of_another_type_is_stored_though_it_is_equal(node: Array | Group) -> None:
    for value in (1, True, 1.0, 0, False, -0.0, [1], [True], {"x": 2}, {"x": 2.0}):
        node.attrs["a"] = value
        assert repr(again(node).attrs["a"]) == repr(value)


def test_attributes_are_a_mapping(node: Array | Group) -> None:
    node.attrs.update({"a": 1}, b=2)
    assert dict(node.attrs) == {"a": 1, "b": 2}
    assert list(node.attrs) == ["a", "b"]
    assert len(node.attrs) == 2
    assert "a" in node.attrs
    assert "c" not in node.attrs
    assert node.attrs.pop("a") == 1
    assert node.attrs.setdefault("b", 5) == 2
    del node.attrs["b"]
    assert dict(again(node).attrs) == {}
    with pytest.raises(KeyError):
        node.attrs["a"]
    with pytest.raises(KeyError):
        del node.attrs["a"]


def test_attributes_that_are_all_deleted_are_gone_when_opened_again(node: Array | Group) -> None:
    node.attrs["a"] = 1
    node.attrs.clear()
    assert dict(again(node).attrs) == {}


def test_put_replaces_all(node: Array | Group) -> None:
    node.attrs["a"] = 1
    node.attrs.put({"b": 2})
    assert dict(node.attrs) == dict(again(node).attrs) == {"b": 2}


def test_update_attributes_merges_and_returns_the_handle(node: Array | Group) -> None:
    node.attrs["a"] = 1
    assert node.update_attributes({"b": 2}) is node
    assert dict(again(node).attrs) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(2**53 + 1), 2**53 + 1),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array(7, dtype=">i2"), 7),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.longdouble(0.25), 0.25),
        ([np.int8(1), {"x": np.float64(2)}], [1, {"x": 2.0}]),
        (10**40, 10**40),
        ("ü\u2028\x00", "ü\u2028\x00"),
    ],
)
def test_numpy_values_become_plain_json(value: Any, expected: Any) -> None:
    group = zarrc.create_group()
    group.attrs["v"] = value
    stored = again(group).attrs["v"]
    assert stored == group.attrs["v"] == expected
    assert type(stored) is type(expected)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        b"bytes",
        {1, 2},
        1j,
        np.datetime64("2020"),
        float("nan"),
        np.float32("inf"),
        {3: 4},
        np.void(b"x"),
    ],
)
def test_a_value_that_json_cannot_hold_names_its_key_and_changes_nothing(
    node: Array | Group, value: Any
) -> None:
    node.attrs["good"] = 1
    documents = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
    before = {name: bytes(node.store.get(name) or b"") for name in documents}
    with pytest.raises(AttributesError, match="bad"):
        node.attrs["bad"] = value
    with pytest.raises(AttributesError, match=r"bad.*deep"):
        node.attrs.update(good=2, bad={"deep": [value]})
    with pytest.raises(AttributesError, match="bad"):
        node.attrs.put({"bad": value})
    assert dict(node.attrs) == dict(again(node).attrs) == {"good": 1}
    after = {name: bytes(node.store.get(name) or b"") for name in before}
    assert before == after
    node.attrs["good"] = 3
    assert dict(again(node).attrs) == {"good": 3}


def test_the_error_names_the_array() -> None:
    array = zarrc.create_array({}, name="a/b", shape=(1,))
    with pytest.raises(AttributesError, match=r"\(array 'a/b'\)") as caught:
        array.attrs["bad"] = object()
    assert caught.value.array == "a/b"


def test_attributes_that_hold_themselves_are_refused() -> None:
    group = zarrc.create_group()
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(AttributesError):
        group.attrs["loop"] = loop


@pytest.mark.parametrize("name", [1, None, ("a",)])
def test_a_name_that_is_no_string_is_refused(name: Any) -> None:
    with pytest.raises(AttributesError, match="string"):
        zarrc.create_group().attrs[name] = 1


def test_attributes_at_creation_are_checked_the_same_way(tmp_path: Path) -> None:
    with pytest.raises(AttributesError, match="bad"):
        zarrc.create_array(tmp_path / "a", shape=(3,), attributes={"bad": object()})
    assert not (tmp_path / "a").exists()


def test_what_is_read_is_a_copy(node: Array | Group) -> None:
    node.attrs["a"] = {"b": [1]}
    node.attrs["a"]["b"].append(2)
    node.attrs.asdict()["a"]["b"].append(3)
    assert node.attrs["a"] == {"b": [1]}


def test_a_handle_that_is_read_only_refuses_writes(node: Array | Group) -> None:
    node.attrs["a"] = 1
    for write in (lambda a: a.update(b=2), lambda a: a.put({}), lambda a: a.pop("a"), lambda a: a.clear()):
        with pytest.raises(ReadOnlyError):
            write(again(node).attrs)
    assert dict(again(node).attrs) == {"a": 1}


def test_two_handles_do_not_lose_each_others_attributes(node: Array | Group) -> None:
    first, second = zarrc.open(node.store), zarrc.open(node.store)
    first.attrs["a"] = 1
    second.attrs["b"] = 2
    assert dict(second.attrs) == dict(again(node).attrs) == {"a": 1, "b": 2}


def test_reading_shows_what_was_there_until_refreshed(node: Array | Group) -> None:
    other = zarrc.open(node.store)
    other.attrs["a"] = 1
    assert dict(node.attrs) == {}
    node.attrs.refresh()
    assert dict(node.attrs) == {"a": 1}


def test_threads_with_handles_of_their_own_lose_nothing(tmp_path: Path) -> None:
    zarrc.create_group(tmp_path / "g")
    (tmp_path / "link").symlink_to(tmp_path / "g")
    n_threads, n_rounds = 4, count(200)
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            group = zarrc.open_group(tmp_path / ("link" if number % 2 else "g"), mode="r+")
            for i in range(n_rounds):
                group.attrs[f"{number}-{i}"] = i
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(zarrc.open_group(tmp_path / "g", mode="r").attrs) == n_threads * n_rounds


class FailingStore(LocalStore):
    """A directory whose metadata documents cannot be replaced."""

    def set(self, key: str, data: Any) -> None:
        raise StoreError("the disk is full", key=key)

    def set_if(self, key: str, data: Any, version: str | None) -> str | None:
        raise StoreError("the disk is full", key=key)


def test_a_write_that_fails_leaves_memory_as_it_was(node: Array | Group, tmp_path: Path) -> None:
    node.attrs["a"] = 1
    handle = zarrc.open(FailingStore(tmp_path / "n"), mode="r+")
    with pytest.raises(StoreError, match="full"):
        handle.attrs["a"] = 2
    assert dict(handle.attrs) == dict(again(node).attrs) == {"a": 1}


def test_attributes_of_a_node_that_is_gone_cannot_be_written(tmp_path: Path) -> None:
    root = zarrc.create_group(tmp_path / "g")
    child = root.create_group("c")
    del root["c"]
    with pytest.raises(NodeNotFoundError):
        child.attrs["a"] = 1
    assert "c" not in root


def test_a_bare_nan_that_others_wrote_is_read_and_does_not_block_other_attributes() -> None:
    store = MemoryStore()
    attributes = b'{"missing": NaN, "x": [1, -Infinity]}'
    store.set("zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": ' + attributes + b"}")
    group = zarrc.open_group(store, mode="r+")
    assert np.isnan(group.attrs["missing"])
    with pytest.warns(ZarrcWarning, match="'missing', 'x'"):
        group.attrs["new"] = 1
    assert dict(again(group).attrs) == {"missing": "NaN", "x": [1, "-Infinity"], "new": 1}


def test_unknown_fields_that_may_be_ignored_survive_a_write() -> None:
    store = MemoryStore()
    extra = {"must_understand": False, "v": 1}
    store.set(
        "zarr.json",
        json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}, "extra": extra}).encode(),
    )
    zarrc.open_group(store, mode="r+").attrs["a"] = 1
    document = json.loads(bytes(store.get("zarr.json") or b""))
    assert document["extra"] == extra


def test_changing_attributes_of_a_v2_array_leaves_its_zarray_alone(tmp_path: Path) -> None:
    zarrc.create_array(tmp_path / "a", shape=(3,), zarr_format=2)
    document = json.loads((tmp_path / "a" / ".zarray").read_text())
    (tmp_path / "a" / ".zarray").write_text(json.dumps(document | {"something": "else"}))
    before = (tmp_path / "a" / ".zarray").read_bytes()
    zarrc.open_array(tmp_path / "a").attrs["a"] = 1
    assert (tmp_path / "a" / ".zarray").read_bytes() == before
    assert json.loads((tmp_path / "a" / ".zattrs").read_text()) == {"a": 1}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.sampled_from([2, 3]))
def test_json_values_come_back_as_they_were(attributes: dict[str, Any], zarr_format: Any) -> None:
    group = zarrc.create_group(zarr_format=zarr_format, attributes=attributes)
    group.attrs.update(attributes)
    found = again(group).attrs.asdict()
    assert found == attributes
    assert repr(found) == repr(group.attrs.asdict())


def test_attributes_that_are_nested_too_deeply_are_refused_by_name() -> None:
    nested = '{"a":' * 900 + "1" + "}" * 900
    store = {"zarr.json": f'{{"zarr_format":3,"node_type":"group","attributes":{nested}}}'.encode()}
    group = zarrc.open_group(store, mode="r+")
    with pytest.raises(AttributesError, match="nested too deeply"):
        group.attrs["b"] = 1
    assert store["zarr.json"].count(b"{") == 901
