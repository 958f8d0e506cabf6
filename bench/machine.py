"""What a result has to say of where it was measured."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from bench.bare import usable_cpus

PACKAGES = ("zarrc", "zarr", "tensorstore", "zarrs", "h5py", "numcodecs", "numpy")


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _first_line(path: str, key: str) -> str:
    with contextlib.suppress(OSError):
        for line in Path(path).read_text().splitlines():
            if line.startswith(key):
                return line.partition(":")[2].strip()
    return ""


def memory_nbytes(key: str = "MemTotal") -> int:
    """A line of /proc/meminfo in bytes; 0 where there is none."""
    return int((_first_line("/proc/meminfo", key).split() or ["0"])[0]) * 1024


def _file_system(directory: Path) -> str:
    best = ("", "")
    with contextlib.suppress(OSError):
        for line in Path("/proc/mounts").read_text().splitlines():
            _, mount, kind, *_ = line.split()
            if directory.resolve().is_relative_to(mount) and len(mount) >= len(best[0]):
                best = mount, kind
    return best[1]


def describe(directory: Path) -> dict[str, Any]:
    """The machine, and the file system under ``directory``."""
    huge = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {
        "processor": _first_line("/proc/cpuinfo", "model name") or platform.processor(),
        "cpus": usable_cpus(),
        "memory_nbytes": memory_nbytes(),
        "system": f"{platform.system()} {platform.release()}",
        "file_system": _file_system(directory),
        # Of the minute before: what other programs took.
        "load": round(os.getloadavg()[0], 1),
        "huge_pages": huge.read_text().split("[")[-1].split("]")[0] if huge.exists() else "",
    }


def commit() -> str:
    """The commit of the source tree that the bench is in, with "+" where files were changed since."""
    # Resolved, because the bench may be a link in a folder that is no repository.
    root = Path(__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "zarrc", "csrc", "bench")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
