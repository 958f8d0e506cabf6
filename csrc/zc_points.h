/*
 * zc_points.h - lists of points, sorted by the chunk that they lie in, so that each chunk is read once.
 *
 * A group of index arrays of one shape ('dims', which may hold 0; no dimensions: one point) gives a point for each of its
 * elements, in C order.  Chunks nest: level 0 are the stored objects, level 1 the inner chunks of a shard, and so on; the
 * last level is the leaf, the chunk that is decoded.  The chunks of a level tile each chunk of the level above from its
 * start on.
 */
#ifndef ZC_POINTS_H
#define ZC_POINTS_H

#include "zc.h"

#define ZC_POINTS_MAX_AXES 32
#define ZC_POINTS_MAX_LEVELS 8

/* An axis of the array that is indexed.  All is borrowed, and does not change while it is used. */
typedef struct zc_points_axis {
	const uint8_t *indices;		/* native int64 values in [0, extent) */
	const ptrdiff_t *strides;	/* bytes along each of 'dims'; 0 repeats */
	const int64_t *edges;		/* NULL: chunks of level 0 are equal.  Else chunk c is [edges[c], edges[c + 1]) */
	int64_t n_chunks;		/* with edges only: 'edges' has one more, the first is 0 and none is below the last */
	int64_t chunk_extents[ZC_POINTS_MAX_LEVELS];	/* at least 1; the one of level 0 is not used with edges */
} zc_points_axis;

typedef struct zc_points_bucket {	/* a chunk that has points */
	size_t first, n;		/* its buckets one level down; of a leaf: its points */
	size_t first_point, n_points;
} zc_points_bucket;

typedef struct zc_points_level {
	size_t n_buckets;
	zc_points_bucket *buckets;	/* in order of their parents', and under each in C order of the axes */
	int64_t *chunk;			/* [bucket * n_axes + axis]: number in the chunk above; level 0: in the grid */
	size_t *n_distinct;		/* [bucket]; NULL until zc_points_count_distinct */
} zc_points_level;

/* Nothing of it changes after it is made, but n_distinct.  Where there are no points, pointers may be NULL. */
typedef struct zc_points {
	int n_axes, n_levels;
	size_t n_points;
	int64_t *coords[ZC_POINTS_MAX_AXES];	/* [axis][point]: index in the leaf chunk */
	int64_t *user;				/* [point]: byte offset in the user's array */
	zc_points_level level[ZC_POINTS_MAX_LEVELS];
	int64_t *low, *high;			/* [leaf bucket * n_axes + axis]: least and greatest of coords */
	zc_scratch points_memory, buckets_memory, distinct_memory;
} zc_points;

/*
 * Sort the points of 'n_axes' (1 to 32) index arrays by the chunks of 'n_levels' (1 to 8) levels.  Points of one leaf chunk
 * stay in C order.  A point's 'user' is the sum of its place along each dimension times 'user_strides' (bytes, any sign).
 * Takes memory of a small multiple of the points, whatever the array's shape.
 * Returns ZC_OK; ZC_ENOMEM (also for more points than memory could hold); ZC_EINVAL if a number is out of range: an index
 * below 0 or past the edges, an extent below 1, edges that fall between the first and the last chunk that has points, or
 * n_axes, n_levels, n_dims (0 to 32).  On failure 'ret' needs no zc_points_free.
 */
zc_status zc_points_make(const zc_points_axis *axes, int n_axes, const size_t *dims, const ptrdiff_t *user_strides,
			 int n_dims, int n_levels, zc_points *ret);

/* Free what 'points' has; what is all zero bytes, or was freed, has nothing. */
void zc_points_free(zc_points *points);

/*
 * Count the distinct indices of each bucket of each level: a list covers a chunk when it has as many as the chunk is long.
 * Returns ZC_OK (also when they were counted before); ZC_ENOMEM; ZC_EINVAL unless there is one axis.
 */
zc_status zc_points_count_distinct(zc_points *points);

/*
 * Integers of 'itemsize' (1, 2, 4, 8) bytes, native, signed or not, to C-contiguous int64 indices in [0, extent): negative
 * ones count from the end.  Returns SIZE_MAX, or the place in C order of the first one that is outside of [-extent, extent);
 * what is in 'dst' is undefined then.  'ndim' is 0 to 32, 'extent' at least 0.
 */
size_t zc_points_normalize(int64_t *dst, const uint8_t *src, const ptrdiff_t *strides, const size_t *shape, int ndim,
			   size_t itemsize, int is_signed, int64_t extent);

#endif
