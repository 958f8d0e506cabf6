"""The parts of the build that must be code: the extension modules and how their C is compiled.

Environment variables, for development:

ZARRC_BUILD_ONLY=zarrc.kernels.a,zarrc.kernels.b
    Build these modules only.
ZARRC_SANITIZE=1
    Build with address and undefined-behaviour sanitizers, in folders of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "vendor"))

import fetch  # noqa: E402
import native  # noqa: E402

# Extension module -> (files of csrc/ that are linked into it, vendored groups); a name may be a pattern.  A
# file of csrc/ belongs to one module; others reach it with cimport.  Every other .pyx of the package is an
# extension without C of its own.
C_SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "zarrc.kernels.worker": (("zc_worker.c",), ()),
    "zarrc.kernels.compressors": (
        ("zc_zstd.c", "zc_deflate.c", "zc_lz4.c", "zc_snappy.c", "zc_blosc*.c"),
        ("zstd", "libdeflate", "lz4", "blosc"),
    ),
    "zarrc.kernels.checksums": (("zc_crc32c*.c",), ()),
    "zarrc.kernels.strided": (
        ("zc_strided.c", "zc_box.c", "zc_fill.c", "zc_items.c", "zc_rows.c", "zc_transpose.c"),
        (),
    ),
    "zarrc.kernels.points": (("zc_points*.c", "zc_pick.c", "zc_mask.c"), ()),
    "zarrc.kernels.bitround": (("zc_bitround*.c",), ()),
    "zarrc.kernels.casting": (("zc_casting.c",), ()),
    "zarrc.kernels.pool": (("zc_pool.c",), ()),
    "zarrc.kernels.locks": (("zc_locks.c", "zc_changes.c", "zc_file_lock.c"), ()),
    "zarrc.kernels.local_io": (("zc_local*.c",), ()),
    "zarrc.kernels.memory": (("zc_memory.c",), ()),
    "zarrc.kernels.table": (("zc_blob.c", "zc_table.c"), ()),
    "zarrc.kernels.shard_cache": (("zc_shard_cache.c",), ()),
    "zarrc.kernels.chunk_cache": (("zc_chunk_cache.c",), ()),
}


def c_sources(module: str) -> list[Path]:
    """The files of csrc/ that are linked into ``module``."""
    names, _ = C_SOURCES.get(module, ((), ()))
    found = [sorted(native.CSRC.glob(name)) for name in names]
    for name, paths in zip(names, found, strict=True):
        if not paths:
            raise SystemExit(f"{module} needs csrc/{name}, which is not there (see ZARRC_BUILD_ONLY)")
    return [path for paths in found for path in paths]


def extension_sources() -> dict[str, Path]:
    """Module name -> its .pyx, for all modules of the package or those of ZARRC_BUILD_ONLY."""
    paths = sorted((ROOT / "zarrc").rglob("*.pyx"))
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}
    only = [name.strip() for name in os.environ.get("ZARRC_BUILD_ONLY", "").split(",") if name.strip()]
    unknown = set(only) - set(modules)
    if unknown:
        raise SystemExit(f"ZARRC_BUILD_ONLY names no module of ours: {', '.join(sorted(unknown))}")
    return {name: path for name, path in modules.items() if name in only or not only}


def extensions() -> list[Extension]:
    """The extension modules, with their .pyx as their source."""
    return [
        Extension(name, [os.path.relpath(path, ROOT)], include_dirs=[str(native.CSRC)])
        for name, path in extension_sources().items()
    ]


def translate(modules: list[Extension], *, annotate: bool = False) -> dict[str, list[str]]:
    """Module name -> its C, made from the .pyx where that is not up to date.

    ``annotate`` makes all of them anew and writes Cython's HTML beside the C.
    """
    import Cython
    import numpy as np
    from Cython.Build import cythonize

    translated = cythonize(
        modules,
        # What Cython writes follows its own version and the declarations that NumPy brings: the two
        # environments of this checkout may differ in both.
        build_dir=f"build/cython/{Cython.__version__}-numpy{np.__version__}",
        include_path=[str(ROOT)],
        compiler_directives={"language_level": 3},
        # Children are started by fork where that is safe; elsewhere they would run this file again.
        nthreads=2 if sys.platform == "linux" and len(modules) > 1 else 0,
        annotate=annotate,
        force=annotate,
    )
    return {module.name: module.sources for module in translated}


def link_arguments() -> list[str]:
    """What keeps the vendored libraries' symbols inside: visibility alone leaves some exported."""
    if sys.platform == "darwin":
        return ["-Wl,-exported_symbol,_PyInit_*"]
    arguments = [f"-Wl,--version-script={ROOT / 'vendor' / 'exports.map'}", "-Wl,-z,noexecstack"]
    return [*arguments, *native.SANITIZE_FLAGS] if native.sanitizing() else arguments


class BuildExtensions(build_ext):
    """Compiles through `native`, which knows each file's flags and what is up to date."""

    def run(self) -> None:
        fetch.fetch()
        self.translated = translate(self.extensions)
        super().run()

    def build_extension(self, ext: Extension) -> None:
        _, groups = C_SOURCES.get(ext.name, ((), ()))
        plain = native.vendor_sources(groups, native.target_machine())
        plain += [native.our_source(path) for path in c_sources(ext.name)]
        flags = self._python_flags(ext)
        translated = [native.Source(ROOT / path, flags) for path in self.translated[ext.name]]
        python = f"{sys.implementation.cache_tag}-{ext.name}"
        objects = self._compiler("any-python", native.plain_command(self.compiler.compiler_so)).compile(plain)
        objects += self._compiler(python, self.compiler.compiler_so).compile(translated)
        self.compiler.link_shared_object(
            [str(path) for path in objects],
            self.get_ext_fullpath(ext.name),
            libraries=self.get_libraries(ext),
            library_dirs=ext.library_dirs,
            extra_postargs=link_arguments(),
            build_temp=self.build_temp,
            target_lang="c",
        )

    def _compiler(self, folder: str, command: list[str]) -> native.Compiler:
        return native.Compiler(tuple(command), native.build_directory() / folder)

    def _python_flags(self, ext: Extension) -> tuple[str, ...]:
        import numpy

        folders = [*ext.include_dirs, *self.compiler.include_dirs, numpy.get_include()]
        flags = [f"-I{folder}" for folder in folders]
        return (*native.NO_WARNINGS, "-DNPY_NO_DEPRECATED_API=NPY_2_0_API_VERSION", *flags)


if __name__ == "__main__":
    setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExtensions})
