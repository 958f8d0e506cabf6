"""What our extension modules show to the rest of the process, and what our C shows to its own."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest


def extension_files() -> list[Path]:
    spec = importlib.util.find_spec("zarrc")
    assert spec is not None
    assert spec.origin is not None
    return sorted(Path(spec.origin).parent.rglob("*.so"))


def symbols(path: Path, *options: str) -> list[str]:
    """The names of the symbols that ``path`` defines."""
    shown = subprocess.run(["nm", *options, str(path)], check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^[0-9a-f]* *[A-TV-Z] (\S+)$", shown, re.MULTILINE)
    return [name.removeprefix("_") if sys.platform == "darwin" else name for name in found]


def test_there_is_something_to_look_at() -> None:
    names = {path.name.partition(".")[0] for path in extension_files()}
    assert {"compressors", "codec", "worker"} <= names


@pytest.mark.parametrize("path", extension_files(), ids=lambda path: path.name.partition(".")[0])
def test_an_extension_module_exports_its_init_function_and_nothing_else(path: Path) -> None:
    options = ["-gU"] if sys.platform == "darwin" else ["-D", "--defined-only"]
    assert symbols(path, *options) == [f"PyInit_{path.name.partition('.')[0]}"]


def test_no_stack_is_executable() -> None:
    if sys.platform != "linux":
        pytest.skip("ELF only")
    for path in extension_files():
        headers = subprocess.run(
            ["readelf", "-lW", str(path)], check=True, capture_output=True, text=True
        ).stdout
        assert re.search(r"GNU_STACK.* RW +0x", headers), path.name


def test_every_global_symbol_of_our_c_starts_with_zc(source_root: Path, tmp_path: Path) -> None:
    sources = sorted((source_root / "csrc").glob("*.c"))
    assert sources
    include = [f"-I{source_root / 'csrc'}"]
    vendored = source_root / "vendor" / "src"
    for folder in ("c-blosc2/include", "c-blosc2/blosc", "lz4", "zstd/lib", "libdeflate"):
        include += ["-isystem", str(vendored / folder)]
    for source in sources:
        target = tmp_path / f"{source.stem}.o"
        subprocess.run(["cc", "-std=gnu11", *include, "-c", str(source), "-o", str(target)], check=True)
        strangers = [name for name in symbols(target, "-g", "--defined-only") if not name.startswith("zc_")]
        assert not strangers, source.name


def test_every_c_file_is_linked_into_exactly_one_module(source_root: Path) -> None:
    show = "import setup; print([p.name for m in setup.C_SOURCES for p in setup.c_sources(m)])"
    done = subprocess.run(
        [sys.executable, "-c", show], cwd=source_root, check=True, capture_output=True, text=True
    )
    linked = re.findall(r"'([^']+)'", done.stdout)
    assert sorted(linked) == sorted(path.name for path in (source_root / "csrc").glob("*.c"))
