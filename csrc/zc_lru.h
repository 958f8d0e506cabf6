/*
 * zc_lru.h - what the caches of shards and of chunks share: entries by a hashed name, the least lately used one first to go,
 * and mutexes that a fork finds free.  An entry is embedded in what its cache keeps.
 *
 * Static, so that each file that includes it has mutexes of its own: for one file in each module.
 */
#ifndef ZC_LRU_H
#define ZC_LRU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "zc_mix.h"

#define ZC_LRU_FIRST_N_BUCKETS ((size_t)16)

/* The key is not kept: 128 seeded bits stand for it. */
typedef struct zc_lru_name {
	uint64_t words[2];
} zc_lru_name;

typedef struct zc_lru_entry {
	struct zc_lru_entry *chain;	/* in its bucket; also in a list of entries to be let go */
	struct zc_lru_entry *newer;
	struct zc_lru_entry *older;
	zc_lru_name name;
	size_t nbytes;
} zc_lru_entry;

typedef struct zc_lru {
	pthread_mutex_t *mutex;
	zc_lru_name seed;
	zc_lru_entry **buckets;
	size_t n_buckets;	/* a power of two */
	size_t n_entries;
	size_t nbytes;
	zc_lru_entry *newest;
	zc_lru_entry *oldest;
} zc_lru;

/*
 * Mutexes are static, and shared by the caches that meet in one: a fork takes all of them, so that the child finds every
 * cache whole and every mutex free, and a cache can come and go without telling anybody.
 */
#define ZC_LRU_N_MUTEXES ((size_t)64)

static struct {
	_Alignas(64) pthread_mutex_t mutex;
} zc_lru_mutexes[ZC_LRU_N_MUTEXES];
static pthread_once_t zc_lru_once = PTHREAD_ONCE_INIT;
static _Atomic size_t zc_lru_n_made;

static void zc_lru_lock_everything(void)
{
	for (size_t i = 0; i < ZC_LRU_N_MUTEXES; i++)
		pthread_mutex_lock(&zc_lru_mutexes[i].mutex);
}

static void zc_lru_unlock_everything(void)
{
	for (size_t i = 0; i < ZC_LRU_N_MUTEXES; i++)
		pthread_mutex_unlock(&zc_lru_mutexes[i].mutex);
}

static void zc_lru_init_mutexes(void)
{
	for (size_t i = 0; i < ZC_LRU_N_MUTEXES; i++)
		pthread_mutex_init(&zc_lru_mutexes[i].mutex, NULL);
	pthread_atfork(zc_lru_lock_everything, zc_lru_unlock_everything, zc_lru_unlock_everything);
}

/* Make 'lru', which is all zeros, ready; -1 when memory is short. */
static inline int zc_lru_init(zc_lru *lru)
{
	pthread_once(&zc_lru_once, zc_lru_init_mutexes);
	lru->buckets = calloc(ZC_LRU_FIRST_N_BUCKETS, sizeof(zc_lru_entry *));
	if (lru->buckets == NULL)
		return -1;
	lru->n_buckets = ZC_LRU_FIRST_N_BUCKETS;
	lru->mutex = &zc_lru_mutexes[atomic_fetch_add(&zc_lru_n_made, 1) % ZC_LRU_N_MUTEXES].mutex;
	if (getentropy(&lru->seed, sizeof(lru->seed)) != 0) {
		lru->seed.words[0] = (uintptr_t)lru;
		lru->seed.words[1] = ~(uintptr_t)lru * ZC_MIX_A;
	}
	return 0;
}

/* Names: multiply and fold, 16 bytes a step, in two lanes with a seed each.  'kind' tells apart what has one key. */
static inline zc_lru_name zc_lru_name_of(const zc_lru *lru, uint64_t kind, const char *key, size_t nbytes)
{
	const zc_lru_name *seed = &lru->seed;
	zc_lru_name made;

	made.words[0] = seed->words[0] ^ zc_mix_fold(nbytes ^ ZC_MIX_A, kind ^ ZC_MIX_B);
	made.words[1] = seed->words[1] ^ zc_mix_fold(nbytes ^ ZC_MIX_C, kind ^ ZC_MIX_D);
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

/* All below needs the mutex; what leaves goes to a list, which is let go after it. */

/* Where the entry of that name hangs, or would. */
static inline zc_lru_entry **zc_lru_find(const zc_lru *lru, const zc_lru_name *wanted)
{
	zc_lru_entry **at = &lru->buckets[wanted->words[0] & (lru->n_buckets - 1)];

	while (*at != NULL && ((*at)->name.words[0] != wanted->words[0] || (*at)->name.words[1] != wanted->words[1]))
		at = &(*at)->chain;
	return at;
}

static inline void zc_lru_unlink_age(zc_lru *lru, zc_lru_entry *one)
{
	*(one->newer != NULL ? &one->newer->older : &lru->newest) = one->older;
	*(one->older != NULL ? &one->older->newer : &lru->oldest) = one->newer;
}

static inline void zc_lru_link_newest(zc_lru *lru, zc_lru_entry *one)
{
	one->newer = NULL;
	one->older = lru->newest;
	*(lru->newest != NULL ? &lru->newest->newer : &lru->oldest) = one;
	lru->newest = one;
}

/* An entry was used. */
static inline void zc_lru_touch(zc_lru *lru, zc_lru_entry *one)
{
	if (lru->newest == one)
		return;
	zc_lru_unlink_age(lru, one);
	zc_lru_link_newest(lru, one);
}

/* Take the entry at 'at' out, to the front of *gone_io. */
static inline void zc_lru_take_out(zc_lru *lru, zc_lru_entry **at, zc_lru_entry **gone_io)
{
	zc_lru_entry *one = *at;

	*at = one->chain;
	zc_lru_unlink_age(lru, one);
	lru->n_entries--;
	lru->nbytes -= one->nbytes;
	one->chain = *gone_io;
	*gone_io = one;
}

/* Keep about one entry in a bucket.  When memory is short the chains grow instead, which is slower but right. */
static inline void zc_lru_grow(zc_lru *lru)
{
	size_t n_buckets = lru->n_buckets * 2;
	zc_lru_entry **buckets;

	if (lru->n_entries < lru->n_buckets)
		return;
	buckets = calloc(n_buckets, sizeof(zc_lru_entry *));
	if (buckets == NULL)
		return;
	for (zc_lru_entry *one = lru->newest; one != NULL; one = one->older) {
		zc_lru_entry **bucket = &buckets[one->name.words[0] & (n_buckets - 1)];

		one->chain = *bucket;
		*bucket = one;
	}
	free(lru->buckets);
	lru->buckets = buckets;
	lru->n_buckets = n_buckets;
}

/* Put an entry in, whose name none has. */
static inline void zc_lru_add(zc_lru *lru, zc_lru_entry *fresh)
{
	zc_lru_entry **at;

	zc_lru_grow(lru);
	at = zc_lru_find(lru, &fresh->name);
	fresh->chain = *at;
	*at = fresh;
	zc_lru_link_newest(lru, fresh);
	lru->n_entries++;
	lru->nbytes += fresh->nbytes;
}

#endif
