"""What every store promises of its keys: which are refused, and what listings show."""

from __future__ import annotations

import pytest

from zarrc.errors import StoreError
from zarrc.storage import Store
from zarrc.testing.samples import BODY, HOSTILE_KEYS, UNUSUAL_KEYS
from zarrc.testing.store_facts import StoreFacts

__all__ = ["KeyTests"]


class KeyTests(StoreFacts):
    """Tests of keys and listings; a part of `StoreTests`."""

    # Keys.

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_a_hostile_key_is_refused_by_every_method(self, store: Store, key: str) -> None:
        for action in (
            lambda: store.get(key),
            lambda: store.get(key, (0, 0)),
            lambda: list(store.get_many([(key, None)])),
            lambda: store.get_into(key, bytearray(10)),
            lambda: store.stat(key),
            lambda: store.set(key, b"data"),
            lambda: store.set_many([(key, b"data")]),
            lambda: store.set_if(key, b"data", None),
            lambda: store.delete(key),
            lambda: store.delete_many([key]),
            lambda: list(store.stat_many([key])),
            lambda: store.copy(key, "target"),
            lambda: store.copy_many([(key, "target")]),
        ):
            with pytest.raises(StoreError, match="not a legal key"):
                action()
        assert list(store.list_prefix("")) == []

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_a_copy_to_a_hostile_key_is_refused(self, store: Store, key: str) -> None:
        store.set("x", BODY)
        with pytest.raises(StoreError, match="not a legal key"):
            store.copy("x", key)
        assert list(store.list_prefix("")) == ["x"]

    @pytest.mark.parametrize("prefix", [key for key in HOSTILE_KEYS if key not in ("", "a/")])
    def test_a_hostile_prefix_is_refused(self, store: Store, prefix: str) -> None:
        for action in (
            lambda: list(store.list_prefix(prefix)),
            lambda: store.list_dir(prefix),
            lambda: store.delete_prefix(prefix),
        ):
            with pytest.raises(StoreError, match="not a legal key"):
                action()

    def test_a_key_must_be_text(self, store: Store) -> None:
        for key in (None, 3, b"x", ("x",)):
            with pytest.raises(TypeError):
                store.get(key)  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                store.set(key, b"")  # type: ignore[arg-type]

    @pytest.mark.parametrize("key", UNUSUAL_KEYS)
    def test_unusual_keys_work(self, store: Store, key: str) -> None:
        if key in self.refused_keys:
            with pytest.raises(StoreError):
                store.set(key, BODY)
            return
        store.set(key, BODY)
        store.set("other/" + key, b"other")
        blob = store.get(key)
        assert blob is not None
        assert bytes(blob) == BODY
        assert sorted(store.list_prefix("")) == sorted([key, "other/" + key])
        assert list(store.list_prefix("other")) == ["other/" + key]
        store.delete(key)
        assert list(store.list_prefix("")) == ["other/" + key]
        store.delete_prefix("other")
        assert list(store.list_prefix("")) == []

    def test_stars_in_keys_are_letters(self, store: Store) -> None:
        store.set_many((key, b"") for key in ("d*/x", "dog/x", "star*", "starfish"))
        store.delete("star*")
        store.delete_many(["sta?fish", "[s]tarfish"])
        store.delete_prefix("d*")
        assert sorted(store.list_prefix("")) == ["dog/x", "starfish"]
        assert list(store.list_prefix("do*")) == []

    def test_long_keys_work(self, store: Store) -> None:
        deep = "/".join(["c"] * 40)
        wide = "/".join(["n" * 200] * 5)
        store.set_many([(deep, b"deep"), (wide, b"wide")])
        assert sorted(store.list_prefix("")) == sorted([deep, wide])
        blob = store.get(wide)
        assert blob is not None
        assert bytes(blob) == b"wide"

    # Listing.

    TREE = (
        "zarr.json",
        "a/zarr.json",
        "a/c/0/0",
        "a/c/0/1",
        "a/c/10/0",
        "ab/zarr.json",
        "b.c/d",
        "b/.zarray",
    )

    @pytest.fixture
    def tree(self, store: Store) -> Store:
        store.set_many((key, key.encode()) for key in self.TREE)
        return store

    @pytest.mark.parametrize(
        "prefix", ["", "a", "a/", "a/c", "a/c/0", "a/c/1", "ab", "b", "b.c", "zarr.json", "none"]
    )
    def test_list_prefix_gives_the_keys_below_it(self, tree: Store, prefix: str) -> None:
        start = prefix if prefix in ("", "a/") else prefix + "/"
        assert sorted(tree.list_prefix(prefix)) == sorted(key for key in self.TREE if key.startswith(start))

    @pytest.mark.parametrize("prefix", ["", "a", "a/c/", "none"])
    def test_list_sizes_gives_the_keys_and_sizes(self, tree: Store, prefix: str) -> None:
        tree.set("a/c/0/1", b"12345")
        tree.set("a/c/0/0", b"")
        wanted = {key: len(bytes(tree.get(key) or b"")) for key in tree.list_prefix(prefix)}
        assert dict(tree.list_sizes(prefix)) == wanted
        assert len(list(tree.list_sizes(prefix))) == len(wanted)

    def test_list_dir_gives_names(self, tree: Store) -> None:
        assert tree.list_dir("") == (["zarr.json"], ["a", "ab", "b", "b.c"])
        assert tree.list_dir("a") == tree.list_dir("a/") == (["zarr.json"], ["c"])
        assert tree.list_dir("a/c/0") == (["0", "1"], [])
        assert tree.list_dir("none") == tree.list_dir("zarr.json") == ([], [])
        assert tree.list_dir("b").keys == [".zarray"]

    def test_delete_prefix_deletes_what_is_below_it(self, tree: Store) -> None:
        tree.delete_prefix("a")
        assert sorted(tree.list_prefix("")) == sorted(key for key in self.TREE if not key.startswith("a/"))
        tree.delete_prefix("none")
        tree.delete_prefix("zarr.json")
        assert tree.get("zarr.json") is not None
        tree.delete_prefix("")
        assert list(tree.list_prefix("")) == []
        tree.set("a/again", b"")
        assert list(tree.list_prefix("")) == ["a/again"]

    def test_reserved_names_are_hidden(self, store: Store) -> None:
        keys = [".zc-1-2-3", "a/.zc-x", "a/.zc/journal/1", "a/.zarray", "a/x.zc"]
        store.set_many((key, b"x") for key in keys)
        assert sorted(store.list_prefix("")) == ["a/.zarray", "a/x.zc"]
        assert sorted(store.list_prefix("a")) == ["a/.zarray", "a/x.zc"]
        assert store.list_dir("") == ([], ["a"])
        assert store.list_dir("a") == ([".zarray", "x.zc"], [])
        assert list(store.list_prefix("a/.zc")) == ["a/.zc/journal/1"]

    def test_an_object_below_another_is_right_or_refused(self, store: Store) -> None:
        store.set("a", b"upper")
        if not self.keys_nest:
            with pytest.raises(StoreError):
                store.set("a/b", b"lower")
            assert list(store.list_prefix("")) == ["a"]
            return
        store.set("a/b", b"lower")
        upper, lower = store.get("a"), store.get("a/b")
        assert upper is not None
        assert lower is not None
        assert (bytes(upper), bytes(lower)) == (b"upper", b"lower")
        assert store.list_dir("") == (["a"], ["a"])
