"""What zarrc writes to a server of S3 or Google other libraries read there, and the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.peers.client import Peers
from tests.servers.places import Place
from tests.servers.servers import Servers

SHAPE = (24, 31)

# In the peers' environment: open_store() gives the store of zarr-python, kvstore() that of tensorstore.
PROLOGUE = """
import os
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
import numpy as np

def open_store(how, place, read_only=False):
    import zarr
    bucket, _, prefix = place["url"].partition("://")[2].partition("/")
    if how == "fsspec":
        return zarr.storage.FsspecStore.from_url(
            place["url"], storage_options=dict(place["storage_options"]), read_only=read_only
        )
    import obstore.store
    if place["kind"] == "s3":
        store = obstore.store.S3Store(
            bucket, prefix=prefix, endpoint=place["storage_options"]["endpoint_url"], region="us-east-1",
            access_key_id="test", secret_access_key="test", client_options={"allow_http": True},
            virtual_hosted_style_request=False,
        )
    else:
        import json, tempfile
        key = {"gcs_base_url": place["storage_options"]["endpoint_url"], "disable_oauth": True}
        key |= {"client_email": "", "private_key": "", "private_key_id": ""}
        store = obstore.store.GCSStore(
            bucket, prefix=prefix, service_account_key=json.dumps(key), client_options={"allow_http": True},
        )
    return zarr.storage.ObjectStore(store, read_only=read_only)

def kvstore(place):
    bucket, _, prefix = place["url"].partition("://")[2].partition("/")
    return {
        "driver": "s3", "bucket": bucket, "path": prefix + "/", "aws_region": "us-east-1",
        "endpoint": place["storage_options"]["endpoint_url"], "aws_credentials": {"type": "environment"},
    }

def data(shape):
    return np.arange(np.prod(shape), dtype="<i4").reshape(shape) * 7 - 5
"""

READ_ZARR = """
import zarr
group = zarr.open_group(open_store(how, place, read_only=True), mode="r")
result = {}
for name in names:
    found = group[name]
    result[name] = bool((found[:] == data(shape)).all()) and found.shape == tuple(shape)
result["members"] = sorted(group.keys())
result["title"] = group.attrs["title"]
"""

WRITE_ZARR = """
import zarr
group = zarr.open_group(open_store(how, place), mode="w", attributes={"title": "theirs"})
for name, keywords in layouts.items():
    keywords = {key: tuple(value) if isinstance(value, list) else value for key, value in keywords.items()}
    group.create_array(name, data=data(shape), **keywords)
old = zarr.create_array(
    open_store(how, dict(place, url=place["url"] + "/v2")), data=data(shape), chunks=(10, 10), zarr_format=2
)
zarr.consolidate_metadata(open_store(how, place))
result = True
"""

READ_TENSORSTORE = """
import tensorstore
result = {}
for name in names:
    place_of = dict(place, url=place["url"] + "/" + name)
    driver = "zarr" if name == "v2" else "zarr3"
    found = tensorstore.open({"driver": driver, "kvstore": kvstore(place_of)}, read=True).result()
    result[name] = bool((found.read().result() == data(shape)).all())
"""

WRITE_TENSORSTORE = """
import tensorstore
for name, chunks in (("plain", [10, 10]), ("sharded", [12, 16])):
    place_of = dict(place, url=place["url"] + "/" + name)
    codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip"}]
    if name == "sharded":
        codecs = [{"name": "sharding_indexed", "configuration": {"chunk_shape": [6, 8], "codecs": codecs}}]
    metadata = {
        "shape": shape, "data_type": "int32", "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
    }
    spec = {"driver": "zarr3", "kvstore": kvstore(place_of), "metadata": metadata}
    array = tensorstore.open(spec, create=True, open=False).result()
    array.write(data(shape)).result()
result = True
"""

LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {"chunks": (10, 10)},
    "sharded": {"chunks": (6, 8), "shards": (12, 16)},
    "raw": {"chunks": (24, 8), "compressors": None},
}
V2: dict[str, Any] = {"chunks": (10, 10), "zarr_format": 2}


def data() -> np.ndarray:
    values: np.ndarray = np.arange(np.prod(SHAPE), dtype="<i4").reshape(SHAPE) * 7 - 5
    return values


def told(place: Place) -> dict[str, Any]:
    """A place as JSON."""
    return {"kind": place.kind, "url": place.url, "storage_options": dict(place.storage_options)}


@pytest.fixture(params=["s3", "gcs"])
def place(request: pytest.FixtureRequest, servers: Servers) -> Place:
    return servers.server(request.param).place()


def write_ours(place: Place) -> list[str]:
    """A group with arrays of all layouts."""
    options = {"storage_options": dict(place.storage_options)}
    group = zarrc.open_group(place.url, mode="w", attributes={"title": "ours"}, **options)
    for name, layout in LAYOUTS.items():
        group.create_array(name, data=data(), **layout)
    group.create_array("deep/er", data=data(), chunks=(20, 20))
    zarrc.consolidate_metadata(place.url, **options)
    zarrc.create_array(place.at("v2"), data=data(), **V2, **options)
    return [*LAYOUTS, "deep/er"]


@pytest.mark.parametrize("how", ["fsspec", "obstore"])
def test_zarr_python_reads_ours(place: Place, peers: Peers, how: str) -> None:
    names = write_ours(place)
    found = peers.run(PROLOGUE + READ_ZARR, how=how, place=told(place), names=names, shape=SHAPE)
    assert found.pop("members") == ["deep", "plain", "raw", "sharded"]
    assert found.pop("title") == "ours"
    assert found == dict.fromkeys(names, True)


@pytest.mark.parametrize("how", ["fsspec", "obstore"])
def test_zarrc_reads_what_zarr_python_wrote(place: Place, peers: Peers, how: str) -> None:
    if (place.kind, how) == ("gcs", "obstore"):
        pytest.skip("obstore writes by the XML interface, which fake-gcs-server has for reading only")
    assert peers.run(PROLOGUE + WRITE_ZARR, how=how, place=told(place), shape=SHAPE, layouts=LAYOUTS)
    options = {"storage_options": dict(place.storage_options)}
    group = zarrc.open_group(place.url, mode="r", **options)
    assert group.attrs["title"] == "theirs"
    for name in LAYOUTS:
        np.testing.assert_array_equal(group[name][:], data())
        assert group[name].chunks == LAYOUTS[name]["chunks"]
    found = zarrc.open_array(place.at("v2"), mode="r+", **options)
    np.testing.assert_array_equal(found[5:13, ::3], data()[5:13, ::3])
    # And writes among it.
    group = zarrc.open_group(place.url, mode="r+", use_consolidated=False, **options)
    for name in LAYOUTS:
        group[name][3:9, 5:20] = 0
        group[name][3:9, 5:20] = data()[3:9, 5:20]
    names = list(LAYOUTS)
    found = peers.run(PROLOGUE + READ_ZARR, how=how, place=told(place), names=names, shape=SHAPE)
    assert {name: found[name] for name in names} == dict.fromkeys(names, True)


def test_tensorstore_reads_ours(servers: Servers, peers: Peers) -> None:
    place = servers.server("s3").place()
    names = [*write_ours(place), "v2"]
    found = peers.run(PROLOGUE + READ_TENSORSTORE, place=told(place), names=names, shape=SHAPE)
    assert found == dict.fromkeys(names, True)


def test_zarrc_reads_what_tensorstore_wrote(servers: Servers, peers: Peers) -> None:
    place = servers.server("s3").place()
    assert peers.run(PROLOGUE + WRITE_TENSORSTORE, place=told(place), shape=SHAPE)
    options = {"storage_options": dict(place.storage_options)}
    for name in ("plain", "sharded"):
        array = zarrc.open_array(place.at(name), mode="r+", **options)
        np.testing.assert_array_equal(array[:], data())
        array[3:9, 5:20] = 0
        array[3:9, 5:20] = data()[3:9, 5:20]
    names = ["plain", "sharded"]
    found = peers.run(PROLOGUE + READ_TENSORSTORE, place=told(place), names=names, shape=SHAPE)
    assert found == dict.fromkeys(names, True)


def test_the_peers_open_the_web_servers_copy(servers: Servers, peers: Peers) -> None:
    place = servers.server("http").place()
    zarrc.create_array(Path(place.folder, "a"), data=data(), chunks=(10, 10))
    source = "import zarr; result = bool((zarr.open_array(url, mode='r')[:] == data(shape)).all())"
    assert peers.run(PROLOGUE + source, url=place.at("a"), shape=SHAPE)
