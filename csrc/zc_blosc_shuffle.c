#include "zc_blosc_shuffle.h"

#include <string.h>

#include <shuffle.h>

#include "zc_simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* c-blosc2's name for the bitshuffle of Blosc 1: a block is done only if its element count divides by eight. */
#define BLOSC_1_BITSHUFFLE 2

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

/* Elements [first, end) as far as there are vectors of them; returns the first that is left. */
static size_t unshuffle_vectors(int level, const struct zc_blosc_planes *planes, size_t first, size_t end, uint8_t *dst)
{
#ifdef PICK
	switch (planes->typesize) {
	case 2:
		return PICK(level, 2)(planes->plane, first, end, dst);
	case 4:
		return PICK(level, 4)(planes->plane, first, end, dst);
	case 8:
		return PICK(level, 8)(planes->plane, first, end, dst);
	case 16:
		return PICK(level, 16)(planes->plane, first, end, dst);
	default:
		break;
	}
#endif
	(void)level;
	(void)dst;
	(void)end;
	return first;
}

/* Elements [first, end), a few lines of each plane at a time so that the destination stays in L1. */
static void unshuffle_scalar(const struct zc_blosc_planes *planes, size_t first, size_t end, uint8_t *dst)
{
	size_t typesize = planes->typesize;

	while (first < end) {
		size_t n = end - first < 64 ? end - first : 64;

		for (size_t j = 0; j < typesize; j++)
			for (size_t i = 0; i < n; i++)
				dst[i * typesize + j] = planes->plane[j][first + i];
		first += n;
		dst += n * typesize;
	}
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
	size_t first = (from + typesize - 1) / typesize, end = to / typesize, left;

	if (first * typesize > to || first > end) {	/* inside one element */
		unshuffle_bytes(planes, from, to, dst);
		return;
	}
	unshuffle_bytes(planes, from, first * typesize, dst);
	dst += first * typesize - from;
	left = unshuffle_vectors(zc_simd_clip(level), planes, first, end, dst);
	unshuffle_scalar(planes, left, end, dst + (left - first) * typesize);
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

zc_status zc_blosc_bitunshuffle(zc_worker *worker, const struct zc_blosc_planes *planes, size_t from, size_t to,
				uint8_t *dst)
{
	size_t typesize = planes->typesize, row_nbytes = planes->n_elements / 8, group_nbytes = 8 * typesize;
	size_t first = from / group_nbytes, n = (to + group_nbytes - 1) / group_nbytes - first;
	size_t nbytes = n * group_nbytes;
	uint8_t *rows, *elements;

	if (from == to)
		return ZC_OK;
	rows = zc_worker_scratch(worker, ZC_SCRATCH_CODEC1, 2 * nbytes);
	if (rows == NULL)
		return ZC_ENOMEM;
	elements = nbytes == to - from ? dst : rows + nbytes;
	for (size_t row = 0; row < 8 * typesize; row++)
		memcpy(rows + row * n, planes->plane[row / 8] + row % 8 * row_nbytes + first, n);
	if (bitunshuffle((int32_t)typesize, (int32_t)nbytes, rows, elements, BLOSC_1_BITSHUFFLE) < 0)
		return ZC_ENOMEM;
	if (elements != dst)
		memcpy(dst, elements + (from - first * group_nbytes), to - from);
	return ZC_OK;
}
