/*
 * zc_item.h - one item on its way: kept as it is, or with its bytes reversed.
 */
#ifndef ZC_ITEM_H
#define ZC_ITEM_H

#include <stdint.h>
#include <string.h>

#include "zc_simd.h"

typedef struct zc_item16 {
	uint64_t low, high;
} zc_item16;

/* kept_N: no swap.  swapped_N: the whole item.  halves_N: each half of the item, as in a complex number. */
ZC_INLINE uint8_t kept_1(uint8_t v) { return v; }
ZC_INLINE uint16_t kept_2(uint16_t v) { return v; }
ZC_INLINE uint16_t swapped_2(uint16_t v) { return __builtin_bswap16(v); }
ZC_INLINE uint32_t kept_4(uint32_t v) { return v; }
ZC_INLINE uint32_t swapped_4(uint32_t v) { return __builtin_bswap32(v); }
ZC_INLINE uint32_t halves_4(uint32_t v) { v = __builtin_bswap32(v); return v << 16 | v >> 16; }
ZC_INLINE uint64_t kept_8(uint64_t v) { return v; }
ZC_INLINE uint64_t swapped_8(uint64_t v) { return __builtin_bswap64(v); }
ZC_INLINE uint64_t halves_8(uint64_t v) { v = __builtin_bswap64(v); return v << 32 | v >> 32; }
ZC_INLINE zc_item16 kept_16(zc_item16 v) { return v; }
ZC_INLINE zc_item16 halves_16(zc_item16 v)
{
	v.low = __builtin_bswap64(v.low);
	v.high = __builtin_bswap64(v.high);
	return v;
}

/* MACRO(name, type) for each of them: item sizes and swaps that kernels are made for. */
#define ZC_FOR_ITEMS(MACRO) \
	MACRO(kept_1, uint8_t) \
	MACRO(kept_2, uint16_t) \
	MACRO(swapped_2, uint16_t) \
	MACRO(kept_4, uint32_t) \
	MACRO(swapped_4, uint32_t) \
	MACRO(halves_4, uint32_t) \
	MACRO(kept_8, uint64_t) \
	MACRO(swapped_8, uint64_t) \
	MACRO(halves_8, uint64_t) \
	MACRO(kept_16, zc_item16) \
	MACRO(halves_16, zc_item16)

/* PICK(name) of the one for items of 'itemsize' bytes with this swap (0: none), or 'other'. */
#define ZC_PICK_ITEM(PICK, itemsize, swap_unit, other) \
	((itemsize) > 16 ? (other) : \
	 (itemsize) * 100 + (swap_unit) == 100 ? PICK(kept_1) : \
	 (itemsize) * 100 + (swap_unit) == 200 ? PICK(kept_2) : \
	 (itemsize) * 100 + (swap_unit) == 202 ? PICK(swapped_2) : \
	 (itemsize) * 100 + (swap_unit) == 400 ? PICK(kept_4) : \
	 (itemsize) * 100 + (swap_unit) == 404 ? PICK(swapped_4) : \
	 (itemsize) * 100 + (swap_unit) == 402 ? PICK(halves_4) : \
	 (itemsize) * 100 + (swap_unit) == 800 ? PICK(kept_8) : \
	 (itemsize) * 100 + (swap_unit) == 808 ? PICK(swapped_8) : \
	 (itemsize) * 100 + (swap_unit) == 804 ? PICK(halves_8) : \
	 (itemsize) * 100 + (swap_unit) == 1600 ? PICK(kept_16) : \
	 (itemsize) * 100 + (swap_unit) == 1608 ? PICK(halves_16) : (other))

/* An item of any size. */
static inline void zc_item_copy(uint8_t *dst, const uint8_t *src, size_t itemsize, size_t swap_unit)
{
	if (swap_unit < 2) {
		memcpy(dst, src, itemsize);
		return;
	}
	for (size_t i = 0; i < itemsize; i += swap_unit)
		for (size_t j = 0; j < swap_unit; j++)
			dst[i + j] = src[i + swap_unit - 1 - j];
}

#endif
