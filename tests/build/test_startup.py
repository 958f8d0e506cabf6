"""What a program that opens and reads a local array loads, and how long that takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import zarrc

# What costs milliseconds, and what a path in a local file system has no use for.
HEAVY = {
    "asyncio", "concurrent.futures", "dataclasses", "decimal", "difflib", "fsspec", "hashlib",
    "inspect", "json", "logging", "multiprocessing", "numpy.typing", "pathlib", "socket", "ssl",
    "threading", "urllib.parse", "zarrc.codecs.blosc", "zarrc.codecs.gzip",
    "zarrc.creation.creating", "zarrc.creation.saving", "zarrc.engine.values", "zarrc.group",
    "zarrc.metadata.build", "zarrc.new_array", "zarrc.storage.fsspec_store", "zarrc.storage.memory",
}  # fmt: skip

PROGRAM = """
import sys, time
import numpy
before, start = set(sys.modules), time.process_time()
import zarrc
array = zarrc.open_array(sys.argv[1])
assert array[...].tolist() == [0, 1, 2, 3]
spent = time.process_time() - start
print(spent)
print(*sorted(set(sys.modules) - before))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    array = zarrc.create_array(tmp_path / "a", shape=(4,), dtype="i4", chunks=(2,), attributes={"x": 1})
    array[:] = range(4)
    return tmp_path / "a"


def run(place: Path, environment: dict[str, str], cache: Path) -> tuple[float, set[str]]:
    cached = {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
    cached["PYTHONPYCACHEPREFIX"] = str(cache)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(place)], env=cached, check=True, capture_output=True, text=True
    )
    spent, modules = done.stdout.splitlines()
    return float(spent), set(modules.split())


def test_opening_and_reading_a_local_array_loads_what_it_needs(
    place: Path, child_environment: dict[str, str], tmp_path: Path
) -> None:
    _, modules = run(place, child_environment, tmp_path / "cache")
    assert not modules & HEAVY
    ours = {name for name in modules if name.startswith("zarrc.")}
    assert len(ours) <= 80, sorted(ours)
    assert len(modules - ours) <= 20, sorted(modules - ours)


def test_opening_and_reading_a_local_array_starts_at_once(
    place: Path, child_environment: dict[str, str], tmp_path: Path
) -> None:
    """About 20 ms of processor time on the machine where it was written; with all modules it was 65."""
    run(place, child_environment, tmp_path / "cache")
    assert min(run(place, child_environment, tmp_path / "cache")[0] for _ in range(5)) < 0.1


THREADS_PROGRAM = """
import sys, threading
import zarrc
path, n_threads = sys.argv[1], 8
ready, wrong = threading.Barrier(n_threads), []

def work(i):
    ready.wait()
    try:
        if i % 4 == 0:
            assert zarrc.open_array(path)[...].tolist() == [0, 1, 2, 3]
        elif i % 4 == 1:
            zarrc.create_array(f"{path}-{i}", shape=(4,), dtype="f4")[:] = 1
        elif i % 4 == 2:
            assert zarrc.create_group(f"{path}-{i}").create_array("x", shape=3).metadata.codecs
        else:
            assert zarrc.codecs.BloscCodec() and zarrc.config.get("array")
            zarrc.storage.MemoryStore()
    except BaseException as error:
        wrong.append(error)

threads = [threading.Thread(target=work, args=(i,)) for i in range(n_threads)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if wrong:
    raise wrong[0]
"""


@pytest.mark.parametrize("attempt", range(3))
def test_threads_that_all_use_it_first_do_not_meet_half_a_module(
    place: Path, child_environment: dict[str, str], attempt: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", THREADS_PROGRAM, str(place)],
        env=child_environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_loads_nothing_heavy(child_environment: dict[str, str]) -> None:
    program = (
        "import sys; before = set(sys.modules); import zarrc; dir(zarrc); "
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before} - {'zarrc'}), "
        "[m for m in sys.modules if m.startswith('zarrc.')])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env=child_environment,
        check=True,
        capture_output=True,
        text=True,
    )
    modules, ours = done.stdout.strip().rsplit(" [", 1)
    assert ours == "]"
    for heavy in ("numpy", "fsspec", "asyncio", "dataclasses", "inspect"):
        assert f"'{heavy}'" not in modules


def test_local_arrays_need_neither_fsspec_nor_asyncio(
    child_environment: dict[str, str], tmp_path: Path
) -> None:
    program = (
        "import sys, zarrc; a = zarrc.create_array(sys.argv[1], shape=(3,), dtype='i4'); a[:] = 1; "
        "zarrc.open(sys.argv[1])[:]; zarrc.group(); "
        "print([m for m in ('fsspec', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a")],
        env=child_environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n"


FORKED_WHILE_ANOTHER_IMPORTS = """
import os, sys, threading, time
import zarrc

reached = threading.Event()

class Slow:
    def find_spec(self, name, *rest):
        if name == "zarrc.engine.write":
            reached.set()
            time.sleep(1)

array = zarrc.create_array({}, shape=(4,), chunks=(2,), dtype="i4")
sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=array.__setitem__, args=(0, 1))
thread.start()
assert reached.wait(30)
child = os.fork()
if child == 0:
    array[1] = 2
    os._exit(0)
thread.join()
for _ in range(1000):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        break
    time.sleep(0.01)
else:
    os.kill(child, 9)
    status = "the child hangs"
print(status, array[0])
"""


def test_a_child_that_is_forked_while_another_thread_imports_does_not_wait_for_ever(
    child_environment: dict[str, str],
) -> None:
    command = [sys.executable, "-c", FORKED_WHILE_ANOTHER_IMPORTS]
    done = subprocess.run(command, capture_output=True, text=True, env=child_environment, timeout=60)
    assert done.stdout.split() == ["0", "1"], done.stderr
