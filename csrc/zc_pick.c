/*
 * zc_pick.c - a product of ranges and lists: what is innermost is one copy of a box, or one list with its places in the
 * chunk worked out beforehand; the rest are loops around it.
 */
#include "zc_pick.h"

#include "zc_item.h"

/* A list's places are worked out for so many points at once, and then used for each place of the levels around it. */
#define BLOCK 256

/* From so many elements on a box is worth a call for each point: it costs as much as some 20 items. */
#define MIN_BOX_N 16

/* A run of bytes that is contiguous on both sides is one item; with a byte swap up to here, as those are done bytewise. */
#define MAX_SWAPPED_RUN 16

#define MAX_RANGES 32

typedef void (*move_items)(uint8_t *dst, const int64_t *to, const uint8_t *src, const int64_t *from, size_t n,
			   size_t itemsize, size_t swap_unit);

#define MOVE(name, type) \
	static void move_##name(uint8_t *dst, const int64_t *to, const uint8_t *src, const int64_t *from, size_t n, \
				size_t itemsize, size_t swap_unit) \
	{ \
		(void)itemsize; \
		(void)swap_unit; \
		for (size_t i = 0; i < n; i++) { \
			type v; \
			\
			memcpy(&v, src + from[i], sizeof(v)); \
			v = name(v); \
			memcpy(dst + to[i], &v, sizeof(v)); \
		} \
	}

ZC_FOR_ITEMS(MOVE)

static void move_any(uint8_t *dst, const int64_t *to, const uint8_t *src, const int64_t *from, size_t n,
		     size_t itemsize, size_t swap_unit)
{
	for (size_t i = 0; i < n; i++)
		zc_item_copy(dst + to[i], src + from[i], itemsize, swap_unit);
}

#define MOVE_NAME(name) move_##name

/* A level as the loops see it. */
typedef struct level {
	size_t n;
	ptrdiff_t dst_stride, src_stride;	/* of a range */
	const zc_pick_level *list;		/* NULL: a range */
	size_t weight;				/* the least stride in the chunk: what is smaller goes inside */
} level;

typedef enum pick_way { READ, WRITE, FILL } pick_way;

typedef struct job {
	pick_way way;
	uint8_t *dst;
	const uint8_t *src;
	zc_pick_box copy_box;
	size_t itemsize, swap_unit;
	int n_loops, n_ranges;
	level loops[ZC_PICK_MAX_LEVELS];	/* lists, and ranges that are not in the box */
	level ranges[MAX_RANGES];
} job;

static size_t magnitude(ptrdiff_t stride)
{
	return stride < 0 ? (size_t)0 - (size_t)stride : (size_t)stride;
}

static level list_level(const zc_pick_level *given, pick_way way)
{
	level result = {given->n, 0, 0, given, way == FILL ? 0 : SIZE_MAX};

	for (int i = 0; way != FILL && i < given->n_axes; i++) {
		size_t stride = magnitude(given->axis_strides[i]);

		result.weight = stride < result.weight ? stride : result.weight;
	}
	return result;
}

static level range_level(const zc_pick_level *given, pick_way way)
{
	level result = {given->n, given->user_stride, given->chunk_stride, NULL, magnitude(given->chunk_stride)};

	if (way == FILL) {
		result.src_stride = 0;
		result.weight = magnitude(given->user_stride);
	} else if (way == WRITE) {
		result.dst_stride = given->chunk_stride;
		result.src_stride = given->user_stride;
	}
	return result;
}

/* Insert by weight, the largest first. */
static void insert(level *levels, int *n, level added)
{
	int i = (*n)++;

	for (; i > 0 && levels[i - 1].weight < added.weight; i--)
		levels[i] = levels[i - 1];
	levels[i] = added;
}

/* Returns 0 if there is nothing to copy. */
static int load(job *pick, const zc_pick_level *levels, int n_levels)
{
	pick->n_loops = 0;
	pick->n_ranges = 0;
	for (int i = 0; i < n_levels; i++)
		if (levels[i].n == 0)
			return 0;
	for (int i = 0; i < n_levels; i++)
		if (levels[i].n_axes > 0)
			insert(pick->loops, &pick->n_loops, list_level(&levels[i], pick->way));
		else if (levels[i].n > 1)
			insert(pick->ranges, &pick->n_ranges, range_level(&levels[i], pick->way));
	return 1;
}

/* Ranges that are contiguous on both sides become one item. */
static void fold_ranges(job *pick)
{
	while (pick->n_ranges > 0) {
		const level *inner = &pick->ranges[pick->n_ranges - 1];

		if (inner->dst_stride != (ptrdiff_t)pick->itemsize || inner->src_stride != (ptrdiff_t)pick->itemsize)
			return;
		if (pick->swap_unit > 1 && pick->itemsize * inner->n > MAX_SWAPPED_RUN)
			return;
		pick->itemsize *= inner->n;
		pick->n_ranges--;
	}
}

static int box_is_inside(const job *pick)
{
	size_t n = 1;

	for (int i = 0; i < pick->n_ranges && n < MIN_BOX_N; i++)
		n *= pick->ranges[i].n < MIN_BOX_N ? pick->ranges[i].n : MIN_BOX_N;
	return n >= MIN_BOX_N && (pick->way == FILL || pick->ranges[pick->n_ranges - 1].weight <=
							       pick->loops[pick->n_loops - 1].weight);
}

/* Where a list's point is in the chunk. */
static int64_t chunk_place(const zc_pick_level *list, size_t point)
{
	int64_t place = 0;

	for (int i = 0; i < list->n_axes; i++)
		place += list->coords[i][point] * (int64_t)list->axis_strides[i];
	return place;
}

static void chunk_places(const zc_pick_level *list, size_t first, size_t n, int64_t *ret)
{
	const int64_t *coords = list->coords[0] + first;
	int64_t stride = (int64_t)list->axis_strides[0];

	for (size_t i = 0; i < n; i++)
		ret[i] = coords[i] * stride;
	for (int axis = 1; axis < list->n_axes; axis++) {
		coords = list->coords[axis] + first;
		stride = (int64_t)list->axis_strides[axis];
		for (size_t i = 0; i < n; i++)
			ret[i] += coords[i] * stride;
	}
}

/* Where the loops are: for each, and with all around it. */
typedef struct places {
	size_t index[ZC_PICK_MAX_LEVELS];
	ptrdiff_t dst[ZC_PICK_MAX_LEVELS + 1], src[ZC_PICK_MAX_LEVELS + 1];
} places;

/* Work out the offsets of loop 'i' and those inside of it, for the indices that they have. */
static void place_from(const job *pick, places *at, int i)
{
	for (; i < pick->n_loops; i++) {
		const level *loop = &pick->loops[i];
		ptrdiff_t to = (ptrdiff_t)at->index[i] * loop->dst_stride;
		ptrdiff_t from = (ptrdiff_t)at->index[i] * loop->src_stride;

		if (loop->list != NULL) {
			size_t point = loop->list->first + at->index[i];
			ptrdiff_t user = (ptrdiff_t)loop->list->user[point];
			ptrdiff_t chunk = pick->way == FILL ? 0 : (ptrdiff_t)chunk_place(loop->list, point);

			to = pick->way == WRITE ? chunk : user;
			from = pick->way == WRITE ? user : chunk;
		}
		at->dst[i + 1] = at->dst[i] + to;
		at->src[i + 1] = at->src[i] + from;
	}
}

static void begin(const job *pick, places *at)
{
	for (int i = 0; i < pick->n_loops; i++)
		at->index[i] = 0;
	at->dst[0] = 0;
	at->src[0] = 0;
	place_from(pick, at, 0);
}

static int next(const job *pick, places *at)
{
	for (int i = pick->n_loops - 1; i >= 0; i--) {
		if (++at->index[i] < pick->loops[i].n) {
			place_from(pick, at, i);
			return 1;
		}
		at->index[i] = 0;
	}
	return 0;
}

/* The loops, and inside of them the box of all ranges. */
static void run_box(const job *pick)
{
	size_t shape[MAX_RANGES];
	ptrdiff_t dst_strides[MAX_RANGES], src_strides[MAX_RANGES];
	places at;

	for (int i = 0; i < pick->n_ranges; i++) {
		shape[i] = pick->ranges[i].n;
		dst_strides[i] = pick->ranges[i].dst_stride;
		src_strides[i] = pick->ranges[i].src_stride;
	}
	begin(pick, &at);
	do {
		pick->copy_box(pick->dst + at.dst[pick->n_loops], dst_strides, pick->src + at.src[pick->n_loops],
			       src_strides, shape, pick->n_ranges, pick->itemsize, pick->swap_unit);
	} while (next(pick, &at));
}

/* Block by block of the innermost list the loops, and inside of them the block. */
static void run_list(job *pick)
{
	const zc_pick_level *list;
	move_items move;
	int64_t chunk_side[BLOCK];
	places at;
	int i = pick->n_loops - 1;

	move = ZC_PICK_ITEM(MOVE_NAME, pick->itemsize, pick->swap_unit, move_any);
	list = pick->loops[i].list;
	pick->n_loops--;
	for (int j = 0; j < pick->n_ranges; j++)
		insert(pick->loops, &pick->n_loops, pick->ranges[j]);
	if (pick->way == FILL)
		memset(chunk_side, 0, sizeof(chunk_side));
	for (size_t done = 0, n; done < list->n; done += n) {
		const int64_t *user = list->user + list->first + done;

		n = list->n - done < BLOCK ? list->n - done : BLOCK;
		if (pick->way != FILL)
			chunk_places(list, list->first + done, n, chunk_side);
		begin(pick, &at);
		do {
			move(pick->dst + at.dst[pick->n_loops], pick->way == WRITE ? chunk_side : user,
			     pick->src + at.src[pick->n_loops], pick->way == WRITE ? user : chunk_side, n,
			     pick->itemsize, pick->swap_unit);
		} while (next(pick, &at));
	}
}

static void run(job *pick, const zc_pick_level *levels, int n_levels)
{
	if (pick->itemsize == 0 || !load(pick, levels, n_levels))
		return;
	if (pick->swap_unit == 1)
		pick->swap_unit = 0;
	if (pick->n_loops > 0)
		fold_ranges(pick);
	if (pick->n_loops == 0 || box_is_inside(pick))
		run_box(pick);
	else
		run_list(pick);
}

void zc_pick_read(zc_pick_box copy_box, uint8_t *user, const uint8_t *chunk, ptrdiff_t chunk_offset,
		  const zc_pick_level *levels, int n_levels, size_t itemsize, size_t swap_unit)
{
	job pick;

	pick.way = READ;
	pick.dst = user;
	pick.src = chunk + chunk_offset;
	pick.copy_box = copy_box;
	pick.itemsize = itemsize;
	pick.swap_unit = swap_unit;
	run(&pick, levels, n_levels);
}

void zc_pick_write(zc_pick_box copy_box, uint8_t *chunk, ptrdiff_t chunk_offset, const uint8_t *user,
		   const zc_pick_level *levels, int n_levels, size_t itemsize, size_t swap_unit)
{
	job pick;

	pick.way = WRITE;
	pick.dst = chunk + chunk_offset;
	pick.src = user;
	pick.copy_box = copy_box;
	pick.itemsize = itemsize;
	pick.swap_unit = swap_unit;
	run(&pick, levels, n_levels);
}

void zc_pick_fill(zc_pick_box copy_box, uint8_t *user, const zc_pick_level *levels, int n_levels, size_t itemsize,
		  const uint8_t *item)
{
	job pick;

	pick.way = FILL;
	pick.dst = user;
	pick.src = item;
	pick.copy_box = copy_box;
	pick.itemsize = itemsize;
	pick.swap_unit = 0;
	run(&pick, levels, n_levels);
}
