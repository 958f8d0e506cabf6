def trim() -> None:
    """Free the scratch memory and compressor contexts that no call is using."""
