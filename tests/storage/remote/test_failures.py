"""Which failure is which, and what its text must not hold."""

from __future__ import annotations

import asyncio
import errno
import logging
import pickle
import traceback
from typing import Any, NamedTuple

import aiohttp
import botocore.exceptions
import pytest
from fsspec.exceptions import FSTimeoutError

from zarrc.errors import (
    StoreConflictError,
    StoreDeniedError,
    StoreError,
    StoreThrottledError,
    StoreTimeoutError,
)
from zarrc.storage.remote.failures import is_absence, is_passing, retry_after, status_of, store_error
from zarrc.storage.remote.outcomes import Absent, Broken, Conflict, Outside, Refused, TooLarge
from zarrc.storage.remote.secrets import masked, secrets_in


class Status(Exception):
    """As clients have them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(str(attributes))
        self.__dict__.update(attributes)


def response_error(status: int) -> aiohttp.ClientResponseError:
    # As it is made, its text cannot be made.
    return aiohttp.ClientResponseError(None, (), status=status)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind", "passing"),
    [
        (Refused(401), StoreDeniedError, False),
        (Refused(403, "AccessDenied"), StoreDeniedError, False),
        (Refused(404, "NoSuchBucket"), StoreError, False),
        (Refused(408), StoreTimeoutError, True),
        (Refused(409), StoreConflictError, False),
        (Refused(412), StoreConflictError, False),
        (Refused(429), StoreThrottledError, True),
        (Refused(500), StoreError, True),
        (Refused(501), StoreError, False),
        (Refused(502), StoreError, True),
        (Refused(503, "SlowDown"), StoreThrottledError, True),
        (Refused(504), StoreTimeoutError, True),
        (Status(status=403), StoreDeniedError, False),
        (Status(status_code=503), StoreThrottledError, True),
        (Status(code="500"), StoreError, True),
        (Status(code="NotAStatus"), StoreError, False),
        (Status(status=True), StoreError, False),
        (response_error(429), StoreThrottledError, True),
        (response_error(400), StoreError, False),
        (aiohttp.ServerDisconnectedError(), StoreError, True),
        (aiohttp.ClientPayloadError("cut"), StoreError, True),
        (aiohttp.ClientOSError(104, "reset"), StoreError, True),
        (aiohttp.ServerTimeoutError(), StoreTimeoutError, True),
        (aiohttp.InvalidURL("x"), StoreError, False),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="x"), StoreError, True),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="x"), StoreTimeoutError, True),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="x"), StoreTimeoutError, True),
        (botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), StoreError, True),
        (botocore.exceptions.SSLError(endpoint_url="x", error="x"), StoreError, False),
        (botocore.exceptions.NoCredentialsError(), StoreError, False),
        (ConnectionResetError("reset"), StoreError, True),
        (ConnectionRefusedError("refused"), StoreError, True),
        (BrokenPipeError("pipe"), StoreError, True),
        (TimeoutError(), StoreTimeoutError, True),
        (FSTimeoutError(), StoreTimeoutError, True),
        (asyncio.IncompleteReadError(b"", 5), StoreError, True),
        (OSError(errno.ENETUNREACH, "far"), StoreError, True),
        (OSError(errno.ENOSPC, "full"), StoreError, False),
        (OSError("text"), StoreError, False),
        (PermissionError("no"), StoreDeniedError, False),
        (ValueError("odd"), StoreError, False),
        (Broken("cut"), StoreError, True),
        (Conflict(), StoreConflictError, False),
        (Outside(10), StoreError, False),
        (TooLarge(10, 5), StoreError, False),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_failure_is_told_by_status_or_class(
    error: Exception, kind: type[StoreError], passing: bool
) -> None:
    found = store_error(error, "a/x")
    assert type(found) is kind
    assert isinstance(found, StoreError)
    assert found.key == "a/x"
    assert found.__cause__ is error
    assert "a/x" in str(found)
    assert is_passing(error) == passing
    assert not is_absence(error)
    again = pickle.loads(pickle.dumps(found))
    assert (type(again), str(again)) == (kind, str(found))


def test_a_status_is_said_once() -> None:
    assert str(Refused(403, "403", "Forbidden")) == "status 403 Forbidden"
    assert str(Refused(403, "AccessDenied", "no")) == "status 403 AccessDenied no"


def test_absence_is_what_says_so() -> None:
    for error in (Absent(), FileNotFoundError(), IsADirectoryError(), NotADirectoryError()):
        assert is_absence(error)
        assert not is_passing(error)
    for error in (Refused(404), Status(status=404), KeyError(), LookupError(), OSError(errno.EIO, "x")):
        assert not is_absence(error)


def test_what_no_store_is_to_blame_for_stays_itself() -> None:
    for error in (MemoryError(), KeyboardInterrupt(), SystemExit()):
        assert store_error(error, "x") is error
        assert not is_passing(error)
    mine = StoreError("mine")
    assert store_error(mine, "x") is mine
    assert mine.key == "x"


def test_a_status_is_a_number_of_three_digits() -> None:
    assert status_of(Status(status=7, code=404)) == 404
    assert status_of(Status(status=None, status_code="416")) == 416
    assert status_of(ValueError()) is None
    assert [retry_after(Refused(503, retry_after=wait)) for wait in (None, 0.0, 2.5, -1.0, 1e9)] == [
        0,
        0,
        2.5,
        0,
        0,
    ]
    assert retry_after(Status(retry_after="soon")) == 0


# Secrets.


class BasicAuth(NamedTuple):
    """As aiohttp has it."""

    login: str
    password: str


OPTIONS = {
    "key": "AKIAEXAMPLEKEY",
    "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY=",
    "account_key": "Eby8vdM02xNOcqFl==",
    "connection_string": "AccountName=me;AccountKey=QWNjb3VudEtleQ==;BlobEndpoint=http://x/",
    "sas_token": "?sv=2020&sig=c2lnbmF0dXJl%3D",
    "client_kwargs": {"aws_session_token": "SessionTokenValue", "headers": {"X-Whatever": "HeaderValue1"}},
    "endpoint_url": "https://user:pa55w0rd@host:9000/?token=QueryToken9",
    "auth": BasicAuth("login-name", "basic-password"),
    "private_key": b"-----BEGIN KEY-----",
}
SECRETS = [
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY=",
    "Eby8vdM02xNOcqFl==",
    "QWNjb3VudEtleQ==",
    "c2lnbmF0dXJl%3D",
    "SessionTokenValue",
    "HeaderValue1",
    "pa55w0rd",
    "QueryToken9",
    "basic-password",
    "-----BEGIN KEY-----",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_options_of_a_file_system_are_not_shown(secret: str, caplog: pytest.LogCaptureFixture) -> None:
    from urllib.parse import quote

    for written in (secret, quote(secret), quote(secret, safe="")):
        try:
            try:
                raise ValueError(f"cannot do it with {written}, nor {written!r}")
            except ValueError as cause:
                raise OSError(f"no access with {written} at http://x/y?z={written}") from cause
        except OSError as error:
            found = store_error(error, "a/x", secrets=secrets_in(OPTIONS), note=" (tried 3 times)")
        assert "no access with ***" in str(found)
        assert "(tried 3 times)" in str(found)
        logging.getLogger("test").error("failed", exc_info=found)
        texts = [str(found), repr(found), "".join(traceback.format_exception(found)), caplog.text]
        at: BaseException | None = found
        while at is not None:
            texts += [str(at), repr(at), repr(at.args)]
            at = at.__cause__ or at.__context__
        assert not [text for text in texts if secret in text or written in text]


def test_a_cause_without_secrets_is_kept() -> None:
    error = ValueError("nothing to hide")
    found = store_error(error, "x", secrets=secrets_in(OPTIONS))
    assert found.__cause__ is error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "GET https://h/p?X-Amz-Signature=abc&a=b failed",
            "GET https://h/p?X-Amz-Signature=***&a=*** failed",
        ),
        ("see http://me:pass@h/x and https://h/y", "see http://***@h/x and https://h/y"),
        ("url='s3://key:secret@bucket/x'", "url='s3://***@bucket/x'"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("AccountName=me;AccountKey=abc==;x", "AccountName=me;AccountKey=***;x"),
        ("{'password': 'hunter2', 'user': 'me'}", "{'password': '***', 'user': 'me'}"),
        ("mail me@example.org about a/b?c", "mail me@example.org about a/b?c"),
        ("gs://bucket/a@b/c", "gs://bucket/a@b/c"),
        ("key 'a/x' is 5 bytes; sign of life", "key 'a/x' is 5 bytes; sign of life"),
    ],
)
def test_texts_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_short_words_are_not_taken_for_secrets() -> None:
    assert secrets_in({"key": "test", "token": "anon", "region": "us-east-1", "anon": True, "n": 5}) == ()
    assert secrets_in(None) == ()
