"""Answers that no real server gives, and credentials that are not there: never an absent object."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.storage.remote.raw_server import raw_server
from zarrc.config import config
from zarrc.errors import StoreError
from zarrc.storage import FsspecStore, Store

BODY = bytes(range(256)) * 4

# A page of a listing that is its own next one.
ENDLESS = (
    b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>on</NextContinuationToken>"
    b"<Contents><Key>d/x</Key><Size>1</Size></Contents></ListBucketResult>"
)

S3 = {"key": "somebody", "secret": "something", "skip_instance_cache": True}


@pytest.fixture(autouse=True)
def one_try() -> Iterator[None]:
    with config.set({"storage.retries": 0, "storage.timeout": 20.0}):
        yield


def store_at(kind: str, url: str) -> Store:
    """A store on a server that speaks for a service."""
    if kind == "http":
        return FsspecStore.from_url(f"{url}/d")
    if kind == "gs":
        return FsspecStore.from_url(
            "gs://my-bucket/d",
            storage_options={"endpoint_url": url, "token": "anon", "skip_instance_cache": True},
        )
    return FsspecStore.from_url("s3://my-bucket/d", storage_options={**S3, "endpoint_url": url})


def answered(status: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


@pytest.mark.parametrize("kind", ["http", "gs", "s3"])
def test_no_more_of_a_range_in_endless_chunks_is_read_than_was_asked_for(kind: str) -> None:
    n_sent = 0

    def answer(line: str, headers: dict[str, str]) -> Iterator[bytes]:
        nonlocal n_sent
        span = "Content-Range: bytes 100-149/1024"
        yield answered("206 Partial Content", "Transfer-Encoding: chunked", span)
        for _ in range(300):
            n_sent += 2**20
            yield b"100000\r\n" + bytes(2**20) + b"\r\n"

    with raw_server(answer) as url:
        store = store_at(kind, url)
        tracemalloc.start()
        try:
            with pytest.raises(StoreError, match="more than 50 bytes"):
                store.get("x", (100, 50))
            assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
        finally:
            tracemalloc.stop()
    assert n_sent < 300 * 2**20


@pytest.mark.parametrize("kind", ["http", "gs", "s3"])
def test_a_body_whose_end_nobody_tells_is_not_taken_for_whole(kind: str) -> None:
    def answer(line: str, headers: dict[str, str]) -> Iterable[bytes]:
        return [answered("200 OK", "Connection: close", body=b"" if "HEAD" in line else BODY[:500])]

    with raw_server(answer) as url:
        store = store_at(kind, url)
        with pytest.raises(StoreError, match="does not tell the length"):
            store.get("x")


def test_the_size_of_a_compressed_copy_is_not_that_of_the_object() -> None:
    packed = gzip.compress(BODY)

    def answer(line: str, headers: dict[str, str]) -> Iterable[bytes]:
        fields = f"Content-Length: {len(packed)}", "Content-Encoding: gzip", "Connection: close"
        return [answered("200 OK", *fields, body=b"" if "HEAD" in line else packed)]

    with raw_server(answer) as url:
        store = store_at("http", url)
        found = store.stat("x")
        assert found is not None
        assert found.nbytes == len(BODY)
        assert bytes(store.get("x") or b"") == BODY


def test_an_absent_object_in_a_bucket_that_is_called_bucket_is_absent() -> None:
    def answer(line: str, headers: dict[str, str]) -> Iterable[bytes]:
        # As Google Cloud Storage says it: for downloads as plain text.
        text = "No such object: my-bucket/d/x" if "d%2Fx" in line else "The specified bucket does not exist."
        length = f"Content-Length: {len(text)}"
        return [answered("404 Not Found", length, "Connection: close", body=text.encode())]

    with raw_server(answer) as url:
        store = store_at("gs", url)
        assert store.get("x") is None
        assert store.stat("x") is None
        assert store.get("x", (0, 10)) is None
        store.delete("x")
        with pytest.raises(StoreError, match="bucket does not exist"):
            store.get("y")


def test_a_token_that_is_not_there_is_no_absent_object_in_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/somebody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    _check_nothing_is_absent(
        FsspecStore.from_url("s3://my-bucket/d", storage_options={"skip_instance_cache": True})
    )


class _Credential:
    """As azure-identity's for workloads reads its token."""

    async def get_token(self, *_: Any, **__: Any) -> Any:
        with open("/nowhere/token") as file:
            return file.read()

    async def close(self) -> None:
        pass


def test_a_token_that_is_not_there_is_no_absent_object_in_azure() -> None:
    options = {"account_name": "somebody", "credential": _Credential(), "skip_instance_cache": True}
    _check_nothing_is_absent(FsspecStore.from_url("az://container/d", storage_options=options))


def _check_nothing_is_absent(store: Store) -> None:
    for call in (
        lambda: store.get("x"),
        lambda: store.get("x", (0, 10)),
        lambda: store.stat("x"),
        lambda: store.delete("x"),
        lambda: list(store.list_prefix("")),
        lambda: store.list_dir(""),
        lambda: list(store.get_many([("x", None)])),
    ):
        with pytest.raises(StoreError, match="nowhere/token"):
            call()


@pytest.mark.parametrize("body", [b"", b"<html>not found</html>"])
def test_a_404_that_is_not_of_s3_is_no_absent_object(body: bytes) -> None:
    def answer(line: str, headers: dict[str, str]) -> Iterable[bytes]:
        shown = b"" if "HEAD" in line else body
        return [answered("404 Not Found", f"Content-Length: {len(body)}", "Connection: close", body=shown)]

    with raw_server(answer) as url:
        store = store_at("s3", url)
        for call in (
            lambda: store.get("x"),
            lambda: store.get("x", (0, 10)),
            lambda: list(store.list_prefix("")),
            lambda: store.list_dir(""),
        ):
            with pytest.raises(StoreError, match="NoSuchBucket"):
                call()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>hello</html>",
        ENDLESS,
    ],
)
def test_a_listing_that_is_none_or_has_no_end_is_an_error(body: bytes) -> None:
    def answer(line: str, headers: dict[str, str]) -> Iterable[bytes]:
        return [answered("200 OK", f"Content-Length: {len(body)}", "Connection: close", body=body)]

    with raw_server(answer) as url:
        store = store_at("s3", url)
        with pytest.raises(StoreError, match="listing"):
            list(store.list_prefix(""))
        with pytest.raises(StoreError, match="listing"):
            store.list_dir("")
