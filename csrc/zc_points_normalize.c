/*
 * zc_points_normalize.c - indices as users give them: any integers, negative ones from the end.
 */
#include <string.h>

#include "zc_points.h"
#include "zc_simd.h"

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
