"""Nothing that users give as a secret is in what they see: repr, errors, tracebacks, logs, warnings."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.servers.child import free_port
from tests.servers.places import AZURE_ACCOUNT, Place
from tests.servers.servers import HttpServer, Servers
from tests.soak import soaking
from zarrc.storage import FsspecStore, make_store

MARK = "Geheim"


def secret(what: str) -> str:
    """A secret that can be told from all others."""
    return f"{MARK}{what}0123456789abcdefGEHEIM"


def some(*ways: str) -> tuple[str, ...]:
    """All ways to fail when soaking, else two: each makes a client anew, sixteen times."""
    return ways if soaking() else ways[:2]


def found(text: str) -> list[str]:
    """Where secrets begin in a text."""
    return [text[at : at + 40] for at in range(len(text)) if text.startswith(MARK, at)]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What zarrc logs, and all warnings, are searched at the end."""
    with warnings.catch_warnings(record=True) as warned, zarrc.config.set({"storage.retries": 1}):
        warnings.simplefilter("always")
        with caplog.at_level(logging.DEBUG, logger="zarrc"):
            yield
    assert found("\n".join(record.getMessage() for record in caplog.records if _ours(record))) == []
    assert found("\n".join(str(one.message) for one in warned)) == []


def _ours(record: logging.LogRecord) -> bool:
    return record.name.startswith("zarrc")


def failures(place: str, options: dict[str, Any]) -> Iterator[str]:
    """Everything that a user sees of the failures of a store."""

    def store() -> Any:
        return make_store(place, storage_options=options)[0]

    actions: list[Callable[[], object]] = [
        lambda: zarrc.open(place, mode="r", storage_options=options),
        lambda: zarrc.open_group(place, mode="a", storage_options=options),
        lambda: zarrc.create_array(place, data=np.ones(3), storage_options=options),
        lambda: store().get("x"),
        lambda: store().get("x", (1, 2)),
        lambda: store().get("x", (-2, None)),
        lambda: list(store().get_many([("x", None), ("y", (1, 2))])),
        lambda: store().stat("x"),
        lambda: store().set("x", b"1"),
        lambda: store().set_many([("x", b"1"), ("y", b"2")]),
        lambda: store().set_if("x", b"1", None),
        lambda: store().delete("x"),
        lambda: store().delete_prefix("x"),
        lambda: list(store().list_prefix("")),
        lambda: store().list_dir(""),
        lambda: store().copy("x", "y"),
    ]
    n_failed = 0
    for action in actions:
        try:
            result = action()
        except Exception as error:
            n_failed += 1
            yield str(error)
            yield repr(error)
            # All causes, and what was under way, as an uncaught error is shown.
            yield "".join(traceback.format_exception(error))
        else:
            yield repr(result)
    assert n_failed >= 6, n_failed


def searched(place: str, options: dict[str, Any]) -> None:
    """Search everything that a user sees of a store and its failures."""
    store = FsspecStore.from_url(place, storage_options=options)
    for text in (
        str(store),
        repr(store),
        str(store.missing_hint()),
        repr(zarrc.storage.StorePath(store, "a")),
    ):
        assert found(text) == []
    for text in failures(place, options):
        assert found(text) == [], text


S3_SECRETS = {"key": secret("Key"), "secret": secret("Secret"), "token": secret("Token")}
AZURE_KEY = "R2VoZWltS2V5" * 7 + "=="  # base64, as Azure wants it


def s3_options(endpoint: str) -> dict[str, Any]:
    return {
        **S3_SECRETS,
        "endpoint_url": endpoint,
        "client_kwargs": {"region_name": "us-east-1"},
        "config_kwargs": {
            "s3": {"addressing_style": "path"},
            "retries": {"max_attempts": 0},
            "connect_timeout": 1,
        },
    }


@pytest.mark.parametrize("how", some("403", "truncate", "500", "drop_before"))
def test_s3_keys(servers: Servers, how: str) -> None:
    servers.server("s3")
    relay = servers.relay("s3")
    relay.ask("faults", rate=1.0, kinds=[how])
    searched("s3://tests/secrets", s3_options(relay.url))
    relay.ask("faults")


def test_s3_keys_where_nobody_answers() -> None:
    searched("s3://tests/secrets", s3_options(f"http://127.0.0.1:{free_port()}"))


def test_s3_keys_of_a_bucket_that_is_not_there(servers: Servers) -> None:
    searched("s3://nothing-here/secrets", s3_options(servers.server("s3").url))


def test_s3_keys_of_the_environment(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", secret("EnvKey"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret("EnvSecret"))
    monkeypatch.setenv("AWS_SESSION_TOKEN", secret("EnvToken"))
    servers.server("s3")
    relay = servers.relay("s3")
    relay.ask("faults", rate=1.0, kinds=["403"])
    options = {name: value for name, value in s3_options(relay.url).items() if name not in S3_SECRETS}
    searched("s3://tests/secrets", {**options, "skip_instance_cache": True})
    relay.ask("faults")


@pytest.mark.parametrize("how", some("403", "drop_before", "500", "truncate"))
def test_google_tokens(servers: Servers, how: str) -> None:
    from google.oauth2.credentials import Credentials

    servers.server("gcs")
    relay = servers.relay("gcs")
    relay.ask("faults", rate=1.0, kinds=[how])
    token = Credentials(
        token=secret("Token"), refresh_token=secret("Refresh"), client_secret=secret("Client")
    )
    searched("gs://tests/secrets", {"token": token, "project": "p", "endpoint_url": relay.url})
    relay.ask("faults")


def azure_options(endpoint: str) -> dict[str, Any]:
    fields = f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY}"
    return {"connection_string": f"{fields};BlobEndpoint={endpoint}/{AZURE_ACCOUNT};"}


@pytest.mark.parametrize("how", some("", "drop_before", "500"))
def test_azure_keys(servers: Servers, how: str) -> None:
    global MARK
    servers.server("azure")
    relay = servers.relay("azure")
    # The key is a wrong one, so the server itself refuses.
    relay.ask("faults", rate=1.0 if how else 0.0, kinds=[how] if how else ["500"])
    before, MARK = MARK, "R2VoZWltS2V5"
    try:
        searched("abfs://tests/secrets", azure_options(relay.url))
    finally:
        MARK = before
        relay.ask("faults")


@pytest.mark.parametrize("how", some("500", "drop_before", ""))
def test_azure_signatures(servers: Servers, how: str) -> None:
    servers.server("azure")
    relay = servers.relay("azure")
    relay.ask("faults", rate=1.0 if how else 0.0, kinds=[how] if how else ["500"])
    sas = f"sv=2024-01-01&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00:00:00Z&sig={secret('Sig')}"
    connection = f"BlobEndpoint={relay.url}/{AZURE_ACCOUNT};SharedAccessSignature={sas};"
    searched("abfs://tests/secrets", {"connection_string": connection})
    relay.ask("faults")


def web_place(server: HttpServer) -> Place:
    place = server.place()
    zarrc.create_array(f"{place.folder}/there", data=np.ones(3))
    return place


@pytest.mark.parametrize("how", ["status", "cut", "reset", "garbage", "ignore_ranges"])
def test_passwords_in_urls(http_server: HttpServer, how: str) -> None:
    place = web_place(http_server)
    http_server.ask("lie", how=how, value=403)
    url = place.url.replace("http://", f"http://user:{secret('Password')}@")
    searched(url, {})


def test_passwords_in_urls_where_nobody_answers() -> None:
    searched(f"http://user:{secret('Password')}@127.0.0.1:{free_port()}/x", {})


@pytest.mark.parametrize("how", ["status", "cut", "reset", "garbage"])
def test_signatures_in_urls(http_server: HttpServer, how: str) -> None:
    place = web_place(http_server)
    http_server.ask("lie", how=how, value=500)
    searched(f"{place.url}/there?X-Amz-Signature={secret('Signature')}", {})


@pytest.mark.parametrize("how", ["status", "cut", "reset", "garbage"])
def test_headers_of_the_web(http_server: HttpServer, how: str) -> None:
    place = web_place(http_server)
    http_server.ask("lie", how=how, value=401)
    headers = {"Authorization": f"Bearer {secret('Bearer')}", "X-Api-Key": secret("ApiKey")}
    searched(place.url, {"client_kwargs": {"headers": headers}, "headers": headers})


def test_options_that_are_refused() -> None:
    for url, options in (
        ("s3://bucket/x", {"key": secret("Key"), "username": secret("User")}),
        ("abfs://bucket/x", {"connection_string": f"AccountKey={secret('Key')}"}),
        (f"nosuch://user:{secret('Password')}@host/x", {"secret": secret("Secret")}),
        ("gs://bucket/x", {"token": f"/nowhere/{secret('Token')}.json"}),
    ):

        def use(url: str = url, options: dict[str, Any] = options) -> None:
            store = FsspecStore.from_url(url, storage_options={**options, "skip_instance_cache": True})
            with zarrc.config.set({"storage.retries": 0}):
                store.get("x")

        with pytest.raises(Exception) as caught:
            use()
        assert found(str(caught.value) + repr(caught.value)) == []
        assert found("".join(traceback.format_exception(caught.value))) == []
