"""Web servers as stores: what is read, what is refused, how many requests it takes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import zarrc
import zarrc.storage
from tests.servers.servers import HttpServer
from zarrc.config import config
from zarrc.errors import (
    NodeNotFoundError,
    ReadOnlyError,
    StoreDeniedError,
    StoreError,
    StoreThrottledError,
    StoreTimeoutError,
)
from zarrc.storage import FsspecStore

BODY = bytes(range(256)) * 4


@pytest.fixture(autouse=True)
def short_pauses() -> Iterator[None]:
    """Between one try and the next."""
    with config.set({"storage.retry_delay": 0.001, "storage.retries": 2}):
        yield


@pytest.fixture
def place(http_server: HttpServer) -> Iterator[Any]:
    """A folder that is served, with an object ``a/x``."""
    place = http_server.place()
    Path(place.folder, "a").mkdir()
    Path(place.folder, "a/x").write_bytes(BODY)
    http_server.ask("clear")
    yield place
    http_server.ask("behave")


@pytest.fixture
def store(place: Any) -> FsspecStore:
    """It as a store."""
    store = FsspecStore.from_url(place.url)
    assert isinstance(store, FsspecStore)
    return store


def asked(server: HttpServer) -> list[tuple[str, str | None]]:
    """Method and range of the requests since the last time."""
    found = [(record["method"], record["range"]) for record in server.ask("requests")]
    server.ask("clear")
    return found


def test_each_read_is_one_request(store: FsspecStore, http_server: HttpServer) -> None:
    assert bytes(store.get("a/x") or b"") == BODY
    assert asked(http_server) == [("GET", None)]
    assert store.get("a/y") is None
    assert asked(http_server) == [("GET", None)]
    for range, field in {
        (10, 20): "bytes=10-29",
        (10, None): "bytes=10-",
        (-24, None): "bytes=-24",
        (-24, 4): "bytes=-24",
        (2000, 10): "bytes=2000-2009",
        (2000, None): "bytes=2000-",
    }.items():
        if range[0] < 2000:
            assert store.get("a/x", range) is not None
        else:
            with pytest.raises(StoreError, match="the range leaves the object"):
                store.get("a/x", range)
        assert asked(http_server) == [("GET", field)]
    assert store.stat("a/x") is not None
    assert asked(http_server) == [("HEAD", None)]
    answers = dict(store.get_many([("a/x", None), ("a/y", None), ("a/x", (0, 5))]))
    assert sorted(asked(http_server), key=str) == [("GET", "bytes=0-4"), ("GET", None), ("GET", None)]
    assert [blob and len(blob) for _, blob in sorted(answers.items())] == [1024, None, 5]


def test_whole_objects_ranges_and_heads_tell_one_version(store: FsspecStore, place: Any) -> None:
    whole, part, stat = store.get("a/x"), store.get("a/x", (5, 5)), store.stat("a/x")
    assert whole is not None
    assert part is not None
    assert stat is not None
    assert whole.version == part.version == stat.version != ""
    assert whole.object_nbytes == part.object_nbytes == stat.nbytes == len(BODY)
    Path(place.folder, "a/x").write_bytes(BODY + b"more")
    changed = store.get("a/x")
    assert changed is not None
    assert changed.version != whole.version


def test_nothing_is_written(store: FsspecStore, http_server: HttpServer) -> None:
    for action in (
        lambda: store.set("a/x", b""),
        lambda: store.set_many([("a/x", b"")]),
        lambda: store.set_if("a/x", b"", None),
        lambda: store.delete("a/x"),
        lambda: store.delete_many(["a/x"]),
        lambda: store.delete_prefix("a"),
        lambda: store.copy("a/x", "a/y"),
    ):
        with pytest.raises(ReadOnlyError, match="nothing can be written over HTTP"):
            action()
    assert asked(http_server) == []
    assert not store.is_conditional


# What a server that lies makes of a read: the whole object, a range of it, and its last bytes.
RIGHT, WRONG = "right", "an error"


@pytest.mark.parametrize(
    ("how", "whole", "part", "suffix"),
    [
        ("ignore_ranges", RIGHT, RIGHT, RIGHT),
        ("cut", WRONG, WRONG, WRONG),
        ("short", None, WRONG, WRONG),
        ("long", None, WRONG, WRONG),
        ("shifted", RIGHT, WRONG, WRONG),
        ("odd_content_range", RIGHT, WRONG, WRONG),
        ("no_content_range", RIGHT, WRONG, WRONG),
        ("no_length", WRONG, RIGHT, RIGHT),
        ("no_length_cut", WRONG, WRONG, WRONG),
        ("huge_length", WRONG, WRONG, WRONG),
        ("huge_object", RIGHT, WRONG, WRONG),
        ("gzip", RIGHT, WRONG, WRONG),
        ("reset", WRONG, WRONG, WRONG),
        ("garbage", WRONG, WRONG, WRONG),
    ],
)
def test_what_is_read_of_a_server_that_lies_is_right_or_an_error(
    store: FsspecStore, http_server: HttpServer, how: str, whole: str, part: str, suffix: str
) -> None:
    http_server.ask("lie", how=how, match="/a/x")
    for range, expected in ((None, whole), ((100, 50), part), ((-30, None), suffix)):
        if expected == RIGHT:
            start, nbytes = range or (0, None)
            due = BODY[start:] if nbytes is None else BODY[start : start + nbytes]
            assert bytes(store.get("a/x", range) or b"") == due, range
        elif expected == WRONG:
            with pytest.raises(StoreError) as caught:
                store.get("a/x", range)
            assert caught.value.key == "a/x"
            with pytest.raises(StoreError):
                list(store.get_many([("a/x", range)]))


@pytest.mark.parametrize("how", ["cut", "reset", "short", "no_length_cut", "huge_length", "garbage"])
@pytest.mark.parametrize("range", [(100, 50), (-30, None), (1000, None)])
def test_a_lie_that_is_told_once_is_not_noticed(
    store: FsspecStore, http_server: HttpServer, how: str, range: tuple[int, int | None]
) -> None:
    if how == "garbage":
        pytest.skip("what is no HTTP at all is not worth another try")
    http_server.ask("lie", how=how, match="/a/x", times=1)
    start, nbytes = range
    assert bytes(store.get("a/x", range) or b"") == (
        BODY[start:] if nbytes is None else BODY[start : start + nbytes]
    )


@pytest.mark.parametrize(
    ("status", "kind", "tries"),
    [
        (401, StoreDeniedError, 1),
        (403, StoreDeniedError, 1),
        (400, StoreError, 1),
        (429, StoreThrottledError, 3),
        (503, StoreThrottledError, 3),
        (500, StoreError, 3),
        (502, StoreError, 3),
        (504, StoreTimeoutError, 3),
    ],
)
def test_an_error_status_is_an_error_and_tried_again_where_that_helps(
    store: FsspecStore, http_server: HttpServer, status: int, kind: type[StoreError], tries: int
) -> None:
    http_server.ask("lie", how="status", value=status, match="/a/x")
    for action in (
        lambda: store.get("a/x"),
        lambda: store.get("a/x", (1, 2)),
        lambda: store.get("a/x", (1, None)),
        lambda: store.get("a/x", (-5, None)),
        lambda: store.stat("a/x"),
        lambda: list(store.get_many([("a/x", None)])),
        lambda: list(store.stat_many(["a/x"])),
    ):
        asked(http_server)
        with pytest.raises(StoreError, match=f"status {status}") as caught:
            action()
        assert type(caught.value) is kind
        assert caught.value.key == "a/x"
        assert ("(tried 3 times)" in str(caught.value)) == (tries == 3)
        assert len(asked(http_server)) == tries


@pytest.mark.parametrize("status", [404, 410])
def test_not_found_and_gone_are_absent(store: FsspecStore, http_server: HttpServer, status: int) -> None:
    http_server.ask("lie", how="status", value=status, match="/a/x")
    assert store.get("a/x") is None
    assert store.get("a/x", (1, 2)) is None
    assert store.get("a/x", (1, None)) is None
    assert store.stat("a/x") is None


def test_a_server_that_is_busy_for_a_while_is_waited_for(store: FsspecStore, http_server: HttpServer) -> None:
    http_server.ask("lie", how="status", value=503, match="/a/x", times=2)
    assert bytes(store.get("a/x") or b"") == BODY
    assert len(asked(http_server)) == 3


def test_a_server_that_says_nothing_is_given_up(store: FsspecStore, http_server: HttpServer) -> None:
    http_server.ask("lie", how="hang", match="/a/x")
    with config.set({"storage.timeout": 0.2, "storage.retries": 1}):
        with pytest.raises(StoreTimeoutError, match=r"no answer in time \(tried 2 times\)") as caught:
            store.get("a/x")
        assert caught.value.key == "a/x"
    http_server.ask("behave")
    assert bytes(store.get("a/x") or b"") == BODY


def test_a_server_that_is_slow_once_is_asked_again(store: FsspecStore, http_server: HttpServer) -> None:
    http_server.ask("lie", how="slow", value=20.0, match="/a/x", times=1)
    with config.set({"storage.timeout": 1.0}):
        assert bytes(store.get("a/x") or b"") == BODY


def test_of_an_object_that_is_too_large_nothing_is_read(store: FsspecStore, http_server: HttpServer) -> None:
    for range in (None, (1, None), (0, None)):
        with pytest.raises(StoreError, match="the object has 1024 bytes where at most 1000 can be right"):
            list(store.get_many([("a/x", range)], most=1000))
    [(_, blob)] = store.get_many([("a/x", None)], most=1024)
    assert bytes(blob or b"") == BODY
    [(_, blob)] = store.get_many([("a/x", (10, 1000))], most=10)
    assert bytes(blob or b"") == BODY[10:1010]
    # A compressed body grows when it is read.
    http_server.ask("lie", how="gzip", match="/a/x")
    with pytest.raises(StoreError, match="at most 1000 can be right"):
        list(store.get_many([("a/x", None)], most=1000))


def test_a_large_object_of_a_server_that_ignores_ranges_is_an_error(
    store: FsspecStore, place: Any, http_server: HttpServer
) -> None:
    Path(place.folder, "large").write_bytes(bytes(16 * 2**20 + 1))
    http_server.ask("lie", how="ignore_ranges")
    with pytest.raises(StoreError, match="the server ignores ranges"):
        store.get("large", (5, 5))
    Path(place.folder, "large").write_bytes(bytes(16 * 2**20))
    blob = store.get("large", (5, 5))
    assert blob is not None
    assert blob.nbytes == 5


def test_no_secret_is_shown(place: Any, http_server: HttpServer) -> None:
    secret = "tO0-sEcReT-to/tell="
    url = place.url.replace("http://", f"http://user:{secret.replace('/', '%2F')}@") + "?sig=SiGnAtUrE123"
    headers = {"X-Api-Key": secret}
    store = FsspecStore.from_url(url, storage_options={"headers": headers, "skip_instance_cache": True})
    texts = [str(store), repr(store)]
    assert store.get("a/x") is not None
    for status in (403, 500):
        http_server.ask("lie", how="status", value=status, match="/a/x", times=3)
        with pytest.raises(StoreError) as caught:
            store.get("a/x")
        texts += everything_about(caught.value)
    closed = FsspecStore.from_url(
        f"http://user:{secret.replace('/', '%2F')}@127.0.0.1:9/?sig=SiGnAtUrE123",
        storage_options={"headers": headers},
    )
    with pytest.raises(StoreError) as caught:
        closed.get("x")
    texts += everything_about(caught.value)
    for text in texts:
        for part in (
            secret,
            secret.replace("/", "%2F"),
            "SiGnAtUrE123",
            base64.b64encode(secret.encode()).decode(),
        ):
            assert part not in text, text


@pytest.mark.parametrize("mode", [None, "r", "r+"])
def test_nobody_is_told_to_create_where_nothing_can_be_written(place: Any, mode: Any) -> None:
    for opener in (zarrc.open, zarrc.open_array, zarrc.open_group):
        with pytest.raises(NodeNotFoundError, match=r"^no Zarr ") as caught:
            opener(place.url, mode=mode or "r" if opener is zarrc.open_group else mode)
        assert "pass" not in str(caught.value)
    read_only = zarrc.storage.MemoryStore(read_only=True)
    with pytest.raises(NodeNotFoundError) as caught:
        zarrc.open(read_only)
    assert "pass" not in str(caught.value)
    with pytest.raises(NodeNotFoundError, match="mode='a' to create a group"):
        zarrc.open(zarrc.storage.MemoryStore(), mode="r")


def everything_about(error: BaseException) -> list[str]:
    """What a log may show of an error."""
    import pickle
    import traceback

    texts = ["".join(traceback.format_exception(error)), repr(error), pickle.dumps(error).decode("latin-1")]
    at: BaseException | None = error
    while at is not None:
        texts += [str(at), repr(at)]
        at = at.__cause__ or at.__context__
    return texts


def test_the_query_of_a_url_is_that_of_every_object(place: Any, http_server: HttpServer) -> None:
    store = FsspecStore.from_url(place.url + "/a?token=secret-token")
    assert store.get("x") is not None
    [record] = http_server.ask("requests")
    assert record["path"].endswith("/a/x")
    assert record["query"] == "token=secret-token"
    assert list(store.list_prefix("")) in ([], ["x"])
