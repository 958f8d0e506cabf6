"""Prints what zarrc says about each bad shard: `python -m tests.engine.show_bad_shards`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import zarrc
from tests.engine.hostile_shards import bad_shards, bad_sizes
from tests.engine.test_shard_hostile import CHANGES, READS, bad_array


def main() -> None:
    for bad in (*bad_shards(), *bad_sizes()):
        array = bad_array(zarrc.storage.MemoryStore(), bad.stored)
        print(bad)
        for what, deed in (("read", READS["all"]), ("write", CHANGES["the inner chunk itself"])):
            print(f"    {what}: {_said(deed, array)}")


def _said(deed: Callable[[Any], object], array: Any) -> str:
    try:
        deed(array)
    except Exception as error:  # anything else than the right error shows here
        return f"{type(error).__name__}: {error}"
    return "NO ERROR"


if __name__ == "__main__":
    main()
