/*
 * zc_transpose.c - transposition of a plane by tiles of a few cache lines each way.
 *
 * A tile's source rows are first read into a small buffer, which also swaps bytes, then turned in registers, then
 * written as whole lines.  With strides that are powers of two all rows of a tile share a few sets of the L1 and L2
 * caches; reading and writing each row of a tile in one go keeps that from costing anything.
 */
#include <string.h>

#include "zc_plane.h"
#include "zc_simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/*
 * Bytes in a row of a tile.  Measured on 256 MB, strides of powers of two (Zen 3): 256 bytes beat 64 by half in three
 * dimensions and equal it in two; a tile of single bytes that wide would not fit in L1.
 */
#define WIDTH_OF(itemsize) ((itemsize) == 1 ? 128 : 256)

/*
 * Rows of the destination that are open at a time: as many as keep their lines in L2 and their pages in the TLB until
 * the neighbouring tile writes the rest.  Twice as fast as whole columns for single bytes.
 */
#define OPEN_N_ROWS 512

/*
 * square_LEVEL_ITEMSIZE turns one square with rows of 16 bytes, or two at a time with AVX2: 16 / itemsize registers, each
 * loaded from a row of 'in' (rows are WIDTH bytes apart), interleaved until items of one column stand together, and
 * stored to rows of 'dst'.
 */
#if defined(__x86_64__)

#define SQUARE(level, itemsize, bits, target, vector, prefix, load, store) \
	target static inline void square_##level##_##itemsize(const uint8_t *in, uint8_t *dst, ptrdiff_t dst_stride) \
	{ \
		enum { COUNT = 16 / itemsize, WIDTH = WIDTH_OF(itemsize) }; \
		vector v[COUNT], w[COUNT + 1]; \
		\
		_Pragma("GCC unroll 16") for (int i = 0; i < COUNT; i++) \
			v[i] = load(in + i * WIDTH, COUNT * WIDTH); \
		_Pragma("GCC unroll 4") for (int round = 1; round < COUNT; round *= 2) { \
			_Pragma("GCC unroll 8") for (int i = 0; i < COUNT / 2; i++) { \
				w[2 * i] = prefix##_unpacklo_epi##bits(v[i], v[i + COUNT / 2]); \
				w[2 * i + 1] = prefix##_unpackhi_epi##bits(v[i], v[i + COUNT / 2]); \
			} \
			_Pragma("GCC unroll 16") for (int i = 0; i < COUNT; i++) \
				v[i] = w[i]; \
		} \
		_Pragma("GCC unroll 16") for (int i = 0; i < COUNT; i++) \
			store(dst + i * dst_stride, v[i]); \
	}

#define LOAD_ONE(in, distance) _mm_loadu_si128((const __m128i *)(const void *)(in))
#define STORE_ONE(dst, v) _mm_storeu_si128((__m128i *)(void *)(dst), v)
#define LOAD_TWO(in, distance) \
	_mm256_inserti128_si256(_mm256_castsi128_si256(LOAD_ONE(in, 0)), LOAD_ONE((in) + (distance), 0), 1)
#define STORE_TWO(dst, v) _mm256_storeu_si256((__m256i *)(void *)(dst), v)

SQUARE(baseline, 1, 8, , __m128i, _mm, LOAD_ONE, STORE_ONE)
SQUARE(baseline, 2, 16, , __m128i, _mm, LOAD_ONE, STORE_ONE)
SQUARE(baseline, 4, 32, , __m128i, _mm, LOAD_ONE, STORE_ONE)
SQUARE(baseline, 8, 64, , __m128i, _mm, LOAD_ONE, STORE_ONE)
SQUARE(baseline, 16, 64, , __m128i, _mm, LOAD_ONE, STORE_ONE)
SQUARE(avx2, 1, 8, ZC_TARGET_AVX2, __m256i, _mm256, LOAD_TWO, STORE_TWO)
SQUARE(avx2, 2, 16, ZC_TARGET_AVX2, __m256i, _mm256, LOAD_TWO, STORE_TWO)
SQUARE(avx2, 4, 32, ZC_TARGET_AVX2, __m256i, _mm256, LOAD_TWO, STORE_TWO)
SQUARE(avx2, 8, 64, ZC_TARGET_AVX2, __m256i, _mm256, LOAD_TWO, STORE_TWO)
SQUARE(avx2, 16, 64, ZC_TARGET_AVX2, __m256i, _mm256, LOAD_TWO, STORE_TWO)

#elif defined(__aarch64__)

#define SQUARE(itemsize, bits, lanes) \
	static inline void square_baseline_##itemsize(const uint8_t *in, uint8_t *dst, ptrdiff_t dst_stride) \
	{ \
		enum { COUNT = 16 / itemsize, WIDTH = WIDTH_OF(itemsize) }; \
		uint##bits##x##lanes##_t v[COUNT], w[COUNT + 1]; \
		\
		_Pragma("GCC unroll 16") for (int i = 0; i < COUNT; i++) \
			v[i] = vreinterpretq_u##bits##_u8(vld1q_u8(in + i * WIDTH)); \
		_Pragma("GCC unroll 4") for (int round = 1; round < COUNT; round *= 2) { \
			_Pragma("GCC unroll 8") for (int i = 0; i < COUNT / 2; i++) { \
				w[2 * i] = vzip1q_u##bits(v[i], v[i + COUNT / 2]); \
				w[2 * i + 1] = vzip2q_u##bits(v[i], v[i + COUNT / 2]); \
			} \
			_Pragma("GCC unroll 16") for (int i = 0; i < COUNT; i++) \
				v[i] = w[i]; \
		} \
		_Pragma("GCC unroll 16") for (int i = 0; i < COUNT; i++) \
			vst1q_u8(dst + i * dst_stride, vreinterpretq_u8_u##bits(v[i])); \
	}

#define vreinterpretq_u8_u8(v) (v)
SQUARE(1, 8, 16)
SQUARE(2, 16, 8)
SQUARE(4, 32, 4)
SQUARE(8, 64, 2)
SQUARE(16, 64, 2)

#else

/* Any other machine: one item at a time, in a form that the compiler may vectorise. */
#define SQUARE(itemsize) \
	static inline void square_baseline_##itemsize(const uint8_t *in, uint8_t *dst, ptrdiff_t dst_stride) \
	{ \
		enum { WIDTH = WIDTH_OF(itemsize) }; \
		\
		for (int i = 0; i < 16 / itemsize; i++) \
			for (int j = 0; j < 16 / itemsize; j++) \
				memcpy(dst + i * dst_stride + j * itemsize, in + j * WIDTH + i * itemsize, itemsize); \
	}

SQUARE(1)
SQUARE(2)
SQUARE(4)
SQUARE(8)
SQUARE(16)

#endif

/* Turn n_rows rows of n_columns items of 'in', rounded up to whole squares. */
#define TURN(level, itemsize, target, step_nbytes) \
	target static inline void turn_##level##_##itemsize(const uint8_t *in, uint8_t *dst, ptrdiff_t dst_stride, \
							    size_t n_rows, size_t n_columns) \
	{ \
		for (size_t column = 0; column < n_columns; column += 16 / itemsize) \
			for (size_t row = 0; row < n_rows; row += step_nbytes / itemsize) \
				square_##level##_##itemsize(in + row * WIDTH_OF(itemsize) + column * itemsize, \
							    dst + (ptrdiff_t)column * dst_stride + row * itemsize, \
							    dst_stride); \
	}

/* Bring rows of a tile together in 'in' and swap their bytes. */
ZC_INLINE void stage(const zc_plane *plane, const uint8_t *src, uint8_t *in, size_t width, size_t n_rows, size_t nbytes,
		     zc_plane_copy swap)
{
	zc_plane rows = {n_rows, nbytes, (ptrdiff_t)width, 0, (ptrdiff_t)width, 0, 1, 0};

	for (size_t row = 0; row < n_rows; row++)
		memcpy(in + row * width, src + (ptrdiff_t)row * plane->src1, nbytes);
	if (swap != NULL)
		swap(&rows, in, in);
}

/*
 * Row k, column j of 'dst' is column k, row j of 'src'; n0 counts k, n1 counts j.  At the edges whole squares are turned
 * into a second buffer: what they hold beyond the edge was never set, and is not copied on.
 */
#define TRANSPOSE(level_name, level, itemsize, target, step_nbytes) \
	TURN(level_name, itemsize, target, step_nbytes) \
	\
	target static inline void tile_##level_name##_##itemsize(const zc_plane *plane, uint8_t *dst, \
								 const uint8_t *src, size_t nk, size_t nj, \
								 uint8_t *in, uint8_t *out, zc_plane_copy swap) \
	{ \
		enum { WIDTH = WIDTH_OF(itemsize), SIDE = WIDTH / itemsize }; \
		\
		if (nk == SIDE && nj == SIDE) { \
			stage(plane, src, in, WIDTH, SIDE, WIDTH, swap); \
			turn_##level_name##_##itemsize(in, dst, plane->dst0, SIDE, SIDE); \
			return; \
		} \
		stage(plane, src, in, WIDTH, nj, nk * itemsize, swap); \
		turn_##level_name##_##itemsize(in, out, WIDTH, nj, nk); \
		for (size_t k = 0; k < nk; k++) \
			memcpy(dst + (ptrdiff_t)k * plane->dst0, out + k * WIDTH, nj * itemsize); \
	} \
	\
	target static void transpose_##level_name##_##itemsize(const zc_plane *plane, uint8_t *dst, const uint8_t *src) \
	{ \
		enum { WIDTH = WIDTH_OF(itemsize), SIDE = WIDTH / itemsize }; \
		const zc_plane_copy swap = \
			plane->swap_unit ? zc_plane_swapped_rows(level, plane->swap_unit) : NULL; \
		uint8_t in[SIDE * WIDTH], out[SIDE * WIDTH]; \
		\
		for (size_t open = 0; open < plane->n0; open += OPEN_N_ROWS) { \
			size_t end = plane->n0 - open < OPEN_N_ROWS ? plane->n0 : open + OPEN_N_ROWS; \
			\
			for (size_t j = 0; j < plane->n1; j += SIDE) { \
				size_t nj = plane->n1 - j < SIDE ? plane->n1 - j : SIDE; \
				\
				for (size_t k = open; k < end; k += SIDE) \
					tile_##level_name##_##itemsize( \
						plane, dst + (ptrdiff_t)k * plane->dst0 + j * itemsize, \
						src + (ptrdiff_t)j * plane->src1 + k * itemsize, \
						end - k < SIDE ? end - k : SIDE, nj, in, out, swap); \
			} \
		} \
	}

TRANSPOSE(baseline, ZC_SIMD_BASELINE, 1, , 16)
TRANSPOSE(baseline, ZC_SIMD_BASELINE, 2, , 16)
TRANSPOSE(baseline, ZC_SIMD_BASELINE, 4, , 16)
TRANSPOSE(baseline, ZC_SIMD_BASELINE, 8, , 16)
TRANSPOSE(baseline, ZC_SIMD_BASELINE, 16, , 16)
#if ZC_HAVE_AVX2
TRANSPOSE(avx2, ZC_SIMD_AVX2, 1, ZC_TARGET_AVX2, 32)
TRANSPOSE(avx2, ZC_SIMD_AVX2, 2, ZC_TARGET_AVX2, 32)
TRANSPOSE(avx2, ZC_SIMD_AVX2, 4, ZC_TARGET_AVX2, 32)
TRANSPOSE(avx2, ZC_SIMD_AVX2, 8, ZC_TARGET_AVX2, 32)
TRANSPOSE(avx2, ZC_SIMD_AVX2, 16, ZC_TARGET_AVX2, 32)
#define PICK(level, itemsize) \
	((level) >= ZC_SIMD_AVX2 ? transpose_avx2_##itemsize : transpose_baseline_##itemsize)
#else
#define PICK(level, itemsize) ((void)(level), transpose_baseline_##itemsize)
#endif

zc_plane_copy zc_plane_transpose(int level, size_t itemsize)
{
	switch (itemsize) {
	case 1:
		return PICK(level, 1);
	case 2:
		return PICK(level, 2);
	case 4:
		return PICK(level, 4);
	case 8:
		return PICK(level, 8);
	case 16:
		return PICK(level, 16);
	default:
		return NULL;
	}
}
