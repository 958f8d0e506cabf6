/*
 * zc_mask.h - a boolean mask of a whole array, walked chunk by chunk; its coordinates are never written down.
 *
 * The user's side is one-dimensional: element r is the one of the mask's true element number r, in C order.
 */
#ifndef ZC_MASK_H
#define ZC_MASK_H

#include "zc.h"

#define ZC_MASK_MAX_NDIM 32

/* Nothing of it changes after it is made: threads share it. */
typedef struct zc_mask {
	int ndim;
	size_t shape[ZC_MASK_MAX_NDIM];
	size_t strides[ZC_MASK_MAX_NDIM];	/* in elements, C order */
	size_t n, n_true;
	uint64_t *bits;		/* of element i: bit i % 64 of word i / 64 */
	uint64_t *ranks;	/* how many are true before each 256 elements */
	zc_scratch memory;
} zc_mask;

/*
 * A mask of 'shape' (ndim 0 to 32) from C-contiguous bytes, of which each other than 0 is true.  It is copied (5 bytes of
 * memory for 32 of them) so that nobody can change what was counted.
 * Returns ZC_OK; ZC_ENOMEM; ZC_EINVAL if ndim is out of range or the shape has more than SIZE_MAX / 2 elements.  On failure
 * 'ret' needs no zc_mask_free.
 */
zc_status zc_mask_make(const uint8_t *mask, const size_t *shape, int ndim, zc_mask *ret);

/* Free what 'mask' has; what is all zero bytes, or was freed, has nothing. */
void zc_mask_free(zc_mask *mask);

/*
 * A box of the mask is 'count' elements from 'low' on, along each dimension, and inside of it (low + count <= shape); a count
 * may be 0.  How many of its elements are true:
 */
size_t zc_mask_count(const zc_mask *mask, const size_t *low, const size_t *count);

/*
 * Copy the true elements of a box between a chunk's buffer and the user's array.  'chunk' + 'chunk_offset' is the address of
 * the element at 'low' (the offset may be negative: zc_pick.h), 'chunk_strides' are bytes of any sign; 'user' is the address
 * of the mask's first true element, 'user_stride' bytes of any sign, 0 repeats.  'swap_unit' as in zc_strided_copy.  The
 * sides do not overlap.
 */
void zc_mask_read(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *user, ptrdiff_t user_stride,
		  const uint8_t *chunk, ptrdiff_t chunk_offset, const ptrdiff_t *chunk_strides, size_t itemsize,
		  size_t swap_unit);
void zc_mask_write(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *chunk, ptrdiff_t chunk_offset,
		   const ptrdiff_t *chunk_strides, const uint8_t *user, ptrdiff_t user_stride, size_t itemsize,
		   size_t swap_unit);

/* Set the user's elements of a box to the 'itemsize' bytes at 'item'. */
void zc_mask_fill(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *user, ptrdiff_t user_stride,
		  size_t itemsize, const uint8_t *item);

#endif
