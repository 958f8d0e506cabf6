/*
 * zc_plane.h - kernels that copy a plane: the two dimensions of an N-d copy that matter for speed.
 */
#ifndef ZC_PLANE_H
#define ZC_PLANE_H

#include <stddef.h>
#include <stdint.h>

typedef struct zc_plane {
	size_t n0, n1;			/* outer and inner count */
	ptrdiff_t dst0, dst1;		/* strides of the destination in bytes */
	ptrdiff_t src0, src1;
	size_t itemsize;
	size_t swap_unit;		/* 0, or bytes reversed together: 2, 4, 8 */
} zc_plane;

typedef void (*zc_plane_copy)(const zc_plane *plane, uint8_t *dst, const uint8_t *src);

/* Rows of n1 items that are contiguous on both sides: zc_rows.c.  Without and with a byte swap. */
zc_plane_copy zc_plane_rows(int level);
zc_plane_copy zc_plane_swapped_rows(int level, size_t swap_unit);

/* zc_plane_rows for a destination that nobody reads soon: where rows are long enough, stored past the cache. */
zc_plane_copy zc_plane_streamed_rows(int level, size_t row_nbytes);

/* Items with any strides: zc_items.c.  NULL if there is no kernel for items of this size with this swap. */
zc_plane_copy zc_plane_items(int level, size_t itemsize, size_t swap_unit);

/*
 * dst1 == src0 == itemsize, a transposition: zc_transpose.c.  NULL unless itemsize is 1, 2, 4, 8 or 16.
 */
zc_plane_copy zc_plane_transpose(int level, size_t itemsize);

#endif
