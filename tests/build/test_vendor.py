"""The pinned C sources: only what the manifest says is unpacked, from nothing but the pinned archives."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def fetch(source_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("zarrc_vendor_fetch", source_root / "vendor" / "fetch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def native(source_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("zarrc_vendor_native", source_root / "vendor" / "native.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def make_archive(path: Path, files: dict[str, bytes], link: str | None = None) -> str:
    """A .tar.gz with ``files``; its sha256."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if link is not None:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info)
    return hashlib.sha256(path.read_bytes()).hexdigest()


FILES = {
    "x-1/lib/a.c": b"int a;\n",
    "x-1/lib/deep/b.c": b"int b;\n",
    "x-1/LICENCE": b"free\n",
    "x-1/setup.py": b"boom",
}


def library(fetch: ModuleType, sha256: str, **changes: object) -> object:
    made = fetch.Library(
        name="x",
        version="1",
        package="x",
        package_version="1",
        archive="x-1.tar.gz",
        sha256=sha256,
        licence="MIT",
        licence_files=("LICENCE",),
        strip="",
        take=("lib/",),
        why="a test",
    )
    return dataclasses.replace(made, **changes)


def test_only_the_listed_files_are_unpacked(fetch: ModuleType, tmp_path: Path) -> None:
    archive = tmp_path / "x-1.tar.gz"
    fetch.unpack(library(fetch, make_archive(archive, FILES)), archive, tmp_path / "src")
    found = {str(p.relative_to(tmp_path / "src/x")) for p in (tmp_path / "src/x").rglob("*") if p.is_file()}
    assert found == {"lib/a.c", "lib/deep/b.c", "licences/LICENCE", ".stamp.json"}


def test_another_sha256_is_refused_and_nothing_is_unpacked(fetch: ModuleType, tmp_path: Path) -> None:
    archive = tmp_path / "x-1.tar.gz"
    make_archive(archive, FILES)
    with pytest.raises(fetch.VendorError, match=r"sha256 is .* the manifest says 0000"):
        fetch.unpack(library(fetch, "0" * 64), archive, tmp_path / "src")
    assert not (tmp_path / "src").exists()


@pytest.mark.parametrize(
    "name", ["x-1/lib/../../../escaped.c", "x-1/lib/..\\escaped.c", "x-1/lib//../../e.c"]
)
def test_a_name_that_leaves_the_folder_is_refused(fetch: ModuleType, tmp_path: Path, name: str) -> None:
    archive = tmp_path / "x-1.tar.gz"
    sha256 = make_archive(archive, FILES | {name: b"out"})
    with pytest.raises(fetch.VendorError, match="leaves the folder"):
        fetch.unpack(library(fetch, sha256), archive, tmp_path / "src")
    assert not (tmp_path / "src" / "x").exists()


def test_a_link_is_not_unpacked(fetch: ModuleType, tmp_path: Path) -> None:
    archive = tmp_path / "x-1.tar.gz"
    sha256 = make_archive(archive, FILES, link="x-1/lib/passwd.c")
    fetch.unpack(library(fetch, sha256), archive, tmp_path / "src")
    assert not (tmp_path / "src/x/lib/passwd.c").is_symlink()


def test_an_archive_without_a_listed_folder_is_refused(fetch: ModuleType, tmp_path: Path) -> None:
    archive = tmp_path / "x-1.tar.gz"
    sha256 = make_archive(archive, FILES)
    with pytest.raises(fetch.VendorError, match="has no other/"):
        fetch.unpack(library(fetch, sha256, take=("lib/", "other/")), archive, tmp_path / "src")


def test_what_is_there_is_not_fetched_again_until_the_manifest_changes(
    fetch: ModuleType, tmp_path: Path
) -> None:
    archive = tmp_path / "x-1.tar.gz"
    wanted = library(fetch, make_archive(archive, FILES))
    assert fetch.missing([wanted], tmp_path / "src") == [wanted]
    fetch.unpack(wanted, archive, tmp_path / "src")
    assert fetch.fetch([wanted], tmp_path / "src") == []
    changed = dataclasses.replace(wanted, take=("lib/deep/",))
    assert fetch.missing([changed], tmp_path / "src") == [changed]


def test_a_package_of_the_registry_is_refused_under_another_sha256(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip itself refuses, so that an archive which is not the pinned one is never even opened."""
    served = tmp_path / "served"
    served.mkdir()
    make_archive(served / "x-1.tar.gz", FILES | {"x-1/PKG-INFO": b"Name: x\nVersion: 1\n"})
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(served))
    with pytest.raises(fetch.VendorError, match=r"(?s)could not bring x-1.tar.gz.*HASHES|MISMATCH"):
        fetch.fetch([library(fetch, "0" * 64)], tmp_path / "src")


def test_bringing_a_package_runs_none_of_its_code(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    ran = tmp_path / "ran"
    files = FILES | {
        "x-1/PKG-INFO": b"Metadata-Version: 2.1\nName: x\nVersion: 1\n",
        "x-1/setup.py": f"open({str(ran)!r}, 'w')".encode(),
        "x-1/pyproject.toml": b"[build-system]\nrequires = []\nbuild-backend = 'setuptools.build_meta'\n",
    }
    sha256 = make_archive(served / "x-1.tar.gz", files)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(served))
    assert fetch.fetch([library(fetch, sha256)], tmp_path / "src") == ["x"]
    assert (tmp_path / "src/x/lib/a.c").read_bytes() == FILES["x-1/lib/a.c"]
    assert not ran.exists()


@pytest.mark.parametrize(
    ("macros", "expected"),
    [("#define __GNUC__ 12", True), ("#define __GNUC__ 4\n#define __clang__ 1", False), ("", False)],
)
def test_flags_of_gcc_go_to_gcc_alone(
    native: ModuleType, tmp_path: Path, macros: str, expected: bool
) -> None:
    """clang says __GNUC__ too, and stops at flags that it does not know."""
    compiler = tmp_path / "compiler"
    compiler.write_text(f"#!{sys.executable}\nprint({macros!r})\n")
    compiler.chmod(0o755)
    source = native.Source(tmp_path / "a.c", ("-a",), ("-of-gcc",))
    command = native.Compiler((str(compiler),), tmp_path)._command(source)
    assert "-a" in command
    assert ("-of-gcc" in command) == expected


def test_the_manifest_says_what_why_and_under_which_licence(source_root: Path) -> None:
    manifest = tomllib.loads((source_root / "vendor" / "manifest.toml").read_text("utf-8"))
    for entry in manifest["library"]:
        assert len(entry["sha256"]) == 64, entry["name"]
        assert entry["licence"] in {"MIT", "BSD-2-Clause", "BSD-3-Clause"}, entry["name"]
        assert len(entry["why"]) > 40, entry["name"]


def test_no_vendored_source_is_committed(source_root: Path) -> None:
    if not (source_root / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(
        ["git", "ls-files", "vendor"], cwd=source_root, check=True, capture_output=True, text=True
    ).stdout.split()
    assert not [name for name in listed if name.startswith("vendor/src") or name.endswith((".c", ".h"))]


def test_the_installed_package_carries_every_licence(source_root: Path) -> None:
    if os.environ.get("ZARRC_EXPECT_INSTALLED") != "1":
        pytest.skip("an in-place build has no distribution: make test")
    from importlib.metadata import files

    carried = {str(path) for path in files("zarrc") or ()}
    manifest = tomllib.loads((source_root / "vendor" / "manifest.toml").read_text("utf-8"))
    for entry in manifest["library"]:
        assert any(f"vendor/src/{entry['name']}/licences/" in name for name in carried), entry["name"]
    assert any(name.endswith("licenses/LICENSE") for name in carried)
