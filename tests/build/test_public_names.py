"""The public names are one sorted list, and what shows is that list."""

from __future__ import annotations

import subprocess
import sys

import zarrc


def test_the_list_is_sorted_and_has_no_name_twice() -> None:
    assert list(zarrc.__all__) == sorted(set(zarrc.__all__))


def test_every_name_of_the_list_is_there() -> None:
    missing = [name for name in zarrc.__all__ if getattr(zarrc, name, None) is None]
    assert not missing


def test_dir_shows_the_list() -> None:
    shown = {name for name in dir(zarrc) if not name.startswith("_")}
    assert shown == {name for name in zarrc.__all__ if not name.startswith("_")}


def test_star_imports_the_list() -> None:
    names: dict[str, object] = {}
    exec("from zarrc import *", names)
    assert set(names) - {"__builtins__"} == set(zarrc.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(zarrc, "no_such_name")


def test_importing_zarrc_imports_neither_fsspec_nor_asyncio(child_environment: dict[str, str]) -> None:
    heavy = {"asyncio", "fsspec", "numcodecs", "xarray", "zarr"}
    program = f"import sys, zarrc; print(sorted({heavy!r} & set(sys.modules)))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=child_environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
