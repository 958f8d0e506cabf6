def kept_nbytes() -> int:
    """Bytes of memory that are kept for the next large result."""

def trim() -> None:
    """Give the kept memory back to the system."""
