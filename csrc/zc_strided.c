/*
 * zc_strided.c - the copy of an N-d box: choose the plane that matters and the kernel for it, loop over the rest.
 */
#include "zc_strided.h"

#include <string.h>

#include "zc_box.h"
#include "zc_plane.h"
#include "zc_simd.h"

/* Contiguous rows up to this size become items, so that their outer dimensions can be blocked like a transposition. */
#define MAX_FOLDED_NBYTES 64

/* A block of a plane whose sides want opposite orders: that many items, or at least BLOCK_SIDE each way. */
#define BLOCK_N_ITEMS 1024
#define BLOCK_SIDE 32

static int is_packed(const zc_dim *dim, size_t itemsize)
{
	return dim->dst_stride == (ptrdiff_t)itemsize && dim->src_stride == (ptrdiff_t)itemsize;
}

/* Items that have no kernel with this swap become one more dimension of swap units. */
static void split_items(zc_box *box, size_t *itemsize, size_t swap_unit)
{
	zc_dim units = {*itemsize / swap_unit, (ptrdiff_t)swap_unit, (ptrdiff_t)swap_unit};

	*itemsize = swap_unit;
	if (box->ndim > 0 && box->dim[box->ndim - 1].dst_stride == (ptrdiff_t)(units.n * swap_unit) &&
	    box->dim[box->ndim - 1].src_stride == (ptrdiff_t)(units.n * swap_unit)) {
		units.n *= box->dim[box->ndim - 1].n;
		box->dim[box->ndim - 1] = units;
	} else {
		box->dim[box->ndim++] = units;
	}
}

/* Short contiguous rows become items, as long as there is a kernel for items of that size. */
static void fold_rows(zc_box *box, size_t *itemsize, size_t swap_unit)
{
	while (box->ndim > 1 && is_packed(&box->dim[box->ndim - 1], *itemsize)) {
		size_t folded = *itemsize * box->dim[box->ndim - 1].n;

		if (folded > MAX_FOLDED_NBYTES || zc_plane_items(0, folded, swap_unit) == NULL)
			return;
		*itemsize = folded;
		box->ndim--;
	}
}

static size_t magnitude(ptrdiff_t stride)
{
	return stride < 0 ? (size_t)0 - (size_t)stride : (size_t)stride;
}

/* The dimension along which the source is fastest; broadcast dimensions cost no memory and do not count. */
static int fastest_of_source(const zc_box *box)
{
	int fastest = box->ndim - 1;
	size_t stride = magnitude(box->dim[fastest].src_stride);

	for (int i = fastest - 1; i >= 0 && stride != 0; i--) {
		size_t other = magnitude(box->dim[i].src_stride);

		if (other != 0 && other < stride) {
			fastest = i;
			stride = other;
		}
	}
	return fastest;
}

static zc_plane make_plane(zc_dim outer, zc_dim inner, size_t itemsize, size_t swap_unit)
{
	zc_plane plane = {outer.n, inner.n, outer.dst_stride, inner.dst_stride,
			  outer.src_stride, inner.src_stride, itemsize, swap_unit};

	return plane;
}

/* The sides want opposite orders: walk blocks that fit in L1, in each with the longer side inside. */
static void copy_blocked(const zc_plane *plane, uint8_t *dst, const uint8_t *src, zc_plane_copy copy_items)
{
	size_t side1 = plane->n1 < BLOCK_SIDE ? plane->n1 : BLOCK_SIDE;
	size_t side0 = BLOCK_N_ITEMS / side1;

	for (size_t i = 0; i < plane->n0; i += side0)
		for (size_t j = 0; j < plane->n1; j += side1) {
			zc_plane block = *plane;
			ptrdiff_t to_dst = (ptrdiff_t)i * plane->dst0 + (ptrdiff_t)j * plane->dst1;
			ptrdiff_t to_src = (ptrdiff_t)i * plane->src0 + (ptrdiff_t)j * plane->src1;

			block.n0 = plane->n0 - i < side0 ? plane->n0 - i : side0;
			block.n1 = plane->n1 - j < side1 ? plane->n1 - j : side1;
			if (block.n0 > block.n1) {
				zc_dim outer = {block.n0, block.dst0, block.src0};
				zc_dim inner = {block.n1, block.dst1, block.src1};

				block = make_plane(inner, outer, plane->itemsize, plane->swap_unit);
			}
			copy_items(&block, dst + to_dst, src + to_src);
		}
}

/* How the planes of a box are copied. */
typedef struct zc_way {
	zc_plane plane;
	zc_plane_copy copy;
	int blocked;
} zc_way;

static void choose_crossed(zc_way *way, zc_dim outer, zc_dim inner, int level, size_t itemsize, size_t swap_unit)
{
	int is_transposition = inner.dst_stride == (ptrdiff_t)itemsize && outer.src_stride == (ptrdiff_t)itemsize &&
			       inner.n * itemsize >= 16 && outer.n * itemsize >= 16 &&
			       inner.n > 1 && outer.n > 1;

	way->plane = make_plane(outer, inner, itemsize, swap_unit);
	way->copy = is_transposition ? zc_plane_transpose(level, itemsize) : NULL;
	way->blocked = way->copy == NULL;
	if (way->blocked)
		way->copy = zc_plane_items(level, itemsize, swap_unit);
}

/* Choose the plane, take its dimensions out of the box, choose its kernel. */
static void choose(zc_way *way, zc_box *box, int level, int streamed, size_t itemsize, size_t swap_unit)
{
	zc_dim single = {1, 0, 0}, inner = single, outer = single;
	int fastest = box->ndim > 0 ? fastest_of_source(box) : -1;

	way->blocked = 0;
	if (box->ndim > 0)
		inner = zc_box_take(box, box->ndim - 1);
	if (fastest < box->ndim && fastest >= 0) {
		outer = zc_box_take(box, fastest);
		choose_crossed(way, outer, inner, level, itemsize, swap_unit);
		return;
	}
	if (box->ndim > 0)
		outer = zc_box_take(box, box->ndim - 1);
	way->plane = make_plane(outer, inner, itemsize, swap_unit);
	if (!is_packed(&inner, itemsize))
		way->copy = zc_plane_items(level, itemsize, swap_unit);
	else if (swap_unit != 0)
		way->copy = zc_plane_swapped_rows(level, swap_unit);
	else if (streamed)
		way->copy = zc_plane_streamed_rows(level, inner.n * itemsize);
	else
		way->copy = zc_plane_rows(level);
}

static void copy_planes(const zc_way *way, const zc_box *box, uint8_t *dst, const uint8_t *src)
{
	size_t index[ZC_MAX_NDIM + 1];
	ptrdiff_t to_dst = box->dst_offset, to_src = box->src_offset;

	for (int i = 0; i < box->ndim; i++)
		index[i] = 0;
	do {
		if (way->blocked)
			copy_blocked(&way->plane, dst + to_dst, src + to_src, way->copy);
		else
			way->copy(&way->plane, dst + to_dst, src + to_src);
	} while (zc_box_next(box, index, &to_dst, &to_src));
}

static void copy_box(int level, int streamed, uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src,
		     const ptrdiff_t *src_strides, const size_t *shape, int ndim, size_t itemsize, size_t swap_unit)
{
	zc_box box;
	zc_way way;

	if (!zc_box_load(&box, shape, dst_strides, src_strides, ndim) || itemsize == 0)
		return;
	level = zc_simd_clip(level);
	if (swap_unit == 1)
		swap_unit = 0;
	if (swap_unit != 0 && zc_plane_items(level, itemsize, swap_unit) == NULL)
		split_items(&box, &itemsize, swap_unit);
	fold_rows(&box, &itemsize, swap_unit);
	choose(&way, &box, level, streamed, itemsize, swap_unit);
	copy_planes(&way, &box, dst, src);
}

void zc_strided_copy_at(int level, uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src,
			const ptrdiff_t *src_strides, const size_t *shape, int ndim, size_t itemsize,
			size_t swap_unit)
{
	copy_box(level, 0, dst, dst_strides, src, src_strides, shape, ndim, itemsize, swap_unit);
}

void zc_strided_copy(uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src, const ptrdiff_t *src_strides,
		     const size_t *shape, int ndim, size_t itemsize, size_t swap_unit)
{
	copy_box(-1, 0, dst, dst_strides, src, src_strides, shape, ndim, itemsize, swap_unit);
}

void zc_strided_copy_streamed(uint8_t *dst, const ptrdiff_t *dst_strides, const uint8_t *src,
			      const ptrdiff_t *src_strides, const size_t *shape, int ndim, size_t itemsize,
			      size_t swap_unit)
{
	copy_box(-1, 1, dst, dst_strides, src, src_strides, shape, ndim, itemsize, swap_unit);
}

void zc_swap(uint8_t *data, size_t nbytes, size_t swap_unit)
{
	zc_plane whole = {1, nbytes, 0, 0, 0, 0, 1, swap_unit};
	zc_plane_copy swap = zc_plane_swapped_rows(zc_simd_best(), swap_unit);

	if (swap != NULL && nbytes != 0)
		swap(&whole, data, data);
}
