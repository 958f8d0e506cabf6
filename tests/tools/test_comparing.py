"""`zarrc.compare`: what differs between arrays, and between groups."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.storage import MemoryStore

DATA = np.arange(30.0).reshape(5, 6)


def make(data: Any = DATA, **more: Any) -> zarrc.Array:
    return zarrc.create_array(MemoryStore(), data=data, **{"chunks": (2, 4)} | more)


def test_arrays_that_are_stored_otherwise_are_equal() -> None:
    others = [
        make(),
        make(chunks=(5, 1)),
        make(chunks=(1, 2), shards=(4, 4)),
        make(zarr_format=2, dtype=">f8"),
        make(chunks=((1, 4), (6,))),
    ]
    for other in others:
        found = zarrc.compare(make(), other)
        assert found
        assert found.same_data
        assert found.n_different == 0
        assert str(found) == "equal"


def test_the_first_difference_is_that_in_c_order() -> None:
    data = DATA.copy()
    data[0, 5] = data[1, 0] = data[4, 4] = -1
    found = zarrc.compare(make(), make(data, chunks=(5, 2)))
    assert not found
    assert not found.same_data
    assert (found.n_different, found.first_index) == (3, (0, 5))
    assert found.first_region == (slice(0, 2), slice(4, 6))
    assert str(found) == "different:\n  3 elements, the first at (0, 5)"
    assert pickle.loads(pickle.dumps(found)) == found


def test_each_part_is_told() -> None:
    assert zarrc.compare(make(), make(DATA[:4])).shape
    assert zarrc.compare(make(), make(DATA[:4])).n_different is None
    dtype = zarrc.compare(make(), make(DATA.astype("f4")))
    assert dtype.dtype
    assert dtype.same_data
    assert zarrc.compare(make(), make(fill_value=3)).fill_value
    assert zarrc.compare(make(), make(dimension_names=["a", "b"])).dimension_names
    named = zarrc.compare(
        make(attributes={"a": 1, "b": 2, "c": [3]}), make(attributes={"a": 1, "b": 3, "d": 0})
    )
    assert named.attributes == ("b", "c", "d")
    assert "attributes b, c, d" in str(named)
    assert zarrc.compare(make(attributes={"a": 1}), make(), attributes=False)
    assert zarrc.compare(make(), make(DATA + 1), elements=False).n_different is None
    assert zarrc.compare(make(), make(DATA + 1), elements=False)


def test_nan() -> None:
    data = DATA.copy()
    data[2, 3] = np.nan
    assert zarrc.compare(make(data), make(data))
    found = zarrc.compare(make(data), make(data), equal_nan=False)
    assert (found.n_different, found.first_index) == (1, (2, 3))
    assert zarrc.compare(make(data), make()).n_different == 1


def test_other_arrays_and_lists() -> None:
    assert zarrc.compare(make(), DATA)
    assert zarrc.compare(zarrc.array([1, 2, 3]), [1, 2, 3])
    assert zarrc.compare(make(), DATA + 1).n_different == 30
    assert zarrc.compare(zarrc.array(3), np.array(4)).first_index == ()
    assert zarrc.compare(zarrc.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(TypeError, match="ndarray"):
        zarrc.compare(DATA, make())


def test_groups() -> None:
    def tree(**more: Any) -> zarrc.Group:
        group = zarrc.create_group(MemoryStore(), attributes={"title": "t"})
        inner = group.create_group("inner", attributes={"x": 1})
        inner.create_array("a", data=DATA, chunks=(2, 2))
        group.create_array("b", data=np.arange(3), **more)
        return group

    assert zarrc.compare(tree(), tree(chunks=1))
    changed = tree()
    changed["inner/a"][1, 1] = 100
    changed["inner"].attrs["x"] = 2
    changed.attrs["title"] = "u"
    changed.create_array("c", data=[1])
    del changed["b"]
    found = zarrc.compare(tree(), changed)
    assert not found
    assert (found.only_in_a, found.only_in_b, found.attributes) == (("b",), ("c",), ("title",))
    assert sorted(found.members) == ["inner", "inner/a"]
    assert found.members["inner"].attributes == ("x",)
    assert found.members["inner/a"].n_different == 1
    assert "inner/a (1 elements, the first at (1, 1))" in str(found)
    assert pickle.loads(pickle.dumps(found)) == found
    assert zarrc.compare(tree(), make()).kind
    assert zarrc.compare(make(), tree()).kind
    other = tree()
    del other["inner/a"]
    other["inner"].create_group("a")
    assert zarrc.compare(tree(), other).members["inner/a"].kind
