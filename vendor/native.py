"""Compile C sources to objects: the vendored libraries with each group's own flags, and ours.

An object is made again when its command line or anything it includes has changed (the compiler writes that
list), so a build after an edit compiles one file.  setup.py links the objects into extension modules.
"""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import os
import platform
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "vendor" / "src"
CSRC = ROOT / "csrc"

COMMON_FLAGS = ("-std=gnu11", "-fvisibility=hidden", "-fPIC")
RELEASE_FLAGS = ("-O3", "-g0")
SANITIZE_FLAGS = (
    "-fsanitize=address,undefined",
    # BloscLZ loads misaligned words on purpose.
    "-fno-sanitize=alignment",
    "-fno-sanitize-recover=undefined",
    "-fno-omit-frame-pointer",
    "-O1",
    "-g1",
)
OUR_WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror=implicit-function-declaration")
# Upstream's warnings are upstream's; the generated C of Cython is not for reading either.
NO_WARNINGS = ("-w",)

# For the loop of zstd 1.5.7 that decodes sequences, 5 % slower than that of 1.5.5 for a check more.  With
# these, gcc 12 runs 3 % fewer instructions in it and decodes 512 KiB of uint16 at level 3 in 707 us for 764,
# 16 KiB of float32 in 28.7 for 30.3, source text in 402 for 435 (Zen 3); at level 1 there are few sequences
# and little changes.  gcc 14 has half of that without them, and the same with them.
_SEQUENCE_FLAGS = ("-fno-tree-sink", "-fno-tree-ch", "-fno-caller-saves")

# Where our adapters look for the libraries' headers: as system headers, so that only our own code is warned
# about.
VENDOR_INCLUDES = ("c-blosc2/include", "c-blosc2/blosc", "lz4", "zstd/lib", "libdeflate")


@dataclass(frozen=True, slots=True)
class Source:
    """One file to compile, its flags, and those that it gets from gcc alone."""

    path: Path
    flags: tuple[str, ...]
    gcc_flags: tuple[str, ...] = ()


def sanitizing() -> bool:
    """Whether ``ZARRC_SANITIZE=1`` asks for address and undefined-behaviour sanitizers."""
    return os.environ.get("ZARRC_SANITIZE", "") == "1"


def target_machine() -> str:
    """The machine compiled for, as "x86_64", "aarch64" or another name."""
    name = sysconfig.get_platform().rpartition("-")[2]
    if name == "universal2":
        # One compiler run cannot carry two machines' SIMD flags: such an interpreter gets the machine it runs
        # on.
        name = platform.machine()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name.lower(), name.lower())


def build_directory() -> Path:
    """Where objects go: apart for each platform and for sanitized builds."""
    kind = "sanitize" if sanitizing() else "release"
    return ROOT / "build" / "objects" / f"{sysconfig.get_platform()}-{kind}"


def plain_command(compiler_so: list[str]) -> list[str]:
    """The compiler of ``compiler_so`` for C that knows no Python, with the same flags for every Python.

    What Python adds for itself differs from version to version, and would have all compiled anew for each.
    """
    is_option = [part.startswith("-") for part in compiler_so]
    command = compiler_so[: is_option.index(True)] if any(is_option) else list(compiler_so)
    for part, value in zip(compiler_so, [*compiler_so[1:], ""], strict=True):
        if part in {"-arch", "-isysroot"}:
            command += [part, value]
        elif part.startswith(("-m", "--target", "--sysroot")):
            command.append(part)
    return [*command, "-DNDEBUG", *shlex.split(os.environ.get("CFLAGS", ""))]


def vendor_sources(groups: Iterable[str], machine: str) -> list[Source]:
    """The files of the vendored ``groups`` ("zstd", "libdeflate", "lz4", "blosc") for ``machine``."""
    return [source for group in groups for source in _GROUPS[group](machine)]


def our_source(path: Path) -> Source:
    """One file of csrc/."""
    includes = [flag for name in VENDOR_INCLUDES for flag in ("-isystem", str(SOURCES / name))]
    return Source(path, (*OUR_WARNINGS, f"-I{CSRC}", *includes))


def _lz4(machine: str) -> Iterator[Source]:
    for name in ("lz4.c", "lz4hc.c"):
        yield Source(SOURCES / "lz4" / name, ("-DLZ4LIB_VISIBILITY=",))


def _zstd(machine: str) -> Iterator[Source]:
    flags = ["-DXXH_NAMESPACE=ZSTD_", "-DZSTD_LEGACY_SUPPORT=0"]
    flags += ["-DZSTDLIB_VISIBLE=", "-DZSTDERRORLIB_VISIBLE=", "-DZDICTLIB_VISIBLE="]
    assembly = machine == "x86_64" and not sanitizing()
    if not assembly:
        flags.append("-DZSTD_DISABLE_ASM=1")
    library = SOURCES / "zstd" / "lib"
    for folder in ("common", "compress", "decompress"):
        for path in sorted((library / folder).glob("*.c")):
            tuned = machine == "x86_64" and not sanitizing() and path.name == "zstd_decompress_block.c"
            yield Source(path, tuple(flags), _SEQUENCE_FLAGS if tuned else ())
    if assembly:
        yield Source(library / "decompress" / "huf_decompress_amd64.S", tuple(flags))


def _libdeflate(machine: str) -> Iterator[Source]:
    library = SOURCES / "libdeflate" / "lib"
    dispatched = {"x86_64": ["x86"], "aarch64": ["arm"]}.get(machine, [])
    # As upstream builds it: inflating is 4 % slower with -O3 (gcc 12).
    flags = () if sanitizing() else ("-O2",)
    for folder in (library, *(library / name for name in dispatched)):
        for path in sorted(folder.glob("*.c")):
            yield Source(path, flags)


# The SIMD level is chosen at run time, so each file is compiled for its own level and nothing else is.
_BLOSC_SIMD: dict[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    "x86_64": (
        ("-DSHUFFLE_SSE2_ENABLED", "-DSHUFFLE_AVX2_ENABLED", "-DSHUFFLE_AVX512_ENABLED"),
        {
            "shuffle-sse2.c": ("-msse2",),
            "bitshuffle-sse2.c": ("-msse2",),
            "shuffle-avx2.c": ("-mavx2",),
            "bitshuffle-avx2.c": ("-mavx2",),
            "bitshuffle-avx512.c": ("-mavx512f", "-mavx512bw"),
        },
    ),
    "aarch64": (
        ("-DSHUFFLE_NEON_ENABLED=1",),
        {
            "shuffle-neon.c": ("-flax-vector-conversions",),
            "bitshuffle-neon.c": ("-flax-vector-conversions",),
        },
    ),
}


def _blosc(machine: str) -> Iterator[Source]:
    library = SOURCES / "c-blosc2"
    macros, simd = _BLOSC_SIMD.get(machine, ((), {}))
    flags = (f"-I{library / 'include'}", *macros)
    for name in ("shuffle.c", "shuffle-generic.c", "bitshuffle-generic.c", "blosclz.c", "fastcopy.c"):
        yield Source(library / "blosc" / name, flags)
    for name, level in simd.items():
        yield Source(library / "blosc" / name, (*flags, *level))


_GROUPS = {"zstd": _zstd, "libdeflate": _libdeflate, "lz4": _lz4, "blosc": _blosc}


@dataclass(frozen=True, slots=True)
class Compiler:
    """Compiles sources with ``command`` into ``directory``, a few at a time."""

    command: tuple[str, ...]
    directory: Path

    def compile(self, sources: list[Source]) -> list[Path]:
        """The objects of ``sources``, in their order; those that are not up to date are compiled."""
        with concurrent.futures.ThreadPoolExecutor(_n_jobs()) as pool:
            return list(pool.map(self._object, sources))

    def _object(self, source: Source) -> Path:
        command = self._command(source)
        target = self._target(source)
        if not _is_fresh(target, command):
            target.parent.mkdir(parents=True, exist_ok=True)
            print(f"compiling {os.path.relpath(source.path, ROOT)}", flush=True)
            _run(
                [*command, "-MMD", "-MF", f"{target}.d", "-c", str(source.path), "-o", str(target)],
                source.path,
            )
            target.with_suffix(".cmd").write_text(shlex.join(command), "utf-8")
        return target

    def _command(self, source: Source) -> list[str]:
        return [
            *self.command,
            *COMMON_FLAGS,
            *(SANITIZE_FLAGS if sanitizing() else RELEASE_FLAGS),
            *source.flags,
            *(source.gcc_flags if source.gcc_flags and _is_gcc(self.command) else ()),
        ]

    def _target(self, source: Source) -> Path:
        # Two libraries may have a file of one name, so the folder's digest keeps them apart.
        folder = hashlib.sha256(str(source.path.parent).encode()).hexdigest()[:8]
        return self.directory / f"{source.path.stem}-{folder}.o"


@functools.cache
def _is_gcc(command: tuple[str, ...]) -> bool:
    """Whether ``command`` is gcc, and not a compiler that only says so: clang stops at flags of gcc's."""
    result = subprocess.run([*command, "-dM", "-E", "-x", "c", os.devnull], capture_output=True, text=True)
    return "__GNUC__" in result.stdout and "__clang__" not in result.stdout


def _n_jobs() -> int:
    """As many as the processors this process may use, at most 8."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, usable)


def _run(command: list[str], path: Path) -> None:
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    sys.stderr.write(result.stderr)
    if result.returncode != 0:
        raise RuntimeError(f"{os.path.relpath(path, ROOT)} does not compile: {shlex.join(command)}")


def _is_fresh(target: Path, command: list[str]) -> bool:
    """Whether ``target`` was made by ``command`` and is newer than everything it was made from."""
    try:
        made = target.stat().st_mtime_ns
        if target.with_suffix(".cmd").read_text("utf-8") != shlex.join(command):
            return False
        return all(Path(name).stat().st_mtime_ns <= made for name in _dependencies(Path(f"{target}.d")))
    except OSError:
        return False


def _dependencies(path: Path) -> list[str]:
    """The prerequisites in a make rule that the compiler wrote."""
    rule = path.read_text("utf-8").replace("\\\n", " ").partition(": ")[2]
    return shlex.split(rule)
