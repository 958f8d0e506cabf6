"""Work on whole arrays."""

from zarrc.tools.copying import copy_array

__all__ = ["copy_array"]
