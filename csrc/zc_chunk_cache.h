/*
 * zc_chunk_cache.h - decoded chunks that are kept for the next read, within a bound of memory; those that were not used for
 * longest go first.
 *
 * A cache belongs to one array handle.  It knows nothing of stores: who finds a chunk in it says by two things whether it
 * still is what is stored, the number of changes of its object in this process (zc_changes.h), which is compared here, and
 * a stamp of the stored object, which the caller looks up only after something was found, and compares.
 *
 * Thread safe.  A forked child has its own copy of every cache; a chunk that another thread of the parent was using then is
 * never freed there.
 */
#ifndef ZC_CHUNK_CACHE_H
#define ZC_CHUNK_CACHE_H

#include "zc.h"
#include "zc_lru.h"

typedef struct zc_chunk_cache zc_chunk_cache;

typedef zc_lru_name zc_chunk_name;

/*
 * What tells one content of the stored object from the next, as far as the store can tell: of a local file the words of
 * zc_local_identify_path, of a blob in memory its version and zeros; zeros where nothing does.
 */
#define ZC_CHUNK_STAMP_WORDS 4

/* One decoded chunk.  Counted; nothing of what is below changes once another thread can see it. */
typedef struct zc_cached_chunk {
	uint8_t *data;		/* 64-byte aligned; NULL: the chunk is not stored */
	size_t nbytes;
	uint64_t changes;	/* of its object, taken before it was fetched */
	uint64_t stamp[ZC_CHUNK_STAMP_WORDS];
	int is_young;		/* the stamp may not tell a change yet: 'source' does, of 'source_nbytes' encoded bytes */
	zc_chunk_name source;
	size_t source_nbytes;
} zc_cached_chunk;

typedef struct zc_chunk_cache_stats {
	uint64_t n_hits;
	uint64_t n_misses;
	uint64_t n_evictions;	/* for want of room, not for being out of date */
	size_t n_chunks;
	size_t nbytes;		/* of memory, with what the cache itself needs for each chunk */
	size_t max_nbytes;
} zc_chunk_cache_stats;

/* A cache of at most 'max_nbytes' bytes of memory.  NULL when memory is short. */
zc_chunk_cache *zc_chunk_cache_new(size_t max_nbytes);

/* Nobody may be using 'cache'; chunks that somebody has a reference to stay.  NULL is nothing. */
void zc_chunk_cache_free(zc_chunk_cache *cache);

/* Whether a chunk of so many bytes can be kept at all. */
int zc_chunk_cache_takes(const zc_chunk_cache *cache, size_t nbytes);

/*
 * The name of an object's chunk.  'layout' tells apart the chunks that other layouts would decode from the same object; 'key'
 * has 'key_nbytes' bytes.  zc_chunk_name_inner: of the inner chunk of that number in it, which is a shard.
 */
zc_chunk_name zc_chunk_name_of(const zc_chunk_cache *cache, uint64_t layout, const char *key, size_t key_nbytes);
zc_chunk_name zc_chunk_name_inner(zc_chunk_name shard, uint64_t number);

/*
 * A new reference to the chunk, which is then the last one used; NULL if there is none.  One with another number of changes
 * is dropped.
 */
zc_cached_chunk *zc_chunk_cache_get(zc_chunk_cache *cache, zc_chunk_name name, uint64_t changes);

/*
 * A chunk with one reference and room for 'nbytes' bytes, which the caller fills in, with 'changes' and 'stamp' (all 0 at
 * first).  NULL when memory is short.
 */
zc_cached_chunk *zc_cached_chunk_new(size_t nbytes);

/* The same for a chunk that is not stored: 'data' is NULL. */
zc_cached_chunk *zc_cached_chunk_absent(void);

void zc_cached_chunk_unref(zc_cached_chunk *chunk);	/* NULL is nothing */

/*
 * Keep the chunk (by a reference of the cache's own) in place of what the name had, unless that was fetched after more
 * changes.  It may be that it is not kept.  A chunk is put into one cache, once.
 */
void zc_chunk_cache_put(zc_chunk_cache *cache, zc_chunk_name name, zc_cached_chunk *chunk);

/* Forget the chunk, which was found to be out of date, unless another one has its name by now. */
void zc_chunk_cache_drop(zc_chunk_cache *cache, zc_chunk_name name, const zc_cached_chunk *chunk);
void zc_chunk_cache_clear(zc_chunk_cache *cache);

/* Chunks that were read from the cache, and others: the caller counts, who knows what was out of date. */
void zc_chunk_cache_count(zc_chunk_cache *cache, size_t n_hits, size_t n_misses);
void zc_chunk_cache_look(zc_chunk_cache *cache, zc_chunk_cache_stats *stats_ret);

#endif
