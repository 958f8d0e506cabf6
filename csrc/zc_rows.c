/*
 * zc_rows.c - planes whose rows are contiguous on both sides, with and without a byte swap.
 *
 * A call of memcpy costs more than the copy for rows of 64 to 512 bytes, the rows of most chunks, so rows are
 * copied here by their size class: the class is decided once a plane, not once a row.
 */
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "zc_plane.h"
#include "zc_simd.h"

/* From here on memcpy wins: its call is paid, and it knows about streaming stores. */
#define MEMCPY_ROW_NBYTES 2048

/* Shorter rows have too few whole cache lines for stores that go past the cache. */
#define ZC_STREAMED_ROW_NBYTES ((size_t)256)

/* Rows of 'low' to 2 * low bytes: the first and the last 'low' bytes, which may overlap. */
#define ENDS(low) \
	for (size_t i = 0; i < plane->n0; i++) { \
		memcpy(dst, src, low); \
		memcpy(dst + nbytes - low, src + nbytes - low, low); \
		dst += plane->dst0; \
		src += plane->src0; \
	}

ZC_INLINE void tiny_rows(const zc_plane *plane, uint8_t *dst, const uint8_t *src, size_t nbytes)
{
	/* 1 to 3 bytes: first, middle and last, which may be the same. */
	for (size_t i = 0; i < plane->n0; i++) {
		uint8_t first = src[0], middle = src[nbytes / 2], last = src[nbytes - 1];

		dst[0] = first;
		dst[nbytes / 2] = middle;
		dst[nbytes - 1] = last;
		dst += plane->dst0;
		src += plane->src0;
	}
}

ZC_INLINE void long_row(uint8_t *dst, const uint8_t *src, size_t nbytes)
{
	size_t i = 0;

	for (; i + 128 <= nbytes; i += 128)
		memcpy(dst + i, src + i, 128);
	if (i + 64 <= nbytes) {
		memcpy(dst + i, src + i, 64);
		i += 64;
	}
	if (i < nbytes)
		memcpy(dst + nbytes - 64, src + nbytes - 64, 64);
}

ZC_INLINE void rows_body(const zc_plane *plane, uint8_t *dst, const uint8_t *src)
{
	size_t nbytes = plane->n1 * plane->itemsize;

	if (nbytes >= MEMCPY_ROW_NBYTES) {
		for (size_t i = 0; i < plane->n0; i++) {
			memcpy(dst, src, nbytes);
			dst += plane->dst0;
			src += plane->src0;
		}
	} else if (nbytes >= 64) {
		for (size_t i = 0; i < plane->n0; i++) {
			long_row(dst, src, nbytes);
			dst += plane->dst0;
			src += plane->src0;
		}
	} else if (nbytes >= 32) {
		ENDS(32)
	} else if (nbytes >= 16) {
		ENDS(16)
	} else if (nbytes >= 8) {
		ENDS(8)
	} else if (nbytes >= 4) {
		ENDS(4)
	} else {
		tiny_rows(plane, dst, src, nbytes);
	}
}

/*
 * Shifts instead of a byte shuffle, which SSE2 lacks; compilers that see a better instruction use it.  Macros, as
 * functions that take vectors of 32 bytes have another ABI with AVX than without.
 */
#define SWAP2(v) (((v) << 8) | ((v) >> 8))
#define SWAP4(v) rotated(zc_v8u32, 16, SWAP2((zc_v16u16)(v)))
#define SWAP8(v) rotated(zc_v4u64, 32, SWAP4(v))
#define rotated(vector, bits, v) (((vector)(v) << (bits)) | ((vector)(v) >> (bits)))

ZC_INLINE uint16_t swap_one2(uint16_t v) { return __builtin_bswap16(v); }
ZC_INLINE uint32_t swap_one4(uint32_t v) { return __builtin_bswap32(v); }
ZC_INLINE uint64_t swap_one8(uint64_t v) { return __builtin_bswap64(v); }

/* In place is allowed: dst == src. */
#define SWAPPED_ROWS(unit, vector, word) \
	ZC_INLINE void swapped_rows##unit##_body(const zc_plane *plane, uint8_t *dst, const uint8_t *src) \
	{ \
		size_t nbytes = plane->n1 * plane->itemsize; \
		\
		for (size_t row = 0; row < plane->n0; row++) { \
			size_t i = 0; \
			\
			for (; i + sizeof(vector) <= nbytes; i += sizeof(vector)) { \
				vector v; \
				\
				memcpy(&v, src + i, sizeof(v)); \
				v = SWAP##unit(v); \
				memcpy(dst + i, &v, sizeof(v)); \
			} \
			for (; i + sizeof(word) <= nbytes; i += sizeof(word)) { \
				word w; \
				\
				memcpy(&w, src + i, sizeof(w)); \
				w = swap_one##unit(w); \
				memcpy(dst + i, &w, sizeof(w)); \
			} \
			dst += plane->dst0; \
			src += plane->src0; \
		} \
	} \
	ZC_LEVELS(void, swapped_rows##unit, (const zc_plane *plane, uint8_t *dst, const uint8_t *src), \
		  (plane, dst, src))

SWAPPED_ROWS(2, zc_v16u16, uint16_t)
SWAPPED_ROWS(4, zc_v8u32, uint32_t)
SWAPPED_ROWS(8, zc_v4u64, uint64_t)
ZC_LEVELS(void, rows, (const zc_plane *plane, uint8_t *dst, const uint8_t *src), (plane, dst, src))

zc_plane_copy zc_plane_rows(int level)
{
	return ZC_PICK(level, rows);
}

#if defined(__SSE2__)
#define ZC_LINE_NBYTES ((size_t)64)

/* Whole cache lines of the destination go past the cache; the bytes before and after them do not. */
static void streamed_row(uint8_t *dst, const uint8_t *src, size_t nbytes)
{
	size_t head = (size_t)(0 - (uintptr_t)dst) & (ZC_LINE_NBYTES - 1);
	size_t end = head + ((nbytes - head) & ~(ZC_LINE_NBYTES - 1));

	memcpy(dst, src, head);
	for (size_t i = head; i < end; i += ZC_LINE_NBYTES)
		for (size_t j = i; j < i + ZC_LINE_NBYTES; j += sizeof(__m128i))
			_mm_stream_si128((__m128i *)(void *)(dst + j),
					 _mm_loadu_si128((const __m128i *)(const void *)(src + j)));
	memcpy(dst + end, src + end, nbytes - end);
}

static void streamed_rows(const zc_plane *plane, uint8_t *dst, const uint8_t *src)
{
	size_t nbytes = plane->n1 * plane->itemsize;

	for (size_t i = 0; i < plane->n0; i++) {
		streamed_row(dst, src, nbytes);
		dst += plane->dst0;
		src += plane->src0;
	}
	/* Another thread may read what is written here as soon as it is told that this call is over. */
	_mm_sfence();
}

zc_plane_copy zc_plane_streamed_rows(int level, size_t row_nbytes)
{
	return row_nbytes >= ZC_STREAMED_ROW_NBYTES ? streamed_rows : zc_plane_rows(level);
}
#else
zc_plane_copy zc_plane_streamed_rows(int level, size_t row_nbytes)
{
	(void)row_nbytes;
	return zc_plane_rows(level);
}
#endif

zc_plane_copy zc_plane_swapped_rows(int level, size_t swap_unit)
{
	switch (swap_unit) {
	case 2:
		return ZC_PICK(level, swapped_rows2);
	case 4:
		return ZC_PICK(level, swapped_rows4);
	case 8:
		return ZC_PICK(level, swapped_rows8);
	default:
		return NULL;
	}
}
