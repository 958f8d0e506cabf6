"""Files that are written as their bytes come, below the engine."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zarrc.errors import CorruptChunkError, StoreError
from zarrc.kernels import local_io, local_probes
from zarrc.kernels.local_shards import Stream

KIB = 1024
# Around the buffer of 256 KiB and the half of it from which pieces go by themselves.
SIZES = [0, 1, 1000, 128 * KIB - 1, 128 * KIB, 200 * KIB, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 700 * KIB]


def content(nbytes: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).bytes(nbytes)


SOURCE = content(2048 * KIB)


@pytest.fixture(params=["tmp", "shm"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A directory of the disk's file system, and one of tmpfs, where the system copies ranges."""
    if request.param == "tmp":
        yield tmp_path
        return
    if not os.path.isdir("/dev/shm"):
        pytest.skip("there is no other file system here")
    path = Path("/dev/shm") / f"zarrc-{os.getpid()}"
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path)


def n_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "copy", "skip", "put_at"]), st.sampled_from(SIZES), st.integers(0, 2**20 - 1)
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.booleans(), st.booleans(), st.sampled_from(["/dev/shm", "/tmp"]))
def test_a_stream_is_its_pieces(
    steps: list[tuple[str, int, int]], expect: bool, old: bool, where: str
) -> None:
    if not os.path.isdir(where):
        where = "/tmp"
    folder = Path(where) / f"zarrc-stream-{os.getpid()}"
    folder.mkdir()
    before = n_descriptors()
    try:
        (folder / "source").write_bytes(SOURCE)
        if old:
            (folder / "x").write_bytes(b"old")
        stream, model = Stream(os.fsencode(folder / "x")), bytearray()
        fd = os.open(folder / "source", os.O_RDONLY)
        if expect:
            stream.expect(9 << 20)
        for step, nbytes, offset in steps:
            if step == "put":
                stream.put(SOURCE[offset : offset + nbytes])
                model += SOURCE[offset : offset + nbytes]
            elif step == "copy":
                stream.copy(fd, offset, nbytes)
                model += SOURCE[offset : offset + nbytes]
            elif step == "skip":
                stream.skip(nbytes)
                model += bytes(nbytes)
            else:
                nbytes = min(nbytes, len(model))
                at = min(offset, len(model) - nbytes)
                stream.put_at(at, SOURCE[:nbytes])
                model[at : at + nbytes] = SOURCE[:nbytes]
            assert stream.nbytes == len(model)
        assert os.lseek(fd, 0, os.SEEK_CUR) == 0
        assert (folder / "x").exists() == old
        stream.commit()
        os.close(fd)
        assert (folder / "x").read_bytes() == model
        assert sorted(os.listdir(folder)) == ["source", "x"]
        assert n_descriptors() == before
    finally:
        shutil.rmtree(folder)


def test_the_old_content_stays_until_the_commit(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    stream = Stream(os.fsencode(tmp_path / "x"))
    stream.put(content(1000 * KIB))
    assert (tmp_path / "x").read_bytes() == b"old"
    stream.commit()
    assert (tmp_path / "x").read_bytes() == content(1000 * KIB)
    with pytest.raises(ValueError, match="ended"):
        stream.put(b"more")


@pytest.mark.parametrize("how", ["drop", "forget"])
def test_a_dropped_stream_leaves_nothing(tmp_path: Path, how: str) -> None:
    before = n_descriptors()
    (tmp_path / "x").write_bytes(b"old")
    stream = Stream(os.fsencode(tmp_path / "x"))
    stream.put(content(1000 * KIB))
    if how == "drop":
        stream.drop()
    del stream
    assert os.listdir(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"
    assert n_descriptors() == before


def test_missing_directories_are_made_but_never_the_root(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path / "root")
    with pytest.raises(StoreError, match="no such object"):
        Stream(root + b"/a/x", len(root))
    assert os.listdir(tmp_path) == []
    os.mkdir(root)
    stream = Stream(root + b"/a/b/x", len(root))
    stream.put(b"data")
    stream.commit()
    assert (tmp_path / "root/a/b/x").read_bytes() == b"data"


def test_a_directory_that_is_removed_meanwhile_is_an_error(tmp_path: Path) -> None:
    before = n_descriptors()
    stream = Stream(os.fsencode(tmp_path / "a/x"), len(os.fsencode(tmp_path)))
    stream.put(b"data")
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(StoreError) as caught:
        stream.commit()
    assert caught.value.errno == errno.ENOENT
    assert os.listdir(tmp_path) == []
    assert n_descriptors() == before


def test_a_directory_in_the_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    stream = Stream(os.fsencode(tmp_path / "x"))
    stream.put(b"data")
    with pytest.raises(StoreError) as caught:
        stream.commit()
    assert caught.value.errno == errno.EISDIR
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError) as caught:
            Stream(os.fsencode(tmp_path / "x"))
        assert caught.value.errno == errno.EACCES
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("length", [300, 5000])
def test_a_name_that_is_too_long_is_an_error(tmp_path: Path, length: int) -> None:
    before = n_descriptors()
    path = os.fsencode(tmp_path) + b"/" + b"x" * length
    with pytest.raises(StoreError) as caught:
        Stream(path).commit()
    assert caught.value.errno == errno.ENAMETOOLONG
    assert os.listdir(tmp_path) == []
    assert n_descriptors() == before


# A range of a few bytes, one that the system copies, and offsets near 2^64.
@pytest.mark.parametrize(
    ("offset", "nbytes"),
    [
        (0, 2048 * KIB + 1),
        (2048 * KIB, 1),
        (2048 * KIB - 5, 6),
        (5000 * KIB, 400 * KIB),
        (2**63 - 1, 1),
        (2**64 - 1, 2),
        (5, 2**64 - 5),
        (5, 2**63),
        (0, 2**64 - 1),
    ],
)
def test_a_range_that_leaves_its_file_is_an_error(folder: Path, offset: int, nbytes: int) -> None:
    (folder / "source").write_bytes(SOURCE)
    stream = Stream(os.fsencode(folder / "x"))
    with open(folder / "source", "rb") as source:
        stream.put(b"data")
        with pytest.raises(CorruptChunkError, match="too early"):
            stream.copy(source.fileno(), offset, nbytes)
    stream.drop()
    assert os.listdir(folder) == ["source"]


def test_a_descriptor_that_cannot_be_read_is_an_error(folder: Path) -> None:
    for nbytes in (10, 1000 * KIB):
        stream = Stream(os.fsencode(folder / "x"))
        with pytest.raises(StoreError) as caught:
            stream.copy(-1, 0, nbytes)
        assert caught.value.errno == errno.EBADF
        stream.drop()
    assert os.listdir(folder) == []


@pytest.mark.parametrize(("offset", "nbytes"), [(0, 11), (10, 1), (11, 0), (2**64 - 1, 2), (5, 6)])
def test_nothing_is_written_over_past_the_end(tmp_path: Path, offset: int, nbytes: int) -> None:
    stream = Stream(os.fsencode(tmp_path / "x"))
    stream.put(bytes(10))
    with pytest.raises(ValueError, match="out of range"):
        stream.put_at(offset, bytes(nbytes))
    stream.drop()


def test_more_zeros_than_a_file_can_have_are_refused(tmp_path: Path) -> None:
    for nbytes in (2**63, 2**64 - 1):
        stream = Stream(os.fsencode(tmp_path / "x"))
        stream.put(b"data")
        with pytest.raises(StoreError) as caught:
            stream.skip(nbytes)
        assert caught.value.errno == errno.EFBIG


FILLS_THE_DISK = """
import os, resource, signal, sys
from zarrc.kernels.local_shards import Stream
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
source = os.open(sys.argv[1], os.O_RDONLY)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
stream = Stream(sys.argv[2].encode())
try:
    if sys.argv[4] == "copy":
        stream.copy(source, 0, 1 << 20)
    else:
        for _ in range(1024 if sys.argv[4] == "small" else 4):
            stream.put(os.pread(source, (1 << 20) // (1024 if sys.argv[4] == "small" else 4), 0))
    stream.commit()
except OSError as error:
    sys.exit(error.errno)
"""


@pytest.mark.parametrize("how", ["copy", "small", "large"])
@pytest.mark.parametrize("limit", [0, 1000, 256 * KIB + 5, 1024 * KIB - 1])
def test_a_full_disk_leaves_the_old_file(folder: Path, limit: int, how: str) -> None:
    (folder / "source").write_bytes(SOURCE)
    (folder / "x").write_bytes(b"old")
    command = [
        sys.executable,
        "-c",
        FILLS_THE_DISK,
        str(folder / "source"),
        str(folder / "x"),
        str(limit),
        how,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert (done.returncode, done.stderr) == (errno.EFBIG, "")
    assert (folder / "x").read_bytes() == b"old"
    assert sorted(os.listdir(folder)) == ["source", "x"]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
def test_what_was_expected_but_not_written_takes_no_room(tmp_path: Path) -> None:
    stream = Stream(os.fsencode(tmp_path / "x"))
    stream.expect(64 << 20)
    stream.put(bytes(10_000))
    stream.commit()
    info = (tmp_path / "x").stat()
    assert info.st_size == 10_000
    assert info.st_blocks * 512 <= 64 * KIB


KILLED = """
import os, sys
from zarrc.kernels import local_io, local_probes, local_shards
path, n = sys.argv[1].encode(), int(sys.argv[2])
source = os.open(path, os.O_RDONLY)
local_probes.kill_at(n)
stream = local_shards.Stream(path)
stream.skip(100)
stream.put(b"n" * 300_000)
stream.copy(source, 5, 300_000)
stream.put_at(0, b"n" * 100)
stream.commit()
print(local_probes.count_faults())
"""


def test_a_killed_writer_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "x"
    old, new = b"o" * 400_000, b"n" * 300_100 + b"o" * 300_000

    def run(n: int) -> subprocess.CompletedProcess[str]:
        path.write_bytes(old)
        command = [sys.executable, "-c", KILLED, str(path), str(n)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment())

    counted = run(0)
    assert (counted.returncode, counted.stderr) == (0, "")
    n_points, seen = int(counted.stdout), set()
    assert 8 <= n_points <= 20
    for n in range(1, n_points + 1):
        done = run(n)
        assert done.returncode == -signal.SIGKILL
        found = path.read_bytes()
        assert found in (old, new)
        seen.add(found)
        for name in os.listdir(tmp_path):
            if name != "x":
                assert name.startswith(".zc-")
                os.unlink(tmp_path / name)
    assert seen == {old, new}
    assert run(n_points + 1).returncode == 0


def test_threads_have_a_stream_each(tmp_path: Path) -> None:
    before = n_descriptors()

    def work(number: int) -> None:
        random = np.random.default_rng(number)
        for _ in range(20):
            stream = Stream(os.fsencode(tmp_path / str(number)))
            for _ in range(40):
                stream.put(bytes([number]) * int(random.integers(20 * KIB)))
            stream.commit()
            found = (tmp_path / str(number)).read_bytes()
            assert found.count(number) == len(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(os.listdir(tmp_path)) == list("012345")
    assert n_descriptors() == before


def test_faults_are_counted_only_when_asked_for(tmp_path: Path) -> None:
    local_probes.kill_at(0)
    try:
        assert local_probes.count_faults() == 0
        local_io.replace(os.fsencode(tmp_path / "x"), 0, b"data")
        counted = local_probes.count_faults()
        assert counted == 6
    finally:
        local_probes.kill_at(-1)
    assert local_probes.count_faults() == 0
    local_io.replace(os.fsencode(tmp_path / "x"), 0, b"data")
    assert local_probes.count_faults() == 0


def test_a_forked_child_leaves_its_parents_file_alone(tmp_path: Path) -> None:
    """A codec in Python, or a signal's handler, may fork while a shard is written."""
    path = os.fsencode(tmp_path / "shard")
    for end in ("drop", "commit"):
        stream = Stream(path)
        stream.put(SOURCE[:KIB])
        pid = os.fork()
        if pid == 0:
            try:
                getattr(stream, end)()
            except Exception:
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == (1 if end == "commit" else 0)
        stream.put(SOURCE[KIB : 2 * KIB])
        stream.commit()
        assert (tmp_path / "shard").read_bytes() == SOURCE[: 2 * KIB]
        assert os.listdir(tmp_path) == ["shard"]
