"""Random operations on a consolidated group do what a model does, and the document tells of them."""

from __future__ import annotations

import tempfile
import warnings
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.soak import count
from zarrc.errors import ZarrcWarning
from zarrc.group import Group
from zarrc.storage import LocalStore, MemoryStore

NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("array"), NAMES),
        st.tuples(st.just("group"), NAMES),
        st.tuples(st.just("delete"), NAMES),
        st.tuples(st.just("attribute"), NAMES, st.integers(0, 9)),
        st.tuples(st.sampled_from(["move", "copy"]), NAMES, NAMES),
        st.tuples(st.just("resize"), NAMES, st.integers(0, 9)),
        st.tuples(st.just("reopen")),
    ),
    max_size=12,
)


class Model:
    """What should be there: path -> (kind, attribute, length)."""

    def __init__(self) -> None:
        self.nodes: dict[str, tuple[str, int | None, int]] = {}

    def below(self, path: str) -> list[str]:
        return [one for one in self.nodes if one == path or one.startswith(f"{path}/")]

    def can_make(self, path: str) -> bool:
        parts = path.split("/")
        above = ["/".join(parts[:i]) for i in range(1, len(parts))]
        return path not in self.nodes and all(self.nodes.get(one, ("group",))[0] == "group" for one in above)

    def make_parents(self, path: str) -> None:
        parts = path.split("/")
        for i in range(1, len(parts)):
            self.nodes.setdefault("/".join(parts[:i]), ("group", None, 0))

    def carry(self, source: str, target: str, *, keep: bool) -> None:
        moved = {target + one[len(source) :]: self.nodes[one] for one in self.below(source)}
        if not keep:
            for one in self.below(source):
                del self.nodes[one]
        self.make_parents(target)
        self.nodes.update(moved)


def step(group: Group, model: Model, operation: tuple[Any, ...]) -> None:
    """One operation on both, if the model says that it can be done; else it must be refused."""
    what, *rest = operation
    path = rest[0] if rest else ""
    refused = False
    try:
        if what == "array":
            group.create_array(path, shape=(2,), dtype="i1")
        elif what == "group":
            group.create_group(path)
        elif what == "delete":
            del group[path]
        elif what == "attribute":
            group[path].attrs["k"] = rest[1]
        elif what == "resize":
            group.get_array(path).resize((rest[1],))
        elif what == "move":
            group.move(path, rest[1])
        elif what == "copy":
            group.copy(path, rest[1])
    except (ValueError, KeyError):
        refused = True
    expected = apply(model, what, path, rest[1] if len(rest) > 1 else None)
    assert refused == (not expected), operation


def apply(model: Model, what: str, path: str, other: Any) -> bool:
    """Whether the operation can be done; then the model has done it."""
    if what in ("array", "group"):
        if not model.can_make(path):
            return False
        model.make_parents(path)
        model.nodes[path] = (what, None, 2 if what == "array" else 0)
        return True
    if what == "reopen":
        return True
    if path not in model.nodes:
        return False
    kind, attribute, length = model.nodes[path]
    if what == "delete":
        for one in model.below(path):
            del model.nodes[one]
    elif what == "attribute":
        model.nodes[path] = (kind, other, length)
    elif what == "resize":
        if kind != "array":
            return False
        model.nodes[path] = (kind, attribute, other)
    elif what in ("move", "copy"):
        if other == path:
            return what == "move"
        if other.startswith(f"{path}/") or not model.can_make(other):
            return False
        model.carry(path, other, keep=what == "copy")
    return True


def seen(group: Group) -> dict[str, tuple[str, int | None, int]]:
    found: dict[str, tuple[str, int | None, int]] = {}
    for path, node in group.members(None):
        if isinstance(node, zarrc.Array):
            found[path] = ("array", node.attrs.get("k"), node.shape[0])
        else:
            found[path] = ("group", node.attrs.get("k"), 0)
    return found


@given(OPERATIONS, st.sampled_from([2, 3]), st.booleans(), st.booleans())
@settings(max_examples=count(1000))
def test_a_consolidated_group_is_what_a_model_says(
    operations: list[tuple[Any, ...]], zarr_format: Any, is_local: bool, writes: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(folder) if is_local else MemoryStore()
        zarrc.create_group(store, zarr_format=zarr_format)
        zarrc.consolidate_metadata(store)
        group, model = zarrc.open_group(store, consolidate=writes), Model()
        for operation in operations:
            if operation[0] == "reopen" and writes:
                group = zarrc.open_consolidated(store)
            step(group, model, operation)
            assert seen(group) == model.nodes
        assert seen(zarrc.open_group(store, use_consolidated=False)) == model.nodes
        if writes:
            with warnings.catch_warnings():
                warnings.simplefilter("error", ZarrcWarning)
                assert seen(zarrc.open_consolidated(store, use_consolidated="check")) == model.nodes
                assert seen(zarrc.open_consolidated(store)) == model.nodes
