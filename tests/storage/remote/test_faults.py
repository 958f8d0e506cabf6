"""Through a connection that drops, delays, cuts and refuses, each answer is right or a clear error."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.servers.lies import HOW
from tests.servers.places import Place
from tests.servers.relay import FAULTS
from tests.servers.servers import HttpServer, Proxy, Servers
from tests.soak import count
from zarrc.errors import StoreError
from zarrc.storage import FsspecStore

SHAPE, CHUNKS, SHARDS = (60, 60), (10, 15), (30, 30)

# Of the requests, and not all of them are tried again often enough.
RATE = 0.25
SETTINGS = {"storage.retries": 2, "storage.retry_delay": 0.001, "storage.retry_max_delay": 0.01}


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    with zarrc.config.set(SETTINGS):
        yield


class Model:
    """An array behind the faults, the same array without them, and what must be in it.

    Parameters
    ----------
    proxy : Proxy
        The relay.
    near : Place
        A folder of its server.
    options : dict
        For the store behind the relay, besides its own.
    layout : dict
        How the array is made.
    """

    def __init__(self, proxy: Proxy, near: Place, options: dict[str, Any], layout: dict[str, Any]) -> None:
        self.proxy = proxy
        self.unit = layout.get("shards") or layout["chunks"]
        far = proxy.through(near)
        self.far_url, self.far = far.at("a"), {"storage_options": {**far.storage_options, **options}}
        self.near_url, self.near = near.at("a"), {"storage_options": dict(near.storage_options)}
        if near.folder:  # the web server only reads
            self.near_url, self.near = f"{near.folder}/a", {}
        self.wanted = np.random.default_rng(0).integers(1, 1 << 30, SHAPE, dtype="i4")
        zarrc.create_array(self.near_url, data=self.wanted, fill_value=-7, **layout, **self.near)
        self.done: Counter[str] = Counter()

    def attempt(self, what: str, action: Callable[[], Any]) -> Any:
        """The result of an action, or None after a clear error."""
        failure = None
        try:
            result = action()
        except StoreError as error:
            failure, result = error, None
        if failure is not None:
            assert failure.key is not None, failure
            assert failure.__cause__ is not None, failure
            assert len(str(failure)) > 20
            what += " failed"
        self.done[what] += 1
        return result

    def read(self, chance: random.Random) -> None:
        """Read a box, which must be right."""
        box = _box(chance)
        array = self.attempt("open", lambda: zarrc.open_array(self.far_url, mode="r", **self.far))
        if array is not None:
            found = self.attempt("read", lambda: array[box])
            if found is not None:
                np.testing.assert_array_equal(found, self.wanted[box])

    def write(self, chance: random.Random) -> None:
        """Write a box; after an error each stored object is the old one or the new one."""
        box = _box(chance)
        value = chance.randrange(1, 1 << 30)
        array = self.attempt("open", lambda: zarrc.open_array(self.far_url, mode="r+", **self.far))
        if array is None:
            return
        new = self.wanted.copy()
        new[box] = value
        written = self.attempt("write", lambda: array.__setitem__(box, value) or True)
        found = self.stored()
        if written:
            np.testing.assert_array_equal(found, new)
        for row in range(0, SHAPE[0], self.unit[0]):
            for column in range(0, SHAPE[1], self.unit[1]):
                part = np.s_[row : row + self.unit[0], column : column + self.unit[1]]
                old_or_new = (found[part] == self.wanted[part]).all() or (found[part] == new[part]).all()
                assert old_or_new, f"half-written at {row}, {column}"
        self.wanted = found

    def attributes(self, chance: random.Random) -> None:
        """Change an attribute; after an error the metadata are the old or the new ones."""
        array = self.attempt("open", lambda: zarrc.open_array(self.far_url, mode="r+", **self.far))
        if array is None:
            return
        before = dict(zarrc.open_array(self.near_url, **self.near).attrs)
        value = chance.randrange(1 << 30)
        written = self.attempt("attribute", lambda: array.attrs.__setitem__("n", value) or True)
        after = dict(zarrc.open_array(self.near_url, **self.near).attrs)
        assert after in ([{"n": value}] if written else [before, {"n": value}])

    def create(self, chance: random.Random) -> None:
        """Create an array; after an error it is there or not, and as it should be."""
        name = f"/new{chance.randrange(1 << 60)}"

        def make() -> Any:
            return zarrc.create_array(self.far_url + name, shape=9, chunks=3, dtype="i4", **self.far)

        made = self.attempt("create", make)
        try:
            found = zarrc.open_array(self.near_url + name, mode="r", **self.near)
        except FileNotFoundError:
            assert made is None
        else:
            assert (found.shape, found.dtype) == ((9,), np.dtype("i4"))

    def stored(self) -> np.ndarray:
        """What is in the array, read without faults."""
        found = zarrc.open_array(self.near_url, mode="r", **self.near)[:]
        assert isinstance(found, np.ndarray)
        return found

    def run(self, n: int, actions: list[Callable[[random.Random], None]], seed: int) -> None:
        """Do ``n`` operations; some work and some fail, or the faults were not what they are for."""
        chance = random.Random(seed)
        self.proxy.ask("faults", rate=RATE, seed=seed)
        while sum(self.done.values()) < n:
            chance.choice(actions)(chance)
        self.proxy.ask("faults")
        np.testing.assert_array_equal(self.stored(), self.wanted)
        assert {one["fault"] for one in self.proxy.requests()} & set(FAULTS)
        assert any(not name.endswith("failed") for name in self.done), self.done
        if n >= 100:
            assert any(name.endswith("failed") for name in self.done), self.done


def _box(chance: random.Random) -> tuple[slice, slice]:
    spans = []
    for nbytes in SHAPE:
        start = chance.randrange(nbytes)
        spans.append(slice(start, chance.randrange(start, nbytes) + 1))
    return spans[0], spans[1]


LAYOUTS = [{"chunks": CHUNKS}, {"chunks": CHUNKS, "shards": SHARDS}]


@pytest.mark.parametrize("layout", LAYOUTS, ids=["chunks", "shards"])
def test_google_through_faults(servers: Servers, layout: dict[str, Any]) -> None:
    near = servers.server("gcs").place()
    model = Model(servers.relay("gcs"), near, {}, layout)
    model.run(count(300), [model.read, model.read, model.write, model.attributes, model.create], seed=1)


@pytest.mark.parametrize("layout", LAYOUTS, ids=["chunks", "shards"])
def test_the_web_through_faults(http_server: HttpServer, servers: Servers, layout: dict[str, Any]) -> None:
    model = Model(servers.relay("http"), http_server.place(), {}, layout)
    model.run(count(175), [model.read], seed=2)


@pytest.mark.parametrize("layout", LAYOUTS, ids=["chunks", "shards"])
def test_s3_through_faults(servers: Servers, layout: dict[str, Any]) -> None:
    near = servers.server("s3").place()
    # botocore's own tries, with seconds between them, would hide the faults.
    config = {"s3": {"addressing_style": "path"}, "retries": {"max_attempts": 0}}
    model = Model(servers.relay("s3"), near, {"config_kwargs": config}, layout)
    model.run(count(50), [model.read, model.write, model.attributes, model.create], seed=3)


def test_azure_through_faults(servers: Servers) -> None:
    near = servers.server("azure").place()
    model = Model(servers.relay("azure"), near, {}, LAYOUTS[0])
    model.run(count(50), [model.read, model.write, model.attributes, model.create], seed=4)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504])
def test_no_error_of_a_server_is_a_fill_value(http_server: HttpServer, status: int) -> None:
    place = http_server.place()
    zarrc.create_array(Path(place.folder, "a"), data=np.ones(30), chunks=10, fill_value=-1)
    array = zarrc.open_array(place.at("a"), mode="r")
    http_server.ask("lie", how="status", value=status, match="c/1")
    with pytest.raises(StoreError, match="c/1") as caught:
        array[:]
    assert caught.value.key is not None
    assert str(status) in str(caught.value)


@pytest.mark.parametrize("how", ["cut", "short", "long", "no_length_cut", "reset", "garbage", "huge_length"])
def test_a_body_that_is_not_whole_is_an_error(http_server: HttpServer, how: str) -> None:
    place = http_server.place()
    data = np.random.default_rng(0).normal(size=300)
    zarrc.create_array(Path(place.folder, "a"), data=data, chunks=100, compressors=None)
    array = zarrc.open_array(place.at("a"), mode="r")
    http_server.ask("lie", how=how, match="c/1")
    with pytest.raises(zarrc.errors.ZarrcError, match="c/1"):
        array[:]
    http_server.ask("behave")
    np.testing.assert_array_equal(array[:], data)


RANGE_LIES = sorted(set(HOW) - {"ignore_ranges", "no_length", "slow", "hang", "status"})


@pytest.mark.parametrize("range", [(10, 500), (1000, None), (-500, None), (-500, 20)])
@pytest.mark.parametrize("how", RANGE_LIES)
def test_a_range_that_is_not_what_it_says_is_an_error(
    http_server: HttpServer, how: str, range: tuple[int, int | None]
) -> None:
    place = http_server.place()
    body = np.random.default_rng(0).bytes(2000)
    Path(place.folder, "x").write_bytes(body)
    store = FsspecStore.from_url(place.url)
    http_server.ask("lie", how=how, match="x")
    with pytest.raises(StoreError) as caught:
        store.get("x", range)
    assert caught.value.key == "x"
    with pytest.raises(StoreError):
        list(store.get_many([("x", None), ("x", range)]))
    http_server.ask("behave")
    blob = store.get("x", range)
    assert blob is not None
    assert bytes(blob) == body[range[0] :][: range[1]]


@pytest.mark.parametrize("how", ["ignore_ranges", "slow"])
def test_a_server_that_is_odd_but_right_is_read(http_server: HttpServer, how: str) -> None:
    place = http_server.place()
    data = np.random.default_rng(0).normal(size=(200, 200))
    zarrc.create_array(Path(place.folder, "a"), data=data, chunks=(20, 20), shards=(200, 200))
    http_server.ask("lie", how=how, value=0.02)
    array = zarrc.open_array(place.at("a"), mode="r")
    np.testing.assert_array_equal(array[50:70, 3:9], data[50:70, 3:9])
    np.testing.assert_array_equal(array[:], data)
