#define _GNU_SOURCE	/* getentropy */
#define _DARWIN_C_SOURCE
#include "zc_shard_cache.h"
#include "zc_lru.h"

#include <string.h>
#include <sys/resource.h>

#define MAX_DESCRIPTORS ((size_t)128)

/* Besides the name, a shard's stamp is compared. */
typedef struct entry {
	zc_lru_entry lru;	/* the first member */
	zc_open_shard *shard;
} entry;

struct zc_shard_cache {
	zc_lru lru;
	size_t max_open;
	size_t max_nbytes;
};

/* In all caches; changed with a cache's mutex held, and so settled when a child is made. */
static _Atomic size_t n_descriptors;

/* Shards. */

zc_open_shard *zc_open_shard_new(int fd, const uint64_t stamp[ZC_SHARD_STAMP_WORDS], size_t n_pairs, uint64_t object_nbytes)
{
	zc_open_shard *shard;

	if (n_pairs > (SIZE_MAX / 2 - sizeof(*shard)) / (2 * sizeof(uint64_t)))
		return NULL;
	shard = malloc(sizeof(*shard) + n_pairs * 2 * sizeof(uint64_t));
	if (shard == NULL)
		return NULL;
	shard->n_references = 1;
	shard->fd = fd;
	memcpy(shard->stamp, stamp, sizeof(shard->stamp));
	shard->object_nbytes = object_nbytes;
	shard->n_pairs = n_pairs;
	shard->pairs = (uint64_t *)(void *)(shard + 1);
	return shard;
}

void zc_open_shard_ref(zc_open_shard *shard)
{
	__atomic_fetch_add(&shard->n_references, 1, __ATOMIC_RELAXED);
}

void zc_open_shard_unref(zc_open_shard *shard)
{
	if (shard == NULL || __atomic_fetch_sub(&shard->n_references, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	if (shard->fd >= 0)
		close(shard->fd);
	free(shard);
}

/* Entries.  Where they go in and out, the mutex is held. */

static zc_open_shard *shard_at(zc_lru_entry *one)
{
	return ((entry *)(void *)one)->shard;
}

static void take_out(zc_shard_cache *cache, zc_lru_entry **at, zc_lru_entry **gone_io)
{
	if (shard_at(*at)->fd >= 0)
		atomic_fetch_sub(&n_descriptors, 1);
	zc_lru_take_out(&cache->lru, at, gone_io);
}

static void take_oldest(zc_shard_cache *cache, zc_lru_entry **gone_io)
{
	take_out(cache, zc_lru_find(&cache->lru, &cache->lru.oldest->name), gone_io);
}

static void free_entries(zc_lru_entry *first)
{
	while (first != NULL) {
		zc_lru_entry *next = first->chain;

		zc_open_shard_unref(shard_at(first));
		free(first);
		first = next;
	}
}

static size_t max_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 8 >= MAX_DESCRIPTORS)
		return MAX_DESCRIPTORS;
	return (size_t)limit.rlim_cur / 8;
}

static int claim_descriptor(size_t limit)
{
	size_t n = atomic_load(&n_descriptors);

	do
		if (n >= limit)
			return 0;
	while (!atomic_compare_exchange_weak(&n_descriptors, &n, n + 1));
	return 1;
}

static int evict_descriptor(zc_shard_cache *cache, zc_lru_entry **gone_io)
{
	for (zc_lru_entry *one = cache->lru.oldest; one != NULL; one = one->newer) {
		if (shard_at(one)->fd >= 0) {
			take_out(cache, zc_lru_find(&cache->lru, &one->name), gone_io);
			return 1;
		}
	}
	return 0;
}

/* Put 'fresh' into the cache; 0 if there is no room for it. */
static int insert(zc_shard_cache *cache, entry *fresh, zc_lru_entry **gone_io)
{
	zc_lru *lru = &cache->lru;
	size_t limit = fresh->shard->fd >= 0 ? max_descriptors() : 0;
	zc_lru_entry **at = zc_lru_find(lru, &fresh->lru.name);

	if (*at != NULL)
		take_out(cache, at, gone_io);
	if (cache->max_open == 0 || fresh->lru.nbytes > cache->max_nbytes)
		return 0;
	if (fresh->shard->fd >= 0)
		while (!claim_descriptor(limit))
			if (!evict_descriptor(cache, gone_io))
				return 0;
	while (lru->n_entries >= cache->max_open || lru->nbytes > cache->max_nbytes - fresh->lru.nbytes)
		take_oldest(cache, gone_io);
	zc_lru_add(lru, &fresh->lru);
	return 1;
}

/* Caches. */

zc_shard_cache *zc_shard_cache_new(size_t max_open, size_t max_nbytes)
{
	zc_shard_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL)
		return NULL;
	if (zc_lru_init(&cache->lru) != 0) {
		free(cache);
		return NULL;
	}
	cache->max_open = max_open;
	cache->max_nbytes = max_nbytes;
	return cache;
}

void zc_shard_cache_free(zc_shard_cache *cache)
{
	if (cache == NULL)
		return;
	zc_shard_cache_clear(cache);
	free(cache->lru.buckets);
	free(cache);
}

zc_open_shard *zc_shard_cache_get(zc_shard_cache *cache, const char *key, size_t key_nbytes,
				  const uint64_t stamp[ZC_SHARD_STAMP_WORDS])
{
	zc_lru_name wanted = zc_lru_name_of(&cache->lru, 0, key, key_nbytes);
	zc_open_shard *shard = NULL;
	zc_lru_entry *gone = NULL;
	zc_lru_entry **at;

	pthread_mutex_lock(cache->lru.mutex);
	at = zc_lru_find(&cache->lru, &wanted);
	if (*at != NULL && memcmp(shard_at(*at)->stamp, stamp, sizeof(shard_at(*at)->stamp)) == 0) {
		shard = shard_at(*at);
		zc_open_shard_ref(shard);
		zc_lru_touch(&cache->lru, *at);
	} else if (*at != NULL) {
		take_out(cache, at, &gone);
	}
	pthread_mutex_unlock(cache->lru.mutex);
	free_entries(gone);
	return shard;
}

void zc_shard_cache_put(zc_shard_cache *cache, const char *key, size_t key_nbytes, zc_open_shard *shard)
{
	entry *fresh = malloc(sizeof(*fresh));
	zc_lru_entry *gone = NULL;
	int kept;

	if (fresh == NULL) {
		/* What the key had is of no use any more. */
		zc_shard_cache_drop(cache, key, key_nbytes);
		return;
	}
	fresh->lru.name = zc_lru_name_of(&cache->lru, 0, key, key_nbytes);
	fresh->shard = shard;
	fresh->lru.nbytes = sizeof(*fresh) + sizeof(*shard) + shard->n_pairs * 2 * sizeof(uint64_t);
	zc_open_shard_ref(shard);
	pthread_mutex_lock(cache->lru.mutex);
	kept = insert(cache, fresh, &gone);
	pthread_mutex_unlock(cache->lru.mutex);
	if (!kept) {
		fresh->lru.chain = gone;
		gone = &fresh->lru;
	}
	free_entries(gone);
}

void zc_shard_cache_drop(zc_shard_cache *cache, const char *key, size_t key_nbytes)
{
	zc_lru_name wanted = zc_lru_name_of(&cache->lru, 0, key, key_nbytes);
	zc_lru_entry *gone = NULL;
	zc_lru_entry **at;

	pthread_mutex_lock(cache->lru.mutex);
	at = zc_lru_find(&cache->lru, &wanted);
	if (*at != NULL)
		take_out(cache, at, &gone);
	pthread_mutex_unlock(cache->lru.mutex);
	free_entries(gone);
}

void zc_shard_cache_clear(zc_shard_cache *cache)
{
	zc_lru_entry *gone = NULL;

	pthread_mutex_lock(cache->lru.mutex);
	while (cache->lru.oldest != NULL)
		take_oldest(cache, &gone);
	pthread_mutex_unlock(cache->lru.mutex);
	free_entries(gone);
}

size_t zc_shard_cache_count(zc_shard_cache *cache)
{
	size_t n;

	pthread_mutex_lock(cache->lru.mutex);
	n = cache->lru.n_entries;
	pthread_mutex_unlock(cache->lru.mutex);
	return n;
}

size_t zc_shard_cache_descriptors(void)
{
	return atomic_load(&n_descriptors);
}
