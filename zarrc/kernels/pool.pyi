def n_threads() -> int:
    """Threads that the pool has started in this process (callers' own threads not counted)."""
