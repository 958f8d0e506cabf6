/*
 * zc_fill.c - boxes of one item: fill with it, compare with it.
 */
#include <string.h>

#include "zc_box.h"
#include "zc_simd.h"
#include "zc_strided.h"

/* A row is filled from its own beginning, doubled up to this, which stays in L1. */
#define MAX_REPEATED_NBYTES 4096

/* Bytes that are compared between two looks at the result. */
#define STRIPE_NBYTES 256

/* 1 if bytes repeat after 'period' bytes, all through. */
static int repeats(const uint8_t *data, size_t nbytes, size_t period)
{
	return nbytes <= period || memcmp(data, data + period, nbytes - period) == 0;
}

static void fill_row(uint8_t *dst, size_t nbytes, size_t itemsize, const uint8_t *pattern)
{
	size_t done = itemsize;

	if (repeats(pattern, itemsize, 1)) {
		memset(dst, pattern[0], nbytes);
		return;
	}
	memcpy(dst, pattern, itemsize);
	while (done < nbytes) {
		/* Whole items: 'done' is a multiple of itemsize, and so is what is left of a halved maximum. */
		size_t unit = done <= MAX_REPEATED_NBYTES || itemsize > MAX_REPEATED_NBYTES ?
				      done : MAX_REPEATED_NBYTES / itemsize * itemsize;
		size_t n = nbytes - done < unit ? nbytes - done : unit;

		memcpy(dst + done, dst, n);
		done += n;
	}
}

/* Copy with source strides 0: the one item (or row) to every place of the box. */
static void repeat(const zc_box *box, uint8_t *dst, const uint8_t *src, size_t itemsize)
{
	size_t shape[ZC_MAX_NDIM + 1];
	ptrdiff_t dst_strides[ZC_MAX_NDIM + 1], src_strides[ZC_MAX_NDIM + 1] = {0};

	for (int i = 0; i < box->ndim; i++) {
		shape[i] = box->dim[i].n;
		dst_strides[i] = box->dim[i].dst_stride;
	}
	zc_strided_copy(dst, dst_strides, src, src_strides, shape, box->ndim, itemsize, 0);
}

void zc_strided_fill(uint8_t *dst, const ptrdiff_t *dst_strides, const size_t *shape, int ndim, size_t itemsize,
		     const uint8_t *pattern)
{
	zc_box box;
	zc_dim row;

	if (!zc_box_load(&box, shape, dst_strides, NULL, ndim) || itemsize == 0)
		return;
	dst += box.dst_offset;
	if (box.ndim == 0 || box.dim[box.ndim - 1].dst_stride != (ptrdiff_t)itemsize) {
		repeat(&box, dst, pattern, itemsize);
		return;
	}
	row = zc_box_take(&box, box.ndim - 1);
	if (box.ndim > 0 && row.n * itemsize > MAX_REPEATED_NBYTES) {
		size_t index[ZC_MAX_NDIM + 1] = {0};
		ptrdiff_t to_dst = 0, unused = 0;

		do {
			fill_row(dst + to_dst, row.n * itemsize, itemsize, pattern);
		} while (zc_box_next(&box, index, &to_dst, &unused));
		return;
	}
	fill_row(dst, row.n * itemsize, itemsize, pattern);
	if (box.ndim > 0) {
		uint8_t first[MAX_REPEATED_NBYTES];

		/* From a copy, as the first row is itself one of those written. */
		memcpy(first, dst, row.n * itemsize);
		repeat(&box, dst, first, row.n * itemsize);
	}
}

/* 1 if 'src' is 'stripe' (STRIPE_NBYTES bytes of the pattern) over and over. */
ZC_INLINE int is_striped_body(const uint8_t *src, size_t nbytes, const uint8_t *stripe)
{
	zc_v4u64 expected;
	size_t i = 0;

	/* The pattern's length divides that of a vector, so that each vector of the stripe is the same. */
	memcpy(&expected, stripe, sizeof(expected));
	for (; i + STRIPE_NBYTES <= nbytes; i += STRIPE_NBYTES) {
		zc_v4u64 difference = {0};

		for (size_t j = 0; j < STRIPE_NBYTES; j += sizeof(expected)) {
			zc_v4u64 v;

			memcpy(&v, src + i + j, sizeof(v));
			difference |= v ^ expected;
		}
		if (difference[0] | difference[1] | difference[2] | difference[3])
			return 0;
	}
	return memcmp(src + i, stripe, nbytes - i) == 0;
}
ZC_LEVELS(int, is_striped, (const uint8_t *src, size_t nbytes, const uint8_t *stripe), (src, nbytes, stripe))

/* What rows are compared with. */
typedef struct zc_expected {
	const uint8_t *pattern;
	size_t itemsize;
	int (*is_striped)(const uint8_t *src, size_t nbytes, const uint8_t *stripe);	/* NULL: no stripe */
	uint8_t stripe[STRIPE_NBYTES];
} zc_expected;

static void expect(zc_expected *expected, const uint8_t *pattern, size_t itemsize, int level)
{
	expected->pattern = pattern;
	expected->itemsize = itemsize;
	expected->is_striped = NULL;
	if (sizeof(zc_v4u64) % itemsize == 0) {
		expected->is_striped = ZC_PICK(level, is_striped);
		fill_row(expected->stripe, STRIPE_NBYTES, itemsize, pattern);
	}
}

static int row_equals(const zc_expected *expected, const uint8_t *src, size_t nbytes)
{
	if (expected->is_striped != NULL)
		return expected->is_striped(src, nbytes, expected->stripe);
	/* The first item is the pattern and each item equals the one after it. */
	return memcmp(src, expected->pattern, expected->itemsize) == 0 && repeats(src, nbytes, expected->itemsize);
}

static int items_equal(const uint8_t *src, zc_dim row, size_t itemsize, const uint8_t *pattern)
{
	for (size_t i = 0; i < row.n; i++) {
		if (memcmp(src, pattern, itemsize) != 0)
			return 0;
		src += row.dst_stride;
	}
	return 1;
}

#define ITEMS_EQUAL(size) \
	static int items_equal_##size(const uint8_t *src, zc_dim row, size_t itemsize, const uint8_t *pattern) \
	{ \
		(void)itemsize; \
		return items_equal(src, row, size, pattern); \
	}

/* With the size known, memcmp is one comparison. */
ITEMS_EQUAL(1)
ITEMS_EQUAL(2)
ITEMS_EQUAL(4)
ITEMS_EQUAL(8)
ITEMS_EQUAL(16)

typedef int (*items_equal_function)(const uint8_t *src, zc_dim row, size_t itemsize, const uint8_t *pattern);

static items_equal_function items_equal_for(size_t itemsize)
{
	switch (itemsize) {
	case 1:
		return items_equal_1;
	case 2:
		return items_equal_2;
	case 4:
		return items_equal_4;
	case 8:
		return items_equal_8;
	case 16:
		return items_equal_16;
	default:
		return items_equal;
	}
}

int zc_strided_equals_at(int level, const uint8_t *src, const ptrdiff_t *strides, const size_t *shape, int ndim,
			 size_t itemsize, const uint8_t *pattern)
{
	size_t index[ZC_MAX_NDIM + 1] = {0};
	ptrdiff_t to_src, unused = 0;
	zc_dim row = {1, (ptrdiff_t)itemsize, 0};
	zc_expected expected;
	zc_box box;
	int is_packed;

	/* The one side of this box is the 'destination' of zc_box. */
	if (!zc_box_load(&box, shape, strides, NULL, ndim) || itemsize == 0)
		return 1;
	if (box.ndim > 0)
		row = zc_box_take(&box, box.ndim - 1);
	is_packed = row.dst_stride == (ptrdiff_t)itemsize;
	if (is_packed)
		expect(&expected, pattern, itemsize, zc_simd_clip(level));
	to_src = box.dst_offset;
	do {
		int equal = is_packed ? row_equals(&expected, src + to_src, row.n * itemsize) :
					items_equal_for(itemsize)(src + to_src, row, itemsize, pattern);

		if (!equal)
			return 0;
	} while (zc_box_next(&box, index, &to_src, &unused));
	return 1;
}

int zc_strided_equals(const uint8_t *src, const ptrdiff_t *strides, const size_t *shape, int ndim, size_t itemsize,
		      const uint8_t *pattern)
{
	return zc_strided_equals_at(-1, src, strides, shape, ndim, itemsize, pattern);
}
