#define _GNU_SOURCE	/* getentropy */
#define _DARWIN_C_SOURCE
#include "zc_shard_cache.h"
#include "zc_mix.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#define FIRST_N_BUCKETS ((size_t)16)
#define MAX_DESCRIPTORS ((size_t)128)
#define CACHE_LINE 64

/* The key is not kept: 128 seeded bits stand for it, and a shard's stamp is compared besides. */
typedef struct name {
	uint64_t words[2];
} name;

typedef struct entry {
	struct entry *chain;	/* in its bucket; also in a list of entries to be freed */
	struct entry *newer;
	struct entry *older;
	name name;
	size_t nbytes;
	zc_open_shard *shard;
} entry;

struct zc_shard_cache {
	pthread_mutex_t *mutex;
	name seed;
	entry **buckets;
	size_t n_buckets;	/* a power of two */
	size_t n_entries;
	size_t nbytes;
	size_t max_open;
	size_t max_nbytes;
	entry *newest;
	entry *oldest;
};

/*
 * Mutexes are static, and shared by the caches that meet in one: a fork takes all of them, so that the child finds every
 * cache whole and every mutex free, and a cache can come and go without telling anybody.
 */
#define N_MUTEXES ((size_t)64)

static struct {
	_Alignas(CACHE_LINE) pthread_mutex_t mutex;
} mutexes[N_MUTEXES];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic size_t n_caches_made;

/* In all caches; changed with a cache's mutex held, and so settled when a child is made. */
static _Atomic size_t n_descriptors;

static void lock_everything(void)
{
	for (size_t i = 0; i < N_MUTEXES; i++)
		pthread_mutex_lock(&mutexes[i].mutex);
}

static void unlock_everything(void)
{
	for (size_t i = 0; i < N_MUTEXES; i++)
		pthread_mutex_unlock(&mutexes[i].mutex);
}

static void init(void)
{
	for (size_t i = 0; i < N_MUTEXES; i++)
		pthread_mutex_init(&mutexes[i].mutex, NULL);
	pthread_atfork(lock_everything, unlock_everything, unlock_everything);
}

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

/* Names: multiply and fold, 16 bytes a step, in two lanes with a seed each. */

static name name_of(const zc_shard_cache *cache, const char *key, size_t nbytes)
{
	name made = cache->seed;

	made.words[0] ^= zc_mix_fold(nbytes ^ ZC_MIX_A, ZC_MIX_B);
	made.words[1] ^= zc_mix_fold(nbytes ^ ZC_MIX_C, ZC_MIX_D);
	for (;;) {
		uint64_t low = zc_mix_load(key, nbytes);
		uint64_t high = nbytes > 8 ? zc_mix_load(key + 8, nbytes - 8) : 0;

		made.words[0] = zc_mix_fold(low ^ ZC_MIX_A ^ made.words[0], high ^ ZC_MIX_B ^ cache->seed.words[0]);
		made.words[1] = zc_mix_fold(low ^ ZC_MIX_C ^ made.words[1], high ^ ZC_MIX_D ^ cache->seed.words[1]);
		if (nbytes <= 16)
			return made;
		key += 16;
		nbytes -= 16;
	}
}

/* Entries.  All below needs the mutex; what leaves the cache goes to a list, which is freed after it. */

static entry **find(const zc_shard_cache *cache, const name *wanted)
{
	entry **at = &cache->buckets[wanted->words[0] & (cache->n_buckets - 1)];

	while (*at != NULL && ((*at)->name.words[0] != wanted->words[0] || (*at)->name.words[1] != wanted->words[1]))
		at = &(*at)->chain;
	return at;
}

static void unlink_age(zc_shard_cache *cache, entry *one)
{
	*(one->newer != NULL ? &one->newer->older : &cache->newest) = one->older;
	*(one->older != NULL ? &one->older->newer : &cache->oldest) = one->newer;
}

static void make_newest(zc_shard_cache *cache, entry *one)
{
	one->newer = NULL;
	one->older = cache->newest;
	*(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = one;
	cache->newest = one;
}

/* Take the entry at 'at' out of the cache, to the front of *gone_io. */
static void take_out(zc_shard_cache *cache, entry **at, entry **gone_io)
{
	entry *one = *at;

	*at = one->chain;
	unlink_age(cache, one);
	cache->n_entries--;
	cache->nbytes -= one->nbytes;
	if (one->shard->fd >= 0)
		atomic_fetch_sub(&n_descriptors, 1);
	one->chain = *gone_io;
	*gone_io = one;
}

static void free_entries(entry *first)
{
	while (first != NULL) {
		entry *next = first->chain;

		zc_open_shard_unref(first->shard);
		free(first);
		first = next;
	}
}

/* Keep about one entry in a bucket.  When memory is short the chains grow instead, which is slower but right. */
static void grow(zc_shard_cache *cache)
{
	size_t n_buckets = cache->n_buckets * 2;
	entry **buckets;

	if (cache->n_entries < cache->n_buckets)
		return;
	buckets = calloc(n_buckets, sizeof(entry *));
	if (buckets == NULL)
		return;
	for (entry *one = cache->newest; one != NULL; one = one->older) {
		entry **bucket = &buckets[one->name.words[0] & (n_buckets - 1)];

		one->chain = *bucket;
		*bucket = one;
	}
	free(cache->buckets);
	cache->buckets = buckets;
	cache->n_buckets = n_buckets;
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

static int evict_descriptor(zc_shard_cache *cache, entry **gone_io)
{
	for (entry *one = cache->oldest; one != NULL; one = one->newer) {
		if (one->shard->fd >= 0) {
			take_out(cache, find(cache, &one->name), gone_io);
			return 1;
		}
	}
	return 0;
}

/* Put 'fresh' into the cache; 0 if there is no room for it. */
static int insert(zc_shard_cache *cache, entry *fresh, entry **gone_io)
{
	size_t limit = fresh->shard->fd >= 0 ? max_descriptors() : 0;
	entry **at = find(cache, &fresh->name);

	if (*at != NULL)
		take_out(cache, at, gone_io);
	if (cache->max_open == 0 || fresh->nbytes > cache->max_nbytes)
		return 0;
	if (fresh->shard->fd >= 0)
		while (!claim_descriptor(limit))
			if (!evict_descriptor(cache, gone_io))
				return 0;
	while (cache->n_entries >= cache->max_open || cache->nbytes > cache->max_nbytes - fresh->nbytes)
		take_out(cache, find(cache, &cache->oldest->name), gone_io);
	grow(cache);
	at = find(cache, &fresh->name);
	fresh->chain = *at;
	*at = fresh;
	make_newest(cache, fresh);
	cache->n_entries++;
	cache->nbytes += fresh->nbytes;
	return 1;
}

/* Caches. */

zc_shard_cache *zc_shard_cache_new(size_t max_open, size_t max_nbytes)
{
	zc_shard_cache *cache = calloc(1, sizeof(*cache));

	pthread_once(&once, init);
	if (cache == NULL)
		return NULL;
	cache->buckets = calloc(FIRST_N_BUCKETS, sizeof(entry *));
	if (cache->buckets == NULL) {
		free(cache);
		return NULL;
	}
	cache->n_buckets = FIRST_N_BUCKETS;
	cache->max_open = max_open;
	cache->max_nbytes = max_nbytes;
	cache->mutex = &mutexes[atomic_fetch_add(&n_caches_made, 1) % N_MUTEXES].mutex;
	if (getentropy(&cache->seed, sizeof(cache->seed)) != 0) {
		cache->seed.words[0] = (uintptr_t)cache;
		cache->seed.words[1] = ~(uintptr_t)cache * ZC_MIX_A;
	}
	return cache;
}

void zc_shard_cache_free(zc_shard_cache *cache)
{
	if (cache == NULL)
		return;
	zc_shard_cache_clear(cache);
	free(cache->buckets);
	free(cache);
}

zc_open_shard *zc_shard_cache_get(zc_shard_cache *cache, const char *key, size_t key_nbytes,
				  const uint64_t stamp[ZC_SHARD_STAMP_WORDS])
{
	name wanted = name_of(cache, key, key_nbytes);
	zc_open_shard *shard = NULL;
	entry *gone = NULL;
	entry **at;

	pthread_mutex_lock(cache->mutex);
	at = find(cache, &wanted);
	if (*at != NULL && memcmp((*at)->shard->stamp, stamp, sizeof((*at)->shard->stamp)) == 0) {
		shard = (*at)->shard;
		zc_open_shard_ref(shard);
		if (cache->newest != *at) {
			unlink_age(cache, *at);
			make_newest(cache, *at);
		}
	} else if (*at != NULL) {
		take_out(cache, at, &gone);
	}
	pthread_mutex_unlock(cache->mutex);
	free_entries(gone);
	return shard;
}

void zc_shard_cache_put(zc_shard_cache *cache, const char *key, size_t key_nbytes, zc_open_shard *shard)
{
	entry *fresh = malloc(sizeof(*fresh));
	entry *gone = NULL;
	int kept;

	if (fresh == NULL) {
		/* What the key had is of no use any more. */
		zc_shard_cache_drop(cache, key, key_nbytes);
		return;
	}
	fresh->name = name_of(cache, key, key_nbytes);
	fresh->shard = shard;
	fresh->nbytes = sizeof(*fresh) + sizeof(*shard) + shard->n_pairs * 2 * sizeof(uint64_t);
	zc_open_shard_ref(shard);
	pthread_mutex_lock(cache->mutex);
	kept = insert(cache, fresh, &gone);
	pthread_mutex_unlock(cache->mutex);
	if (!kept) {
		fresh->chain = gone;
		gone = fresh;
	}
	free_entries(gone);
}

void zc_shard_cache_drop(zc_shard_cache *cache, const char *key, size_t key_nbytes)
{
	name wanted = name_of(cache, key, key_nbytes);
	entry *gone = NULL;
	entry **at;

	pthread_mutex_lock(cache->mutex);
	at = find(cache, &wanted);
	if (*at != NULL)
		take_out(cache, at, &gone);
	pthread_mutex_unlock(cache->mutex);
	free_entries(gone);
}

void zc_shard_cache_clear(zc_shard_cache *cache)
{
	entry *gone = NULL;

	pthread_mutex_lock(cache->mutex);
	while (cache->oldest != NULL)
		take_out(cache, find(cache, &cache->oldest->name), &gone);
	pthread_mutex_unlock(cache->mutex);
	free_entries(gone);
}

size_t zc_shard_cache_count(zc_shard_cache *cache)
{
	size_t n;

	pthread_mutex_lock(cache->mutex);
	n = cache->n_entries;
	pthread_mutex_unlock(cache->mutex);
	return n;
}

size_t zc_shard_cache_descriptors(void)
{
	return atomic_load(&n_descriptors);
}
