"""The public names are one sorted list, and what shows is that list."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

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


def test_the_public_names_are_sorted_and_all_there() -> None:
    assert list(zarrc.__all__) == sorted(zarrc.__all__)
    assert len(set(zarrc.__all__)) == len(zarrc.__all__)
    assert set(zarrc.__all__) <= set(dir(zarrc))
    for name in zarrc.__all__:
        assert getattr(zarrc, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'opn'"):
        _ = zarrc.opn  # type: ignore[attr-defined]


def test_names_that_are_modules_too_are_what_users_call(child_environment: dict[str, str]) -> None:
    program = (
        "import zarrc.array, zarrc.group, zarrc.config, zarrc.tree\n"
        "from zarrc.array import Array\nfrom zarrc.config import ArrayConfig\n"
        "assert isinstance(zarrc.array([1, 2]), Array)\n"
        "assert list(zarrc.tree(zarrc.group()).root.branches) == []\n"
        "assert zarrc.config.get('array.order') == 'C'\n"
        "from zarrc import array, group, config\n"
        "assert callable(array) and callable(group) and config is zarrc.config\n"
    )
    subprocess.run([sys.executable, "-c", program], env=child_environment, check=True)


def test_the_version_is_that_of_the_project(source_root: Path) -> None:
    project = tomllib.loads((source_root / "pyproject.toml").read_text())["project"]
    assert zarrc.__version__ == project["version"]
