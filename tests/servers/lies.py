"""Ways in which the web server of the tests answers wrong, on command."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.servers.http import Answer, FileServer, Request

__all__ = ["HOW", "Lie", "Lies"]

HOW = {
    "ignore_ranges": "the whole object, status 200, for a range",
    "cut": "half of the announced body, then the end of the connection",
    "short": "half of the body, announced as such, while Content-Range tells of all",
    "long": "more bytes than the range has, announced as such",
    "shifted": "the bytes of another range, whose Content-Range is true",
    "odd_content_range": "a Content-Range that is none",
    "no_content_range": "206 without Content-Range",
    "no_length": "no Content-Length; the end of the connection ends the body",
    "no_length_cut": "the same, with half of the body",
    "huge_length": "Content-Length 2**62",
    "huge_object": "a Content-Range whose whole is 2**70 bytes",
    "gzip": "a compressed body with Content-Encoding",
    "status": "the status `value`",
    "hang": "nothing",
    "reset": "the connection is reset",
    "garbage": "what is not HTTP",
    "slow": "the right answer after `value` seconds",
}


@dataclass
class Lie:
    """One way to answer wrong, the next `times` times that a path contains `match`."""

    how: str
    value: float = 0
    match: str = ""
    times: int = -1

    def told(self, request: Request, answer: Answer, server: FileServer) -> tuple[Answer, dict[str, Any]]:
        """What to send instead, and how."""
        half = answer._replace(body=answer.body[: len(answer.body) // 2])
        match self.how:
            case "ignore_ranges":
                headers = {name: value for name, value in request.headers.items() if name != "range"}
                return server.answer(request._replace(headers=headers)), {}
            case "cut":
                return half, {"length": len(answer.body), "closing": True}
            case "short":
                return half, {}
            case "long":
                return answer._replace(body=answer.body + b"more"), {}
            case "shifted":
                return self._shifted(request, answer, server), {}
            case "no_length":
                return answer, {"length": None}
            case "no_length_cut":
                return half, {"length": None}
            case "huge_length":
                return answer, {"length": 2**62, "closing": True}
            case "gzip":
                packed = answer._replace(body=gzip.compress(answer.body, mtime=0))
                return _with(packed, {"Content-Encoding": "gzip"}), {}
            case "status":
                return answer._replace(status=int(self.value), headers={}, body=b"so it is\n"), {}
        return _with(answer, self._content_range(answer)), {}

    def _shifted(self, request: Request, answer: Answer, server: FileServer) -> Answer:
        """The bytes right behind, or before, those that were asked for."""
        found = _CONTENT_RANGE.match(answer.headers.get("Content-Range", ""))
        if found is None:
            return answer
        start, end, nbytes = (int(number) for number in found.groups())
        start, end = (start + 1, end + 1) if end + 1 < nbytes else (max(0, start - 1), end - 1)
        headers = request.headers | {"range": f"bytes={start}-{end}"}
        return server.answer(request._replace(headers=headers))

    def _content_range(self, answer: Answer) -> dict[str, str | None]:
        true = answer.headers.get("Content-Range", "")
        odd = {
            "odd_content_range": "bytes of all kinds",
            "no_content_range": None,
            "huge_object": re.sub(r"/.*", f"/{2**70}", true),
        }
        return {"Content-Range": odd[self.how]} if true else {}


_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z")


def _with(answer: Answer, changes: dict[str, str | None]) -> Answer:
    headers = {**answer.headers, **changes}
    return answer._replace(headers={name: value for name, value in headers.items() if value is not None})


class Lies:
    """The lies that are told now."""

    def __init__(self) -> None:
        self.told: list[Lie] = []

    def add(self, how: str, value: float = 0, match: str = "", times: int = -1) -> None:
        """Lie from now on."""
        if how not in HOW:
            raise ValueError(f"no lie {how!r}; known are {', '.join(HOW)}")
        self.told.append(Lie(how, value, match, times))

    def clear(self) -> None:
        """Tell the truth from now on."""
        self.told.clear()

    def for_request(self, path: str) -> Lie | None:
        """The lie for a request."""
        for lie in self.told:
            if lie.times and lie.match in path:
                lie.times -= 1
                return lie
        return None
