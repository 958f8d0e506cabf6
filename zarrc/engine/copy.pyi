from collections.abc import Callable

from zarrc.metadata.model import ArrayMetadata
from zarrc.storage import Store

Place = tuple[Store, str, ArrayMetadata]

def copy_objects(
    source: Place,
    target: Place,
    *,
    is_new: bool,
    verify: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> None: ...
