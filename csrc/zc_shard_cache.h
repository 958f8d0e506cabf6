/*
 * zc_shard_cache.h - the shards whose index was read before: decoded, checked, and with their descriptor where they are
 * files, so that reading one more inner chunk is one read.
 *
 * A cache belongs to one array handle.  Thread safe, and safe in a forked child, which has its own copy of every cache;
 * descriptors are shared with the parent, but they are only read from with an offset of their own (pread).
 */
#ifndef ZC_SHARD_CACHE_H
#define ZC_SHARD_CACHE_H

#include "zc.h"

/*
 * What tells one content of a shard from the next: of a local file device, inode, size and ctime in nanoseconds
 * (zc_local_identify_path).  While a cached descriptor is open, no other file can get its inode.
 */
#define ZC_SHARD_STAMP_WORDS 4

/* A shard as it was found once.  Counted; nothing of it changes once another thread can see it. */
typedef struct zc_open_shard {
	size_t n_references;	/* atomic */
	int fd;			/* -1: none */
	uint64_t stamp[ZC_SHARD_STAMP_WORDS];
	uint64_t object_nbytes;
	size_t n_pairs;
	uint64_t *pairs;	/* (offset, nbytes) of each inner chunk, in the machine's byte order */
} zc_open_shard;

typedef struct zc_shard_cache zc_shard_cache;

/*
 * A shard with one reference and room for 'n_pairs' pairs, which the caller fills in.  It owns 'fd' from then on.
 * NULL when memory is short (or n_pairs too large for any): 'fd' is the caller's then as before.
 */
zc_open_shard *zc_open_shard_new(int fd, const uint64_t stamp[ZC_SHARD_STAMP_WORDS], size_t n_pairs, uint64_t object_nbytes);
void zc_open_shard_ref(zc_open_shard *shard);

/* Give back a reference; the last one closes the descriptor and frees.  NULL is nothing. */
void zc_open_shard_unref(zc_open_shard *shard);

/*
 * A cache of at most 'max_open' shards and 'max_nbytes' bytes, of which the least recently used go first.
 * All caches of the process together keep at most 128 descriptors, or an eighth of what the process may open where that is
 * less; a cache that gets no more gives up one of its own, or does not keep the shard.  NULL when memory is short.
 */
zc_shard_cache *zc_shard_cache_new(size_t max_open, size_t max_nbytes);

/* Nobody may be using 'cache'; shards that somebody has a reference to stay.  NULL is nothing. */
void zc_shard_cache_free(zc_shard_cache *cache);

/* A new reference to the key's shard, or NULL.  One with another stamp is dropped. */
zc_open_shard *zc_shard_cache_get(zc_shard_cache *cache, const char *key, size_t key_nbytes,
				  const uint64_t stamp[ZC_SHARD_STAMP_WORDS]);

/* Keep 'shard' (by a reference of the cache's own) in place of what the key had.  It may be that it is not kept. */
void zc_shard_cache_put(zc_shard_cache *cache, const char *key, size_t key_nbytes, zc_open_shard *shard);

void zc_shard_cache_drop(zc_shard_cache *cache, const char *key, size_t key_nbytes);
void zc_shard_cache_clear(zc_shard_cache *cache);

/* Shards in 'cache', and descriptors in all caches: for tests. */
size_t zc_shard_cache_count(zc_shard_cache *cache);
size_t zc_shard_cache_descriptors(void);

#endif
