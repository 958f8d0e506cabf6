"""Arrays and groups on servers: what is written is read, in both formats, by every door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import zarrc
from tests.servers.places import Place
from tests.servers.servers import HttpServer, Servers
from zarrc.errors import ContainsArrayError, ReadOnlyError

RANDOM = np.random.default_rng(0)
DATA = RANDOM.normal(size=(40, 50)).astype("<f4")

LAYOUTS: dict[str, dict[str, Any]] = {
    "v3": {"chunks": (10, 20)},
    "v2": {"chunks": (10, 20), "zarr_format": 2},
    "v2 nested": {
        "chunks": (10, 20),
        "zarr_format": 2,
        "chunk_key_encoding": {"name": "v2", "separator": "/"},
    },
    "sharded": {"chunks": (5, 10), "shards": (20, 30)},
    "raw": {"chunks": (10, 20), "compressors": None},
}


def keywords(place: Place) -> dict[str, Any]:
    return {"storage_options": dict(place.storage_options)}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_comes_back(remote_place: Place, layout: str) -> None:
    where = remote_place.at("a.zarr")
    array = zarrc.create_array(
        where, shape=DATA.shape, dtype=DATA.dtype, fill_value=-1, **LAYOUTS[layout], **keywords(remote_place)
    )
    assert (array[:] == -1).all()
    array[:] = DATA
    found = zarrc.open_array(where, mode="r+", **keywords(remote_place))
    assert found.metadata == array.metadata
    np.testing.assert_array_equal(found[:], DATA)
    np.testing.assert_array_equal(found[3:37:4, ::-3], DATA[3:37:4, ::-3])
    np.testing.assert_array_equal(found.oindex[[1, 39, 5], [7, 7]], DATA[np.ix_([1, 39, 5], [7, 7])])
    # Parts of chunks, which are read, changed and written.
    wanted = DATA.copy()
    wanted[5:25, 13:44] = 7
    found[5:25, 13:44] = 7
    np.testing.assert_array_equal(zarrc.open(where, mode="r", **keywords(remote_place))[:], wanted)


def test_an_array_grows_and_shrinks(remote_place: Place) -> None:
    where = remote_place.at("a.zarr")
    array = zarrc.create_array(where, data=DATA, chunks=(10, 20), shards=(20, 40), **keywords(remote_place))
    array.append(DATA[:13])
    wanted = np.concatenate([DATA, DATA[:13]])
    np.testing.assert_array_equal(zarrc.open_array(where, **keywords(remote_place))[:], wanted)
    array.resize((15, 60))
    found = zarrc.open_array(where, **keywords(remote_place))
    np.testing.assert_array_equal(found[:, :50], DATA[:15])
    assert not found[:, 50:].any()


def test_groups_nest_and_are_consolidated(remote_place: Place) -> None:
    options = keywords(remote_place)
    group = zarrc.open_group(remote_place.url, mode="w", attributes={"title": "räksmörgås"}, **options)
    for name in ("x", "deep/er/y"):
        group.create_array(name, data=DATA, chunks=(20, 25), attributes={"name": name})
    group.create_array("old", data=DATA[0], chunks=10)
    del group["old"]
    zarrc.consolidate_metadata(remote_place.url, **options)
    for found in (
        zarrc.open_group(remote_place.url, mode="r", **options),
        zarrc.open_consolidated(remote_place.url, **options),
        zarrc.open_group(remote_place.url, mode="r", use_consolidated=False, **options),
    ):
        assert sorted(found) == ["deep", "x"]
        assert found.attrs["title"] == "räksmörgås"
        assert found["deep/er/y"].attrs["name"] == "deep/er/y"
        np.testing.assert_array_equal(found["deep"]["er"]["y"][5:7], DATA[5:7])


def test_a_mapper_is_a_place(remote_place: Place) -> None:
    mapper = fsspec.get_mapper(remote_place.at("m.zarr"), **remote_place.storage_options)
    zarrc.create_array(mapper, data=DATA, chunks=(20, 25))
    np.testing.assert_array_equal(zarrc.open(mapper)[7:9], DATA[7:9])
    np.testing.assert_array_equal(
        zarrc.open(remote_place.at("m.zarr"), **keywords(remote_place))[7:9], DATA[7:9]
    )
    assert "zarr.json" in mapper


def test_arrays_are_copied_from_server_to_server(servers: Servers) -> None:
    gcs, s3 = servers.server("gcs").place(), servers.server("s3").place()
    zarrc.create_array(gcs.at("a"), data=DATA, chunks=(20, 25), **keywords(gcs))
    source = zarrc.open_array(gcs.at("a"), mode="r", **keywords(gcs))
    zarrc.copy_array(source, s3.at("b"), **keywords(s3))
    np.testing.assert_array_equal(zarrc.open(s3.at("b"), **keywords(s3))[:], DATA)


def test_an_overwritten_array_leaves_nothing_behind(remote_place: Place) -> None:
    where, options = remote_place.at("a.zarr"), keywords(remote_place)
    zarrc.create_array(where, data=DATA, chunks=(10, 20), **options)
    with pytest.raises(ContainsArrayError):
        zarrc.create_array(where, shape=(3,), dtype="i1", **options)
    zarrc.create_array(where, shape=(3,), dtype="i1", overwrite=True, **options)
    fs, path = remote_place.file_system()
    assert [name.rpartition("a.zarr/")[2] for name in fs.find(path)] == ["zarr.json"]


@pytest.fixture
def written(http_server: HttpServer) -> Place:
    """A folder of the web server with an array of each layout, and a group over them."""
    place = http_server.place()
    root = zarrc.open_group(place.folder, mode="w")
    for name, layout in LAYOUTS.items():
        zarrc.create_array(Path(place.folder, name.replace(" ", "-")), data=DATA, **layout)
    root.attrs["title"] = "served"
    return place


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_is_read_over_http(written: Place, layout: str) -> None:
    found = zarrc.open_array(written.at(layout.replace(" ", "-")), mode="r")
    np.testing.assert_array_equal(found[:], DATA)
    np.testing.assert_array_equal(found[3:37:4, ::-3], DATA[3:37:4, ::-3])
    np.testing.assert_array_equal(found.vindex[[1, 39], [7, 8]], DATA[[1, 39], [7, 8]])


def test_a_group_is_read_over_http(written: Place) -> None:
    found = zarrc.open_group(written.url, mode="r")
    assert found.attrs["title"] == "served"
    assert "v3" in found
    np.testing.assert_array_equal(found["sharded"][::9], DATA[::9])


def test_writing_over_http_is_refused(written: Place) -> None:
    found = zarrc.open_array(written.at("v3"), mode="r+")
    with pytest.raises(ReadOnlyError, match="nothing can be written over HTTP"):
        found[0] = 1
    np.testing.assert_array_equal(found[0], DATA[0])
