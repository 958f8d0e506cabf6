"""Texts without secrets: what URLs, headers and the options of file systems hold is masked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

__all__ = ["masked", "secrets_in"]

_MASK = "***"

# A value is taken for a secret by the name of its option; better one too many.
_NAME = re.compile(
    r"key|secret|token|pass|pwd|cred|sas|sig|auth|bearer|cookie|connection_string|conn_str|header|private",
    re.I,
)

# Shorter ones would mask letters of ordinary words; nobody is protected by five letters.
_LEAST = 6

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*://)(?:[^\s/?#@'\"<>]*@)?(?P<rest>[^\s'\"<>]*)")
_QUERY_VALUE = re.compile(r"(?P<name>[?&;][^=&\s'\"<>]+=)[^&\s'\"<>]*")
_HEADER = re.compile(
    r"(?P<name>\b(?:Bearer|Basic|SharedKey(?:Lite)?|AWS4-HMAC-SHA256|Digest)\s+)(?P<value>[^\s'\"<>,]+[^'\"<>\n]*)",
    re.I,
)
_NAMED_VALUE = re.compile(
    r"(?P<name>\b(?:sig|signature|AccountKey|SharedAccessSignature|X-Amz-(?:Signature|Security-Token|Credential)"
    r"|X-Goog-(?:Signature|Credential)|AWSAccessKeyId|access_token|refresh_token|id_token|api_?key|password|passwd"
    r"|client_secret|secret_access_key|private_key)['\"]?\s*[=:]\s*['\"]?)[^\s&;,'\"<>]+",
    re.I,
)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with everything masked that may be a secret.

    Parameters
    ----------
    text : str
        Any text: of an error, a URL.
    secrets : iterable of str
        Texts that are known to be secrets, as `secrets_in` gives them.
    """
    for secret in secrets:
        text = text.replace(secret, _MASK)
    text = _URL.sub(_masked_url, text)
    text = _HEADER.sub(rf"\g<name>{_MASK}", text)
    return _NAMED_VALUE.sub(rf"\g<name>{_MASK}", text)


def _masked_url(found: re.Match[str]) -> str:
    user = f"{_MASK}@" if "@" in found[0][: found.start("rest") - found.start()] else ""
    return found["scheme"] + user + _QUERY_VALUE.sub(rf"\g<name>{_MASK}", found["rest"])


def secrets_in(options: Any) -> tuple[str, ...]:
    """The secrets among the options of a file system, the longest first, also as URLs write them.

    Parameters
    ----------
    options : object
        Its ``storage_options``: mappings and sequences of anything.
    """
    found: set[str] = set()
    for value in _values(options, secret=False):
        if len(value) >= _LEAST:
            for text in (value, unquote(value)):
                found |= {text, quote(text), quote(text, safe=""), quote_plus(text)}
    return tuple(sorted(found, key=len, reverse=True))


def _values(options: Any, *, secret: bool) -> Iterator[str]:
    if isinstance(options, str):
        if secret:
            yield options
            # A connection string or a signature of a URL is told in parts too.
            for part in re.split("[;&?]", options):
                name, _, value = part.partition("=")
                if _NAME.search(name):
                    yield value
        else:
            yield from _userinfo(options)
    elif isinstance(options, bytes):
        if secret:
            yield options.decode("latin-1")
    elif isinstance(options, Mapping):
        for name, value in options.items():
            yield from _values(value, secret=secret or (isinstance(name, str) and bool(_NAME.search(name))))
    elif isinstance(options, (list, tuple, set, frozenset)):
        for value in options:
            yield from _values(value, secret=secret)
    elif secret:
        # aiohttp.BasicAuth and its like
        for name in ("login", "password", "key", "secret", "token", "account_key", "sas_token"):
            value = getattr(options, name, None)
            if isinstance(value, str):
                yield value


def _userinfo(url: str) -> Iterator[str]:
    """The password in a URL, and what its query says."""
    if "://" in url:
        host, _, query = url.partition("?")
        if "@" in host:
            yield host.partition("://")[2].rpartition("@")[0].partition(":")[2]
        yield from (part.partition("=")[2] for part in query.split("&"))
