/*
 * zc_pick.h - copy between a chunk's buffer and the user's array over a product of levels, each of them a range or a list of
 * points.
 *
 * What is copied are the elements (i0, i1, ...) for each i of each level: the places of the levels add up, on both sides.  No
 * levels are one element, a level of 0 elements is none.  Points of one list are assigned in their order, so that of several
 * with one place the last one wins; else the order is free.  Nothing here can fail or allocates.
 */
#ifndef ZC_PICK_H
#define ZC_PICK_H

#include <stddef.h>
#include <stdint.h>

#define ZC_PICK_MAX_LEVELS 64	/* of them at most 32 ranges */

typedef struct zc_pick_level {
	size_t n;
	int n_axes;			/* 0: a range; else a list */
	/* A range: bytes from one element to the next; any sign, 0 repeats. */
	ptrdiff_t chunk_stride, user_stride;
	/*
	 * A list, as zc_points has it, of which the points [first, first + n) are meant.  Point p is in the chunk at the sum
	 * of coords[axis][p] * axis_strides[axis] bytes, in the user's array at user[p] bytes.
	 */
	size_t first;
	const int64_t *const *coords;
	const ptrdiff_t *axis_strides;
	const int64_t *user;
} zc_pick_level;

/* zc_strided_copy: it is linked into another module. */
typedef void (*zc_pick_box)(uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src, const ptrdiff_t *src_strides,
			    const size_t *shape, int ndim, size_t itemsize, size_t swap_unit);

/*
 * 'user' is the address that the user places count from, 'chunk' + 'chunk_offset' the one of the chunk's.  The offset is a
 * number of its own as only a part of the chunk may be there: where the buffer holds the chunk's bytes from 'first' on, it is
 * -first.  'swap_unit' as in zc_strided_copy: 0 or 1 for none, else 2, 4 or 8, which divides itemsize.  The sides do not
 * overlap.
 */
void zc_pick_read(zc_pick_box copy_box, uint8_t *user, const uint8_t *chunk, ptrdiff_t chunk_offset,
		  const zc_pick_level *levels, int n_levels, size_t itemsize, size_t swap_unit);
void zc_pick_write(zc_pick_box copy_box, uint8_t *chunk, ptrdiff_t chunk_offset, const uint8_t *user,
		   const zc_pick_level *levels, int n_levels, size_t itemsize, size_t swap_unit);

/* Set what zc_pick_read would set to the 'itemsize' bytes at 'item'; the chunk's side of the levels is not looked at. */
void zc_pick_fill(zc_pick_box copy_box, uint8_t *user, const zc_pick_level *levels, int n_levels, size_t itemsize,
		  const uint8_t *item);

#endif
