"""Clouds by keywords, on servers; and what the user sees where something about them is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.servers.servers import RemoteServer, Servers
from zarrc.errors import NodeNotFoundError, StoreDeniedError, StoreError
from zarrc.storage import ZipStore, make_store

DATA = np.arange(48, dtype="f4").reshape(6, 8)
SECRET = "hunter2-very-secret"


@pytest.fixture(params=["s3", "gcs", "azure"])
def place(request: pytest.FixtureRequest, servers: Servers) -> dict[str, Any]:
    server = servers.server(request.param)
    prefix = server.place().url.rpartition("/")[2]
    if request.param == "s3":
        secrets = {"key": "test", "secret": "test", "region": "us-east-1"}
        return {
            "storage": "s3",
            "bucket": server.bucket,
            "prefix": prefix,
            "endpoint_url": server.url,
            **secrets,
        }
    if request.param == "gcs":
        return {
            "storage": "gcs",
            "bucket": server.bucket,
            "prefix": prefix,
            "endpoint_url": server.url,
            "anon": True,
        }
    connection = server.options(server.url)["connection_string"]
    return {
        "storage": "azure_blob",
        "container": server.bucket,
        "prefix": prefix,
        "connection_string": connection,
    }


def test_an_array_is_created_and_opened_by_keywords(place: dict[str, Any]) -> None:
    array = zarrc.create(DATA.shape, chunks=(2, 3), dtype="f4", **place)
    array[:] = DATA
    prefix = place.pop("prefix")
    opened = zarrc.open_array(path=prefix, mode="r", **place)
    assert (opened[:] == DATA).all()
    assert opened.store.identity == array.store.identity
    with pytest.raises(zarrc.errors.ContainsNodeError):
        zarrc.create((3,), prefix=prefix, **place)
    assert list(zarrc.open_group(prefix=f"{prefix}-group", **place)) == []


def test_a_bucket_that_is_not_there_is_told(place: dict[str, Any]) -> None:
    word = "container" if "container" in place else "bucket"
    place[word] = "no-such-place"
    with pytest.raises(StoreError, match="404") as caught:
        zarrc.create((3,), **place)
    assert "no-such-place" in str(caught.value)


def test_a_server_that_is_not_there_is_told_without_the_secret(s3_server: RemoteServer) -> None:
    place = {"storage": "s3", "bucket": "b", "region": "us-east-1", "key": "k", "secret": SECRET}
    with zarrc.config.set({"storage.retries": 0}):
        options = {"config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 1}}
        with pytest.raises(StoreError, match="Could not connect to the endpoint") as caught:
            zarrc.open(endpoint_url="http://127.0.0.1:9", storage_options=options, **place)
        assert SECRET not in str(caught.value)
        with pytest.raises(StoreError, match="Invalid endpoint: nonsense") as caught:
            zarrc.open(endpoint_url="nonsense", **place)
        assert SECRET not in str(caught.value)


def test_no_credentials_are_told(
    s3_server: RemoteServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    options = {"skip_instance_cache": True}
    place = {"bucket": s3_server.bucket, "endpoint_url": s3_server.url, "region": "us-east-1"}
    with pytest.raises(StoreDeniedError, match="Unable to locate credentials"):
        zarrc.open(storage="s3", storage_options=options, **place)


def test_credentials_come_from_the_environment(
    s3_server: RemoteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_server.url,
    }.items():
        monkeypatch.setenv(name, value)
    options = {"skip_instance_cache": True}
    with pytest.raises(NodeNotFoundError, match="no Zarr array or group at s3://tests/nothing"):
        zarrc.open(storage="s3", bucket=s3_server.bucket, prefix="nothing", storage_options=options)


def test_google_credentials_that_are_none_are_told_without_the_secret(tmp_path: Path) -> None:
    pytest.importorskip("gcsfs")
    fields = {
        "type": "service_account",
        "private_key": SECRET,
        "client_email": "x@y",
        "token_uri": "http://z",
    }
    with pytest.raises(StoreError, match="no service account") as caught:
        zarrc.open(storage="gcs", bucket="b", credentials=fields)
    assert SECRET not in str(caught.value)
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(fields))
    with pytest.raises(StoreError) as caught:
        zarrc.open(storage="gcs", bucket="b", credentials=file)
    assert SECRET not in str(caught.value)


def test_azure_accounts_that_are_none_are_told_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adlfs")
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    with pytest.raises(StoreError, match="connection_string or account_name"):
        zarrc.open(storage="azure_blob", container="c")
    with pytest.raises(StoreError, match="Connection string") as caught:
        zarrc.open(storage="azure_blob", container="c", connection_string=f"AccountKey={SECRET}")
    assert SECRET not in str(caught.value)
    keywords = {"account_name": "myaccount", "account_key": "c2VjcmV0LWh1bnRlcjI="}
    store = zarrc.storage.open_named("azure_blob", container="c", prefix="a/b", **keywords)
    assert str(store).endswith("c/a/b")
    assert keywords["account_key"] not in repr(store)


# URLs.


def test_chained_urls_reach_a_bucket(s3_server: RemoteServer) -> None:
    place = s3_server.place()
    zarrc.save_array(place.at("a"), DATA, storage_options=place.storage_options)
    for chain in ("simplecache", "blockcache"):
        options = {"s3": dict(place.storage_options)}
        assert (zarrc.load(f"{chain}::{place.at('a')}", storage_options=options) == DATA).all()


def test_a_zip_archive_in_a_bucket_is_a_store(s3_server: RemoteServer, tmp_path: Path) -> None:
    place = s3_server.place()
    zarrc.save_array(str(tmp_path / "a.zip"), DATA)
    make_store(place.url, storage_options=place.storage_options)[0].set(
        "a.zip", (tmp_path / "a.zip").read_bytes()
    )
    for url in (place.at("a.zip"), f"zip::{place.at('a.zip')}"):
        array = zarrc.open_array(url, mode="r", storage_options=place.storage_options)
        assert type(array.store) is ZipStore
        assert (array[:] == DATA).all()
    named = zarrc.open_array(
        storage="zip", path=place.at("a.zip"), mode="r", storage_options=place.storage_options
    )
    assert (named[:] == DATA).all()


def test_references_into_a_file_are_read(tmp_path: Path) -> None:
    zarrc.save_array(tmp_path / "a", DATA)
    references: dict[str, Any] = {"version": 1, "refs": {"c/0/0": [str(tmp_path / "a" / "c" / "0" / "0")]}}
    references["refs"]["zarr.json"] = (tmp_path / "a" / "zarr.json").read_text()
    (tmp_path / "refs.json").write_text(json.dumps(references))
    options = {"fo": str(tmp_path / "refs.json"), "remote_protocol": "file"}
    assert (zarrc.load("reference://", storage_options=options) == DATA).all()
