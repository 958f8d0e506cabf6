/*
 * zc_blob.h - immutable, reference-counted bytes: the values of the tables of memory stores.
 *
 * Any thread may hold, read and drop a blob.
 */
#ifndef ZC_BLOB_H
#define ZC_BLOB_H

#include <stdatomic.h>

#include "zc.h"

#define ZC_BLOB_ALIGNMENT 64	/* of the data: a cache line */

/* Bytes that never change once another thread can see them.  'data' is 64-byte aligned, in this allocation or in 'owner's. */
typedef struct zc_blob {
	_Atomic size_t refs;
	size_t nbytes;
	uint64_t version;	/* set when the blob is put: never 0, never used twice in this process */
	size_t data_offset;	/* of the data in the allocation, which starts here */
	size_t large_nbytes;	/* of the data as allocated, where the memory is from zc_blob_set_memory's functions; else 0 */
	uint8_t *data;
	struct zc_blob *owner;	/* of the data where another blob has them (a reference to it), else NULL */
} zc_blob;

/* Where the data of a blob in its own allocation begins: after the zc_blob and up to ZC_BLOB_ALIGNMENT - 1 bytes of padding. */
static inline size_t zc_blob_aligned_offset(const zc_blob *blob)
{
	uintptr_t end = (uintptr_t)blob + sizeof(*blob);

	return sizeof(*blob) + (size_t)(-end & (ZC_BLOB_ALIGNMENT - 1));
}

/* Where blobs of 'large_nbytes' and more get their memory, from now on; malloc before.  Called once, before any blob is made. */
void zc_blob_set_memory(size_t large_nbytes, void *(*alloc)(size_t nbytes), void (*release)(void *data),
			void (*forget)(void *data, size_t nbytes));

/* A blob with one reference, contents undefined; NULL when memory is short. */
zc_blob *zc_blob_new(size_t nbytes);

/*
 * The blob cut to its first 'nbytes' bytes, the rest given back to the system.  Only before the blob is put, by its one
 * owner, who uses the result in place of 'blob' (it may have moved).  Cannot fail; nbytes > blob->nbytes changes nothing.
 */
zc_blob *zc_blob_shrink(zc_blob *blob, size_t nbytes);

/*
 * Another blob with the same bytes, which are not copied and live as long as either; for another key, since a blob has one
 * version.  Takes over no reference.  NULL when memory is short.
 */
zc_blob *zc_blob_share(zc_blob *blob);

void zc_blob_ref(zc_blob *blob);
void zc_blob_unref(zc_blob *blob);	/* NULL is fine */

#endif
