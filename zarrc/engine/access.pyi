from typing import Any, final

import numpy as np
import numpy.typing as npt

from zarrc.config import ArrayConfig
from zarrc.metadata.model import ArrayMetadata
from zarrc.storage import Store

@final
class ArrayAccess:
    """The data of one array."""

    def __init__(self, store: Store, path: str, metadata: ArrayMetadata, config: ArrayConfig) -> None: ...
    @property
    def store(self) -> Store: ...
    @property
    def path(self) -> str: ...
    @property
    def metadata(self) -> ArrayMetadata: ...
    @property
    def config(self) -> ArrayConfig: ...
    def read(self, key: Any, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any] | np.generic: ...
    def write(self, key: Any, value: Any) -> None: ...
