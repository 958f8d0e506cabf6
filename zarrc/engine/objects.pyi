from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, final

from zarrc.storage.base import Store

@final
class Objects:
    store: Store
    node_path: str
    metadata_key: str
    def __init__(self, store: Store, node_path: str, key_encoding: Any, metadata_name: str) -> None: ...
    def know_locks(self, locking: str = "thread") -> None: ...
    def locked(self, keys: Iterable[str]) -> AbstractContextManager[object]: ...
