#include "zc_blob.h"

#include <string.h>

#include "zc.h"

static size_t blob_allocation(size_t nbytes)
{
	return sizeof(zc_blob) + ZC_BLOB_ALIGNMENT - 1 + nbytes;
}

static size_t least_large = SIZE_MAX;
static void *(*alloc_large)(size_t nbytes);
static void (*free_large)(void *data);
static void (*forget_large)(void *data, size_t nbytes);

void zc_blob_set_memory(size_t large_nbytes, void *(*alloc)(size_t nbytes), void (*release)(void *data),
			void (*forget)(void *data, size_t nbytes))
{
	least_large = large_nbytes;
	alloc_large = alloc;
	free_large = release;
	forget_large = forget;
}

static void free_blob(zc_blob *blob)
{
	if (blob->large_nbytes != 0)
		free_large(blob);
	else
		free(blob);
}

zc_blob *zc_blob_new(size_t nbytes)
{
	int is_large = nbytes >= least_large;
	zc_blob *blob;

	if (nbytes > SIZE_MAX - blob_allocation(0))
		return NULL;
	blob = is_large ? alloc_large(blob_allocation(nbytes)) : malloc(blob_allocation(nbytes));
	if (blob == NULL)
		return NULL;
	blob->large_nbytes = is_large ? nbytes : 0;
	atomic_init(&blob->refs, 1);
	blob->nbytes = nbytes;
	blob->version = 0;
	blob->data_offset = zc_blob_aligned_offset(blob);
	blob->data = (uint8_t *)blob + blob->data_offset;
	blob->owner = NULL;
	return blob;
}

zc_blob *zc_blob_share(zc_blob *blob)
{
	zc_blob *owner = blob->owner != NULL ? blob->owner : blob;
	zc_blob *shared = malloc(sizeof(*shared));

	if (shared == NULL)
		return NULL;
	zc_blob_ref(owner);
	atomic_init(&shared->refs, 1);
	shared->nbytes = owner->nbytes;
	shared->version = 0;
	shared->data_offset = 0;
	shared->large_nbytes = 0;
	shared->data = owner->data;
	shared->owner = owner;
	return shared;
}

/* Addresses are cheap, but limits count them too. */
#define MOST_ADDRESSES 4

/* Large blobs are on huge pages: copied where a quarter of these would be of no use, or most of the addresses. */
static zc_blob *shrink_large(zc_blob *blob, size_t nbytes)
{
	size_t pages = (blob->data_offset + nbytes + ZC_HUGE_PAGE_NBYTES - 1) & ~(ZC_HUGE_PAGE_NBYTES - 1);
	size_t kept = pages - blob->data_offset < blob->large_nbytes ? pages - blob->data_offset : blob->large_nbytes;
	int is_wide = kept - nbytes > kept / 4 || blob->large_nbytes / MOST_ADDRESSES > nbytes;
	zc_blob *moved = is_wide ? zc_blob_new(nbytes) : NULL;

	if (moved == NULL) {
		forget_large(blob, blob->data_offset + nbytes);
		blob->nbytes = nbytes;
		return blob;
	}
	memcpy(moved->data, blob->data, nbytes);
	free_blob(blob);
	return moved;
}

zc_blob *zc_blob_shrink(zc_blob *blob, size_t nbytes)
{
	zc_blob *moved;
	size_t offset;

	if (nbytes >= blob->nbytes)
		return blob;
	if (blob->large_nbytes != 0)
		return shrink_large(blob, nbytes);
	blob->nbytes = nbytes;
	moved = realloc(blob, blob_allocation(nbytes));
	if (moved == NULL)
		return blob;
	/* Where realloc moved it, the block as a whole may be aligned in another way. */
	offset = zc_blob_aligned_offset(moved);
	if (offset != moved->data_offset)
		memmove((uint8_t *)moved + offset, (uint8_t *)moved + moved->data_offset, nbytes);
	moved->data_offset = offset;
	moved->data = (uint8_t *)moved + offset;
	return moved;
}

void zc_blob_ref(zc_blob *blob)
{
	atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
}

void zc_blob_unref(zc_blob *blob)
{
	if (blob == NULL)
		return;
	/* Release: our reads come before the free.  Acquire: so do the other threads'. */
	if (atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) == 1) {
		zc_blob *owner = blob->owner;

		free_blob(blob);
		zc_blob_unref(owner);	/* which owns its own data: no deeper than this */
	}
}
