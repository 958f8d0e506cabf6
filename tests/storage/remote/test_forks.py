"""A real fork between requests: child and parent read on, and both end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers.servers import Servers

CODE = """
import os, sys
from zarrc.storage import FsspecStore

url, options = {url!r}, {options!r}
store = FsspecStore.from_url(url, storage_options=options)
twin = FsspecStore.from_url(url, storage_options=dict(options, skip_instance_cache=True))
requests = [("x", None)] * 10

def read():
    for own in (store, twin):
        assert bytes(own.get("x")) == b"data"
        assert len(list(own.get_many(requests))) == 10

read()
pid = os.fork()
if pid == 0:
    read()
    sys.exit(7)  # as an interpreter ends, not by _exit
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
read()
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="fork without exec is not safe there")
@pytest.mark.parametrize("kind", ["http", "gcs", "s3", "azure"])
def test_a_forked_child_ends_and_its_parent_reads_on(servers: Servers, kind: str) -> None:
    place = servers.server(kind).place()
    if place.folder:
        Path(place.folder, "x").write_bytes(b"data")
    else:
        fs, path = place.file_system()
        fs.pipe_file(f"{path}/x", b"data")
    before = time.monotonic()
    code = CODE.format(url=place.url, options=dict(place.storage_options))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert time.monotonic() - before < 60
