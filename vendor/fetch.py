"""Bring the pinned C sources of manifest.toml to vendor/src/, with pip alone and running no foreign code.

``pip download`` runs the build backend of a source distribution to learn its metadata.  Here it finds inert
stand-ins instead (`_INERT_BACKEND`), which copy PKG-INFO and do nothing else; pip itself refuses an archive
with another sha256. Then only the files that the manifest lists are unpacked.  Run again, it does nothing
while the manifest is the same.

    python vendor/fetch.py            fetch what is missing
    python vendor/fetch.py --check    exit with 1 if something is missing
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

VENDOR = Path(__file__).resolve().parent
MANIFEST = VENDOR / "manifest.toml"
SOURCES = VENDOR / "src"
STAMP = ".stamp.json"

# Build backends that the pinned archives name, each replaced by the module below.
_INERT_BACKENDS = (
    "setuptools.build_meta",
    "scikit_build_core.build",
    "scikit_build_core.setuptools.build_meta",
)
_INERT_BACKEND = """\
import os
import re
import shutil


def _nothing(config_settings=None):
    return []


get_requires_for_build_wheel = get_requires_for_build_sdist = get_requires_for_build_editable = _nothing


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    with open("PKG-INFO", encoding="utf-8") as file:
        text = file.read()
    name = re.search("^Name: *(.+)$", text, re.M).group(1).strip()
    version = re.search("^Version: *(.+)$", text, re.M).group(1).strip()
    folder = re.sub("[-_.]+", "_", name) + "-" + version + ".dist-info"
    os.makedirs(os.path.join(metadata_directory, folder), exist_ok=True)
    shutil.copyfile("PKG-INFO", os.path.join(metadata_directory, folder, "METADATA"))
    return folder
"""


class VendorError(RuntimeError):
    """A vendored source is missing, not the pinned one, or tries to leave its folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """One ``[[library]]`` of the manifest."""

    name: str
    version: str
    package: str
    package_version: str
    archive: str
    sha256: str
    licence: str
    licence_files: tuple[str, ...]
    strip: str
    take: tuple[str, ...]
    why: str

    @property
    def stamp(self) -> str:
        """What the unpacked files depend on."""
        return json.dumps([self.sha256, self.strip, self.take, self.licence_files])


def read_manifest(path: Path = MANIFEST) -> list[Library]:
    """The libraries that the manifest at ``path`` lists."""
    tables: list[dict[str, Any]] = tomllib.loads(path.read_text("utf-8"))["library"]
    return [
        Library(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}) for table in tables
    ]


def missing(libraries: list[Library], sources: Path = SOURCES) -> list[Library]:
    """Those of ``libraries`` that are not unpacked as the manifest now says."""
    return [library for library in libraries if not _is_unpacked(library, sources)]


def fetch(libraries: list[Library] | None = None, sources: Path = SOURCES) -> list[str]:
    """Download and unpack what is missing; the names of what was brought."""
    wanted = read_manifest() if libraries is None else libraries
    if not missing(wanted, sources):
        return []
    with _locked(sources):
        absent = missing(wanted, sources)
        with tempfile.TemporaryDirectory() as scratch:
            for archive in {library.archive: library for library in absent}.values():
                _download(archive, Path(scratch))
            for library in absent:
                unpack(library, Path(scratch) / library.archive, sources)
        return [library.name for library in absent]


def check_sha256(path: Path, expected: str) -> None:
    """Raise VendorError unless the file at ``path`` has the sha256 ``expected``."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise VendorError(f"{path.name}: sha256 is {found}, the manifest says {expected}")


def unpack(library: Library, archive: Path, sources: Path = SOURCES) -> None:
    """Unpack the listed files of ``archive`` to ``sources/<name>``, replacing what is there in one step."""
    check_sha256(archive, library.sha256)
    target = sources / library.name
    fresh = sources / f".{library.name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            _unpack_member(library, tar, member, fresh)
    _expect_everything(library, fresh)
    (fresh / STAMP).write_text(library.stamp, "utf-8")
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def _unpack_member(library: Library, tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    inside = _below_top(member.name)
    for name in _destinations(library, inside):
        # Links could point out of the folder; the libraries need none.
        if not member.isfile():
            continue
        path = folder / _stays_inside(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        source = tar.extractfile(member)
        assert source is not None
        with source, path.open("wb") as file:
            shutil.copyfileobj(source, file)


def _below_top(name: str) -> str:
    """The member's path without the archive's one top folder."""
    return name.partition("/")[2]


def _destinations(library: Library, inside: str) -> Iterator[str]:
    if _is_listed(inside, library.take):
        yield inside.removeprefix(library.strip)
    if _is_listed(inside, library.licence_files):
        yield f"licences/{PurePosixPath(inside).name}"


def _is_listed(inside: str, listed: tuple[str, ...]) -> bool:
    return any(inside == entry or (entry.endswith("/") and inside.startswith(entry)) for entry in listed)


def _stays_inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise VendorError(f"{name!r} leaves the folder it is unpacked to")
    return name


def _expect_everything(library: Library, folder: Path) -> None:
    for entry in library.take:
        if not (folder / entry.removeprefix(library.strip)).exists():
            raise VendorError(f"{library.archive} has no {entry}")
    if not any((folder / "licences").glob("*")):
        raise VendorError(f"{library.archive} has none of {library.licence_files}")


def _is_unpacked(library: Library, sources: Path) -> bool:
    try:
        return (sources / library.name / STAMP).read_text("utf-8") == library.stamp
    except OSError:
        return False


@contextlib.contextmanager
def _locked(sources: Path) -> Iterator[None]:
    """One fetch at a time, whoever starts it."""
    sources.mkdir(parents=True, exist_ok=True)
    with (sources / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(library: Library, folder: Path) -> None:
    requirements = folder / f"{library.package}.txt"
    requirements.write_text(
        f"{library.package}=={library.package_version} --hash=sha256:{library.sha256}\n", "utf-8"
    )
    backends = folder / "backends"
    _write_inert_backends(backends)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += [
        "--no-binary",
        ":all:",
        "--no-build-isolation",
        "--ignore-requires-python",
        "--require-hashes",
    ]
    command += ["-r", str(requirements), "-d", str(folder)]
    result = subprocess.run(command, env=_environment(backends), capture_output=True, text=True)
    if result.returncode != 0:
        raise VendorError(f"pip could not bring {library.archive}:\n{result.stderr.strip()}")


def _write_inert_backends(folder: Path) -> None:
    for module in _INERT_BACKENDS:
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_INERT_BACKEND, "utf-8")
        for parent in path.relative_to(folder).parents[:-1]:
            (folder / parent / "__init__.py").touch()


def _environment(backends: Path) -> dict[str, str]:
    """The child's environment.

    pip tells a backend about itself through the environment; left there, the pip inside a build would take
    its own settings for those of the build around it.
    """
    private = ("_PYPROJECT_HOOKS_", "PEP517_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    return kept | {"PYTHONPATH": str(backends)}


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        absent = missing(read_manifest())
        for library in absent:
            print(f"vendor: {library.name} {library.version} is missing")
        return 1 if absent else 0
    for name in fetch() or ["nothing to do:"]:
        print(f"vendor: {name}" if not name.endswith(":") else f"vendor: {name} all sources are there")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except VendorError as error:
        sys.exit(f"vendor: {error}")
