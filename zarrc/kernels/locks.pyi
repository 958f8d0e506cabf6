from types import TracebackType
from typing import Final, Self, final

def all_changed() -> None: ...

WAYS: Final[tuple[str, ...]]

@final
class FileLock:
    def __init__(
        self, path: bytes, root_nbytes: int = 0, timeout: float = 60.0, way: str = "auto"
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

def _refuse_flock(refuse: bool) -> None: ...
