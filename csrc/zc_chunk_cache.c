#define _GNU_SOURCE	/* getentropy */
#define _DARWIN_C_SOURCE
#include "zc_chunk_cache.h"

#include <stddef.h>
#include <string.h>

#define CACHE_LINE ((size_t)64)

/* What malloc takes for itself, about: absent chunks are small, and there may be many. */
#define MALLOC_NBYTES ((size_t)16)

/* A chunk, its place in a cache, and its data behind it: one allocation, of lru.nbytes bytes. */
typedef struct entry {
	zc_cached_chunk chunk;	/* the first member: a chunk's address is its entry's */
	_Atomic size_t n_references;
	zc_lru_entry lru;
} entry;

struct zc_chunk_cache {
	zc_lru lru;
	size_t max_nbytes;
	uint64_t n_evictions;
	_Atomic uint64_t n_hits;
	_Atomic uint64_t n_misses;
};

/* Chunks. */

static entry *entry_of(zc_cached_chunk *chunk)
{
	return (entry *)(void *)chunk;
}

static entry *entry_at(zc_lru_entry *lru)
{
	return (entry *)(void *)((char *)lru - offsetof(entry, lru));
}

static entry *new_entry(size_t data_nbytes)
{
	entry *made;

	if (data_nbytes > SIZE_MAX / 2)
		return NULL;
	made = malloc(sizeof(*made) + data_nbytes);
	if (made == NULL)
		return NULL;
	memset(made, 0, sizeof(*made));
	made->n_references = 1;
	made->lru.nbytes = sizeof(*made) + data_nbytes + MALLOC_NBYTES;
	return made;
}

zc_cached_chunk *zc_cached_chunk_new(size_t nbytes)
{
	entry *made = nbytes > SIZE_MAX / 4 ? NULL : new_entry(nbytes + CACHE_LINE);
	uint8_t *end;

	if (made == NULL)
		return NULL;
	end = (uint8_t *)(made + 1);
	made->chunk.data = end + (size_t)(-(uintptr_t)end & (CACHE_LINE - 1));
	made->chunk.nbytes = nbytes;
	return &made->chunk;
}

zc_cached_chunk *zc_cached_chunk_absent(void)
{
	entry *made = new_entry(0);

	return made == NULL ? NULL : &made->chunk;
}

void zc_cached_chunk_unref(zc_cached_chunk *chunk)
{
	if (chunk != NULL && atomic_fetch_sub_explicit(&entry_of(chunk)->n_references, 1, memory_order_acq_rel) == 1)
		free(entry_of(chunk));
}

zc_chunk_name zc_chunk_name_of(const zc_chunk_cache *cache, uint64_t layout, const char *key, size_t nbytes)
{
	return zc_lru_name_of(&cache->lru, layout, key, nbytes);
}

zc_chunk_name zc_chunk_name_inner(zc_chunk_name shard, uint64_t number)
{
	zc_chunk_name made;

	made.words[0] = zc_mix_fold(shard.words[0] ^ ZC_MIX_C, number ^ ZC_MIX_D ^ shard.words[1]);
	made.words[1] = zc_mix_fold(shard.words[1] ^ ZC_MIX_A, number ^ ZC_MIX_B ^ shard.words[0]);
	return made;
}

static void let_go(zc_lru_entry *first)
{
	while (first != NULL) {
		zc_lru_entry *next = first->chain;

		zc_cached_chunk_unref(&entry_at(first)->chunk);
		first = next;
	}
}

/* Caches. */

zc_chunk_cache *zc_chunk_cache_new(size_t max_nbytes)
{
	zc_chunk_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL)
		return NULL;
	if (zc_lru_init(&cache->lru) != 0) {
		free(cache);
		return NULL;
	}
	cache->max_nbytes = max_nbytes;
	return cache;
}

void zc_chunk_cache_free(zc_chunk_cache *cache)
{
	if (cache == NULL)
		return;
	zc_chunk_cache_clear(cache);
	free(cache->lru.buckets);
	free(cache);
}

int zc_chunk_cache_takes(const zc_chunk_cache *cache, size_t nbytes)
{
	const size_t own = sizeof(entry) + CACHE_LINE + MALLOC_NBYTES;

	return cache->max_nbytes >= own && nbytes <= cache->max_nbytes - own;
}

zc_cached_chunk *zc_chunk_cache_get(zc_chunk_cache *cache, zc_chunk_name name, uint64_t changes)
{
	entry *found = NULL;
	zc_lru_entry *gone = NULL;
	zc_lru_entry **at;

	pthread_mutex_lock(cache->lru.mutex);
	at = zc_lru_find(&cache->lru, &name);
	if (*at != NULL && entry_at(*at)->chunk.changes != changes) {
		zc_lru_take_out(&cache->lru, at, &gone);
	} else if (*at != NULL) {
		found = entry_at(*at);
		atomic_fetch_add_explicit(&found->n_references, 1, memory_order_relaxed);
		zc_lru_touch(&cache->lru, *at);
	}
	pthread_mutex_unlock(cache->lru.mutex);
	let_go(gone);
	return found == NULL ? NULL : &found->chunk;
}

/* Put 'fresh' into the cache; 0 if it is not kept. */
static int insert(zc_chunk_cache *cache, entry *fresh, zc_lru_entry **gone_io)
{
	zc_lru *lru = &cache->lru;
	zc_lru_entry **at = zc_lru_find(lru, &fresh->lru.name);

	if (*at != NULL && entry_at(*at)->chunk.changes > fresh->chunk.changes)
		return 0;
	if (*at != NULL)
		zc_lru_take_out(lru, at, gone_io);
	if (fresh->lru.nbytes > cache->max_nbytes)
		return 0;
	while (lru->nbytes > cache->max_nbytes - fresh->lru.nbytes) {
		zc_lru_take_out(lru, zc_lru_find(lru, &lru->oldest->name), gone_io);
		cache->n_evictions++;
	}
	zc_lru_add(lru, &fresh->lru);
	return 1;
}

void zc_chunk_cache_put(zc_chunk_cache *cache, zc_chunk_name name, zc_cached_chunk *chunk)
{
	entry *fresh = entry_of(chunk);
	zc_lru_entry *gone = NULL;
	int kept;

	fresh->lru.name = name;
	atomic_fetch_add_explicit(&fresh->n_references, 1, memory_order_relaxed);
	pthread_mutex_lock(cache->lru.mutex);
	kept = insert(cache, fresh, &gone);
	pthread_mutex_unlock(cache->lru.mutex);
	if (!kept)
		zc_cached_chunk_unref(chunk);
	let_go(gone);
}

void zc_chunk_cache_drop(zc_chunk_cache *cache, zc_chunk_name name, const zc_cached_chunk *chunk)
{
	zc_lru_entry *gone = NULL;
	zc_lru_entry **at;

	pthread_mutex_lock(cache->lru.mutex);
	at = zc_lru_find(&cache->lru, &name);
	if (*at != NULL && &entry_at(*at)->chunk == chunk)
		zc_lru_take_out(&cache->lru, at, &gone);
	pthread_mutex_unlock(cache->lru.mutex);
	let_go(gone);
}

void zc_chunk_cache_clear(zc_chunk_cache *cache)
{
	zc_lru *lru = &cache->lru;
	zc_lru_entry *gone = NULL;

	pthread_mutex_lock(lru->mutex);
	while (lru->oldest != NULL)
		zc_lru_take_out(lru, zc_lru_find(lru, &lru->oldest->name), &gone);
	pthread_mutex_unlock(lru->mutex);
	let_go(gone);
}

void zc_chunk_cache_count(zc_chunk_cache *cache, size_t n_hits, size_t n_misses)
{
	if (n_hits > 0)
		atomic_fetch_add_explicit(&cache->n_hits, n_hits, memory_order_relaxed);
	if (n_misses > 0)
		atomic_fetch_add_explicit(&cache->n_misses, n_misses, memory_order_relaxed);
}

void zc_chunk_cache_look(zc_chunk_cache *cache, zc_chunk_cache_stats *stats_ret)
{
	pthread_mutex_lock(cache->lru.mutex);
	stats_ret->n_evictions = cache->n_evictions;
	stats_ret->n_chunks = cache->lru.n_entries;
	stats_ret->nbytes = cache->lru.nbytes;
	pthread_mutex_unlock(cache->lru.mutex);
	stats_ret->max_nbytes = cache->max_nbytes;
	stats_ret->n_hits = atomic_load_explicit(&cache->n_hits, memory_order_relaxed);
	stats_ret->n_misses = atomic_load_explicit(&cache->n_misses, memory_order_relaxed);
}
