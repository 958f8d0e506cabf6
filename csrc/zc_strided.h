/*
 * zc_strided.h - N-d boxes of items with any strides: copy, fill, compare; byte swap.
 *
 * 'shape' counts items and may hold 0; strides are in bytes and of any sign; ndim is 0 to 32.  Nothing here
 * can fail or allocates.  The functions with a 'level' (zc_simd.h) are for tests; -1 is the best there is.
 */
#ifndef ZC_STRIDED_H
#define ZC_STRIDED_H

#include <stddef.h>
#include <stdint.h>

/*
 * Copy the box 'src' to 'dst', which do not overlap.  A source stride may be 0 (broadcast).  'swap_unit' is 0 or 1
 * for no swap, else 2, 4 or 8: the bytes of each group of that many are reversed (complex128: itemsize 16,
 * swap_unit 8); it divides itemsize.
 */
void zc_strided_copy(uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src, const ptrdiff_t *src_strides,
		     const size_t *shape, int ndim, size_t itemsize, size_t swap_unit);
void zc_strided_copy_at(int level, uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src,
			const ptrdiff_t *src_strides, const size_t *shape, int ndim, size_t itemsize,
			size_t swap_unit);

/*
 * zc_strided_copy to a destination that is larger than the caches, and so is not in them when it is read: rows go past
 * the cache where they can.  A line that is stored whole is then not loaded first: a third less traffic.
 */
void zc_strided_copy_streamed(uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src,
			      const ptrdiff_t *src_strides, const size_t *shape, int ndim, size_t itemsize,
			      size_t swap_unit);

/* Set each item of the box to the 'itemsize' bytes at 'pattern'. */
void zc_strided_fill(uint8_t *dst, const ptrdiff_t *dst_strides, const size_t *shape, int ndim, size_t itemsize,
		     const uint8_t *pattern);

/* 1 if each item of the box has the bits of 'pattern' (so an empty box too), else 0. */
int zc_strided_equals(const uint8_t *src, const ptrdiff_t *strides, const size_t *shape, int ndim, size_t itemsize,
		      const uint8_t *pattern);
int zc_strided_equals_at(int level, const uint8_t *src, const ptrdiff_t *strides, const size_t *shape, int ndim,
			 size_t itemsize, const uint8_t *pattern);

/* Reverse the bytes of each 'swap_unit' (0, 1, 2, 4, 8) bytes of 'data' in place.  A rest shorter than that stays. */
void zc_swap(uint8_t *data, size_t nbytes, size_t swap_unit);

#endif
