#include "zc_blosc_shuffle.h"

#include <string.h>

#include <shuffle.h>

#include "zc_simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

void zc_blosc_shuffle_init(void)
{
	uint8_t src[16] = {0}, dst[16] = {0};

	shuffle(2, sizeof(src), src, dst);
}

int zc_blosc_filters(const struct zc_blosc_header *header, size_t nbytes)
{
	size_t n_elements = nbytes / header->typesize;

	if (header->flags & ZC_BLOSC_BITSHUFFLED)
		return n_elements > 0 && n_elements % 8 == 0;
	return (header->flags & ZC_BLOSC_SHUFFLED) && header->typesize > 1 && n_elements > 0;
}

/*
 * Undoing the byte shuffle by interleaving: from 16 bytes of each of 'typesize' planes (a power of two), registers in
 * which elements stand whole come out after log2(typesize) rounds.  Planes may be anywhere, so that a part of a block
 * is unshuffled straight from where its streams were decoded, or from the chunk where they are stored.
 */
#if defined(__x86_64__)

#define INTERLEAVE(level, typesize, target, vector, prefix, load, store) \
	target static size_t unshuffle_##level##_##typesize(const uint8_t *const *plane, size_t first, size_t end, \
							    uint8_t *dst) \
	{ \
		enum { WIDTH = sizeof(vector) }; \
		vector v[typesize], w[typesize]; \
		\
		for (; end - first >= WIDTH; first += WIDTH, dst += WIDTH * typesize) { \
			_Pragma("GCC unroll 16") for (int j = 0; j < typesize; j++) \
				v[j] = load((const vector *)(const void *)(plane[j] + first)); \
			_Pragma("GCC unroll 4") for (int round = 1; round < typesize; round *= 2) { \
				_Pragma("GCC unroll 8") for (int j = 0; j < typesize / 2; j++) { \
					w[2 * j] = prefix##_unpacklo_epi8(v[j], v[j + typesize / 2]); \
					w[2 * j + 1] = prefix##_unpackhi_epi8(v[j], v[j + typesize / 2]); \
				} \
				_Pragma("GCC unroll 16") for (int j = 0; j < typesize; j++) \
					v[j] = w[j]; \
			} \
			_Pragma("GCC unroll 16") for (int j = 0; j < typesize; j++) \
				store(dst + 16 * j, 16 * typesize, v[j]); \
		} \
		return first; \
	}

#define STORE_ONE(dst, distance, v) _mm_storeu_si128((__m128i *)(void *)(dst), v)
/* The halves of an AVX2 register belong to elements that are 16 apart. */
#define STORE_TWO(dst, distance, v) \
	(STORE_ONE(dst, 0, _mm256_castsi256_si128(v)), STORE_ONE((dst) + (distance), 0, _mm256_extracti128_si256(v, 1)))

INTERLEAVE(baseline, 2, , __m128i, _mm, _mm_loadu_si128, STORE_ONE)
INTERLEAVE(baseline, 4, , __m128i, _mm, _mm_loadu_si128, STORE_ONE)
INTERLEAVE(baseline, 8, , __m128i, _mm, _mm_loadu_si128, STORE_ONE)
INTERLEAVE(baseline, 16, , __m128i, _mm, _mm_loadu_si128, STORE_ONE)
INTERLEAVE(avx2, 2, ZC_TARGET_AVX2, __m256i, _mm256, _mm256_loadu_si256, STORE_TWO)
INTERLEAVE(avx2, 4, ZC_TARGET_AVX2, __m256i, _mm256, _mm256_loadu_si256, STORE_TWO)
INTERLEAVE(avx2, 8, ZC_TARGET_AVX2, __m256i, _mm256, _mm256_loadu_si256, STORE_TWO)
INTERLEAVE(avx2, 16, ZC_TARGET_AVX2, __m256i, _mm256, _mm256_loadu_si256, STORE_TWO)
#define PICK(level, typesize) ((level) >= ZC_SIMD_AVX2 ? unshuffle_avx2_##typesize : unshuffle_baseline_##typesize)

#elif defined(__aarch64__)

#define INTERLEAVE(typesize) \
	static size_t unshuffle_baseline_##typesize(const uint8_t *const *plane, size_t first, size_t end, \
						    uint8_t *dst) \
	{ \
		uint8x16_t v[typesize], w[typesize]; \
		\
		for (; end - first >= 16; first += 16, dst += 16 * typesize) { \
			_Pragma("GCC unroll 16") for (int j = 0; j < typesize; j++) \
				v[j] = vld1q_u8(plane[j] + first); \
			_Pragma("GCC unroll 4") for (int round = 1; round < typesize; round *= 2) { \
				_Pragma("GCC unroll 8") for (int j = 0; j < typesize / 2; j++) { \
					w[2 * j] = vzip1q_u8(v[j], v[j + typesize / 2]); \
					w[2 * j + 1] = vzip2q_u8(v[j], v[j + typesize / 2]); \
				} \
				_Pragma("GCC unroll 16") for (int j = 0; j < typesize; j++) \
					v[j] = w[j]; \
			} \
			_Pragma("GCC unroll 16") for (int j = 0; j < typesize; j++) \
				vst1q_u8(dst + 16 * j, v[j]); \
		} \
		return first; \
	}

INTERLEAVE(2)
INTERLEAVE(4)
INTERLEAVE(8)
INTERLEAVE(16)
#define PICK(level, typesize) ((void)(level), unshuffle_baseline_##typesize)

#endif

/* Elements [first, end) of 'typesize' planes as far as there are vectors of them; returns the first that is left. */
static size_t unshuffle_vectors(int level, size_t typesize, const uint8_t *const *plane, size_t first, size_t end,
				uint8_t *dst)
{
#ifdef PICK
	switch (typesize) {
	case 2:
		return PICK(level, 2)(plane, first, end, dst);
	case 4:
		return PICK(level, 4)(plane, first, end, dst);
	case 8:
		return PICK(level, 8)(plane, first, end, dst);
	case 16:
		return PICK(level, 16)(plane, first, end, dst);
	default:
		break;
	}
#endif
	(void)level;
	(void)typesize;
	(void)plane;
	(void)end;
	(void)dst;
	return first;
}

/* The same for what is left, and for machines without vectors. */
static void unshuffle_elements(size_t typesize, const uint8_t *const *plane, size_t first, size_t end, uint8_t *dst)
{
	for (size_t i = first; i < end; i++)
		for (size_t j = 0; j < typesize; j++)
			*dst++ = plane[j][i];
}

/* Items of 'size' bytes (a power of two up to 16), one after the other, to every 'stride' bytes of dst. */
static void spread(const uint8_t *src, size_t size, size_t n, uint8_t *dst, size_t stride)
{
	switch (size) {
#define SPREAD(size) \
	case size: \
		for (size_t i = 0; i < n; i++) \
			memcpy(dst + i * stride, src + i * size, size); \
		break;
	SPREAD(1)
	SPREAD(2)
	SPREAD(4)
	SPREAD(8)
	SPREAD(16)
	}
}

/*
 * Elements of any size, as parts whose sizes are powers of two: each part is unshuffled apart, then its items are spread.
 * Twelve bytes so go at 9 GB/s where byte by byte they go at 3 (Zen 3).
 */
static void unshuffle_in_parts(int level, const struct zc_blosc_planes *planes, size_t first, size_t end, uint8_t *dst)
{
	size_t typesize = planes->typesize;
	uint8_t part[128 * 16];

	while (first < end) {
		size_t n = end - first < 128 ? end - first : 128, size;

		for (size_t j = 0; j < typesize; j += size) {
			const uint8_t *const *plane = planes->plane + j;
			size_t left;

			for (size = 16; size > typesize - j; size /= 2)
				;
			if (size == 1) {
				spread(plane[0] + first, 1, n, dst + j, typesize);
				continue;
			}
			left = unshuffle_vectors(level, size, plane, first, first + n, part);
			unshuffle_elements(size, plane, left, first + n, part + (left - first) * size);
			spread(part, size, n, dst + j, typesize);
		}
		first += n;
		dst += n * typesize;
	}
}

/* Whole elements [first, end). */
static void unshuffle_whole(int level, const struct zc_blosc_planes *planes, size_t first, size_t end, uint8_t *dst)
{
	size_t typesize = planes->typesize, left;

	if (typesize > 16 || (typesize & (typesize - 1)) != 0) {
		unshuffle_in_parts(level, planes, first, end, dst);
		return;
	}
	left = unshuffle_vectors(level, typesize, planes->plane, first, end, dst);
	unshuffle_elements(typesize, planes->plane, left, end, dst + (left - first) * typesize);
}

/* Bytes [from, to) of one element. */
static void unshuffle_bytes(const struct zc_blosc_planes *planes, size_t from, size_t to, uint8_t *dst)
{
	size_t element = from / planes->typesize;

	for (size_t at = from; at < to; at++)
		*dst++ = planes->plane[at - element * planes->typesize][element];
}

void zc_blosc_unshuffle_at(int level, const struct zc_blosc_planes *planes, size_t from, size_t to, uint8_t *dst)
{
	size_t typesize = planes->typesize;
	size_t first = (from + typesize - 1) / typesize, end = to / typesize;

	if (first * typesize > to || first > end) {	/* inside one element */
		unshuffle_bytes(planes, from, to, dst);
		return;
	}
	unshuffle_bytes(planes, from, first * typesize, dst);
	dst += first * typesize - from;
	unshuffle_whole(zc_simd_clip(level), planes, first, end, dst);
	unshuffle_bytes(planes, end * typesize, to, dst + (end - first) * typesize);
}

void zc_blosc_unshuffle(const struct zc_blosc_planes *planes, size_t from, size_t to, uint8_t *dst)
{
	zc_blosc_unshuffle_at(-1, planes, from, to, dst);
}

zc_status zc_blosc_filter(const struct zc_blosc_header *header, const uint8_t *src, uint8_t *dst, size_t nbytes)
{
	int32_t typesize = (int32_t)header->typesize;

	if (!(header->flags & ZC_BLOSC_BITSHUFFLED)) {
		shuffle(typesize, (int32_t)nbytes, src, dst);
		return ZC_OK;
	}
	return bitshuffle(typesize, (int32_t)nbytes, src, dst) < 0 ? ZC_ENOMEM : ZC_OK;
}

/* Bytes of a block that are in hand at a time: input, planes and output together stay in L1. */
#define BIT_TILE_NBYTES 8192

/* Transpose matrices of eight by eight bits, each the eight bytes of a word: byte i, bit k becomes byte k, bit i. */
ZC_INLINE void turn_bits_body(uint8_t *matrices, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t x, t;

		memcpy(&x, matrices + 8 * i, 8);
		t = (x ^ x >> 7) & UINT64_C(0x00aa00aa00aa00aa);
		x ^= t ^ t << 7;
		t = (x ^ x >> 14) & UINT64_C(0x0000cccc0000cccc);
		x ^= t ^ t << 14;
		t = (x ^ x >> 28) & UINT64_C(0x00000000f0f0f0f0);
		x ^= t ^ t << 28;
		memcpy(matrices + 8 * i, &x, 8);
	}
}

ZC_LEVELS(void, turn_bits, (uint8_t *matrices, size_t n), (matrices, n))

/*
 * Columns [first, first + n) of the rows become bytes: the eight rows of a plane are interleaved like planes of an
 * eight-byte type, which puts the eight bytes that hold the bits of eight elements next to each other.
 */
static void turn_columns(int level, const struct zc_blosc_planes *planes, size_t first, size_t n, uint8_t *tile)
{
	size_t row_nbytes = planes->n_elements / 8;
	struct zc_blosc_planes rows;	/* no initialiser: to clear its 2 KiB would take 3 to 6 % of the time */

	rows.typesize = 8;
	rows.n_elements = n;
	for (size_t j = 0; j < planes->typesize; j++) {
		for (size_t k = 0; k < 8; k++)
			rows.plane[k] = planes->plane[j] + k * row_nbytes + first;
		zc_blosc_unshuffle_at(level, &rows, 0, 8 * n, tile + 8 * n * j);
	}
	ZC_PICK(level, turn_bits)(tile, n * planes->typesize);
}

zc_status zc_blosc_bitunshuffle_at(int level, zc_worker *worker, const struct zc_blosc_planes *planes, size_t from,
				   size_t to, uint8_t *dst)
{
	size_t typesize = planes->typesize, column_nbytes = 8 * typesize;
	size_t tile_columns = BIT_TILE_NBYTES / column_nbytes > 32 ? BIT_TILE_NBYTES / column_nbytes : 32;
	uint8_t *tile = zc_worker_scratch(worker, ZC_SCRATCH_CODEC1, tile_columns * column_nbytes);
	struct zc_blosc_planes bytes = {.typesize = typesize};

	if (tile == NULL)
		return ZC_ENOMEM;
	level = zc_simd_clip(level);
	while (from < to) {
		size_t first = from / column_nbytes, left = (to + column_nbytes - 1) / column_nbytes - first;
		size_t n = left < tile_columns ? left : tile_columns;
		size_t start = first * column_nbytes, end = start + n * column_nbytes;
		size_t stop = to < end ? to : end;

		turn_columns(level, planes, first, n, tile);
		bytes.n_elements = 8 * n;
		for (size_t j = 0; j < typesize; j++)
			bytes.plane[j] = tile + 8 * n * j;
		if (typesize == 1)
			memcpy(dst, tile + (from - start), stop - from);
		else
			zc_blosc_unshuffle_at(level, &bytes, from - start, stop - start, dst);
		dst += stop - from;
		from = stop;
	}
	return ZC_OK;
}

zc_status zc_blosc_bitunshuffle(zc_worker *worker, const struct zc_blosc_planes *planes, size_t from, size_t to,
				uint8_t *dst)
{
	return zc_blosc_bitunshuffle_at(-1, worker, planes, from, to, dst);
}
