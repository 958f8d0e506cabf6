/*
 * zc_points_sort.h - a stable sort of points by 64-bit keys.
 */
#ifndef ZC_POINTS_SORT_H
#define ZC_POINTS_SORT_H

#include <stddef.h>
#include <stdint.h>

typedef struct zc_points_pair {
	uint64_t key;
	size_t point;
} zc_points_pair;

/*
 * Sort 'n' pairs by their keys, which are below 'n_keys' (0: 2^64); those of one key stay in order.  'other' has room for as
 * many.  Returns where the result is: 'pairs' or 'other'.
 */
zc_points_pair *zc_points_sort(zc_points_pair *pairs, zc_points_pair *other, size_t n, uint64_t n_keys);

#endif
