#include "zc_locks.h"
#include "zc_changes.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#define N_BUCKETS 64

/* How often who waits asks whether to give up. */
#define SLICE_NS 50000000L
#define SECOND_NS 1000000000L

static struct bucket {
	pthread_mutex_t mutex;
	pthread_cond_t released;
	zc_lock *held;
} buckets[N_BUCKETS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_buckets(void)
{
	for (size_t i = 0; i < N_BUCKETS; i++) {
		pthread_mutex_init(&buckets[i].mutex, NULL);
		pthread_cond_init(&buckets[i].released, NULL);
		buckets[i].held = NULL;
	}
}

/*
 * A child starts with every lock free: their holders are threads of the parent.  The objects are whole whatever the
 * holder was doing, because each is replaced in one step.
 */
static void init(void)
{
	init_buckets();
	pthread_atfork(NULL, NULL, init_buckets);
}

/* Two 64-bit FNV-1a sums from different starting points, with a final mix (splitmix64's). */
static uint64_t hash(uint64_t seed, const char *key, size_t nbytes)
{
	uint64_t h = 0xcbf29ce484222325u ^ seed;

	for (size_t i = 0; i < nbytes; i++)
		h = (h ^ (uint8_t)key[i]) * 0x100000001b3u;
	h ^= h >> 30;
	h *= 0xbf58476d1ce4e5b9u;
	h ^= h >> 27;
	h *= 0x94d049bb133111ebu;
	return h ^ (h >> 31);
}

static bool is_held(const struct bucket *bucket, const zc_lock *lock)
{
	for (const zc_lock *held = bucket->held; held != NULL; held = held->next)
		if (held->name[0] == lock->name[0] && held->name[1] == lock->name[1])
			return true;
	return false;
}

/* Wait until a lock of the bucket was released, or for a while; whether it was that. */
static bool wait_a_slice(struct bucket *bucket)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);	/* the clock of condition variables */
	until.tv_sec += (until.tv_nsec + SLICE_NS) / SECOND_NS;
	until.tv_nsec = (until.tv_nsec + SLICE_NS) % SECOND_NS;
	return pthread_cond_timedwait(&bucket->released, &bucket->mutex, &until) == ETIMEDOUT;
}

zc_status zc_lock_wait(zc_lock *lock, uint64_t seed, const char *key, size_t key_nbytes, zc_lock_give_up give_up,
		       void *context)
{
	struct bucket *bucket;

	pthread_once(&once, init);
	lock->name[0] = hash(seed, key, key_nbytes);
	lock->name[1] = hash(~seed, key, key_nbytes);
	bucket = &buckets[lock->name[0] % N_BUCKETS];
	pthread_mutex_lock(&bucket->mutex);
	while (is_held(bucket, lock)) {
		if (!wait_a_slice(bucket))
			continue;
		/* Without the mutex: it may take Python's lock, whose holder may be about to release one of ours. */
		pthread_mutex_unlock(&bucket->mutex);
		if (give_up(context))
			return ZC_ECANCELLED;
		pthread_mutex_lock(&bucket->mutex);
	}
	lock->next = bucket->held;
	bucket->held = lock;
	pthread_mutex_unlock(&bucket->mutex);
	return ZC_OK;
}

void zc_lock_release(zc_lock *lock)
{
	struct bucket *bucket = &buckets[lock->name[0] % N_BUCKETS];
	zc_lock **link = &bucket->held;

	zc_changes_add(lock->name[0]);
	pthread_mutex_lock(&bucket->mutex);
	while (*link != NULL && *link != lock)
		link = &(*link)->next;
	if (*link == lock)
		*link = lock->next;
	pthread_cond_broadcast(&bucket->released);
	pthread_mutex_unlock(&bucket->mutex);
}

uint64_t zc_lock_changes(uint64_t seed, const char *key, size_t key_nbytes)
{
	return zc_changes_of(hash(seed, key, key_nbytes));
}
