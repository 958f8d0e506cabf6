"""Objects as local files, below the stores."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.soak import soaking
from zarrc.errors import StoreError
from zarrc.kernels import local_io, local_probes

Asked = tuple[list[int], Callable[[int], npt.NDArray[np.uint8]]]


def test_a_missing_root_is_never_made(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path) + b"/root"
    for put in (local_io.replace, local_io.replace_stamped, local_io.create):
        assert not put(root + b"/a/b/x", len(root), b"data")
        assert not put(root + b"/x", len(root), b"data")
    assert os.listdir(tmp_path) == []


def test_directories_below_the_root_are_made(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    for depth in range(1, 12):
        path = root + b"/d%d" % depth + b"/e" * depth + b"/x"
        assert local_io.replace(path, len(root), b"%d" % depth)
        blob = local_io.read(path)
        assert blob is not None
        assert bytes(blob) == b"%d" % depth


def test_a_root_of_slash_works(tmp_path: Path) -> None:
    assert local_io.replace(os.fsencode(tmp_path) + b"/a/x", 0, b"data")
    assert (tmp_path / "a" / "x").read_bytes() == b"data"


def test_create_refuses_what_is_there(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/x"
    version = local_io.create(path, len(os.fsencode(tmp_path)), b"first")
    with pytest.raises(StoreError) as caught:
        local_io.create(path, len(os.fsencode(tmp_path)), b"second")
    assert caught.value.errno == errno.EEXIST
    assert local_io.stat(path) == (5, version)
    assert os.listdir(tmp_path) == ["x"]


def test_the_version_that_a_write_gives_is_the_one_that_is_read(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/x"
    for number in range(20):
        version = local_io.replace_stamped(path, len(os.fsencode(tmp_path)), bytes(number))
        blob = local_io.read(path)
        assert blob is not None
        assert local_io.stat(path) == (number, version) == (blob.nbytes, blob.version)


def test_read_into_does_not_write_past_the_range(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/x"
    (tmp_path / "x").write_bytes(bytes(range(100)))
    out = bytearray(b"\xff" * 20)
    assert local_io.read_into(path, out, 10, 5) == 5
    assert out == bytes(range(10, 15)) + b"\xff" * 15
    with pytest.raises(StoreError, match="21 bytes do not fit"):
        local_io.read_into(path, out, 0, 21)
    with pytest.raises(StoreError, match="leaves the object"):
        local_io.read_into(path, out, 90, 11)


# Lengths around what one system call is given: 128 rows.
@pytest.mark.parametrize("n_rows", [0, 1, 2, 127, 128, 129, 256, 300])
@pytest.mark.parametrize("row_nbytes", [1, 7, 512, 4096])
@pytest.mark.parametrize("gap", [0, 1, 5000])
@pytest.mark.parametrize("memory", ["side by side", "apart", "backwards"])
def test_rows_are_read_where_they_belong(
    tmp_path: Path, n_rows: int, row_nbytes: int, gap: int, memory: str
) -> None:
    path, start, stride = tmp_path / "x", 3, row_nbytes + gap
    content = np.random.default_rng(1).integers(0, 255, start + n_rows * stride, np.uint8)
    path.write_bytes(content.tobytes())
    apart = 0 if memory == "side by side" else 5
    whole = np.full((n_rows, row_nbytes + apart), 255, np.uint8)
    out = whole[::-1] if memory == "backwards" else whole
    assert local_probes.read_rows(os.fsencode(path), out, start, stride, row_nbytes) == n_rows * row_nbytes
    expected = content[start:].reshape(n_rows, stride)[:, :row_nbytes]
    assert (out[:, :row_nbytes] == expected).all()
    assert (out[:, row_nbytes:] == 255).all()


def test_rows_of_bytes_that_lie_apart_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(100))
    whole = np.zeros((4, 10), np.uint8)
    for out in (whole[:, ::-1], whole[:, ::2], whole.T):
        with pytest.raises(ValueError, match="two dimensions of bytes"):
            local_probes.read_rows(os.fsencode(path), out, 0, 3, 3)


@pytest.mark.parametrize("nbytes", [0, 1, 9, 10, 11, 999, 1279, 1280, 1285, 1999])
def test_a_file_that_ends_in_the_middle_of_a_row_is_an_error(tmp_path: Path, nbytes: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(nbytes))
    out = np.full((200, 10), 7, np.uint8)
    for stride in (10, 12):
        with pytest.raises(StoreError, match="ends before"):
            local_probes.read_rows(os.fsencode(path), out, 0, stride, 10)


@pytest.mark.parametrize(
    ("start", "stride"), [(2**63, 8), (2**64 - 1, 8), (2**63 - 8, 8), (0, 2**63), (8, 2**62)]
)
def test_rows_past_the_largest_offset_are_an_error(tmp_path: Path, start: int, stride: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(100))
    with pytest.raises(StoreError, match="ends before"):
        local_probes.read_rows(os.fsencode(path), np.zeros((4, 8), np.uint8), start, stride, 8)


def rows_of(content: npt.NDArray[np.uint8], row_nbytes: int, n_rows: int, memory: str) -> Asked:
    """What gives the content in pieces of so many rows, which lie side by side, apart or backwards."""

    def ask(offset: int) -> npt.NDArray[np.uint8]:
        asked.append(offset)
        n = min(n_rows, (content.size - offset) // row_nbytes) or 1
        piece = content[offset : offset + n * row_nbytes].reshape(n, -1)
        if memory == "side by side":
            return piece
        held = np.full((n, row_nbytes + 5), 255, np.uint8)[:, : piece.shape[1]]
        held = held[::-1] if memory == "backwards" else held
        held[...] = piece
        return held

    asked: list[int] = []
    return asked, ask


# Around what one system call is given: 128 rows.
@pytest.mark.parametrize("n_rows", [1, 2, 127, 128, 129, 300])
@pytest.mark.parametrize("row_nbytes", [1, 7, 4096])
@pytest.mark.parametrize("memory", ["side by side", "apart", "backwards"])
def test_a_file_is_replaced_by_pieces(tmp_path: Path, n_rows: int, row_nbytes: int, memory: str) -> None:
    path, root = os.fsencode(tmp_path / "a/b/x"), len(os.fsencode(tmp_path))
    for nbytes in (0, row_nbytes, 3 * n_rows * row_nbytes, 3 * n_rows * row_nbytes + row_nbytes // 2):
        content = np.random.default_rng(nbytes).integers(0, 255, nbytes, np.uint8)
        asked, ask = rows_of(content, row_nbytes, n_rows, memory)
        assert local_probes.replace_pieces(path, root, nbytes, ask)
        assert (tmp_path / "a/b/x").read_bytes() == content.tobytes()
        assert asked == sorted(set(asked))
        assert os.listdir(tmp_path / "a/b") == ["x"]


def test_pieces_can_repeat_a_row(tmp_path: Path) -> None:
    row = np.arange(100, dtype=np.uint8)
    rows = np.broadcast_to(row, (300, 100))
    assert local_probes.replace_pieces(os.fsencode(tmp_path / "x"), 0, 60_000, lambda offset: rows)
    assert (tmp_path / "x").read_bytes() == row.tobytes() * 600


def test_pieces_begin_again_when_the_temporary_file_was_taken_away(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "a/b/x")
    content = np.random.default_rng(1).integers(0, 255, 10_000, np.uint8)
    asked, ask = rows_of(content, 1000, 2, "apart")

    def ask_and_remove(offset: int) -> npt.NDArray[np.uint8]:
        if offset == 6000 and len(asked) < 10:
            shutil.rmtree(tmp_path / "a")
        return ask(offset)

    assert local_probes.replace_pieces(path, len(os.fsencode(tmp_path)), content.size, ask_and_remove)
    assert asked == 3 * [0, 2000, 4000, 6000, 8000]
    assert (tmp_path / "a/b/x").read_bytes() == content.tobytes()
    assert os.listdir(tmp_path / "a/b") == ["x"]


class Failure(Exception):
    """What no other code raises."""


@pytest.mark.parametrize("fails_at", [0, 2000, 8000])
def test_a_piece_that_fails_leaves_the_old_file(tmp_path: Path, fails_at: int) -> None:
    (tmp_path / "x").write_bytes(b"old")
    _, ask = rows_of(np.zeros(10_000, np.uint8), 1000, 2, "side by side")

    def fail(offset: int) -> npt.NDArray[np.uint8]:
        if offset == fails_at:
            raise Failure
        return ask(offset)

    with pytest.raises(Failure):
        local_probes.replace_pieces(os.fsencode(tmp_path / "x"), 0, 10_000, fail)
    assert (tmp_path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("shape", [(0, 10), (10, 0), (1, 101), (101, 1), (51, 2)])
def test_pieces_that_are_empty_or_too_long_are_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    (tmp_path / "x").write_bytes(b"old")
    piece = np.zeros(shape, np.uint8)
    with pytest.raises(ValueError, match="out of range"):
        local_probes.replace_pieces(os.fsencode(tmp_path / "x"), 0, 100, lambda offset: piece)
    assert (tmp_path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_pieces_need_the_root(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path / "root")
    _, ask = rows_of(np.zeros(10, np.uint8), 10, 1, "side by side")
    assert not local_probes.replace_pieces(root + b"/x", len(root), 10, ask)
    assert os.listdir(tmp_path) == []


FILLS_THE_DISK = """
import resource, signal, sys, numpy
from zarrc.kernels import local_io, local_probes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
piece = numpy.ones((300, 20), "u1")[:, :10]
try:
    local_probes.replace_pieces(sys.argv[1].encode(), 0, 30_000, lambda offset: piece)
except OSError as error:
    sys.exit(error.errno)
"""


# In the middle of a row, of a call, of a piece; at the end of each.
@pytest.mark.parametrize("limit", [0, 5, 10, 1277, 1280, 1285, 3000, 29_999])
def test_pieces_that_the_disk_has_no_room_for_leave_the_old_file(tmp_path: Path, limit: int) -> None:
    (tmp_path / "x").write_bytes(b"old")
    command = [sys.executable, "-c", FILLS_THE_DISK, str(tmp_path / "x"), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (errno.EFBIG, "")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("nbytes", [(8 << 20) - 1, 8 << 20, (8 << 20) + 1])
def test_a_large_new_file_takes_no_more_room_than_one_that_replaces(tmp_path: Path, nbytes: int) -> None:
    root, content = os.fsencode(tmp_path), np.random.default_rng(1).bytes(nbytes)
    blocks = []
    for name in (b"/x", b"/y", b"/y"):
        assert local_io.replace(root + name, len(root), content)
        assert (tmp_path / name.decode()[1:]).read_bytes() == content
        with open(root + name, "rb") as file:
            os.fsync(file)
        blocks.append((tmp_path / name.decode()[1:]).stat().st_blocks)
    # The file system's own notes of where the blocks are may count.
    assert max(blocks) - min(blocks) <= 32
    assert sorted(os.listdir(tmp_path)) == ["x", "y"]


LARGE_FILE_FAILS = """
import resource, signal, sys
from zarrc.kernels import local_io
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5 << 20,) * 2)
try:
    local_io.replace(sys.argv[1].encode(), 0, bytes(9 << 20))
except OSError as error:
    sys.exit(error.errno)
"""


def test_a_large_new_file_that_the_disk_has_no_room_for_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LARGE_FILE_FAILS, str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (errno.EFBIG, "")
    assert os.listdir(tmp_path) == []


# Around the buffer, which has 4096 bytes here, and around the windows of large files (Linux, ext4).
@pytest.mark.parametrize(
    "nbytes", [0, 1, 4095, 4096, 4097, 100_000, *(n << 20 for n in (4, 8, 16)), (4 << 20) - 1, (8 << 20) + 1]
)
@pytest.mark.parametrize("to", ["the same file system", "another file system"])
def test_a_file_is_copied(tmp_path: Path, nbytes: int, to: str) -> None:
    folder = tmp_path / "copies"
    if to == "another file system":
        if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
            pytest.skip("there is no other file system here")
        folder = Path("/dev/shm") / f"zarrc-{os.getpid()}"
    folder.mkdir()
    content = np.random.default_rng(1).bytes(nbytes + 10)
    (tmp_path / "x").write_bytes(content)
    root = os.fsencode(folder)
    try:
        assert local_io.copy(os.fsencode(tmp_path / "x"), root + b"/a/b/y", len(root), nbytes)
        assert (folder / "a/b/y").read_bytes() == content[:nbytes]
        with pytest.raises(StoreError, match="fewer than"):
            local_io.copy(os.fsencode(tmp_path / "x"), root + b"/a/b/y", len(root), nbytes + 11)
        assert (folder / "a/b/y").read_bytes() == content[:nbytes]
        assert os.listdir(folder / "a/b") == ["y"]
    finally:
        shutil.rmtree(folder)


REFUSES_COPY_FILE_RANGE = """
import ctypes, platform, struct, sys
number = {"x86_64": 326, "aarch64": 285}[platform.machine()]
# Load the number of the system call; if it is this one, fail with EPERM; else allow.
steps = (0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50001), (6, 0, 0, 0x7FFF0000)
program = b"".join(struct.pack("=HBBI", *step) for step in steps)
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, ctypes.byref(Filter(4, program)), 0, 0) != 0:
    sys.exit(77)
from zarrc.kernels import local_io, local_probes
source, root = map(lambda text: text.encode(), sys.argv[1:])
assert local_io.copy(source, root + b"/y", len(root), 100_000)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system call is Linux's")
def test_a_file_is_copied_in_a_sandbox_that_forbids_the_systems_copy(tmp_path: Path) -> None:
    content = np.random.default_rng(1).bytes(100_000)
    (tmp_path / "x").write_bytes(content)
    command = [sys.executable, "-c", REFUSES_COPY_FILE_RANGE, str(tmp_path / "x"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this system has no filters of system calls")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "y").read_bytes() == content


def test_a_copy_needs_its_source_and_its_root(tmp_path: Path) -> None:
    source, root = os.fsencode(tmp_path / "x"), os.fsencode(tmp_path / "root")
    assert not local_io.copy(source, os.fsencode(tmp_path / "y"), 1, 0)
    (tmp_path / "x").write_bytes(b"data")
    assert not local_io.copy(source, root + b"/y", len(root), 4)
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("has_c", [False, True])
@pytest.mark.parametrize("separator", ["/", "."])
@pytest.mark.parametrize("n_chunks", [(7,), (3, 12), (2, 1, 101)])
def test_chunks_are_listed(tmp_path: Path, n_chunks: tuple[int, ...], separator: str, has_c: bool) -> None:
    chunks = [index for number, index in enumerate(np.ndindex(*n_chunks)) if number % 3 != 1]
    node = os.fsencode(tmp_path)
    assert local_probes.list_chunks(node, separator, has_c, n_chunks) == []
    head = f"c{separator}" if has_c else ""
    tail = (separator + "0") * (len(n_chunks) - 1)
    strangers = ["zarr.json", ".zc-1-2-3", f"{head}00{tail}", f"{head}1x{tail}", f"{head}-1{tail}"]
    strangers += [
        f"{head}{n_chunks[0]}{tail}",
        f"{head}{2**64}{tail}",
        f"{head}{10**40}{tail}",
        f"{head}+0{tail}",
        f"x{head}0{tail}",
    ]
    strangers += [f"{'' if has_c else 'c' + separator}0{tail}", f"{head}0{tail} "]
    for name in [*strangers, *(head + separator.join(map(str, index)) for index in chunks)]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert sorted(local_probes.list_chunks(node, separator, has_c, n_chunks)) == chunks


def test_a_directory_in_the_place_of_a_chunk_is_none(tmp_path: Path) -> None:
    (tmp_path / "c/0/1").mkdir(parents=True)
    (tmp_path / "c/1").write_bytes(b"")
    (tmp_path / "c/2").symlink_to("0")
    (tmp_path / "c/2/0").symlink_to("../1")
    found = local_probes.list_chunks(os.fsencode(tmp_path), "/", True, (9, 9))
    assert sorted(found) == [(0, 0), (2, 0)]
    assert local_probes.list_chunks(os.fsencode(tmp_path / "c/1"), "/", True, (9, 9)) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_directory_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "c/0").mkdir(parents=True)
    (tmp_path / "c/0").chmod(0)
    try:
        with pytest.raises(StoreError):
            local_probes.list_chunks(os.fsencode(tmp_path), "/", True, (9, 9))
    finally:
        (tmp_path / "c/0").chmod(0o700)


@pytest.mark.parametrize("length", [4095, 4096, 5000])
def test_a_path_that_is_too_long_is_an_error(length: int) -> None:
    with pytest.raises(StoreError) as caught:
        local_probes.list_chunks(b"/" * length, "/", True, (9, 9))
    assert caught.value.errno == errno.ENAMETOOLONG


def test_a_chunk_whose_path_is_too_long_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "c/0").mkdir(parents=True)
    (tmp_path / "c/0/1").write_bytes(b"")
    for length, fits in ((4091, True), (4092, False)):
        node = os.fsencode(tmp_path)
        node += b"/" * (length - len(node))
        if fits:
            assert local_probes.list_chunks(node, "/", True, (9, 9)) == [(0, 1)]
        else:
            with pytest.raises(StoreError) as caught:
                local_probes.list_chunks(node, "/", True, (9, 9))
            assert caught.value.errno == errno.ENAMETOOLONG


@pytest.mark.skipif(not soaking(), reason="writes a gigabyte: make soak")
def test_more_than_one_system_call_moves_is_moved(tmp_path: Path) -> None:
    """Linux moves at most 2^31 - 4096 bytes at once, and we ask for 2^30; the file is sparse."""
    path = tmp_path / "big"
    with open(path, "wb") as file:
        file.seek((1 << 30) + 100)
        file.write(b"end")
    out = bytearray(11)
    assert local_io.read_into(os.fsencode(path), out, -11) == 11
    assert out == bytes(8) + b"end"
    code = (
        "import sys; from zarrc.kernels import local_io\n"
        "blob = local_io.read(sys.argv[1].encode())\n"
        "assert blob.nbytes == (1 << 30) + 103 and bytes(memoryview(blob)[-3:]) == b'end'\n"
        "assert local_io.replace((sys.argv[1] + '2').encode(), 0, blob)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=environment)
    assert os.path.getsize(tmp_path / "big2") == (1 << 30) + 103
    with open(tmp_path / "big2", "rb") as file:
        file.seek(-3, os.SEEK_END)
        assert file.read() == b"end"


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/x"
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    local_io.replace(path, 0, b"data")
    local_io.read(path)
    local_io.read(os.fsencode(tmp_path))
    local_io.remove(path)
    for action in (lambda: local_io.read(path, 3), lambda: local_io.replace(path + b"/y" * 3000, 0, b"")):
        try:
            action()
        except StoreError:
            continue
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert before == after


def test_removing_tells_whether_it_was_there(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/x"
    local_io.replace(path, 0, b"data")
    assert local_io.remove(path)
    assert not local_io.remove(path)
    assert not local_io.remove(path + b"/y")
    assert not local_io.remove(os.fsencode(tmp_path))
    assert tmp_path.is_dir()
