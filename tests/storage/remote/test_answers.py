"""What the headers of an answer must say, and what is made of a body."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.errors import StoreError
from zarrc.storage.remote.answers import expected, range_header, read_stream
from zarrc.storage.remote.outcomes import Broken, Outside, TooLarge

sizes = st.integers(0, 300)


def serve(body: bytes, header: str | None) -> tuple[int, bytes, str | None]:
    """Status, body and Content-Range of a server that does as the standard says."""
    if header is None:
        return 200, body, None
    first, _, last = header.removeprefix("bytes=").partition("-")
    if first == "":
        start, end = max(0, len(body) - int(last)), len(body)
    else:
        start, end = int(first), min(int(last) + 1 if last else len(body), len(body))
    if start >= end:
        return 416, b"", f"bytes */{len(body)}"
    return 206, body[start:end], f"bytes {start}-{end - 1}/{len(body)}"


def read(
    status: int, sent: bytes, length: Any, content_range: Any, start: Any, nbytes: Any, most: Any = None
) -> bytes:
    due = expected(status, length, content_range, start, nbytes, most)
    position = 0

    async def take(n: int) -> bytes:
        nonlocal position
        part = sent[position : position + n]
        position += len(part)
        return part

    data = asyncio.run(read_stream(take, due))
    # Never more than a byte behind what may be right.
    assert position <= (due.most if due.nbytes is None else due.nbytes) + 1
    return data


requests = st.one_of(
    st.just((None, None)),
    st.tuples(st.integers(0, 320), st.one_of(st.none(), st.integers(1, 320))),
    st.tuples(st.integers(-320, -1), st.none()),
)


@given(nbytes=sizes, request=requests, told=st.booleans(), ignores=st.booleans())
def test_what_an_honest_server_sends_is_read(
    nbytes: int, request: tuple[int | None, int | None], told: bool, ignores: bool
) -> None:
    body = bytes(number % 251 for number in range(nbytes))
    start, wanted = request
    header = None if start is None else range_header(start, wanted)
    status, sent, content_range = serve(body, None if ignores else header)
    length = str(len(sent)) if told else None
    first = None if start is None else start + nbytes if start < 0 else start
    if first is not None and (first < 0 or first >= nbytes or (wanted or 0) > nbytes - first):
        with pytest.raises(Outside) as caught:
            read(status, sent, length, content_range, start, wanted)
        assert caught.value.object_nbytes == nbytes
    else:
        due = body if first is None else body[first:] if wanted is None else body[first : first + wanted]
        assert read(status, sent, length, content_range, start, wanted) == due


odd = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.sampled_from(["0", "-1", "1e3", "9" * 30, str(2**62), "bytes 0-9/10", "bytes 5-4/10", "bytes 0-9/5"]),
    st.builds("bytes {}-{}/{}".format, st.integers(-5, 300), st.integers(-5, 300), st.integers(-5, 300)),
    st.builds("bytes {}-{}/*".format, st.integers(0, 300), st.integers(0, 300)),
    st.integers(0, 400).map(str),
)


@given(
    status=st.sampled_from([200, 206, 416]),
    sent=st.binary(max_size=300),
    length=odd,
    content_range=odd,
    request=requests,
    most=st.one_of(st.none(), st.integers(0, 200)),
)
def test_what_any_server_sends_is_what_was_asked_for_or_an_error(
    status: int, sent: bytes, length: Any, content_range: Any, request: tuple[Any, Any], most: Any
) -> None:
    start, wanted = request
    with contextlib.suppress(Broken, Outside, TooLarge, StoreError):
        data = read(status, sent, length, content_range, start, wanted, most)
        if wanted is not None:
            assert len(data) == wanted
        elif start is not None and start < 0:
            assert len(data) == -start
        elif start is None and most is not None:
            assert len(data) <= most
        assert data in sent


def test_an_endless_body_is_not_read_to_its_end() -> None:
    n_read = 0

    async def endless(n: int) -> bytes:
        nonlocal n_read
        n_read += n
        return bytes(n)

    for due, kind in (
        (expected(200, None, None, None, None, 1000), TooLarge),
        (expected(200, "500", None, None, None, None), Broken),
        (expected(206, None, "bytes 0-99/1000", 0, 100, None), Broken),
        (expected(200, None, None, 0, 100, None), StoreError),
    ):
        n_read = 0
        with pytest.raises(kind):
            asyncio.run(read_stream(endless, due))
        assert n_read <= 16 * 2**20 + 1


@pytest.mark.parametrize(
    ("status", "length", "content_range", "start", "nbytes", "text"),
    [
        (200, "x", None, None, None, "no size: 'x'"),
        (200, "9" * 19, None, None, None, "no size"),
        (206, "5", None, 0, 5, "no Content-Range"),
        (206, "5", "bytes */5", 0, 5, "without sense"),
        (206, "5", "bytes 0-9/10", 0, 10, "contradict"),
        (206, "10", "bytes 0-9/5", 0, 10, "contradict"),
        (206, "10", "bytes 1-10/20", 0, 10, "came for 'bytes=0-9'"),
        (206, "10", "bytes 0-9/20", -10, None, "came for 'bytes=-10'"),
        (206, "5", "bytes 0-4/9", None, None, "a part came"),
    ],
)
def test_headers_that_make_no_sense_are_told(
    status: int, length: Any, content_range: Any, start: Any, nbytes: Any, text: str
) -> None:
    with pytest.raises(Broken, match=text):
        expected(status, length, content_range, start, nbytes, None)
