/*
 * zc_points_distinct.c - how many indices of a list are distinct, chunk by chunk.
 */
#include <string.h>

#include "zc_points.h"
#include "zc_points_sort.h"

/* What counting needs where the indices are not in order: a bit for each that may occur, or them to be sorted. */
static size_t room_to_count(size_t n, uint64_t span)
{
	return span / 64 <= n ? ((size_t)(span / 64) + 1) * sizeof(uint64_t) : 2 * n * sizeof(zc_points_pair);
}

static size_t count_by_bits(const int64_t *values, size_t n, int64_t low, uint64_t span, uint64_t *bits)
{
	size_t n_distinct = 0;

	memset(bits, 0, ((size_t)(span / 64) + 1) * sizeof(*bits));
	for (size_t i = 0; i < n; i++) {
		uint64_t at = (uint64_t)(values[i] - low), bit = (uint64_t)1 << at % 64;

		n_distinct += (bits[at / 64] & bit) == 0;
		bits[at / 64] |= bit;
	}
	return n_distinct;
}

static size_t count_by_sorting(const int64_t *values, size_t n, int64_t low, uint64_t span, zc_points_pair *pairs)
{
	size_t n_distinct = 1;

	for (size_t i = 0; i < n; i++) {
		pairs[i].key = (uint64_t)(values[i] - low);
		pairs[i].point = i;
	}
	pairs = zc_points_sort(pairs, pairs + n, n, span + 1);
	for (size_t i = 1; i < n; i++)
		n_distinct += pairs[i].key != pairs[i - 1].key;
	return n_distinct;
}

/* How many steps of the values go up; 0 if one goes down (or there is none: one step is the first value). */
static size_t count_in_order(const int64_t *values, size_t n)
{
	size_t n_distinct = 1;
	int falls = 0;

	for (size_t i = 1; i < n; i++) {
		n_distinct += values[i] > values[i - 1];
		falls |= values[i] < values[i - 1];
	}
	return falls ? 0 : n_distinct;
}

static size_t count_distinct(const zc_points *points, size_t bucket, void *room)
{
	const zc_points_bucket *at = &points->level[points->n_levels - 1].buckets[bucket];
	const int64_t *values = points->coords[0] + at->first;
	int64_t low = points->low[bucket];
	uint64_t span = (uint64_t)(points->high[bucket] - low);
	size_t n_distinct = count_in_order(values, at->n);

	if (n_distinct != 0)
		return n_distinct;
	if (span / 64 <= at->n)
		return count_by_bits(values, at->n, low, span, (uint64_t *)room);
	return count_by_sorting(values, at->n, low, span, (zc_points_pair *)room);
}

/* Every level's counts, one after the other. */
static zc_status make_distinct(zc_points *points)
{
	size_t n = 0;

	for (int level = 0; level < points->n_levels; level++)
		n += points->level[level].n_buckets;
	zc_scratch_make(&points->distinct_memory, n * sizeof(size_t));
	if (points->distinct_memory.data == NULL)
		return ZC_ENOMEM;
	n = 0;
	for (int level = 0; level < points->n_levels; level++) {
		points->level[level].n_distinct = (size_t *)(void *)points->distinct_memory.data + n;
		n += points->level[level].n_buckets;
	}
	return ZC_OK;
}

zc_status zc_points_count_distinct(zc_points *points)
{
	const zc_points_level *leaves = &points->level[points->n_levels - 1];
	zc_scratch room = {NULL, 0};
	size_t most = 0;

	if (points->n_axes != 1)
		return ZC_EINVAL;
	if (points->n_points == 0 || leaves->n_distinct != NULL)
		return ZC_OK;
	for (size_t i = 0; i < leaves->n_buckets; i++) {
		size_t needed = room_to_count(leaves->buckets[i].n, (uint64_t)(points->high[i] - points->low[i]));

		most = needed > most ? needed : most;
	}
	zc_scratch_make(&room, most);
	if (room.data == NULL)
		return ZC_ENOMEM;
	if (make_distinct(points) != ZC_OK) {
		zc_scratch_free(&room);
		return ZC_ENOMEM;
	}
	for (size_t i = 0; i < leaves->n_buckets; i++)
		leaves->n_distinct[i] = count_distinct(points, i, room.data);
	/* A chunk's indices are those of the chunks in it, which have none in common. */
	for (int level = points->n_levels - 2; level >= 0; level--)
		for (size_t i = 0; i < points->level[level].n_buckets; i++) {
			const zc_points_bucket *at = &points->level[level].buckets[i];
			size_t sum = 0;

			for (size_t j = at->first; j < at->first + at->n; j++)
				sum += points->level[level + 1].n_distinct[j];
			points->level[level].n_distinct[i] = sum;
		}
	zc_scratch_free(&room);
	return ZC_OK;
}
