/*
 * zc_box.h - the dimensions of an N-d box seen from two sides (a destination and a source), brought into
 * the form that the copies want: no length-1 dimensions, positive destination strides, outermost first.
 */
#ifndef ZC_BOX_H
#define ZC_BOX_H

#include <stddef.h>

#define ZC_MAX_NDIM 32

typedef struct zc_dim {
	size_t n;		/* elements, more than 1 after zc_box_load */
	ptrdiff_t dst_stride;	/* bytes */
	ptrdiff_t src_stride;	/* bytes; 0 broadcasts */
} zc_dim;

typedef struct zc_box {
	int ndim;
	ptrdiff_t dst_offset;	/* from the caller's pointers to the first element in the new order */
	ptrdiff_t src_offset;
	zc_dim dim[ZC_MAX_NDIM + 1];	/* one more for items that are split into swap units */
} zc_box;

/*
 * Fill 'box' from shape and strides ('src_strides' NULL: all 0): dimensions sorted by destination stride,
 * largest first, and adjacent ones merged where both sides are contiguous across them.
 * Returns 0 if the box has no elements, else 1.
 */
int zc_box_load(zc_box *box, const size_t *shape, const ptrdiff_t *dst_strides, const ptrdiff_t *src_strides, int ndim);

/* Take dimension 'i' out of the box. */
zc_dim zc_box_take(zc_box *box, int i);

/*
 * Step 'index' (ndim counters, all 0 at first) to the next element of the box in memory order and move the two
 * pointers' offsets with it.  Returns 0 after the last one.
 */
static inline int zc_box_next(const zc_box *box, size_t *index, ptrdiff_t *dst_offset, ptrdiff_t *src_offset)
{
	for (int i = box->ndim - 1; i >= 0; i--) {
		const zc_dim *dim = &box->dim[i];

		if (++index[i] < dim->n) {
			*dst_offset += dim->dst_stride;
			*src_offset += dim->src_stride;
			return 1;
		}
		index[i] = 0;
		*dst_offset -= dim->dst_stride * (ptrdiff_t)(dim->n - 1);
		*src_offset -= dim->src_stride * (ptrdiff_t)(dim->n - 1);
	}
	return 0;
}

#endif
