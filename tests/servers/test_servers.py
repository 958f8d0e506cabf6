"""The servers themselves: what tests of stores rely on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.servers.child import ROOT, ControlledChild, module_command
from tests.servers.lies import HOW
from tests.servers.places import Place
from tests.servers.relay import FAULTS
from tests.servers.servers import HttpServer, Proxy, Servers

BODY = bytes(range(256)) * 4


def fetch(url: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and fields of an answer."""
    asked = urllib.request.Request(
        url, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


@pytest.fixture
def url(http_server: HttpServer) -> str:
    """A file of the web server."""
    place = http_server.place()
    Path(place.folder, "x").write_bytes(BODY)
    return place.at("x")


@pytest.mark.parametrize(
    ("range", "start", "end"),
    [("0-9", 0, 10), ("10-", 10, 1024), ("-24", 1000, 1024), ("1000-5000", 1000, 1024), ("-5000", 0, 1024)],
)
def test_the_web_server_serves_ranges(url: str, range: str, start: int, end: int) -> None:
    status, body, headers = fetch(url, Range=f"bytes={range}")
    assert (status, body) == (206, BODY[start:end])
    assert headers["Content-Range"] == f"bytes {start}-{end - 1}/1024"


def test_the_web_server_refuses_what_is_not_there(url: str) -> None:
    assert fetch(url + "y")[0] == 404
    assert fetch(url + "/y")[0] == 404
    status, _, headers = fetch(url, Range="bytes=1024-")
    assert (status, headers["Content-Range"]) == (416, "bytes */1024")
    assert fetch(url, If_None_Match="*")[0] == 304
    assert fetch(url, If_Match='"other"')[0] == 412
    assert fetch(url.rsplit("/", 1)[0] + "/%2e%2e/x")[0] == 400


def test_the_web_server_records_requests(url: str, http_server: HttpServer) -> None:
    fetch(url, Range="bytes=1-2")
    fetch(url + "y")
    found = [
        (one["method"], one["range"], one["status"], one["nbytes"]) for one in http_server.ask("requests")
    ]
    assert found == [("GET", "bytes=1-2", 206, 2), ("GET", None, 404, 14)]


@pytest.mark.parametrize("how", sorted(set(HOW) - {"hang"}))
def test_the_web_server_lies_on_command(url: str, http_server: HttpServer, how: str) -> None:
    truth = fetch(url, Range="bytes=1-10")
    http_server.ask("lie", how=how, value={"status": 418, "slow": 0.05}.get(how, 0), times=1)
    began = time.monotonic()
    try:
        told: object = fetch(url, Range="bytes=1-10")
    except Exception as error:
        told = error
    assert told != truth or time.monotonic() - began >= 0.05 or how == "no_length"
    assert fetch(url, Range="bytes=1-10") == truth


def test_a_folder_is_written_and_read_on_each_server(remote_place: Place) -> None:
    fs, path = remote_place.file_system()
    fs.pipe_file(f"{path}/a/x", BODY)
    assert fs.cat_file(f"{path}/a/x", start=3, end=20) == BODY[3:20]
    assert [name.rpartition("/")[2] for name in fs.find(path)] == ["x"]


def test_a_relay_records_requests(recorded: Proxy) -> None:
    fs, path = recorded.place().file_system()
    fs.pipe_file(f"{path}/x", BODY)
    assert fs.cat_file(f"{path}/x") == BODY
    found = recorded.requests()
    assert found[0]["method"] in ("PUT", "POST")
    assert found[0]["sent_nbytes"] >= len(BODY)
    assert found[-1]["method"] == "GET"
    assert found[-1]["nbytes"] == len(BODY)
    assert recorded.requests() == []


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_a_relay_fails_on_command(servers: Servers, http_server: HttpServer, kind: str) -> None:
    relay = servers.relay("http")
    place = relay.through(http_server.place())
    Path(place.folder, "x").write_bytes(BODY)
    assert fetch(place.at("x"))[1] == BODY
    relay.ask("faults", rate=1.0, kinds=[kind])
    http_server.ask("clear")
    try:
        found: object = fetch(place.at("x"))[:2]
    except Exception:
        found = None
    assert found == (200, BODY) if kind == "delay" else found != (200, BODY)
    assert bool(http_server.ask("requests")) == (kind not in ("drop_before", "403", "500", "503"))
    relay.ask("faults")
    assert fetch(place.at("x"))[1] == BODY
    assert [one["fault"] for one in relay.requests()] == [None, kind, None]


def test_the_far_server_is_far(far_server: Proxy) -> None:
    async def times() -> list[float]:
        import aiohttp

        found = []
        async with aiohttp.ClientSession() as session:
            for _ in range(5):
                began = time.monotonic()
                async with session.get(far_server.url + "/nothing") as answer:
                    await answer.read()
                found.append(time.monotonic() - began)
        return found

    assert sorted(asyncio.run(times()))[0] >= 0.0295


def test_a_program_ends_with_its_starter(tmp_path: Path) -> None:
    child = ControlledChild(
        "http", module_command("tests.servers.http", "--root", str(tmp_path)), tmp_path / "log"
    )
    assert fetch(child.url + "/")[0] == 200
    child.stop()
    with pytest.raises(OSError):
        urllib.request.urlopen(child.url, timeout=5)


def test_a_guarded_program_ends_with_its_starter(tmp_path: Path) -> None:
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    guard = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/servers/guard.py"), sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert guard.stdin is not None
    assert guard.stdout is not None
    with guard.stdout:
        pid = int(guard.stdout.readline())
        guard.stdin.close()
        guard.wait(10)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(("argument", "status", "said"), [("--help", 0, "s3, gcs"), ("s4", 2, "called s4")])
def test_the_program_says_what_it_takes(argument: str, status: int, said: str) -> None:
    program = [sys.executable, "-m", "tests.servers.servers", argument]
    done = subprocess.run(program, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == status
    assert said in done.stdout + done.stderr
