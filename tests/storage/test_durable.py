"""Durable stores: the file is flushed before it gets its name, the directory after it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import environment
from zarrc.errors import StoreError
from zarrc.kernels import local_probes
from zarrc.storage import LocalStore

# Each prints a line before and after what is traced.
PROGRAM = """
import os, sys
import numpy as np
import zarrc
from zarrc.storage import LocalStore

store = LocalStore(sys.argv[1], durable=True)
shape = dict(shape=(100,), chunks=(10,), dtype="i4", fill_value=0)
make = dict(
    plain=lambda: zarrc.create_array(store, name="a", compressors=None, **shape),
    zstd=lambda: zarrc.create_array(store, name="a", **shape),
    sharded=lambda: zarrc.create_array(store, name="a", shards=(50,), **shape),
    appended=lambda: zarrc.create_array(
        store, name="a", shards=(50,), config={"shard_update": "append"}, **shape
    ),
    large=lambda: zarrc.create_array(
        store, name="a", shape=(3000, 3000), chunks=(3000, 3000), dtype="f8", compressors=None
    ),
)
kind, deed = sys.argv[2].split("-")
if kind != "store":
    array = make[kind]()
    if deed != "new":
        array[...] = 1
else:
    store.set("x", b"old")
deeds = dict(
    new=lambda: array.__setitem__(slice(None), 2),
    part=lambda: array.__setitem__(slice(3, 7), 2),
    fill=lambda: array.__setitem__(slice(None), 0),
    attribute=lambda: array.attrs.update(x=1),
    append=lambda: array.append(np.ones(15, "i4")),
    shrink=lambda: array.resize((35,)),
    group=lambda: zarrc.create_group(store, path="deep/er"),
    set=lambda: store.set("x", b"new"),
    make=lambda: store.set("b/c/y", b"new"),
    create=lambda: store.set_if("b/y", b"new", None),
    swap=lambda: store.set_if("x", b"new", store.stat("x").version),
    copy=lambda: store.copy("x", "y"),
    delete=lambda: store.delete("x"),
    tree=lambda: store.delete_prefix("a"),
    move=lambda: zarrc.rename(array, "b"),
)
os.write(1, b"BEGIN\\n")
deeds[deed]()
os.write(1, b"END\\n")
"""

CASES = [
    "store-set", "store-make", "store-create", "store-swap", "store-copy", "store-delete",
    "store-group", "plain-new", "plain-part", "plain-fill", "plain-attribute", "plain-append",
    "plain-shrink", "plain-tree", "plain-move", "zstd-new", "zstd-part", "sharded-new",
    "sharded-part", "sharded-fill", "appended-part", "large-new",
]  # fmt: skip

CALLS = "openat,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,write,mkdir,rmdir"
_LINE = re.compile(r"(\d+) +(\w+)\((.*?)\) += (-?\d+)")


def can_trace() -> bool:
    return shutil.which("strace") is not None and (
        subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0
    )


def changes(trace: str, root: Path) -> Iterator[tuple[str, str, str]]:
    """What was done below the directory between the two lines: call, path, second path of a rename."""
    files: dict[tuple[str, str], str] = {}
    inside = False
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        _, call, arguments, result = match.groups()
        if call == "write" and '"BEGIN' in arguments:
            inside = True
        if call == "write" and '"END' in arguments:
            return
        names = [name for name in re.findall(r'"([^"]*)"', arguments) if name.startswith(str(root))]
        if call == "openat" and int(result) >= 0:
            files[("", result)] = names[0] if names else ""
            if names and "O_CREAT" in arguments and inside:
                yield "open", names[0], ""
        elif call in ("fsync", "fdatasync"):
            name = files.get(("", arguments), "")
            if inside and name and int(result) == 0:
                yield "flush", name.rstrip("/"), ""
        elif inside and names and int(result) == 0 and call != "write":
            yield re.sub("at2?$", "", call), names[0].rstrip("/"), names[-1].rstrip("/")


@pytest.mark.skipif(not can_trace(), reason="there is no strace, or it may not trace")
@pytest.mark.parametrize("case", CASES)
def test_a_file_is_flushed_before_its_name_and_its_directory_after(case: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    command = ["strace", "-f", "-qq", "-s", "300", "-e", f"trace={CALLS}", "-o", str(tmp_path / "trace")]
    variables = {**environment(), "ZARRC_THREADING__MAX_WORKERS": "1"}
    done = subprocess.run(
        [*command, sys.executable, "-c", PROGRAM, str(root), case],
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    steps = list(changes((tmp_path / "trace").read_text(), root))
    deeds = {call for call, _, _ in steps}
    assert "flush" in deeds, steps
    for number, (call, name, target) in enumerate(steps):
        before = [one for kind, one, _ in steps[:number] if kind == "flush"]
        after = [one for kind, one, _ in steps[number + 1 :] if kind == "flush"]
        if ".zc-lock-" in name:
            continue
        if call in ("rename", "link"):
            assert name in before or case == "plain-move", (call, name, steps)
            assert os.path.dirname(target) in after, (call, target, steps)
        elif (
            call in ("unlink", "rmdir")
            and case != "plain-tree"
            and not os.path.basename(name).startswith(".zc-0")
        ):
            is_temporary = re.match(r"\.zc-\d", os.path.basename(name)) is not None
            assert is_temporary or os.path.dirname(name) in after, (call, name, steps)
        elif call == "mkdir":
            assert os.path.dirname(name) in after, (call, name, steps)
    if case == "plain-tree":
        assert ("flush", str(root), "") in steps
    if case == "appended-part":
        shard = next(one for kind, one, _ in steps if kind == "flush" and one.endswith("/0"))
        record = next(i for i, step in enumerate(steps) if step[0] == "unlink" and ".zc-undo-" in step[1])
        assert ("flush", shard, "") in steps[:record]


@pytest.fixture
def failing() -> Iterator[Callable[[bool, int], None]]:
    """What has flushes fail."""
    yield local_probes.fail_flushes
    local_probes.fail_flushes(False, 0)
    local_probes.fail_flushes(True, 0)


def write(array: Any, kind: str) -> None:
    if kind == "part":
        array[3] = 7
    elif kind == "whole":
        array[...] = 7
    else:
        array.attrs["x"] = 7


@pytest.mark.parametrize("kind", ["part", "whole", "attribute"])
@pytest.mark.parametrize(
    "config", [{}, {"shard_update": "append"}, None], ids=["shards", "appends", "chunks"]
)
def test_a_flush_that_fails_is_the_writes_error_and_the_old_value_stays(
    kind: str, config: Any, failing: Callable[[bool, int], None], tmp_path: Path
) -> None:
    array = zarrc.create_array(
        LocalStore(tmp_path, durable=True),
        shape=(100,),
        chunks=(10,),
        shards=None if config is None else (50,),
        dtype="i4",
        config=config,
        attributes={"x": 1},
    )
    array[...] = 1
    failing(False, errno.EIO)
    with pytest.raises(StoreError, match=r"errno 5") as caught:
        write(array, kind)
    assert caught.value.errno == errno.EIO
    failing(False, 0)
    again = zarrc.open_array(tmp_path, mode="r")
    assert (again[...] == 1).all()
    assert again.attrs["x"] == 1
    assert [str(left) for left in tmp_path.rglob(".zc-*")] == []
    failing(True, errno.EIO)
    with pytest.raises(StoreError, match=r"errno 5"):
        write(array, kind)
    failing(True, 0)
    write(array, kind)
    again = zarrc.open_array(tmp_path, mode="r")
    assert again.attrs["x"] == 7 if kind == "attribute" else again[3] == 7


def test_the_setting_makes_stores_durable(tmp_path: Path) -> None:
    assert not LocalStore(tmp_path).durable
    with zarrc.config.set({"storage.durable": True}):
        assert LocalStore(tmp_path).durable
        assert not LocalStore(tmp_path, durable=False).durable
        array = zarrc.create_array(tmp_path / "a", shape=(4,), chunks=(2,), dtype="i4")
    assert array.store.durable
    files, directories = local_probes.count_flushes()
    array[...] = 1
    assert local_probes.count_flushes() == (files + 2, directories + 2)
    files, directories = local_probes.count_flushes()
    zarrc.open_array(tmp_path / "a", mode="r+")[...] = np.arange(4)
    assert local_probes.count_flushes() == (files, directories)


def test_a_durable_store_says_so(tmp_path: Path) -> None:
    store = zarrc.storage.open_named("filesystem", path=tmp_path, durable=True)
    assert store.durable
    assert "durable=True" in repr(store)
    assert store.with_read_only().durable
