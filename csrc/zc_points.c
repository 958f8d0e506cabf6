/*
 * zc_points.c - points sorted by chunk.
 *
 * Each chunk that a point lies in, level by level, is a digit for each axis; side by side, the outermost the most
 * significant, they make the key that the points are sorted by: by counting where there are few keys, else by radix.
 * Points are walked in blocks that stay in L1, axis by axis, so that each loop does one thing.
 */
#include "zc_points.h"

#include <string.h>

#include "zc_simd.h"

#define BLOCK 512

/* Keys up to here are counted: the counters, and the lines that the points go to, are in the caches then. */
#define MAX_COUNTED 16384

/* Up to so many points are sorted by insertion. */
#define MAX_INSERTED 32

#define MAX_RADIX_BITS 11

/* The chunk number of a level along an axis, as a digit of the key. */
typedef struct chunk_digit {
	int64_t extent;		/* of a chunk */
	int64_t low;		/* the least number that occurs */
	uint64_t n;		/* how many from there to the greatest */
	uint64_t weight;	/* in the key's word */
	int word;
	int shift;		/* quotient() by 'extent' */
	uint64_t factor;
} chunk_digit;

typedef struct point_work {
	const zc_points_axis *axes;
	int n_axes, n_levels, n_words;
	size_t n_points;
	uint64_t n_keys;		/* of word 0 */
	chunk_digit digit[ZC_POINTS_MAX_LEVELS][ZC_POINTS_MAX_AXES];

	/* The group's dimensions without those of one element, neighbours merged where all strides allow. */
	int n_dims;
	size_t dims[33];
	ptrdiff_t strides[ZC_POINTS_MAX_AXES + 1][33];	/* [axis]; [n_axes]: the user's */

	/* Where the walk is. */
	size_t index[33];
	ptrdiff_t offset[ZC_POINTS_MAX_AXES + 1];

	int64_t *block;			/* [axis * BLOCK] indices, and what is left of them level by level */
} point_work;

/*
 * v / extent for 0 <= v < 2^63: factor = ceil(2^(63 + l) / extent) with l = ceil(log2(extent)), of which the excess times v stays
 * below 2^(63 + l).  A division takes 10 to 18 cycles, this 4.
 */
__extension__ typedef unsigned __int128 wide;

static void prepare_quotient(chunk_digit *digit)
{
	uint64_t extent = (uint64_t)digit->extent;
	wide numerator;

	digit->shift = extent == 1 ? 0 : 64 - __builtin_clzll(extent - 1);
	numerator = (wide)1 << (63 + digit->shift);
	digit->factor = (uint64_t)((numerator + extent - 1) / extent);
}

ZC_INLINE int64_t quotient(int64_t v, const chunk_digit *digit)
{
	return (int64_t)((uint64_t)((wide)digit->factor * ((uint64_t)v << 1) >> 64) >> digit->shift);
}

/* The last chunk of 'n' (at least 1) from 'first' on that begins at or before 'v'; the first one does. */
ZC_INLINE int64_t find_chunk(const int64_t *edges, int64_t first, uint64_t n, int64_t v)
{
	const int64_t *at = edges + first;

	while (n > 1) {
		uint64_t half = n / 2;

		at = at[half] <= v ? at + half : at;
		n -= half;
	}
	return at - edges;
}

/* The dimensions. */

static int merges(const point_work *work, int i, size_t n, const ptrdiff_t *strides)
{
	for (int axis = 0; axis <= work->n_axes; axis++)
		if ((size_t)work->strides[axis][i] != n * (size_t)strides[axis])
			return 0;
	return 1;
}

static void add_dimension(point_work *work, size_t n, const ptrdiff_t *strides)
{
	int i = work->n_dims - 1;

	if (i >= 0 && merges(work, i, n, strides)) {
		work->dims[i] *= n;
	} else {
		work->n_dims++;
		work->dims[++i] = n;
	}
	for (int axis = 0; axis <= work->n_axes; axis++)
		work->strides[axis][i] = strides[axis];
}

static void load_dimensions(point_work *work, const size_t *dims, const ptrdiff_t *user_strides, int n_dims)
{
	ptrdiff_t strides[ZC_POINTS_MAX_AXES + 1];

	work->n_dims = 0;
	for (int i = 0; i < n_dims; i++) {
		if (dims[i] == 1)
			continue;
		for (int axis = 0; axis < work->n_axes; axis++)
			strides[axis] = work->axes[axis].strides[i];
		strides[work->n_axes] = user_strides[i];
		add_dimension(work, dims[i], strides);
	}
	if (work->n_dims == 0) {
		memset(strides, 0, sizeof(strides));
		add_dimension(work, 1, strides);
	}
}

static void walk_begin(point_work *work)
{
	memset(work->index, 0, sizeof(work->index));
	memset(work->offset, 0, sizeof(work->offset));
}

ZC_INLINE int64_t index_at(const uint8_t *indices)
{
	int64_t v;

	memcpy(&v, indices, sizeof(v));
	return v;
}

static void load_run(int64_t *ret, const uint8_t *indices, ptrdiff_t stride, size_t n)
{
	if (stride == (ptrdiff_t)sizeof(int64_t)) {
		memcpy(ret, indices, n * sizeof(int64_t));
		return;
	}
	for (size_t i = 0; i < n; i++)
		ret[i] = index_at(indices + (ptrdiff_t)i * stride);
}

/* To the next row, when the last dimension is at its end. */
static void walk_row(point_work *work)
{
	int last = work->n_dims - 1, i = last;

	while (i >= 0 && work->index[i] == work->dims[i]) {
		for (int axis = 0; axis <= work->n_axes; axis++)
			work->offset[axis] -= work->strides[axis][i] * (ptrdiff_t)work->dims[i];
		work->index[i] = 0;
		if (--i < 0)
			return;
		work->index[i]++;
		for (int axis = 0; axis <= work->n_axes; axis++)
			work->offset[axis] += work->strides[axis][i];
	}
}

/* The next 'n' (at most BLOCK) points: their indices to the block, their places in the user's array to 'user' if not NULL. */
static void walk(point_work *work, size_t n, int64_t *user)
{
	int last = work->n_dims - 1;

	for (size_t done = 0, m; done < n; done += m) {
		m = work->dims[last] - work->index[last];
		m = m < n - done ? m : n - done;
		for (int axis = 0; axis < work->n_axes; axis++) {
			load_run(work->block + axis * BLOCK + done, work->axes[axis].indices + work->offset[axis],
				 work->strides[axis][last], m);
			work->offset[axis] += work->strides[axis][last] * (ptrdiff_t)m;
		}
		if (user != NULL)
			for (size_t i = 0; i < m; i++)
				user[done + i] = (int64_t)((size_t)work->offset[work->n_axes] +
							   i * (size_t)work->strides[work->n_axes][last]);
		work->offset[work->n_axes] =
			(ptrdiff_t)((size_t)work->offset[work->n_axes] + m * (size_t)work->strides[work->n_axes][last]);
		work->index[last] += m;
		walk_row(work);
	}
}

/* The key. */

static void least_and_greatest(const int64_t *values, size_t n, int64_t *low, int64_t *high)
{
	int64_t least = *low, greatest = *high;

	for (size_t i = 0; i < n; i++) {
		least = values[i] < least ? values[i] : least;
		greatest = values[i] > greatest ? values[i] : greatest;
	}
	*low = least;
	*high = greatest;
}

static void bounds(point_work *work, int64_t *low, int64_t *high)
{
	for (int axis = 0; axis < work->n_axes; axis++) {
		low[axis] = INT64_MAX;
		high[axis] = INT64_MIN;
	}
	walk_begin(work);
	for (size_t done = 0, n; done < work->n_points; done += n) {
		n = work->n_points - done < BLOCK ? work->n_points - done : BLOCK;
		walk(work, n, NULL);
		for (int axis = 0; axis < work->n_axes; axis++)
			least_and_greatest(work->block + axis * BLOCK, n, &low[axis], &high[axis]);
	}
}

/* The chunks of level 0 along an axis that has edges; [*low, *high] becomes what the level below sees. */
static zc_status digit_of_edges(chunk_digit *digit, const zc_points_axis *axis, int64_t *low, int64_t *high)
{
	const int64_t *edges = axis->edges;
	int64_t first, last, widest = 1;

	if (axis->n_chunks < 1 || edges[0] != 0 || *high >= edges[axis->n_chunks])
		return ZC_EINVAL;
	first = find_chunk(edges, 0, (uint64_t)axis->n_chunks, *low);
	last = find_chunk(edges, 0, (uint64_t)axis->n_chunks, *high);
	for (int64_t i = first; i <= last; i++) {
		/* Falling edges would give numbers that the counters have no room for. */
		if (edges[i] < 0 || edges[i + 1] < edges[i])
			return ZC_EINVAL;
		widest = edges[i + 1] - edges[i] > widest ? edges[i + 1] - edges[i] : widest;
	}
	if (*low < edges[first] || *high >= edges[last + 1] || last < first)
		return ZC_EINVAL;
	*low = first == last ? *low - edges[first] : 0;
	*high = first == last ? *high - edges[first] : widest - 1;
	digit->low = first;
	digit->n = (uint64_t)(last - first) + 1;
	return ZC_OK;
}

static zc_status digit_of_level(chunk_digit *digit, int64_t *low, int64_t *high)
{
	int64_t first, last;

	if (digit->extent < 1)
		return ZC_EINVAL;
	prepare_quotient(digit);
	first = *low / digit->extent;
	last = *high / digit->extent;
	*low = first == last ? *low % digit->extent : 0;
	*high = first == last ? *high % digit->extent : digit->extent - 1;
	digit->low = first;
	digit->n = (uint64_t)(last - first) + 1;
	return ZC_OK;
}

static zc_status load_digits(point_work *work)
{
	int64_t low[ZC_POINTS_MAX_AXES], high[ZC_POINTS_MAX_AXES];
	zc_status status = ZC_OK;

	bounds(work, low, high);
	for (int axis = 0; axis < work->n_axes; axis++)
		if (low[axis] < 0)
			return ZC_EINVAL;
	for (int level = 0; level < work->n_levels; level++)
		for (int axis = 0; axis < work->n_axes; axis++) {
			chunk_digit *digit = &work->digit[level][axis];

			digit->extent = work->axes[axis].chunk_extents[level];
			if (level == 0 && work->axes[axis].edges != NULL)
				status = digit_of_edges(digit, &work->axes[axis], &low[axis], &high[axis]);
			else
				status = digit_of_level(digit, &low[axis], &high[axis]);
			if (status != ZC_OK)
				return status;
		}
	return ZC_OK;
}

/* The digits in words of 64 bits, from the most significant on; the weights within each word. */
static void load_words(point_work *work)
{
	uint64_t product = 1;
	int n_digits = work->n_levels * work->n_axes, word = 0;

	for (int i = 0; i < n_digits; i++) {
		chunk_digit *digit = &work->digit[i / work->n_axes][i % work->n_axes];

		if (product > UINT64_MAX / digit->n) {
			word++;
			product = 1;
		}
		product *= digit->n;
		digit->word = word;
		if (word == 0)
			work->n_keys = product;
	}
	work->n_words = word + 1;
	for (int i = n_digits - 1; i >= 0; i--) {
		chunk_digit *digit = &work->digit[i / work->n_axes][i % work->n_axes];

		if (digit->word != word || i == n_digits - 1)
			product = 1;
		word = digit->word;
		digit->weight = product;
		product *= digit->n;
	}
}

/* Take the level's chunk out of each index, leaving the rest, and add the digit to the key. */
static void take_level(const chunk_digit *digit, int64_t *indices, uint64_t *keys, size_t n)
{
	int64_t extent = digit->extent, low = digit->low;
	uint64_t weight = digit->weight;

	if (digit->n == 1) {
		for (size_t i = 0; i < n; i++)
			indices[i] -= low * extent;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		int64_t chunk = quotient(indices[i], digit);

		indices[i] -= chunk * extent;
		keys[i] += (uint64_t)(chunk - low) * weight;
	}
}

static void take_edges(const chunk_digit *digit, const int64_t *edges, int64_t *indices, uint64_t *keys, size_t n)
{
	int64_t chunk = digit->low;

	for (size_t i = 0; i < n; i++) {
		int64_t v = indices[i];

		/* Indices are often in order: most are in the chunk that the one before was in. */
		if (v < edges[chunk] || v >= edges[chunk + 1])
			chunk = find_chunk(edges, digit->low, digit->n, v);
		indices[i] = v - edges[chunk];
		keys[i] += (uint64_t)(chunk - digit->low) * digit->weight;
	}
}

/*
 * The keys of the block's 'n' points, word w from keys[w * n_stride] on; the block's indices become those in the leaf
 * chunk.
 */
static void make_keys(const point_work *work, uint64_t *keys, size_t n_stride, size_t n)
{
	for (int word = 0; word < work->n_words; word++)
		memset(keys + (size_t)word * n_stride, 0, n * sizeof(*keys));
	for (int axis = 0; axis < work->n_axes; axis++)
		for (int level = 0; level < work->n_levels; level++) {
			const chunk_digit *digit = &work->digit[level][axis];
			uint64_t *to = keys + (size_t)digit->word * n_stride;
			int64_t *indices = work->block + axis * BLOCK;

			if (level == 0 && work->axes[axis].edges != NULL)
				take_edges(digit, work->axes[axis].edges, indices, to, n);
			else
				take_level(digit, indices, to, n);
		}
}

/* Sorting. */

typedef struct key_pair {
	uint64_t key;
	size_t point;
} key_pair;

static void sort_by_insertion(key_pair *pairs, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		key_pair moved = pairs[i];
		size_t j = i;

		for (; j > 0 && pairs[j - 1].key > moved.key; j--)
			pairs[j] = pairs[j - 1];
		pairs[j] = moved;
	}
}

/* One pass of the radix sort by the 'n_bits' bits from 'shift' on.  Returns 0, and moves nothing, if all have the same. */
static int sort_by_bits(const key_pair *from, key_pair *to, size_t n, int shift, int n_bits)
{
	size_t count[1 << MAX_RADIX_BITS];
	size_t mask = ((size_t)1 << n_bits) - 1, sum = 0;

	memset(count, 0, sizeof(count[0]) << n_bits);
	for (size_t i = 0; i < n; i++)
		count[(size_t)(from[i].key >> shift) & mask]++;
	if (count[(size_t)(from[0].key >> shift) & mask] == n)
		return 0;
	for (size_t i = 0; i <= mask; i++) {
		size_t start = sum;

		sum += count[i];
		count[i] = start;
	}
	for (size_t i = 0; i < n; i++)
		to[count[(size_t)(from[i].key >> shift) & mask]++] = from[i];
	return 1;
}

/* Sort stably by keys below 'n_keys' (0: 2^64); the result is in what is returned, 'pairs' or 'other'. */
static key_pair *sort_pairs(key_pair *pairs, key_pair *other, size_t n, uint64_t n_keys)
{
	int n_bits = n_keys == 1 ? 0 : 64 - __builtin_clzll(n_keys - 1);
	int most = n < 4096 ? 8 : MAX_RADIX_BITS;
	int n_passes = (n_bits + most - 1) / most, step;

	if (n <= MAX_INSERTED) {
		sort_by_insertion(pairs, n);
		return pairs;
	}
	step = n_passes == 0 ? 0 : (n_bits + n_passes - 1) / n_passes;
	for (int pass = 0; pass < n_passes; pass++)
		if (sort_by_bits(pairs, other, n, pass * step, step)) {
			key_pair *swapped = pairs;

			pairs = other;
			other = swapped;
		}
	return pairs;
}

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

static zc_status sort_by_counting(point_work *work, point_order *sorted)
{
	uint64_t keys[BLOCK], before = 0;
	size_t sum = 0, n_leaves = 0;
	int falls = 0;

	zc_scratch_make(&sorted->memory, (size_t)work->n_keys * sizeof(size_t));
	if (sorted->memory.data == NULL)
		return ZC_ENOMEM;
	sorted->next = (size_t *)(void *)sorted->memory.data;
	memset(sorted->next, 0, (size_t)work->n_keys * sizeof(size_t));
	walk_begin(work);
	for (size_t done = 0, n; done < work->n_points; done += n) {
		n = work->n_points - done < BLOCK ? work->n_points - done : BLOCK;
		walk(work, n, NULL);
		make_keys(work, keys, 0, n);
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
static int begins_leaf(const point_work *work, const point_order *sorted, const key_pair *pairs, size_t i)
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

static zc_status leaves_of_pairs(const point_work *work, point_order *sorted, const key_pair *pairs)
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

static zc_status sort_by_radix(point_work *work, point_order *sorted)
{
	size_t n_points = work->n_points, each = sizeof(uint64_t) * (size_t)work->n_words + 2 * sizeof(key_pair);
	int falls = work->n_words > 1;
	key_pair *pairs, *other;
	zc_status status;

	if (n_points > SIZE_MAX / 2 / each)
		return ZC_ENOMEM;
	zc_scratch_make(&sorted->memory, n_points * each);
	if (sorted->memory.data == NULL)
		return ZC_ENOMEM;
	pairs = (key_pair *)(void *)sorted->memory.data;
	other = pairs + n_points;
	sorted->keys = (uint64_t *)(void *)(other + n_points);
	walk_begin(work);
	for (size_t done = 0, n; done < n_points; done += n) {
		n = n_points - done < BLOCK ? n_points - done : BLOCK;
		walk(work, n, NULL);
		make_keys(work, sorted->keys + done, n_points, n);
	}
	for (size_t i = 0; i < n_points; i++) {
		const uint64_t *keys = sorted->keys + (size_t)(work->n_words - 1) * n_points;
		key_pair pair = {keys[i], i};

		pairs[i] = pair;
		falls |= i > 0 && keys[i] < keys[i - 1];
	}
	sorted->in_order = !falls;
	for (int word = work->n_words - 1; falls && word >= 0; word--) {
		const uint64_t *keys = sorted->keys + (size_t)word * n_points;
		key_pair *found;

		for (size_t i = 0; i < n_points; i++)
			pairs[i].key = keys[pairs[i].point];
		found = sort_pairs(pairs, other, n_points, work->n_words == 1 ? work->n_keys : 0);
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

/* The result. */

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
static zc_status make_points(point_work *work, point_order *sorted, zc_points *ret)
{
	size_t n_points = work->n_points;
	uint64_t *keys;
	size_t place[BLOCK];
	int64_t user[BLOCK];
	zc_scratch keys_memory = {NULL, 0};

	zc_scratch_make(&keys_memory, (size_t)work->n_words * BLOCK * sizeof(*keys));
	if (keys_memory.data == NULL)
		return ZC_ENOMEM;
	keys = (uint64_t *)(void *)keys_memory.data;
	walk_begin(work);
	for (size_t done = 0, n; done < n_points; done += n) {
		const size_t *to = place;

		n = n_points - done < BLOCK ? n_points - done : BLOCK;
		walk(work, n, sorted->in_order ? ret->user + done : user);
		make_keys(work, keys, BLOCK, n);
		if (sorted->in_order) {
			for (int axis = 0; axis < work->n_axes; axis++)
				memcpy(ret->coords[axis] + done, work->block + axis * BLOCK, n * sizeof(int64_t));
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
			const int64_t *indices = work->block + axis * BLOCK;
			int64_t *coords = ret->coords[axis];

			for (size_t i = 0; i < n; i++)
				coords[to[i]] = indices[i];
		}
	}
	zc_scratch_free(&keys_memory);
	return ZC_OK;
}

/* The chunk numbers of a leaf, [level * n_axes + axis]. */
static void numbers_of(const point_work *work, const point_order *sorted, const leaf_chunk *leaf, int64_t *numbers)
{
	int word = -1;
	uint64_t key = 0;

	for (int i = work->n_levels * work->n_axes - 1; i >= 0; i--) {
		const chunk_digit *digit = &work->digit[i / work->n_axes][i % work->n_axes];

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

/* Call what follows for each leaf with the outermost level that it begins a bucket of. */
static int first_difference(const point_work *work, const int64_t *numbers, const int64_t *before)
{
	int i = 0;

	while (numbers[i] == before[i])
		i++;
	return i / work->n_axes;
}

/* A bucket of each level from 'level' on; 'ret' counts them alone where it has no memory yet. */
static void begin_buckets(const point_work *work, zc_points *ret, int level, size_t start, const int64_t *numbers)
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

static void walk_leaves(const point_work *work, const point_order *sorted, zc_points *ret)
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
	const zc_points_level *leaves = &ret->level[ret->n_levels - 1];

	for (size_t i = 0; i < leaves->n_buckets; i++)
		for (int axis = 0; axis < ret->n_axes; axis++) {
			size_t at = i * (size_t)ret->n_axes + (size_t)axis;

			ret->low[at] = INT64_MAX;
			ret->high[at] = INT64_MIN;
			least_and_greatest(ret->coords[axis] + leaves->buckets[i].first, leaves->buckets[i].n,
					   &ret->low[at], &ret->high[at]);
		}
}

static zc_status make_buckets(const point_work *work, const point_order *sorted, zc_points *ret)
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

static zc_status make(point_work *work, zc_points *ret)
{
	point_order sorted;
	zc_status status = load_digits(work);

	if (status != ZC_OK)
		return status;
	load_words(work);
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
	point_work *work;
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
	zc_scratch_make(&block, (size_t)n_axes * BLOCK * sizeof(int64_t));
	work = (point_work *)(void *)memory.data;
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
		load_dimensions(work, dims, user_strides, n_dims);
		status = make(work, ret);
	}
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

/* Distinct indices. */

/* What counting needs where the indices are not in order: a bit for each that may occur, or them to be sorted. */
static size_t room_to_count(size_t n, uint64_t span)
{
	return span / 64 <= n ? ((size_t)(span / 64) + 1) * sizeof(uint64_t) : 2 * n * sizeof(key_pair);
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

static size_t count_by_sorting(const int64_t *values, size_t n, int64_t low, uint64_t span, key_pair *pairs)
{
	size_t n_distinct = 1;

	for (size_t i = 0; i < n; i++) {
		pairs[i].key = (uint64_t)(values[i] - low);
		pairs[i].point = i;
	}
	pairs = sort_pairs(pairs, pairs + n, n, span + 1);
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
	return count_by_sorting(values, at->n, low, span, (key_pair *)room);
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

/* Indices as users give them. */

/* A row of one type: indices to 'dst'; returns whether one of them is outside. */
#define NORMALIZE(name, type, is_negative) \
	ZC_INLINE int normalize_row_##name(int64_t *restrict dst, const uint8_t *src, ptrdiff_t stride, size_t n, \
					   int64_t extent) \
	{ \
		int outside = 0; \
		\
		for (size_t i = 0; i < n; i++) { \
			type v; \
			uint64_t index; \
			\
			memcpy(&v, src + (ptrdiff_t)i * stride, sizeof(v)); \
			index = (uint64_t)v; \
			if (is_negative) \
				index += (uint64_t)extent; \
			outside |= index >= (uint64_t)extent; \
			dst[i] = (int64_t)index; \
		} \
		return outside; \
	} \
	static int normalize_##name(int64_t *dst, const uint8_t *src, ptrdiff_t stride, size_t n, int64_t extent) \
	{ \
		if (stride == (ptrdiff_t)sizeof(type)) \
			return normalize_row_##name(dst, src, sizeof(type), n, extent); \
		return normalize_row_##name(dst, src, stride, n, extent); \
	}

NORMALIZE(i1, int8_t, v < 0)
NORMALIZE(i2, int16_t, v < 0)
NORMALIZE(i4, int32_t, v < 0)
NORMALIZE(i8, int64_t, v < 0)
NORMALIZE(u1, uint8_t, 0)
NORMALIZE(u2, uint16_t, 0)
NORMALIZE(u4, uint32_t, 0)
NORMALIZE(u8, uint64_t, 0)

typedef int (*normalize_row)(int64_t *dst, const uint8_t *src, ptrdiff_t stride, size_t n, int64_t extent);

static normalize_row row_of(size_t itemsize, int is_signed)
{
	switch (itemsize) {
	case 1:
		return is_signed ? normalize_i1 : normalize_u1;
	case 2:
		return is_signed ? normalize_i2 : normalize_u2;
	case 4:
		return is_signed ? normalize_i4 : normalize_u4;
	default:
		return is_signed ? normalize_i8 : normalize_u8;
	}
}

/* Which of a row is the first that is outside. */
static size_t first_outside(normalize_row row, int64_t *dst, const uint8_t *src, ptrdiff_t stride, int64_t extent)
{
	size_t i = 0;

	while (!row(dst, src + (ptrdiff_t)i * stride, stride, 1, extent))
		i++;
	return i;
}

size_t zc_points_normalize(int64_t *dst, const uint8_t *src, const ptrdiff_t *strides, const size_t *shape, int ndim,
			   size_t itemsize, int is_signed, int64_t extent)
{
	normalize_row row = row_of(itemsize, is_signed);
	size_t index[32] = {0}, n, done = 0;
	ptrdiff_t stride, offset = 0;
	int i, n_outer;

	for (i = 0; i < ndim; i++)
		if (shape[i] == 0)
			return SIZE_MAX;
	n = ndim > 0 ? shape[ndim - 1] : 1;
	stride = ndim > 0 ? strides[ndim - 1] : 0;
	/* Dimensions that the last one runs on through. */
	n_outer = ndim > 0 ? ndim - 1 : 0;
	while (n_outer > 0 && (size_t)strides[n_outer - 1] == n * (size_t)stride)
		n *= shape[--n_outer];
	do {
		if (row(dst + done, src + offset, stride, n, extent))
			return done + first_outside(row, dst + done, src + offset, stride, extent);
		done += n;
		for (i = n_outer - 1; i >= 0; i--) {
			offset += strides[i];
			if (++index[i] < shape[i])
				break;
			offset -= strides[i] * (ptrdiff_t)shape[i];
			index[i] = 0;
		}
	} while (i >= 0);
	return SIZE_MAX;
}
