/*
 * zc_points_key.h - where points lie, as numbers to sort by; between zc_points_key.c and zc_points.c.
 *
 * Each chunk that a point lies in, level by level, is a digit for each axis; side by side, the outermost the most
 * significant, they make the key.
 */
#ifndef ZC_POINTS_KEY_H
#define ZC_POINTS_KEY_H

#include "zc_points.h"

/* Points are walked in blocks that stay in L1, axis by axis, so that each loop does one thing. */
#define ZC_POINTS_BLOCK 512

/* The chunk number of a level along an axis, as a digit of the key. */
typedef struct zc_points_digit {
	int64_t extent;		/* of a chunk */
	int64_t low;		/* the least number that occurs */
	uint64_t n;		/* how many from there to the greatest */
	uint64_t weight;	/* in the key's word */
	int word;
	int shift;		/* quotient() by 'extent' */
	uint64_t factor;
	int is_narrow;		/* indices are below 2^31, and so are weight and extent */
} zc_points_digit;

typedef struct zc_points_work {
	const zc_points_axis *axes;
	int n_axes, n_levels, n_words;
	size_t n_points;
	uint64_t n_keys;		/* of word 0 */
	zc_points_digit digit[ZC_POINTS_MAX_LEVELS][ZC_POINTS_MAX_AXES];

	/* The group's dimensions without those of one element, neighbours merged where all strides allow. */
	int n_dims;
	size_t dims[33];
	ptrdiff_t strides[ZC_POINTS_MAX_AXES + 1][33];	/* [axis]; [n_axes]: the user's */

	/* Where the walk is. */
	size_t index[33];
	ptrdiff_t offset[ZC_POINTS_MAX_AXES + 1];

	const int64_t *from[ZC_POINTS_MAX_AXES];	/* the indices of the points that zc_points_walk() came by */
	int64_t *block;			/* [axis * ZC_POINTS_BLOCK] those, or what is left of them level by level */
} zc_points_work;

/*
 * Make 'work' ready, of which axes, n_axes, n_levels, n_points (at least 1) and block are set: the dimensions are merged, all
 * indices looked at, and the digits made.  ZC_EINVAL if a number is out of range.
 */
zc_status zc_points_work_load(zc_points_work *work, const size_t *dims, const ptrdiff_t *user_strides, int n_dims);

/* Walk all points in C order, the next 'n' (at most ZC_POINTS_BLOCK) at once; 'user' gets their places unless it is NULL. */
void zc_points_walk_begin(zc_points_work *work);
void zc_points_walk(zc_points_work *work, size_t n, int64_t *user);

/*
 * The keys of the 'n' points that zc_points_walk came by, word w from keys[w * n_stride] on; in the block, their indices in
 * the leaf chunk.
 */
void zc_points_make_keys(const zc_points_work *work, uint64_t *keys, size_t n_stride, size_t n);

/* Widen [*low, *high] to hold the values; 'level' is one of zc_simd.h. */
void zc_points_widen(int level, const int64_t *values, size_t n, int64_t *low, int64_t *high);

#endif
