"""What every store promises, as tests: subclass `StoreTests` and give it a `store` fixture."""

from __future__ import annotations

from zarrc.storage import Store
from zarrc.testing.copying import CopyTests
from zarrc.testing.keys import KeyTests
from zarrc.testing.objects import ObjectTests
from zarrc.testing.sharing import SharingTests
from zarrc.testing.steps import StepTests

__all__ = ["AtomicStoreTests", "StoreTests"]


class StoreTests(ObjectTests, KeyTests, CopyTests, SharingTests):
    """The promises of a `zarrc.storage.Store`, a test each.

    A subclass, in a file that pytest collects, has a fixture ``store`` that gives an empty, writable store,
    another one for each test. A test that cannot hold for a store is left out by setting it to None.

    Attributes
    ----------
    pickles_by_place : bool, default True
        Whether a copy of the store, pickled, is on the same objects. False for a store that takes its objects
        along, as one of a dict does.
    keys_nest : bool, default True
        Whether what is under "a" and what is under "a/b" may both be objects; else the second is refused.
    forks : bool, default True
        Whether the store is used in a forked child while threads of the parent are at work in it.
    refused_keys : tuple of str, default ()
        Legal keys with unusual letters that the store cannot have, and refuses with a `StoreError`.
    effort : float, default 0.1
        Part of the repetitions of the tests with several threads and processes. 1 with ``ZARRC_SOAK=1`` in
        the environment; less for a store where a request takes long.

    Examples
    --------
    The whole of a test file:

    >>> import pytest
    >>> from zarrc.storage import LocalStore
    >>> from zarrc.testing import StoreTests
    >>> class TestMyStore(StoreTests):
    ...     keys_nest = False
    ...
    ...     @pytest.fixture
    ...     def store(self, tmp_path):
    ...         return LocalStore(tmp_path)
    """

    def test_a_store_that_changes_much_in_one_step_is_held_to_it(self, store: Store) -> None:
        assert not store.is_atomic or isinstance(self, AtomicStoreTests), "subclass AtomicStoreTests"


class AtomicStoreTests(StoreTests, StepTests):
    """`StoreTests`, for a store whose `Store.is_atomic` is True: what `Store.apply` promises comes to it."""
