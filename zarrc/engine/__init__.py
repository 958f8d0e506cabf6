"""The read path and the write path of an array's data."""

from zarrc.engine.access import ArrayAccess

__all__ = ["ArrayAccess"]
