"""For those who write a store: the tests that every store passes.

It needs pytest, which zarrc itself does not.
"""

from __future__ import annotations

import pytest

# Before they are imported, so that a failed assert shows its values.
pytest.register_assert_rewrite(
    "zarrc.testing.copying",
    "zarrc.testing.keys",
    "zarrc.testing.objects",
    "zarrc.testing.sharing",
    "zarrc.testing.steps",
    "zarrc.testing.together",
)

from zarrc.testing.chunks_by_number import ChunksByNumber  # noqa: E402
from zarrc.testing.store_tests import AtomicStoreTests, StoreTests  # noqa: E402

__all__ = ["AtomicStoreTests", "ChunksByNumber", "StoreTests"]
