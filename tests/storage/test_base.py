"""What every store has from `Store`: a signature that tells its keywords, and an identity."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
from typing import Any

import pytest

import zarrc.storage
from zarrc.storage import LocalStore, Store, register, registry
from zarrc.storage.keys import check_prefix, keys_below

CLASSES = [
    one
    for one in (getattr(zarrc.storage, name) for name in zarrc.storage.__all__)
    if isinstance(one, type) and issubclass(one, Store)
]


class Forgetful(Store):
    """One that does not call our ``__init__``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, key: str, range: Any = None) -> Any:
        return None

    def set(self, key: str, data: Any) -> None:
        pass

    def delete(self, key: str) -> None:
        pass

    def list_prefix(self, prefix: str) -> Any:
        return keys_below(check_prefix(prefix), [])


class Mindful(Forgetful):
    def __init__(self, name: str) -> None:
        Store.__init__(self)
        super().__init__(name)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_signature_of_a_store_is_that_of_its_init(kind: type[Store]) -> None:
    of_init = list(inspect.signature(kind.__init__).parameters.values())[1:]
    assert list(inspect.signature(kind).parameters.values()) == of_init


def test_a_class_registered_as_a_store_takes_its_own_keywords_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    register(LocalStore, "my_files")
    assert registry.info("my_files").keywords == ("root", "read_only", "durable")
    with pytest.raises(TypeError, match=r"takes no rot=.*; it takes root=, read_only=, durable="):
        zarrc.storage.open_named("my_files", rot=str(tmp_path))


@pytest.mark.parametrize("kind", [Forgetful, Mindful])
def test_a_store_that_says_nothing_of_its_identity_has_one(kind: type[Forgetful]) -> None:
    store = kind("a")
    assert store.identity == store.identity != kind("a").identity
    assert store.identity_of("a/b") != store.identity_of("a")
    assert repr(store.identity) != repr(kind("a").identity)


@pytest.mark.parametrize("kind", [Forgetful, Mindful])
def test_copies_are_the_same_store_and_pickled_ones_another(kind: type[Forgetful]) -> None:
    store = kind("a")
    twin, reading = copy.copy(store), store.with_read_only()
    other = pickle.loads(pickle.dumps(store))
    assert store.identity == twin.identity == reading.identity != other.identity
    assert other.name == "a"


def test_threads_that_ask_at_once_agree_on_the_identity() -> None:
    for _ in range(50):
        store = Forgetful("a")
        found: list[Any] = []
        start = threading.Barrier(4)

        def ask(store: Store = store, found: list[Any] = found, start: threading.Barrier = start) -> None:
            start.wait()
            found.append(store.identity)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(one) for one in found}) == 1
