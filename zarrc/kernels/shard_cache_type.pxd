"""The type of a cache of shards alone: to have it, the module of the cache need not be loaded."""

cdef extern from "zc_shard_cache.h":
    ctypedef struct zc_shard_cache:
        pass
