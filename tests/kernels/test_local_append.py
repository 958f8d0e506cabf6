"""Bytes appended to a shard: as before or as after, whatever happens in between."""

from __future__ import annotations

import errno
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.soak import count, soaking
from zarrc.errors import StoreError
from zarrc.kernels import local_probes, local_shards

N_INDEX = 64
INDEX, NEW_INDEX = b"i" * N_INDEX, b"j" * N_INDEX
DATA = b"d" * 500
OLD = {"end": DATA + INDEX, "start": INDEX + DATA}
NEW = {"end": DATA + INDEX + b"xxyyy" + NEW_INDEX, "start": NEW_INDEX + DATA + b"xxyyy"}
WHERES = pytest.mark.parametrize("where", ["end", "start"])
DURABLE = pytest.mark.parametrize("durable", [False, True])


def make(tmp_path: Path, where: str) -> bytes:
    (tmp_path / "x").write_bytes(OLD[where])
    return os.fsencode(tmp_path / "x")


def identity_of(path: bytes) -> tuple[int, int, int, int]:
    identity = local_probes.identify(path)
    assert identity is not None
    return identity


def append(path: bytes, where: str, durable: bool = False) -> tuple[int, ...] | None:
    old = INDEX if where == "start" else None
    return local_shards.append(path, identity_of(path), [b"xx", b"yyy"], NEW_INDEX, old, durable)


def record_of(path: bytes, where: str) -> bytes:
    """The record of an append that was not finished, as it is on the disk."""
    name = os.path.join(os.path.dirname(path), b".zc-undo-" + os.path.basename(path))
    code = (
        "import sys; from zarrc.kernels import local_probes, local_shards\n"
        "path, old = sys.argv[1].encode(), b'i' * 64 if sys.argv[2] == 'start' else None\n"
        "local_probes.kill_at(11 if old else 7)\n"
        "local_shards.append(path, local_probes.identify(path), [b'z' * 9], b'j' * 64, old)"
    )
    done = subprocess.run([sys.executable, "-c", code, path, where], check=False, env=environment())
    assert done.returncode == -signal.SIGKILL
    with open(name, "rb") as file:
        return file.read()


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@WHERES
@DURABLE
def test_what_is_appended_is_there(tmp_path: Path, where: str, durable: bool) -> None:
    path = make(tmp_path, where)
    identity = append(path, where, durable)
    assert (tmp_path / "x").read_bytes() == NEW[where]
    assert identity == identity_of(path)
    assert os.listdir(tmp_path) == ["x"]


@WHERES
@pytest.mark.parametrize("n", [0, 1, 2, 62, 63, 64, 65, 200])
def test_any_number_of_pieces_is_appended(tmp_path: Path, where: str, n: int) -> None:
    path = make(tmp_path, where)
    pieces = [b"%d" % number * (number % 4) for number in range(n)]
    old = INDEX if where == "start" else None
    assert local_shards.append(path, identity_of(path), pieces, NEW_INDEX, old) is not None
    found = (tmp_path / "x").read_bytes()
    appended = b"".join(pieces)
    if where == "end":
        assert found == OLD[where] + appended + NEW_INDEX
    else:
        assert found == NEW_INDEX + DATA + (appended or b"\0")


@WHERES
def test_every_append_makes_the_file_longer(tmp_path: Path, where: str) -> None:
    path = make(tmp_path, where)
    before = identity_of(path)
    after = local_shards.append(path, before, [], NEW_INDEX, INDEX if where == "start" else None)
    assert after is not None
    assert after[2] > before[2]


@WHERES
@pytest.mark.parametrize("word", range(4))
def test_another_file_than_was_read_is_refused(tmp_path: Path, where: str, word: int) -> None:
    path = make(tmp_path, where)
    identity = list(identity_of(path))
    identity[word] ^= 1
    old = INDEX if where == "start" else None
    assert local_shards.append(path, identity, [b"xx"], NEW_INDEX, old) is None
    assert (tmp_path / "x").read_bytes() == OLD[where]
    assert os.listdir(tmp_path) == ["x"]


def test_a_record_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = make(tmp_path, "end")
    (tmp_path / ".zc-undo-x").write_bytes(b"anything")
    assert append(path, "end") is None
    assert (tmp_path / "x").read_bytes() == OLD["end"]
    assert (tmp_path / ".zc-undo-x").read_bytes() == b"anything"


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "x")
    assert local_shards.append(path, (1, 2, 3, 4), [], NEW_INDEX) is None
    assert os.listdir(tmp_path) == []


def test_lengths_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path, "end")
    device, inode, _, ctime = identity_of(path)
    for nbytes in (2**63 - 1, 2**63, 2**64 - 1):
        with pytest.raises(ValueError, match="out of range"):
            local_shards.append(path, (device, inode, nbytes, ctime), [b"x"], NEW_INDEX)
    with pytest.raises(ValueError, match="out of range"):
        local_shards.append(path, (device, inode, 10, ctime), [b"x"], NEW_INDEX, INDEX)
    with pytest.raises(ValueError, match="out of range"):
        local_shards.append(path, identity_of(path), [b"x"], b"")
    assert os.listdir(tmp_path) == ["x"]


KILLED = """
import sys
from zarrc.kernels import local_probes, local_shards
path, where, durable, n = sys.argv[1].encode(), sys.argv[2], sys.argv[3] == "True", int(sys.argv[4])
identity = local_probes.identify(path)
local_probes.kill_at(n)
if sys.argv[5] == "repair":
    assert local_shards.repair(path, 64)
else:
    old = b"i" * 64 if where == "start" else None
    assert local_shards.append(path, identity, [b"xx", b"yyy"], b"j" * 64, old, durable)
print(local_probes.count_faults())
"""


def killed(path: bytes, where: str, durable: bool, n: int, what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, os.fsdecode(path), where, str(durable), str(n), what]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment())


def places(n: int, durable: bool) -> range:
    """All places to be killed at; of an append that is flushed, the last and some before unless soaking."""
    return range(1, n + 1) if soaking() or not durable else range(n, 0, -5)


def as_a_reader_sees_it(path: bytes) -> bytes:
    """The shard as of its record, if it has one that is valid."""
    with open(path, "rb") as file:
        content = file.read()
    device, inode, _, _ = identity_of(path)
    state, nbytes, index = local_shards.undo_read(path, device, inode, N_INDEX)
    if state == "valid":
        content = content[:nbytes]
        if index is not None:
            content = index + content[N_INDEX:]
    return content


@WHERES
@DURABLE
def test_a_killed_writer_leaves_the_old_shard_or_the_new(tmp_path: Path, where: str, durable: bool) -> None:
    path = make(tmp_path, where)
    counted = killed(path, where, durable, 0, "append")
    assert (counted.returncode, counted.stderr) == (0, "")
    seen = set()
    for n in places(int(counted.stdout), durable):
        make(tmp_path, where)
        assert killed(path, where, durable, n, "append").returncode == -signal.SIGKILL
        before = as_a_reader_sees_it(path)
        had_record = local_shards.undo_exists(path)
        assert local_shards.repair(path, N_INDEX) == had_record
        found = (tmp_path / "x").read_bytes()
        assert found == before
        assert found in (OLD[where], NEW[where])
        assert os.listdir(tmp_path) == ["x"]
        seen.add(found)
        if found == OLD[where]:
            assert append(path, where) is not None
            assert (tmp_path / "x").read_bytes() == NEW[where]
    assert seen == {OLD[where], NEW[where]}


@WHERES
@DURABLE
def test_a_killed_repair_is_repaired(tmp_path: Path, where: str, durable: bool) -> None:
    path = make(tmp_path, where)
    n_points = int(killed(path, where, durable, 0, "append").stdout)

    def break_it() -> None:
        # Before the record is removed: everything is written. After that, only its directory is flushed.
        make(tmp_path, where)
        assert (
            killed(path, where, durable, n_points - (3 if durable else 1), "append").returncode
            == -signal.SIGKILL
        )
        assert (tmp_path / "x").read_bytes() == NEW[where]
        assert as_a_reader_sees_it(path) == OLD[where]

    break_it()
    counted = killed(path, where, durable, 0, "repair")
    assert (counted.returncode, counted.stderr) == (0, "")
    for n in places(int(counted.stdout), durable):
        break_it()
        assert killed(path, where, durable, n, "repair").returncode == -signal.SIGKILL
        assert as_a_reader_sees_it(path) == OLD[where]
        local_shards.repair(path, N_INDEX)
        assert (tmp_path / "x").read_bytes() == OLD[where]
        assert os.listdir(tmp_path) == ["x"]


@WHERES
def test_a_damaged_record_is_no_record(tmp_path: Path, where: str) -> None:
    path = make(tmp_path, where)
    record = record_of(path, where)
    device, inode, _, _ = identity_of(path)
    assert local_shards.undo_read(path, device, inode, N_INDEX)[0] == "valid"
    for cut in range(len(record)):
        (tmp_path / ".zc-undo-x").write_bytes(record[:cut])
        assert local_shards.undo_read(path, device, inode, N_INDEX) == ("invalid", 0, None)
    (tmp_path / ".zc-undo-x").write_bytes(record + b"\0")
    assert local_shards.undo_read(path, device, inode, N_INDEX) == ("invalid", 0, None)
    for bit in range(len(record) * 8):
        flipped = bytearray(record)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / ".zc-undo-x").write_bytes(flipped)
        assert local_shards.undo_read(path, device, inode, N_INDEX) == ("invalid", 0, None)
    (tmp_path / ".zc-undo-x").write_bytes(bytes(len(record)))
    assert local_shards.undo_read(path, device, inode, N_INDEX) == ("invalid", 0, None)


def test_a_record_is_for_one_file(tmp_path: Path) -> None:
    path = make(tmp_path, "start")
    record_of(path, "start")
    device, inode, _, _ = identity_of(path)
    assert local_shards.undo_read(path, device, inode, N_INDEX) == ("valid", len(OLD["start"]), INDEX)
    assert local_shards.undo_read(path, device, inode, N_INDEX - 1) == ("invalid", 0, None)
    assert local_shards.undo_read(path, device + 1, inode, N_INDEX) == ("other", 0, None)
    assert local_shards.undo_read(path, device, inode ^ 1, N_INDEX) == ("other", 0, None)
    # Somebody who knows nothing of records replaced the shard.
    (tmp_path / "y").write_bytes(b"another")
    os.replace(tmp_path / "y", tmp_path / "x")
    assert local_shards.repair(path, N_INDEX)
    assert (tmp_path / "x").read_bytes() == b"another"
    assert os.listdir(tmp_path) == ["x"]


@WHERES
def test_a_file_that_got_the_inode_of_a_shard_is_left(tmp_path: Path, where: str) -> None:
    path = make(tmp_path, where)
    record_of(path, where)
    inode = os.stat(path).st_ino
    # Somebody who knows nothing of records removed it and made others: ext4 gives one the same inode.
    os.remove(path)
    made = [tmp_path / f"other{i}" for i in range(50)]
    for other in made:
        other.write_bytes(b"c" * 1000)
    found = [other for other in made if other.stat().st_ino == inode]
    if not found:
        pytest.skip("a file system that does not use inodes again at once")
    found[0].rename(tmp_path / "x")
    device = os.stat(path).st_dev
    assert local_shards.undo_read(path, device, inode, N_INDEX) == ("other", 0, None)
    assert local_shards.repair(path, N_INDEX)
    assert (tmp_path / "x").read_bytes() == b"c" * 1000
    assert not (tmp_path / ".zc-undo-x").exists()


def test_a_shard_that_somebody_made_shorter_is_left(tmp_path: Path) -> None:
    path = make(tmp_path, "start")
    record_of(path, "start")
    os.truncate(path, 100)
    cut = (tmp_path / "x").read_bytes()
    assert local_shards.repair(path, N_INDEX)
    assert (tmp_path / "x").read_bytes() == cut
    assert os.listdir(tmp_path) == ["x"]


def test_the_record_of_a_shard_that_is_gone_is_removed(tmp_path: Path) -> None:
    path = make(tmp_path, "end")
    assert not local_shards.repair(path, N_INDEX)
    record_of(path, "end")
    os.unlink(path)
    assert local_shards.repair(path, N_INDEX)
    assert os.listdir(tmp_path) == []
    assert not local_shards.repair(path, N_INDEX)
    assert not local_shards.repair(path + b"/y", N_INDEX)


def test_a_huge_record_is_not_read(tmp_path: Path) -> None:
    path = make(tmp_path, "start")
    device, inode, nbytes, _ = identity_of(path)
    for index_nbytes in (2**40, 2**62, 2**64 - 64, 2**64 - 1):
        with open(tmp_path / ".zc-undo-x", "wb") as file:
            file.write(struct.pack("<8s5Q", b"zc-undo\1", 1, device, inode, nbytes, index_nbytes))
            if index_nbytes == 2**40:
                file.truncate(2**40 + 64)
        assert local_shards.undo_read(path, device, inode, N_INDEX) == ("invalid", 0, None)
    assert local_shards.repair(path, N_INDEX)
    assert (tmp_path / "x").read_bytes() == OLD["start"]


FILLS_THE_DISK = """
import resource, signal, sys
from zarrc.kernels import local_probes, local_shards
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = sys.argv[1].encode()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
pieces, old = [b"p" * 100] * int(sys.argv[4]), b"i" * 64 if sys.argv[2] == "start" else None
try:
    local_shards.append(path, local_probes.identify(path), pieces, b"j" * 64, old)
except OSError as error:
    sys.exit(error.errno)
"""


# In the record; in the middle of a piece; in the last piece or the index.
@WHERES
@pytest.mark.parametrize("n_pieces", [3, 100])
@pytest.mark.parametrize("limit", [0, 50, 564, 565, 700, "all but one"])
def test_a_full_disk_leaves_the_old_shard(
    tmp_path: Path, where: str, limit: int | str, n_pieces: int
) -> None:
    path = make(tmp_path, where)
    if limit == "all but one":
        limit = len(OLD[where]) + 100 * n_pieces + (N_INDEX if where == "end" else 0) - 1
    command = [sys.executable, "-c", FILLS_THE_DISK, os.fsdecode(path), where, str(limit), str(n_pieces)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert (done.returncode, done.stderr) == (errno.EFBIG, "")
    assert (tmp_path / "x").read_bytes() == OLD[where]
    assert os.listdir(tmp_path) == ["x"]


@WHERES
def test_a_full_file_system_leaves_the_old_shard(tmp_path: Path, where: str) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "zarrc", str(mounted)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        path = make(mounted, where)
        old = INDEX if where == "start" else None
        with pytest.raises(StoreError) as caught:
            local_shards.append(path, identity_of(path), [bytes(1000)] * 90, NEW_INDEX, old)
        assert caught.value.errno == errno.ENOSPC
        assert (mounted / "x").read_bytes() == OLD[where]
        assert os.listdir(mounted) == ["x"]
        assert append(path, where) is not None
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    path = make(tmp_path, "end")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError) as caught:
            append(path, "end")
        assert caught.value.errno == errno.EACCES
    finally:
        tmp_path.chmod(0o700)
    assert (tmp_path / "x").read_bytes() == OLD["end"]


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    path = make(tmp_path, "end")
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        append(path, "end")
        local_shards.append(path, (1, 2, 3, 4), [], INDEX)
        (tmp_path / ".zc-undo-x").write_bytes(b"")
        append(path, "end")
        local_shards.undo_read(path, 1, 2, 3)
        local_shards.repair(path, 3)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(StoreError, match="regular"):
        local_shards.append(os.fsencode(tmp_path / "fifo"), (1, 2, 3, 4), [], INDEX)
    assert len(os.listdir("/dev/fd")) == before
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0


def test_readers_beside_a_writer_see_one_version(tmp_path: Path) -> None:
    """The way of reading that the header describes, beside appends."""
    path, stop, failures = os.fsencode(tmp_path / "x"), threading.Event(), list[str]()
    entry = struct.Struct("<QQ")

    def read(at_start: bool) -> None:
        while not stop.is_set():
            for _ in range(10_000):
                with open(path, "rb") as file:
                    nbytes = os.fstat(file.fileno()).st_size
                    if local_shards.undo_exists(path):
                        continue
                    index = os.pread(file.fileno(), 16, 0 if at_start else nbytes - 16)
                    if local_shards.undo_exists(path) or os.fstat(file.fileno()).st_size != nbytes:
                        continue
                    offset, length = entry.unpack(index)
                    data = os.pread(file.fileno(), length, offset)
                if len(data) != length or data != bytes([length % 251]) * length:
                    failures.append(f"{offset} {length} of {nbytes}")
                    return
                break

    for at_start in (False, True):
        index, data = entry.pack(16 if at_start else 0, 5), bytes([5]) * 5
        (tmp_path / "x").write_bytes(index + data if at_start else data + index)
        stop.clear()
        readers = [threading.Thread(target=read, args=(at_start,)) for _ in range(2)]
        for reader in readers:
            reader.start()
        random = np.random.default_rng(1)
        for _ in range(count(5000)):
            length = int(random.integers(1, 2000))
            identity = identity_of(path)
            new = entry.pack(identity[2], length)
            piece = bytes([length % 251]) * length
            assert local_shards.append(path, identity, [piece], new, index if at_start else None) is not None
            index = new
        stop.set()
        for reader in readers:
            reader.join()
        assert failures == []


def test_a_shard_whose_name_has_no_room_for_a_records_has_none(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / ("c" * 250))
    Path(os.fsdecode(path)).write_bytes(b"shard")
    assert not local_shards.undo_exists(path)
    assert not local_shards.repair(path, 100)
