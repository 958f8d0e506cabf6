from types import TracebackType
from typing import final

from typing_extensions import Self

@final
class FileLock:
    def __init__(self, path: bytes, root_nbytes: int = 0, timeout: float = 60.0) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

def _refuse_flock(refuse: bool) -> None: ...
