/*
 * zc_items.c - planes of items with any strides, one kernel for each item size and byte swap.
 */
#include <string.h>

#include "zc_item.h"
#include "zc_plane.h"
#include "zc_simd.h"

/*
 * A row with the strides known to the compiler where they are constants: contiguous to contiguous in blocked
 * planes, every second item, reversed, and one item repeated become vector code.
 */
#define ITEMS(name, type) \
	ZC_INLINE void row_##name(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t src_stride, \
				  size_t n) \
	{ \
		for (; n > 0; n--) { \
			type v; \
			\
			memcpy(&v, src, sizeof(v)); \
			v = name(v); \
			memcpy(dst, &v, sizeof(v)); \
			dst += dst_stride; \
			src += src_stride; \
		} \
	} \
	ZC_INLINE void packed_row_##name(uint8_t *restrict dst, const uint8_t *restrict src, ptrdiff_t src_stride, \
					 size_t n) \
	{ \
		for (size_t i = 0; i < n; i++) { \
			type v; \
			\
			memcpy(&v, src + (ptrdiff_t)i * src_stride, sizeof(v)); \
			v = name(v); \
			memcpy(dst + i * sizeof(v), &v, sizeof(v)); \
		} \
	} \
	ZC_INLINE void items_##name##_body(const zc_plane *plane, uint8_t *dst, const uint8_t *src) \
	{ \
		const ptrdiff_t packed = (ptrdiff_t)sizeof(type); \
		\
		for (size_t i = 0; i < plane->n0; i++) { \
			if (plane->dst1 != packed) \
				row_##name(dst, plane->dst1, src, plane->src1, plane->n1); \
			else if (plane->src1 == 0) \
				packed_row_##name(dst, src, 0, plane->n1); \
			else if (plane->src1 == -packed) \
				packed_row_##name(dst, src, -packed, plane->n1); \
			else if (plane->src1 == 2 * packed) \
				packed_row_##name(dst, src, 2 * packed, plane->n1); \
			else \
				row_##name(dst, packed, src, plane->src1, plane->n1); \
			dst += plane->dst0; \
			src += plane->src0; \
		} \
	} \
	ZC_LEVELS(void, items_##name, (const zc_plane *plane, uint8_t *dst, const uint8_t *src), (plane, dst, src))

ZC_FOR_ITEMS(ITEMS)

/* Items of a size without a kernel are rows of bytes. */
static void items_as_rows(const zc_plane *plane, uint8_t *dst, const uint8_t *src, zc_plane_copy copy_rows)
{
	zc_plane rows = *plane;

	rows.n0 = plane->n1;
	rows.n1 = 1;
	rows.dst0 = plane->dst1;
	rows.src0 = plane->src1;
	for (size_t i = 0; i < plane->n0; i++) {
		copy_rows(&rows, dst, src);
		dst += plane->dst0;
		src += plane->src0;
	}
}

static void items_any_baseline(const zc_plane *plane, uint8_t *dst, const uint8_t *src)
{
	items_as_rows(plane, dst, src, zc_plane_rows(ZC_SIMD_BASELINE));
}

#if ZC_HAVE_AVX2
static void items_any_avx2(const zc_plane *plane, uint8_t *dst, const uint8_t *src)
{
	items_as_rows(plane, dst, src, zc_plane_rows(ZC_SIMD_AVX2));
}
#endif

static zc_plane_copy kept_items(int level, size_t itemsize)
{
	switch (itemsize) {
	case 1:
		return ZC_PICK(level, items_kept_1);
	case 2:
		return ZC_PICK(level, items_kept_2);
	case 4:
		return ZC_PICK(level, items_kept_4);
	case 8:
		return ZC_PICK(level, items_kept_8);
	case 16:
		return ZC_PICK(level, items_kept_16);
	default:
		return ZC_PICK(level, items_any);
	}
}

zc_plane_copy zc_plane_items(int level, size_t itemsize, size_t swap_unit)
{
	if (swap_unit == 0)
		return kept_items(level, itemsize);
	switch (itemsize * 100 + swap_unit) {
	case 202:
		return ZC_PICK(level, items_swapped_2);
	case 404:
		return ZC_PICK(level, items_swapped_4);
	case 402:
		return ZC_PICK(level, items_halves_4);
	case 808:
		return ZC_PICK(level, items_swapped_8);
	case 804:
		return ZC_PICK(level, items_halves_8);
	case 1608:
		return ZC_PICK(level, items_halves_16);
	default:
		return NULL;
	}
}
