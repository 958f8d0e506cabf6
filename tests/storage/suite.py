"""What every store promises, as tests: subclass `StoreTests` and give it a `store` fixture."""

from __future__ import annotations

from tests.storage.suite_keys import KeyTests
from tests.storage.suite_objects import ObjectTests
from tests.storage.suite_sharing import SharingTests


class StoreTests(ObjectTests, KeyTests, SharingTests):
    """The tests. A subclass has a fixture ``store`` that gives an empty, writable store."""

    # Whether a copy of the store, pickled, is on the same objects.
    pickles_by_place = True
    # Whether what is under "a" and what is under "a/b" may both be objects.
    keys_nest = True
