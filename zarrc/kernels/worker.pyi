def trim() -> None:
    """Free the scratch memory and compressor contexts that no call is using."""

def idle_nbytes() -> int:
    """The bytes of scratch memory that no call is using, kept for the next one."""
