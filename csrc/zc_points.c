/*
 * zc_points.c - points sorted by chunk: by counting where there are few keys, else by radix; then each point to its place,
 * and the buckets of each level around them.
 */
#include "zc_points.h"

#include <string.h>

#include "zc_points_key.h"
#include "zc_points_sort.h"
#include "zc_simd.h"

/*
 * Up to so many keys are counted, unless that is more than twice the points: 10^6 points of two axes take 30 ms for 2^16
 * keys (48 by radix), 46 for 2^18 (61).  More counters than this leave the caches.
 */
#define MAX_COUNTED (1 << 20)

/* A leaf chunk that has points. */
typedef struct leaf_chunk {
	size_t start;			/* its first sorted point */
	size_t point;			/* the number in C order of that, where there are several words */
	uint64_t key;			/* word 0 */
} leaf_chunk;

/* What sorting gives. */
typedef struct point_order {
	int in_order;			/* the points are sorted as they are */
	size_t *next;			/* by counting: [key] where its next point goes */
	size_t *place;			/* by radix: [point] */
	uint64_t *keys;			/* by radix: [word * n_points + point] */
	size_t n_leaves;
	leaf_chunk *leaves;
	zc_scratch memory, leaves_memory;
} point_order;

static zc_status make_leaves(point_order *sorted)
{
	if (sorted->n_leaves > SIZE_MAX / 2 / sizeof(leaf_chunk))
		return ZC_ENOMEM;
	zc_scratch_make(&sorted->leaves_memory, sorted->n_leaves * sizeof(leaf_chunk));
	sorted->leaves = (leaf_chunk *)(void *)sorted->leaves_memory.data;
	return sorted->leaves == NULL ? ZC_ENOMEM : ZC_OK;
}

static zc_status sort_by_counting(zc_points_work *work, point_order *sorted)
{
	uint64_t keys[ZC_POINTS_BLOCK], before = 0;
	size_t sum = 0, n_leaves = 0;
	int falls = 0;

	zc_scratch_make(&sorted->memory, (size_t)work->n_keys * sizeof(size_t));
	if (sorted->memory.data == NULL)
		return ZC_ENOMEM;
	sorted->next = (size_t *)(void *)sorted->memory.data;
	memset(sorted->next, 0, (size_t)work->n_keys * sizeof(size_t));
	zc_points_walk_begin(work);
	for (size_t done = 0, n; done < work->n_points; done += n) {
		n = work->n_points - done < ZC_POINTS_BLOCK ? work->n_points - done : ZC_POINTS_BLOCK;
		zc_points_walk(work, n, NULL);
		zc_points_make_keys(work, keys, 0, n);
		for (size_t i = 0; i < n; i++) {
			falls |= keys[i] < before;
			before = keys[i];
			sorted->next[keys[i]]++;
		}
	}
	sorted->in_order = !falls;
	for (size_t key = 0; key < work->n_keys; key++)
		n_leaves += sorted->next[key] != 0;
	sorted->n_leaves = n_leaves;
	if (make_leaves(sorted) != ZC_OK)
		return ZC_ENOMEM;
	n_leaves = 0;
	for (size_t key = 0; key < work->n_keys; key++) {
		size_t n = sorted->next[key];

		sorted->next[key] = sum;
		if (n != 0) {
			leaf_chunk leaf = {sum, 0, key};

			sorted->leaves[n_leaves++] = leaf;
		}
		sum += n;
	}
	return ZC_OK;
}

/* Whether sorted point 'i' begins another leaf chunk than the one before it. */
static int begins_leaf(const zc_points_work *work, const point_order *sorted, const zc_points_pair *pairs, size_t i)
{
	if (i == 0 || pairs[i].key != pairs[i - 1].key)
		return 1;
	for (int word = 1; word < work->n_words; word++) {
		const uint64_t *keys = sorted->keys + (size_t)word * work->n_points;

		if (keys[pairs[i].point] != keys[pairs[i - 1].point])
			return 1;
	}
	return 0;
}

static zc_status leaves_of_pairs(const zc_points_work *work, point_order *sorted, const zc_points_pair *pairs)
{
	zc_status status;
	size_t n_leaves = 0;

	for (size_t i = 0; i < work->n_points; i++)
		n_leaves += (size_t)begins_leaf(work, sorted, pairs, i);
	sorted->n_leaves = n_leaves;
	status = make_leaves(sorted);
	if (status != ZC_OK)
		return status;
	n_leaves = 0;
	for (size_t i = 0; i < work->n_points; i++)
		if (begins_leaf(work, sorted, pairs, i)) {
			leaf_chunk leaf = {i, pairs[i].point, pairs[i].key};

			sorted->leaves[n_leaves++] = leaf;
		}
	return ZC_OK;
}

static zc_status sort_by_radix(zc_points_work *work, point_order *sorted)
{
	size_t n_points = work->n_points, each = sizeof(uint64_t) * (size_t)work->n_words + 2 * sizeof(zc_points_pair);
	int falls = work->n_words > 1;
	zc_points_pair *pairs, *other;
	zc_status status;

	if (n_points > SIZE_MAX / 2 / each)
		return ZC_ENOMEM;
	zc_scratch_make(&sorted->memory, n_points * each);
	if (sorted->memory.data == NULL)
		return ZC_ENOMEM;
	pairs = (zc_points_pair *)(void *)sorted->memory.data;
	other = pairs + n_points;
	sorted->keys = (uint64_t *)(void *)(other + n_points);
	zc_points_walk_begin(work);
	for (size_t done = 0, n; done < n_points; done += n) {
		n = n_points - done < ZC_POINTS_BLOCK ? n_points - done : ZC_POINTS_BLOCK;
		zc_points_walk(work, n, NULL);
		zc_points_make_keys(work, sorted->keys + done, n_points, n);
	}
	for (size_t i = 0; i < n_points; i++) {
		const uint64_t *keys = sorted->keys + (size_t)(work->n_words - 1) * n_points;
		zc_points_pair pair = {keys[i], i};

		pairs[i] = pair;
		falls |= i > 0 && keys[i] < keys[i - 1];
	}
	sorted->in_order = !falls;
	for (int word = work->n_words - 1; falls && word >= 0; word--) {
		const uint64_t *keys = sorted->keys + (size_t)word * n_points;
		zc_points_pair *found;

		for (size_t i = 0; i < n_points; i++)
			pairs[i].key = keys[pairs[i].point];
		found = zc_points_sort(pairs, other, n_points, work->n_words == 1 ? work->n_keys : 0);
		other = found == pairs ? other : pairs;
		pairs = found;
	}
	status = leaves_of_pairs(work, sorted, pairs);
	if (status != ZC_OK)
		return status;
	sorted->place = (size_t *)(void *)other;
	for (size_t i = 0; i < n_points; i++)
		sorted->place[pairs[i].point] = i;
	return ZC_OK;
}

static void sorted_free(point_order *sorted)
{
	zc_scratch_free(&sorted->memory);
	zc_scratch_free(&sorted->leaves_memory);
}

static zc_status make_memory(zc_points *ret)
{
	size_t each = sizeof(int64_t) * ((size_t)ret->n_axes + 1);

	if (ret->n_points > SIZE_MAX / 2 / each)
		return ZC_ENOMEM;
	zc_scratch_make(&ret->points_memory, ret->n_points * each);
	if (ret->points_memory.data == NULL)
		return ZC_ENOMEM;
	ret->user = (int64_t *)(void *)ret->points_memory.data;
	for (int axis = 0; axis < ret->n_axes; axis++)
		ret->coords[axis] = ret->user + (size_t)(axis + 1) * ret->n_points;
	return ZC_OK;
}

/* Each point to its place. */
static zc_status make_points(zc_points_work *work, point_order *sorted, zc_points *ret)
{
	size_t n_points = work->n_points;
	uint64_t *keys;
	size_t place[ZC_POINTS_BLOCK];
	int64_t user[ZC_POINTS_BLOCK];
	zc_scratch keys_memory = {NULL, 0};

	zc_scratch_make(&keys_memory, (size_t)work->n_words * ZC_POINTS_BLOCK * sizeof(*keys));
	if (keys_memory.data == NULL)
		return ZC_ENOMEM;
	keys = (uint64_t *)(void *)keys_memory.data;
	zc_points_walk_begin(work);
	for (size_t done = 0, n; done < n_points; done += n) {
		const size_t *to = place;

		n = n_points - done < ZC_POINTS_BLOCK ? n_points - done : ZC_POINTS_BLOCK;
		zc_points_walk(work, n, sorted->in_order ? ret->user + done : user);
		zc_points_make_keys(work, keys, ZC_POINTS_BLOCK, n);
		if (sorted->in_order) {
			for (int axis = 0; axis < work->n_axes; axis++)
				memcpy(ret->coords[axis] + done, work->block + axis * ZC_POINTS_BLOCK, n * sizeof(int64_t));
			continue;
		}
		if (sorted->next != NULL)
			for (size_t i = 0; i < n; i++)
				place[i] = sorted->next[keys[i]]++;
		else
			to = sorted->place + done;
		for (size_t i = 0; i < n; i++)
			ret->user[to[i]] = user[i];
		for (int axis = 0; axis < work->n_axes; axis++) {
			const int64_t *indices = work->block + axis * ZC_POINTS_BLOCK;
			int64_t *coords = ret->coords[axis];

			for (size_t i = 0; i < n; i++)
				coords[to[i]] = indices[i];
		}
	}
	zc_scratch_free(&keys_memory);
	return ZC_OK;
}

/* The chunk numbers of a leaf, [level * n_axes + axis]. */
static void numbers_of(const zc_points_work *work, const point_order *sorted, const leaf_chunk *leaf, int64_t *numbers)
{
	int word = -1;
	uint64_t key = 0;

	for (int i = work->n_levels * work->n_axes - 1; i >= 0; i--) {
		const zc_points_digit *digit = &work->digit[i / work->n_axes][i % work->n_axes];

		if (digit->word != word) {
			word = digit->word;
			key = word == 0 ? leaf->key : sorted->keys[(size_t)word * work->n_points + leaf->point];
		}
		numbers[i] = digit->low;
		if (digit->n > 1) {
			numbers[i] += (int64_t)(key % digit->n);
			key /= digit->n;
		}
	}
}

/* The outermost level that a leaf begins a bucket of, after the leaf before it. */
static int first_difference(const zc_points_work *work, const int64_t *numbers, const int64_t *before)
{
	int i = 0;

	while (numbers[i] == before[i])
		i++;
	return i / work->n_axes;
}

/* A bucket of each level from 'level' on; 'ret' counts them alone where it has no memory yet. */
static void begin_buckets(const zc_points_work *work, zc_points *ret, int level, size_t start, const int64_t *numbers)
{
	for (; level < work->n_levels; level++) {
		zc_points_level *at = &ret->level[level];
		size_t i = at->n_buckets++;
		int is_leaf = level == work->n_levels - 1;

		if (at->buckets == NULL)
			continue;
		at->buckets[i].first = is_leaf ? start : ret->level[level + 1].n_buckets;
		at->buckets[i].first_point = start;
		memcpy(at->chunk + i * (size_t)work->n_axes, numbers + level * work->n_axes,
		       (size_t)work->n_axes * sizeof(*numbers));
	}
}

static void walk_leaves(const zc_points_work *work, const point_order *sorted, zc_points *ret)
{
	int64_t numbers[2][ZC_POINTS_MAX_LEVELS * ZC_POINTS_MAX_AXES];

	for (int level = 0; level < work->n_levels; level++)
		ret->level[level].n_buckets = 0;
	for (size_t i = 0; i < sorted->n_leaves; i++) {
		numbers_of(work, sorted, &sorted->leaves[i], numbers[i % 2]);
		begin_buckets(work, ret, i == 0 ? 0 : first_difference(work, numbers[i % 2], numbers[(i + 1) % 2]),
			      sorted->leaves[i].start, numbers[i % 2]);
	}
}

static void end_buckets(zc_points *ret)
{
	for (int level = 0; level < ret->n_levels; level++) {
		zc_points_level *at = &ret->level[level];
		size_t end = level == ret->n_levels - 1 ? ret->n_points : ret->level[level + 1].n_buckets;
		size_t end_point = ret->n_points;

		for (size_t i = at->n_buckets; i-- > 0;) {
			at->buckets[i].n = end - at->buckets[i].first;
			at->buckets[i].n_points = end_point - at->buckets[i].first_point;
			end = at->buckets[i].first;
			end_point = at->buckets[i].first_point;
		}
	}
}

static void make_boxes(zc_points *ret)
{
	int level = zc_simd_best();
	const zc_points_level *leaves = &ret->level[ret->n_levels - 1];

	for (size_t i = 0; i < leaves->n_buckets; i++)
		for (int axis = 0; axis < ret->n_axes; axis++) {
			size_t at = i * (size_t)ret->n_axes + (size_t)axis;

			ret->low[at] = INT64_MAX;
			ret->high[at] = INT64_MIN;
			zc_points_widen(level, ret->coords[axis] + leaves->buckets[i].first,
					leaves->buckets[i].n, &ret->low[at], &ret->high[at]);
		}
}

static zc_status make_buckets(const zc_points_work *work, const point_order *sorted, zc_points *ret)
{
	size_t n_axes = (size_t)work->n_axes, n_leaves = sorted->n_leaves, nbytes;
	size_t each = sizeof(zc_points_bucket) + n_axes * sizeof(int64_t);
	uint8_t *data;

	/* Counted first: with several levels most have few. */
	walk_leaves(work, sorted, ret);
	if (n_leaves > SIZE_MAX / 2 / (each * ZC_POINTS_MAX_LEVELS + 2 * n_axes * sizeof(int64_t)))
		return ZC_ENOMEM;
	nbytes = n_leaves * 2 * n_axes * sizeof(int64_t);
	for (int level = 0; level < work->n_levels; level++)
		nbytes += ret->level[level].n_buckets * each;
	zc_scratch_make(&ret->buckets_memory, nbytes);
	data = ret->buckets_memory.data;
	if (data == NULL)
		return ZC_ENOMEM;
	for (int level = 0; level < work->n_levels; level++) {
		size_t n = ret->level[level].n_buckets;

		ret->level[level].buckets = (zc_points_bucket *)(void *)data;
		ret->level[level].chunk = (int64_t *)(void *)(ret->level[level].buckets + n);
		data += n * each;
	}
	ret->low = (int64_t *)(void *)data;
	ret->high = ret->low + n_leaves * n_axes;
	walk_leaves(work, sorted, ret);
	end_buckets(ret);
	make_boxes(ret);
	return ZC_OK;
}

static zc_status make(zc_points_work *work, zc_points *ret)
{
	point_order sorted;
	zc_status status;

	memset(&sorted, 0, sizeof(point_order));
	if (work->n_words == 1 && work->n_keys <= MAX_COUNTED && work->n_keys / 2 <= work->n_points)
		status = sort_by_counting(work, &sorted);
	else
		status = sort_by_radix(work, &sorted);
	if (status == ZC_OK)
		status = make_points(work, &sorted, ret);
	if (status == ZC_OK)
		status = make_buckets(work, &sorted, ret);
	sorted_free(&sorted);
	return status;
}

/* The product of the dimensions; 0 where one is 0. */
static zc_status count_points(const size_t *dims, int n_dims, size_t *n_ret)
{
	size_t n = 1;

	*n_ret = 0;
	for (int i = 0; i < n_dims; i++)
		if (dims[i] == 0)
			return ZC_OK;
	for (int i = 0; i < n_dims; i++) {
		if (n > SIZE_MAX / 2 / sizeof(int64_t) / dims[i])
			return ZC_ENOMEM;
		n *= dims[i];
	}
	*n_ret = n;
	return ZC_OK;
}

zc_status zc_points_make(const zc_points_axis *axes, int n_axes, const size_t *dims, const ptrdiff_t *user_strides,
			 int n_dims, int n_levels, zc_points *ret)
{
	zc_scratch memory = {NULL, 0}, block = {NULL, 0};
	zc_points_work *work;
	zc_status status;

	memset(ret, 0, sizeof(*ret));
	if (n_axes < 1 || n_axes > ZC_POINTS_MAX_AXES || n_levels < 1 || n_levels > ZC_POINTS_MAX_LEVELS ||
	    n_dims < 0 || n_dims > 32)
		return ZC_EINVAL;
	ret->n_axes = n_axes;
	ret->n_levels = n_levels;
	status = count_points(dims, n_dims, &ret->n_points);
	if (status != ZC_OK || ret->n_points == 0)
		return status;
	zc_scratch_make(&memory, sizeof(*work));
	zc_scratch_make(&block, (size_t)n_axes * ZC_POINTS_BLOCK * sizeof(int64_t));
	work = (zc_points_work *)(void *)memory.data;
	status = work == NULL || block.data == NULL ? ZC_ENOMEM : ZC_OK;
	if (status == ZC_OK) {
		/* First of all: what is too much for it would take long to look at. */
		status = make_memory(ret);
	}
	if (status == ZC_OK) {
		work->axes = axes;
		work->n_axes = n_axes;
		work->n_levels = n_levels;
		work->n_points = ret->n_points;
		work->block = (int64_t *)(void *)block.data;
		status = zc_points_work_load(work, dims, user_strides, n_dims);
	}
	if (status == ZC_OK)
		status = make(work, ret);
	zc_scratch_free(&memory);
	zc_scratch_free(&block);
	if (status != ZC_OK)
		zc_points_free(ret);
	return status;
}

void zc_points_free(zc_points *points)
{
	zc_scratch_free(&points->points_memory);
	zc_scratch_free(&points->buckets_memory);
	zc_scratch_free(&points->distinct_memory);
	memset(points, 0, sizeof(*points));
}
