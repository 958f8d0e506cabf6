#define _GNU_SOURCE	/* getentropy */
#define _DARWIN_C_SOURCE
#include "zc_chunk_cache.h"
#include "zc_mix.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define FIRST_N_BUCKETS ((size_t)16)
#define CACHE_LINE ((size_t)64)

/* What malloc takes for itself, about: absent chunks are small, and there may be many. */
#define MALLOC_NBYTES ((size_t)16)

/* A chunk, its place in a cache, and its data behind it: one allocation. */
typedef struct entry {
	zc_cached_chunk chunk;	/* the first member: a chunk's address is its entry's */
	_Atomic size_t n_references;
	struct entry *chain;	/* in its bucket; also in a list of entries to be let go */
	struct entry *newer;
	struct entry *older;
	zc_chunk_name name;
	size_t nbytes;		/* of the allocation */
} entry;

struct zc_chunk_cache {
	pthread_mutex_t *mutex;
	zc_chunk_name seed;
	entry **buckets;
	size_t n_buckets;	/* a power of two */
	size_t n_entries;
	size_t nbytes;
	size_t max_nbytes;
	entry *newest;
	entry *oldest;
	uint64_t n_evictions;
	_Atomic uint64_t n_hits;
	_Atomic uint64_t n_misses;
};

/*
 * Mutexes are static, and shared by the caches that meet in one, as in zc_shard_cache.c: a fork takes all of them, so that
 * the child finds every cache whole and every mutex free, and a cache can come and go without telling anybody.
 */
#define N_MUTEXES ((size_t)64)

static struct {
	_Alignas(64) pthread_mutex_t mutex;
} mutexes[N_MUTEXES];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic size_t n_caches_made;

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

/* Chunks. */

static entry *entry_of(zc_cached_chunk *chunk)
{
	return (entry *)(void *)chunk;
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
	made->nbytes = sizeof(*made) + data_nbytes + MALLOC_NBYTES;
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

/* Names: multiply and fold, 16 bytes a step, in two lanes with a seed each. */

zc_chunk_name zc_chunk_name_of(const zc_chunk_cache *cache, uint64_t layout, const char *key, size_t nbytes)
{
	const zc_chunk_name *seed = &cache->seed;
	zc_chunk_name made;

	made.words[0] = seed->words[0] ^ zc_mix_fold(nbytes ^ ZC_MIX_A, layout ^ ZC_MIX_B);
	made.words[1] = seed->words[1] ^ zc_mix_fold(nbytes ^ ZC_MIX_C, layout ^ ZC_MIX_D);
	for (;;) {
		uint64_t low = zc_mix_load(key, nbytes);
		uint64_t high = nbytes > 8 ? zc_mix_load(key + 8, nbytes - 8) : 0;

		made.words[0] = zc_mix_fold(low ^ ZC_MIX_A ^ made.words[0], high ^ ZC_MIX_B ^ seed->words[0]);
		made.words[1] = zc_mix_fold(low ^ ZC_MIX_C ^ made.words[1], high ^ ZC_MIX_D ^ seed->words[1]);
		if (nbytes <= 16)
			return made;
		key += 16;
		nbytes -= 16;
	}
}

zc_chunk_name zc_chunk_name_inner(zc_chunk_name shard, uint64_t number)
{
	zc_chunk_name made;

	made.words[0] = zc_mix_fold(shard.words[0] ^ ZC_MIX_C, number ^ ZC_MIX_D ^ shard.words[1]);
	made.words[1] = zc_mix_fold(shard.words[1] ^ ZC_MIX_A, number ^ ZC_MIX_B ^ shard.words[0]);
	return made;
}

/* Entries.  All below needs the mutex; what leaves the cache goes to a list, which is let go after it. */

static entry **find(const zc_chunk_cache *cache, const zc_chunk_name *wanted)
{
	entry **at = &cache->buckets[wanted->words[0] & (cache->n_buckets - 1)];

	while (*at != NULL && ((*at)->name.words[0] != wanted->words[0] || (*at)->name.words[1] != wanted->words[1]))
		at = &(*at)->chain;
	return at;
}

static void unlink_age(zc_chunk_cache *cache, entry *one)
{
	*(one->newer != NULL ? &one->newer->older : &cache->newest) = one->older;
	*(one->older != NULL ? &one->older->newer : &cache->oldest) = one->newer;
}

static void make_newest(zc_chunk_cache *cache, entry *one)
{
	one->newer = NULL;
	one->older = cache->newest;
	*(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = one;
	cache->newest = one;
}

/* Take the entry at 'at' out of the cache, to the front of *gone_io. */
static void take_out(zc_chunk_cache *cache, entry **at, entry **gone_io)
{
	entry *one = *at;

	*at = one->chain;
	unlink_age(cache, one);
	cache->n_entries--;
	cache->nbytes -= one->nbytes;
	one->chain = *gone_io;
	*gone_io = one;
}

static void let_go(entry *first)
{
	while (first != NULL) {
		entry *next = first->chain;

		zc_cached_chunk_unref(&first->chunk);
		first = next;
	}
}

/* Keep about one entry in a bucket.  When memory is short the chains grow instead, which is slower but right. */
static void grow(zc_chunk_cache *cache)
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

/* Caches. */

zc_chunk_cache *zc_chunk_cache_new(size_t max_nbytes)
{
	zc_chunk_cache *cache = calloc(1, sizeof(*cache));

	pthread_once(&once, init);
	if (cache == NULL)
		return NULL;
	cache->buckets = calloc(FIRST_N_BUCKETS, sizeof(entry *));
	if (cache->buckets == NULL) {
		free(cache);
		return NULL;
	}
	cache->n_buckets = FIRST_N_BUCKETS;
	cache->max_nbytes = max_nbytes;
	cache->mutex = &mutexes[atomic_fetch_add(&n_caches_made, 1) % N_MUTEXES].mutex;
	if (getentropy(&cache->seed, sizeof(cache->seed)) != 0) {
		cache->seed.words[0] = (uintptr_t)cache;
		cache->seed.words[1] = ~(uintptr_t)cache * ZC_MIX_A;
	}
	return cache;
}

void zc_chunk_cache_free(zc_chunk_cache *cache)
{
	if (cache == NULL)
		return;
	zc_chunk_cache_clear(cache);
	free(cache->buckets);
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
	entry *gone = NULL;
	entry **at;

	pthread_mutex_lock(cache->mutex);
	at = find(cache, &name);
	if (*at != NULL && (*at)->chunk.changes != changes) {
		take_out(cache, at, &gone);
	} else if (*at != NULL) {
		found = *at;
		atomic_fetch_add_explicit(&found->n_references, 1, memory_order_relaxed);
		if (cache->newest != found) {
			unlink_age(cache, found);
			make_newest(cache, found);
		}
	}
	pthread_mutex_unlock(cache->mutex);
	let_go(gone);
	return found == NULL ? NULL : &found->chunk;
}

/* Put 'fresh' into the cache; 0 if it is not kept. */
static int insert(zc_chunk_cache *cache, entry *fresh, entry **gone_io)
{
	entry **at = find(cache, &fresh->name);

	if (*at != NULL && (*at)->chunk.changes > fresh->chunk.changes)
		return 0;
	if (*at != NULL)
		take_out(cache, at, gone_io);
	if (fresh->nbytes > cache->max_nbytes)
		return 0;
	while (cache->nbytes > cache->max_nbytes - fresh->nbytes) {
		take_out(cache, find(cache, &cache->oldest->name), gone_io);
		cache->n_evictions++;
	}
	grow(cache);
	at = find(cache, &fresh->name);
	fresh->chain = *at;
	*at = fresh;
	make_newest(cache, fresh);
	cache->n_entries++;
	cache->nbytes += fresh->nbytes;
	return 1;
}

void zc_chunk_cache_put(zc_chunk_cache *cache, zc_chunk_name name, zc_cached_chunk *chunk)
{
	entry *fresh = entry_of(chunk);
	entry *gone = NULL;
	int kept;

	fresh->name = name;
	atomic_fetch_add_explicit(&fresh->n_references, 1, memory_order_relaxed);
	pthread_mutex_lock(cache->mutex);
	kept = insert(cache, fresh, &gone);
	pthread_mutex_unlock(cache->mutex);
	if (!kept)
		zc_cached_chunk_unref(chunk);
	let_go(gone);
}

void zc_chunk_cache_drop(zc_chunk_cache *cache, zc_chunk_name name, const zc_cached_chunk *chunk)
{
	entry *gone = NULL;
	entry **at;

	pthread_mutex_lock(cache->mutex);
	at = find(cache, &name);
	if (*at != NULL && &(*at)->chunk == chunk)
		take_out(cache, at, &gone);
	pthread_mutex_unlock(cache->mutex);
	let_go(gone);
}

void zc_chunk_cache_clear(zc_chunk_cache *cache)
{
	entry *gone = NULL;

	pthread_mutex_lock(cache->mutex);
	while (cache->oldest != NULL)
		take_out(cache, find(cache, &cache->oldest->name), &gone);
	pthread_mutex_unlock(cache->mutex);
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
	pthread_mutex_lock(cache->mutex);
	stats_ret->n_evictions = cache->n_evictions;
	stats_ret->n_chunks = cache->n_entries;
	stats_ret->nbytes = cache->nbytes;
	pthread_mutex_unlock(cache->mutex);
	stats_ret->max_nbytes = cache->max_nbytes;
	stats_ret->n_hits = atomic_load_explicit(&cache->n_hits, memory_order_relaxed);
	stats_ret->n_misses = atomic_load_explicit(&cache->n_misses, memory_order_relaxed);
}
