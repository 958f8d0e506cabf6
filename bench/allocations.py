"""How often a call asks the interpreter's allocator: whether there is an object for each element, say."""

from __future__ import annotations

import ctypes
import gc
import shlex
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from bench.libraries.base import Cannot


@cache
def _counter() -> ctypes.PyDLL:
    """Compile and load the counter; it is small, and stays loaded as long as the process lives."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    include = f"-I{sysconfig.get_path('include')}"
    source = Path(__file__).with_suffix(".c")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "allocations.so"
        program = [*compiler[:1], "-shared", "-fPIC", "-O1", include, str(source), "-o", str(library)]
        try:
            subprocess.run(program, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Cannot("no C compiler, or no headers of Python, to count allocations with") from error
        loaded = ctypes.PyDLL(str(library))
    loaded.stop_counting.restype = ctypes.c_size_t
    return loaded


def allocations(call: Callable[[], Any]) -> int:
    """Return how many blocks, of objects or for them, ``call`` asks for."""
    counter = _counter()
    gc.collect()
    gc.disable()
    try:
        counter.start_counting()
        try:
            call()
        finally:
            found = int(counter.stop_counting())
    finally:
        gc.enable()
    return found
