/*
 * zc_box.c - dimensions of an N-d box: drop, flip, sort, merge.
 */
#include "zc_box.h"

/* Walk a dimension the other way round where that makes the destination stride positive. */
static zc_dim flipped(zc_box *box, zc_dim dim)
{
	if (dim.dst_stride >= 0)
		return dim;
	box->dst_offset += dim.dst_stride * (ptrdiff_t)(dim.n - 1);
	box->src_offset += dim.src_stride * (ptrdiff_t)(dim.n - 1);
	dim.dst_stride = -dim.dst_stride;
	dim.src_stride = -dim.src_stride;
	return dim;
}

static size_t magnitude(ptrdiff_t stride)
{
	return stride < 0 ? (size_t)0 - (size_t)stride : (size_t)stride;
}

static int goes_outside(const zc_dim *a, const zc_dim *b)
{
	if (a->dst_stride != b->dst_stride)
		return a->dst_stride > b->dst_stride;
	return magnitude(a->src_stride) > magnitude(b->src_stride);
}

/* Insert 'dim' among the sorted dimensions; arrays come nearly sorted, so this looks at one neighbour mostly. */
static void insert(zc_box *box, zc_dim dim)
{
	int i = box->ndim++;

	for (; i > 0 && goes_outside(&dim, &box->dim[i - 1]); i--)
		box->dim[i] = box->dim[i - 1];
	box->dim[i] = dim;
}

static void merge(zc_box *box)
{
	int kept = 0;

	for (int i = 1; i < box->ndim; i++) {
		zc_dim *outer = &box->dim[kept];
		zc_dim inner = box->dim[i];

		if (outer->dst_stride == inner.dst_stride * (ptrdiff_t)inner.n &&
		    outer->src_stride == inner.src_stride * (ptrdiff_t)inner.n) {
			inner.n *= outer->n;
			*outer = inner;
		} else {
			box->dim[++kept] = inner;
		}
	}
	if (box->ndim > 0)
		box->ndim = kept + 1;
}

int zc_box_load(zc_box *box, const size_t *shape, const ptrdiff_t *dst_strides, const ptrdiff_t *src_strides, int ndim)
{
	box->ndim = 0;
	box->dst_offset = 0;
	box->src_offset = 0;
	for (int i = 0; i < ndim; i++) {
		if (shape[i] == 0)
			return 0;
		if (shape[i] > 1) {
			zc_dim dim = {shape[i], dst_strides[i], src_strides == NULL ? 0 : src_strides[i]};

			insert(box, flipped(box, dim));
		}
	}
	merge(box);
	return 1;
}

zc_dim zc_box_take(zc_box *box, int i)
{
	zc_dim dim = box->dim[i];

	box->ndim--;
	for (; i < box->ndim; i++)
		box->dim[i] = box->dim[i + 1];
	return dim;
}
