"""Stores around stores: read-only, a prefix, a cache, a meter, a log, faults."""
