"""What a store asks of a driver that is more than one of its requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from zarrc.storage.base import Stat
from zarrc.storage.remote.driver import Answer, Broken, Driver, Outside
from zarrc.storage.remote.operations import read_suffix


class Changing(Driver):
    """A service without suffixes, of which each request finds another state of the object."""

    suffix_ranges = False
    versions = True

    def __init__(self, states: list[bytes]) -> None:
        super().__init__(None)
        self.states = states

    def _next(self) -> tuple[bytes, str]:
        body = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return body, f"{len(body)}-{body[:1].decode()}"

    async def head(self, path: str) -> Stat:
        body, version = self._next()
        return Stat(len(body), version)

    async def get(self, path: str, start: int | None, nbytes: int | None, most: int | None) -> Answer:
        body, version = self._next()
        assert start is not None
        assert nbytes is not None
        if start + nbytes > len(body):
            raise Outside(len(body))
        return Answer(body[start : start + nbytes], version, len(body))

    async def put(self, *_: Any) -> Any:
        raise NotImplementedError

    async def delete(self, *_: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("meanwhile", [b"bbb", b"b" * 9, b"b" * 6], ids=["shorter", "longer", "as long"])
def test_the_end_of_an_object_that_changes_between_look_and_read(meanwhile: bytes) -> None:
    answer = asyncio.run(read_suffix(Changing([b"a" * 6, meanwhile, b"c" * 5]), "x", 2, None, None))
    assert (answer.data, answer.object_nbytes) == (b"cc", 5)


def test_an_object_that_changes_all_the_time_is_an_error() -> None:
    states = [b"a" * n for n in (6, 3) * 10]
    with pytest.raises(Broken, match="changes all the time"):
        asyncio.run(read_suffix(Changing(states), "x", 2, None, None))
