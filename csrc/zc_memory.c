#include "zc_memory.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "zc.h"

#if defined(__SANITIZE_ADDRESS__)
#define ZC_KEEPS_MEMORY 0	/* so that use after free is seen */
#else
#define ZC_KEEPS_MEMORY 1
#endif

#define N_KEPT 64

/* In front of the caller's bytes, which so begin at a multiple of 64. */
typedef struct block {
	size_t nbytes;		/* of the mapping, this header included */
	struct block *next;	/* in the list of kept blocks, the last one given back first */
	uint8_t unused[ZC_MEMORY_ALIGNMENT - sizeof(size_t) - sizeof(void *)];
} block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static block *kept;
static size_t kept_nbytes;

static block *map(size_t nbytes)
{
#if defined(__linux__)
	block *result = (block *)(void *)zc_map_large(nbytes);
#else
	void *mapped = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
	block *result = mapped == MAP_FAILED ? NULL : mapped;
#endif

	if (result != NULL)
		result->nbytes = nbytes;
	return result;
}

static void unmap_all(block *first)
{
	while (first != NULL) {
		block *next = first->next;

		munmap(first, first->nbytes);
		first = next;
	}
}

/* Take out of the list the first block of at least 'nbytes', but not much more; NULL if there is none. */
static block *take_kept(size_t nbytes)
{
	for (block **link = &kept; *link != NULL; link = &(*link)->next) {
		block *found = *link;

		if (found->nbytes >= nbytes && found->nbytes - nbytes <= nbytes / 4) {
			*link = found->next;
			kept_nbytes -= found->nbytes;
			return found;
		}
	}
	return NULL;
}

static block *take_all(void)
{
	block *all = kept;

	kept = NULL;
	kept_nbytes = 0;
	return all;
}

void *zc_memory_alloc(size_t nbytes)
{
	block *found = NULL, *useless = NULL;

	if (nbytes > SIZE_MAX / 2)
		return NULL;
	nbytes = zc_whole_pages(nbytes + sizeof(block));
	/* Never waits: the lock may be held for ever in a child that was forked at that moment. */
	if (pthread_mutex_trylock(&lock) == 0) {
		found = take_kept(nbytes);
		if (found == NULL)	/* what does not fit now would only raise the peak */
			useless = take_all();
		pthread_mutex_unlock(&lock);
	}
	unmap_all(useless);
	if (found == NULL)
		found = map(nbytes);
	return found == NULL ? NULL : found + 1;
}

/* Put 'given' first, and take the oldest ones out beyond the bounds: they are returned. */
static block *keep(block *given)
{
	block **link = &given->next;
	size_t nbytes = given->nbytes;
	block *rest;

	given->next = kept;
	kept = given;
	for (int n = 1; n < N_KEPT && *link != NULL && nbytes + (*link)->nbytes <= ZC_MEMORY_KEEP_NBYTES; n++) {
		nbytes += (*link)->nbytes;
		link = &(*link)->next;
	}
	rest = *link;
	*link = NULL;
	kept_nbytes = nbytes;
	return rest;
}

void zc_memory_free(void *data)
{
	block *given = data == NULL ? NULL : (block *)data - 1;
	block *rest = given;

	if (given == NULL)
		return;
	given->next = NULL;
	if (ZC_KEEPS_MEMORY && given->nbytes <= ZC_MEMORY_KEEP_NBYTES && pthread_mutex_trylock(&lock) == 0) {
#ifdef MADV_FREE
		/* The header's page stays.  A page that is written again before the system takes it costs nothing. */
		(void)madvise((uint8_t *)given + ZC_PAGE_NBYTES, given->nbytes - ZC_PAGE_NBYTES, MADV_FREE);
#endif
		rest = keep(given);
		pthread_mutex_unlock(&lock);
	}
	unmap_all(rest);
}

void *zc_memory_resize(void *data, size_t nbytes)
{
	void *other = zc_memory_alloc(nbytes);

	if (other != NULL && data != NULL) {
		size_t old = ((block *)data - 1)->nbytes - sizeof(block);

		memcpy(other, data, old < nbytes ? old : nbytes);
		zc_memory_free(data);
	}
	return other;
}

void zc_memory_forget(void *data, size_t nbytes)
{
	block *given = (block *)data - 1;
	size_t from = (sizeof(block) + nbytes + ZC_HUGE_PAGE_NBYTES - 1) & ~(ZC_HUGE_PAGE_NBYTES - 1);

	if (from < given->nbytes)
		(void)madvise((uint8_t *)given + from, given->nbytes - from, MADV_DONTNEED);
}

size_t zc_memory_kept_nbytes(void)
{
	size_t nbytes = 0;

	if (pthread_mutex_trylock(&lock) == 0) {
		nbytes = kept_nbytes;
		pthread_mutex_unlock(&lock);
	}
	return nbytes;
}

void zc_memory_trim(void)
{
	block *all = NULL;

	if (pthread_mutex_trylock(&lock) == 0) {
		all = take_all();
		pthread_mutex_unlock(&lock);
	}
	unmap_all(all);
}
