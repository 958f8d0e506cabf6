"""The smallest store: the example of `zarrc.storage.Store`."""

from __future__ import annotations

from collections.abc import Iterator

from zarrc.storage import Blob, ByteRange, Store, check_key, check_prefix, keys_below


class FourMethods(Store):
    """Objects in a dict."""

    def __init__(self, objects: dict[str, bytes], *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self.objects = objects

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        check_key(key)
        data = self.objects.get(key)
        return None if data is None else self._part(key, data, range)

    def set(self, key: str, data: bytes) -> None:
        check_key(key)
        self._check_writable(key)
        self.objects[key] = bytes(Blob(data))

    def delete(self, key: str) -> None:
        check_key(key)
        self._check_writable(key)
        self.objects.pop(key, None)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        yield from keys_below(check_prefix(prefix), list(self.objects))
